//! `pantry-keeper notify-test`, and the mails that a backup made by hand has to send.

use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::notify::channels::mail::{LONGEST_TALK, deliver};
use crate::notify::outbox::Outbox;
use crate::notify::templates::{self, MailContext, Notification};
use crate::settings::{MailSecurity, MailSettings, NotifyOn, Settings};
use crate::store::repository::Repository;
use crate::sys::humanize;

/// Sends what is due, and what could not be sent before. What cannot be sent now is kept for the next run; the backup is
/// what it is, whatever becomes of its mails.
pub(crate) async fn send(
    settings: &Settings,
    ctx: &Context,
    repository: &Repository,
    notifications: Vec<Notification>,
) {
    let Some(mail) = &settings.mail else { return };
    let outbox = Outbox::new(repository.outbox_folder());
    for notification in notifications {
        if let Some(error) = outbox.keep(notification) {
            tracing::debug!("an unsent mail is kept in memory only: {error}");
        }
    }
    let flushed = outbox
        .flush(mail, &ctx.redactor, LONGEST_TALK, &ctx.stop)
        .await;
    if flushed.sent > 0 {
        tracing::info!("{} sent", humanize::counted(flushed.sent as u64, "mail"));
    }
    if let Some(error) = flushed.error {
        let left = humanize::counted(flushed.left as u64, "mail");
        tracing::warn!("{left} not sent: {error}\nthe next run tries again");
    }
}

/// Sends a test mail, whatever NOTIFY_ON says: whoever asks for it wants it.
pub(crate) async fn notify_test(
    settings: &Settings,
    ctx: &Context,
) -> Result<ExitStatus, CommandError> {
    let mail = settings.mail.as_ref().ok_or_else(|| {
        let help = "set it to the name of your mail server, such as smtp.gmail.com, to get mail";
        CommandError::usage(format!("SMTP_HOST is not set; {help}"))
    })?;
    let hosts = settings.mongodb.as_ref().map(MongoUri::hosts);
    let context = MailContext {
        prefix: &settings.prefix,
        hosts: hosts.unwrap_or("(MONGODB_URI is not set)"),
        folder: settings.backup_dir.display().to_string(),
        time_zone: settings.time_zone,
        now: (ctx.now)(),
        next_run: None,
    };
    let test = templates::test(&context, shown(settings, mail));
    let limit = humanize::duration(LONGEST_TALK);
    tracing::debug!(
        "asking the mail server {}:{}, for at most {limit}",
        mail.host,
        mail.port
    );
    let failed = |problem: String| CommandError::failed("the test mail was not sent", problem);
    let delivery = deliver(mail, &test, &ctx.redactor, LONGEST_TALK);
    let delivered = ctx.stop.or(delivery).await;
    delivered
        .map_err(|interruption| failed(interruption.to_string()))?
        .map_err(|error| failed(error.to_string()))?;
    output::print(&format!(
        "accepted by {}:{} for {}\n",
        mail.host,
        mail.port,
        mail.to.join(", ")
    ));
    Ok(ExitStatus::Done)
}

/// The settings that such a mail can be about; none of them is secret.
fn shown(settings: &Settings, mail: &MailSettings) -> Vec<(&'static str, String)> {
    let security = match mail.security {
        MailSecurity::StartTls => "starttls",
        MailSecurity::Tls => "tls",
        MailSecurity::None => "none",
    };
    let notify_on = match settings.notify_on {
        NotifyOn::Failure => "failure",
        NotifyOn::Always => "always",
        NotifyOn::Never => "never (no mail will come but tests)",
    };
    vec![
        ("SMTP_HOST", mail.host.clone()),
        ("SMTP_PORT", mail.port.to_string()),
        ("SMTP_SECURITY", security.into()),
        (
            "SMTP_USERNAME",
            mail.username.clone().unwrap_or_else(|| "none".into()),
        ),
        ("EMAIL_FROM", mail.from.clone()),
        ("EMAIL_TO", mail.to.join(", ")),
        ("NOTIFY_ON", notify_on.into()),
        ("BACKUP_DIR", settings.backup_dir.display().to_string()),
    ]
}
