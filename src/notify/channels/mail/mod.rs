//! Mail: a conversation with the mail server of the settings.

mod error;
mod hardened_stream;
mod message;
mod recipient;
mod reply;
mod session;
mod session_context;
mod tls;

pub(crate) use error::MailError;
use session::{Limits, deliver, probe};

use super::{Answer, Channel, Delivery, LONGEST_DELIVERY};
use crate::notify::notification::Notification;
use crate::report::Problem;
use crate::settings::{MailSecurity, MailSettings};
use crate::sys::redact::Redactor;
use std::time::Duration;

/// The mail server, and whom it is asked to send to.
pub(crate) struct MailChannel {
    mail: MailSettings,
    redactor: Redactor,
    limits: Limits,
}

impl MailChannel {
    /// Waits for a server's word on a mail as long as `answer`.
    pub(crate) fn new(mail: &MailSettings, redactor: &Redactor, answer: Duration) -> Self {
        MailChannel {
            mail: mail.clone(),
            redactor: redactor.clone(),
            limits: Limits {
                talk: LONGEST_DELIVERY,
                answer,
            },
        }
    }
}

impl Channel for MailChannel {
    fn id(&self) -> &str {
        recipient::ID
    }

    fn kind(&self) -> &'static str {
        "mail"
    }

    fn place(&self) -> String {
        format!("{}:{}", self.mail.host, self.mail.port)
    }

    fn unit(&self) -> &'static str {
        "mail"
    }

    fn settings(&self) -> Vec<(String, String)> {
        let mail = &self.mail;
        let security = match mail.security {
            MailSecurity::StartTls => "starttls",
            MailSecurity::Tls => "tls",
            MailSecurity::None => "none",
        };
        let username = mail.username.as_deref().unwrap_or("none");
        [
            ("SMTP_HOST", mail.host.clone()),
            ("SMTP_PORT", mail.port.to_string()),
            ("SMTP_SECURITY", security.into()),
            ("SMTP_USERNAME", username.into()),
            ("EMAIL_FROM", mail.from.clone()),
            ("EMAIL_TO", mail.to.join(", ")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn probe(&self) -> Answer<'_, Result<String, Problem>> {
        Box::pin(async {
            match probe(&self.mail, &self.redactor, self.limits.talk).await {
                Ok(()) => {
                    let (from, to) = (&self.mail.from, self.mail.to.join(", "));
                    Ok(format!("{} takes mail from {from} for {to}", self.place()))
                }
                // No setting is wrong, and a mail would be tried again for those.
                Err(error) if error.only_puts_off_some() => Ok(error.problem().to_string()),
                Err(error) => Err(error.problem()),
            }
        })
    }

    fn send<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Delivery> {
        Box::pin(async {
            let sent = deliver(&self.mail, notification, &self.redactor, self.limits).await;
            sent.map_or_else(MailError::into_delivery, |()| Delivery::DONE)
        })
    }

    fn test<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Result<String, Problem>> {
        Box::pin(async {
            match self.send(notification).await.problem() {
                None => Ok(format!(
                    "accepted by {} for {}",
                    self.place(),
                    self.mail.to.join(", ")
                )),
                Some(problem) => Err(problem),
            }
        })
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(crate) mod session_tests;
