//! `notify-test`: a mail that only shows whether mail arrives.

use super::{DONE, FAILED, WRONG, say};
use crate::job::Surroundings;
use crate::letter::{Kind, Letter};
use crate::logging;
use crate::notify;
use crate::settings::{MailSecurity, MailSettings, NotifyOn, Settings};
use crate::units;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Somebody is waiting at a terminal.
const LIMIT: Duration = Duration::from_secs(30);

/// Sends the test mail, whatever NOTIFY_ON says: whoever asks for it wants it.
pub async fn test(settings: &Settings, around: &Surroundings) -> u8 {
    let Some(mail) = &settings.mail else {
        eprint!(
            "{}",
            logging::one_event(
                "SMTP_HOST is not set; set it to the name of your mail server, such as smtp.gmail.com, to get mail"
            )
        );
        return WRONG;
    };
    let letter = letter(settings, mail, (around.now)());
    tracing::debug!("asking the mail server {}:{}, for at most {}", mail.host, mail.port, units::duration(LIMIT));
    match around.stop.or(notify::deliver(mail, &letter, &around.redactor, LIMIT)).await {
        Ok(Ok(())) => {
            say(&format!("accepted by {}:{} for {}\n", mail.host, mail.port, mail.to.join(", ")));
            DONE
        }
        Ok(Err(error)) => {
            tracing::error!("the test mail was not sent: {error}");
            FAILED
        }
        Err(reason) => {
            tracing::error!("the test mail was not sent: {reason}");
            FAILED
        }
    }
}

fn letter(settings: &Settings, mail: &MailSettings, now: DateTime<Utc>) -> Letter {
    let intro = format!(
        "This is a test mail from Pantry Keeper {}, sent by `pantry-keeper notify-test`. If you can read it, mail \
         about your backups reaches you.",
        env!("CARGO_PKG_VERSION")
    );
    let rows = rows(settings, mail);
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: String = rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect();
    let cells: String =
        rows.iter().map(|(name, value)| format!("<tr><td>{name}</td><td>{}</td></tr>\n", escaped(value))).collect();
    Letter {
        id: format!("test-{}", now.format("%Y%m%dT%H%M%S%6fZ")),
        kind: Kind::Test,
        written_at: now,
        subject: format!("{}: test mail from Pantry Keeper", settings.prefix),
        text: format!("{intro}\n\n{lines}"),
        html: format!(
            "<!DOCTYPE html>\n<html><body>\n<p>{}</p>\n<table>\n{cells}</table>\n</body></html>\n",
            escaped(&intro)
        ),
    }
}

/// The settings that such a mail can be about; none of them is secret.
fn rows(settings: &Settings, mail: &MailSettings) -> Vec<(&'static str, String)> {
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
        ("SMTP_USERNAME", mail.username.clone().unwrap_or_else(|| "none".into())),
        ("EMAIL_FROM", mail.from.clone()),
        ("EMAIL_TO", mail.to.join(", ")),
        ("NOTIFY_ON", notify_on.into()),
        ("BACKUP_PREFIX", settings.prefix.clone()),
        ("BACKUP_DIR", settings.backup_dir.display().to_string()),
        ("BACKUP_SCHEDULE", format!("{} ({})", settings.schedule, settings.time_zone)),
    ]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
