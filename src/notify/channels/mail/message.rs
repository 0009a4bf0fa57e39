//! From a notification to the bytes that go over the wire, and to the addresses that a mail server is told.

use super::error::MailError;
use super::recipient;
use crate::notify::notification::Notification;
use crate::notify::templates;
use crate::settings::MailSettings;
use crate::sys::mail_address::MailAddress;
use crate::sys::redact::percent_encode;
use chrono::{DateTime, Utc};
use lettre::message::header::{Date, Header, HeaderName, HeaderValue, To};
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::{Message, address};
use std::error::Error;
use std::time::{Duration, SystemTime};

/// Who writes, and to whom.
#[derive(Debug)]
pub(super) struct Envelope {
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
}

/// The recipients that are to be told to the server.
#[derive(Debug)]
pub(super) struct Open {
    pub to: Vec<Mailbox>,
    /// Whether others need nothing more.
    pub are_the_rest: bool,
}

impl Envelope {
    pub(super) fn of(mail: &MailSettings) -> Result<Self, MailError> {
        let from = mailbox("EMAIL_FROM", &mail.from)?;
        let to: Result<Vec<_>, _> = mail.to.iter().map(|to| mailbox("EMAIL_TO", to)).collect();
        Ok(Envelope { from, to: to? })
    }

    /// Those who need the notification still.
    pub(super) fn open(&self, notification: &Notification) -> Open {
        let needs = |to: &&Mailbox| {
            let key = recipient::key(to.email.as_ref());
            !notification.delivered_to.contains(&key)
        };
        let to: Vec<Mailbox> = self.to.iter().filter(needs).cloned().collect();
        let are_the_rest = to.len() < self.to.len();
        Open { to, are_the_rest }
    }
}

fn mailbox(setting: &'static str, text: &str) -> Result<Mailbox, MailError> {
    let parsed = MailAddress::parse(text).map_err(|problem| MailError::Address {
        setting,
        address: text.to_owned(),
        problem,
    })?;
    let name = parsed.name.map(|name| one_line(&name));
    let name = name.filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, parsed.address))
}

/// A header holds one line: what could begin another one becomes a space.
fn one_line(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'),
        " ",
    )
    .trim()
    .to_owned()
}

/// Tells other programs not to answer (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

pub(super) fn is_ascii(mailbox: &Mailbox) -> bool {
    let address: &str = mailbox.email.as_ref();
    address.is_ascii()
}

/// The whole mail, in ASCII whatever it says, so that every server takes it; but for the addresses, where it `takes_all`.
pub(super) fn compose(
    notification: &Notification,
    parties: &Envelope,
    takes_all: bool,
) -> Result<Vec<u8>, MailError> {
    let mail = templates::mail(notification);
    let unusable = |error: lettre::error::Error| MailError::Address {
        setting: "EMAIL_FROM and EMAIL_TO",
        address: parties.from.to_string(),
        problem: error.to_string(),
    };
    let named = parties.to.iter().filter(|to| takes_all || is_ascii(to));
    let to: Mailboxes = named.cloned().collect();
    // Otherwise it would take it from the headers, which it cannot read as it writes them: not `a@[127.0.0.1]`.
    let recipients = parties.to.iter().map(|to| to.email.clone()).collect();
    let envelope = address::Envelope::new(Some(parties.from.email.clone()), recipients);
    let builder = Message::builder()
        .envelope(envelope.map_err(unusable)?)
        .from(parties.from.clone())
        .header(To::from(to))
        .subject(one_line(&mail.subject))
        .header(Date::new(date(notification.written_at)))
        .message_id(Some(message_id(
            &notification.id,
            parties.from.email.domain(),
        )))
        .header(AutoSubmitted);
    let body = MultiPart::alternative()
        .singlepart(SinglePart::plain(mail.text))
        .singlepart(SinglePart::html(mail.html));
    let message = builder.multipart(body).map_err(unusable)?;
    Ok(message.formatted())
}

/// The same for every attempt: should one arrive twice, mail programs see that it is one.
fn message_id(id: &str, domain: &str) -> String {
    format!("<{}@{domain}>", percent_encode(id).replace('%', "_"))
}

