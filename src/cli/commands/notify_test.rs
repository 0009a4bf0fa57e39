//! `pantry-keeper notify-test`.

use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::notify::channels::{self, Channel, LONGEST_DELIVERY, SHORT_ANSWER};
use crate::notify::notification::{Event, Facts, Notification, Severity};
use crate::notify::notifier;
use crate::settings::{NotifyOn, Settings};
use crate::sys::humanize;
use futures_util::future::join_all;

/// Sends a test through each channel, whatever NOTIFY_ON says: whoever asks for it wants it.
pub(crate) async fn notify_test(
    settings: &Settings,
    ctx: &Context,
) -> Result<ExitStatus, CommandError> {
    let channels = channels::of(settings, &ctx.redactor);
    if channels.is_empty() {
        let help = "set it to the name of your mail server, such as smtp.gmail.com, to get mail, or set NOTIFY_URLS";
        return Err(CommandError::usage(format!("SMTP_HOST is not set; {help}")));
    }
    let failed = |problem: String| CommandError::failed("the test was not sent", problem);
    let limit = humanize::duration(LONGEST_DELIVERY + SHORT_ANSWER);
    let tests = channels.iter().map(|channel| async {
        tracing::debug!("asking {}, for at most {limit}", channel.place());
        channel.test(&test(settings, ctx, channel.as_ref())).await
    });
    let sending = ctx.cancel.or(join_all(tests)).await;
    let answers = sending.map_err(|interruption| failed(interruption.to_string()))?;
    let mut problems = Vec::new();
    for answer in answers {
        match answer {
            Ok(answer) => output::print(&format!("{answer}\n"))?,
            Err(problem) => problems.push(ctx.redactor.redact(&problem.to_string()).into_owned()),
        }
    }
    match problems.is_empty() {
        true => Ok(ExitStatus::Done),
        false => Err(failed(problems.join("\n"))),
    }
}

fn test(settings: &Settings, ctx: &Context, channel: &dyn Channel) -> Notification {
    let hosts = settings.mongodb.as_ref().map(MongoUri::hosts);
    let notify_on = match settings.notify_on {
        NotifyOn::Failure => "failure",
        NotifyOn::Always => "always",
        NotifyOn::Never => "never (nothing will come but tests)",
    };
    let of_all = [
        ("NOTIFY_ON", notify_on.to_owned()),
        ("BACKUP_DIR", settings.backup_dir.display().to_string()),
    ];
    let of_all = of_all.map(|(name, value)| (name.to_owned(), value));
    let now = (ctx.now)();
    Notification {
        id: format!("{}.{}", settings.prefix, now.format("%Y%m%dT%H%M%S%.6f")),
        event: Event::Test,
        severity: Severity::Good,
        written_at: now,
        origin: notifier::origin(settings, hosts.unwrap_or("(MONGODB_URI is not set)")),
        facts: Facts {
            settings: channel.settings().into_iter().chain(of_all).collect(),
            ..Facts::default()
        },
        help: Vec::new(),
        delivered_to: Default::default(),
        unanswered: Default::default(),
        mail: None,
    }
}