/// lettre panics on years that a mail's date cannot have, and a notification's may come from a damaged file.
fn date(written_at: DateTime<Utc>) -> SystemTime {
    const LAST_SECOND_OF_9999: i64 = 253_402_300_799;
    let seconds = written_at.timestamp().clamp(0, LAST_SECOND_OF_9999);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::channels::mail::session_tests::finished;

    fn notification(subject: &str) -> Notification {
        let text = ".\nMira: ¿qué pasó?\n";
        Notification {
            id: "20250531T120000Z failed/1".into(),
            written_at: "2025-05-31T12:00:00Z".parse().unwrap(),
            ..finished(subject, text, "<p>¿qué pasó?</p>")
        }
    }

    fn parties(from: &str, to: &[&str]) -> Envelope {
        let to = to
            .iter()
            .map(|to| mailbox("EMAIL_TO", to).unwrap())
            .collect();
        Envelope {
            from: mailbox("EMAIL_FROM", from).unwrap(),
            to,
        }
    }

    fn composed(notification: &Notification, parties: &Envelope) -> String {
        let bytes = compose(notification, parties, false).unwrap();
        assert!(bytes.is_ascii());
        String::from_utf8(bytes).unwrap()
    }

    fn headers(mail: &str) -> Vec<&str> {
        mail.split("\r\n\r\n")
            .next()
            .unwrap()
            .split("\r\n")
            .collect()
    }

    #[test]
    fn a_mail_has_the_headers_that_a_program_s_mail_should_have() {
        let mail = composed(
            &notification("failed"),
            &parties(
                "Pantry <p@example.org>",
                &["a@example.org", "b@example.org"],
            ),
        );
        let headers = headers(&mail);
        for header in [
            "From: Pantry <p@example.org>",
            "To: a@example.org, b@example.org",
            "Subject: failed",
            "Date: Sat, 31 May 2025 12:00:00 +0000",
            "Message-ID: <20250531T120000Z_20failed_2F1@example.org>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
        ] {
            assert!(headers.contains(&header), "{header}: {mail}");
        }
        assert!(mail.contains("Content-Type: multipart/alternative;"));
        assert!(mail.find("text/plain; charset=utf-8") < mail.find("text/html; charset=utf-8"));
    }

    #[test]
    fn a_subject_cannot_add_headers_or_a_body() {
        let plain = composed(
            &notification("x"),
            &parties("p@example.org", &["a@example.org"]),
        );
        for subject in [
            "a\r\nBcc: x@evil.org",
            "a\nX: y",
            "a\rX: y",
            "a\r\n\r\nbody",
            "a\0b",
            "ñ\r\nBcc: x@evil.org",
        ] {
            let mail = composed(
                &notification(subject),
                &parties("p@example.org", &["a@example.org"]),
            );
            assert_eq!(headers(&mail).len(), headers(&plain).len(), "{mail}");
            assert!(
                !headers(&mail)
                    .iter()
                    .any(|line| line.starts_with("Bcc") || line.starts_with("X:")),
                "{mail}"
            );
        }
    }

    #[test]
    fn names_that_people_have_are_accepted() {
        for (text, name) in [
            ("a@example.org", None),
            ("<a@example.org>", None),
            ("J. R. (Jo) <a@example.org>", Some("J. R. (Jo)")),
            ("\"Doe \\\"Jo\\\"\" <a@example.org>", Some("Doe \"Jo\"")),
            ("José Ñandú <a@example.org>", Some("José Ñandú")),
            ("a@b <a@example.org>", Some("a@b")),
        ] {
            let mailbox = mailbox("EMAIL_TO", text).unwrap();
            assert_eq!(
                (mailbox.name.as_deref(), mailbox.email.to_string().as_str()),
                (name, "a@example.org"),
                "{text}"
            );
            composed(
                &notification("x"),
                &Envelope {
                    from: mailbox.clone(),
                    to: vec![mailbox],
                },
            );
        }
        let error = mailbox("EMAIL_TO", "a@exa mple")
            .unwrap_err()
            .problem()
            .to_string();
        assert!(
            error.contains("EMAIL_TO") && error.contains("a@exa mple"),
            "{error}"
        );
        assert!(
            !mailbox("EMAIL_TO", "root@localhost")
                .unwrap()
                .email
                .to_string()
                .is_empty()
        );
    }

    #[test]
    fn any_date_is_one_that_a_mail_can_have() {
        for (written_at, year) in [
            ("0001-01-01T00:00:00Z", "1970"),
            ("+12025-01-01T00:00:00Z", "9999"),
        ] {
            let notification = Notification {
                written_at: written_at.parse().unwrap(),
                ..notification("x")
            };
            let mail = composed(&notification, &parties("p@example.org", &["a@example.org"]));
            assert!(
                headers(&mail)
                    .iter()
                    .any(|line| line.starts_with("Date: ") && line.contains(year)),
                "{mail}"
            );
        }
    }
}
