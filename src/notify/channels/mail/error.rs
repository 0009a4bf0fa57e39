//! Why a mail was not sent: where, at which stage, and what to do about it.

use super::recipient;
use super::reply::{Refused, Reply};
use crate::notify::channels::Delivery;
use crate::report::Problem;
use crate::sys::humanize;
use std::fmt;
use std::time::Duration;

const CHECK_PLACE: &str = "check SMTP_HOST and SMTP_PORT, and firewalls in between";
const CHECK_LOGIN: &str = "check SMTP_USERNAME and SMTP_PASSWORD";
const GMAIL_HELP: &str =
    "Gmail wants an app password: https://myaccount.google.com/apppasswords, not the account's own";

const CHECK_RECIPIENTS: &str = "check EMAIL_TO";
/// What the owner can do about greylisting: nothing.
const GREYLISTED: &str =
    "many servers put off a sender that they do not know, and take the same some minutes later";

/// The server wants to hear no more for now.
const CLOSING: u16 = 421;

/// How far the conversation with a mail server had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Resolve,
    Connect,
    Tls,
    Greeting,
    StartTls,
    SignIn,
    Sender,
    Recipients,
    /// `DATA`: whether the server wants the mail.
    Data,
    /// From the first byte of the mail to the server's word that it has it.
    Message,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Resolve => "looking up its name",
            Stage::Connect => "connecting",
            Stage::Tls => "agreeing on TLS",
            Stage::Greeting => "waiting for its greeting",
            Stage::StartTls => "asking for STARTTLS",
            Stage::SignIn => "signing in",
            Stage::Sender => "naming the sender",
            Stage::Recipients => "naming the recipients",
            Stage::Data | Stage::Message => "handing over the mail",
        })
    }
}

/// Why a mail was not sent. `place` is always `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MailError {
    #[error("{address:?} cannot be used as a mail address: {problem}")]
    Address {
        setting: &'static str,
        address: String,
        problem: String,
    },

    #[error("cannot look up the mail server {place}: {problem}")]
    Resolve { place: String, problem: String },

    #[error("cannot reach the mail server {place}: {problem}")]
    Connect { place: String, problem: String },

    #[error("the mail server {place} took longer than {}, {stage}", humanize::duration(*limit))]
    TimedOut {
        place: String,
        stage: Stage,
        limit: Duration,
    },

    #[error("the mail server {place} broke off, {stage}: {problem}")]
    Broken {
        place: String,
        stage: Stage,
        problem: String,
    },

    #[error("the certificate of the mail server {place} is not valid: {problem}; nothing was sent")]
    Certificate {
        place: String,
        problem: String,
        advice: String,
    },

    #[error("no TLS with the mail server {place}: {problem}; nothing was sent")]
    Tls {
        place: String,
        problem: String,
        advice: &'static str,
    },

    #[error(
        "the mail server {place} does not offer STARTTLS, so nothing was sent, least of all the password"
    )]
    NoStartTls { place: String },

    #[error(
        "the mail server {place} offers none of the ways to sign in that Pantry Keeper knows (PLAIN, LOGIN)"
    )]
    NoSignIn { place: String },

    #[error("the mail server {place} rejected the login: {reply}")]
    SignIn { place: String, reply: Reply },

    #[error("the mail server {place} cannot take mail now, {stage}: {reply}")]
    Temporary {
        place: String,
        stage: Stage,
        reply: Reply,
    },

    #[error("the mail server {place} refused us, {stage}: {reply}")]
    Rejected {
        place: String,
        stage: Stage,
        reply: Reply,
    },

    /// None of the recipients was accepted.
    #[error("the mail server {place} refused every recipient: {}", listed(refused))]
    NoRecipient {
        place: String,
        refused: Vec<Refused>,
    },

    /// Others have the mail, if one was sent: those that were reached now, or others before.
    #[error(
        "the mail server {place} takes mail from us, but {} for {}",
        if are_put_off(refused) { "not now" } else { "not" },
        listed(refused)
    )]
    SomeRecipients {
        place: String,
        reached: Vec<String>,
        refused: Vec<Refused>,
    },
}

impl MailError {
    /// Whether the same may succeed later without anybody doing anything.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            MailError::Resolve { .. }
            | MailError::Connect { .. }
            | MailError::TimedOut { .. }
            | MailError::Broken { .. }
            | MailError::Temporary { .. } => true,
            MailError::NoRecipient { refused, .. } | MailError::SomeRecipients { refused, .. } => {
                refused.iter().any(|one| one.is_transient)
            }
            MailError::Address { .. }
            | MailError::Certificate { .. }
            | MailError::Tls { .. }
            | MailError::NoStartTls { .. }
            | MailError::NoSignIn { .. }
            | MailError::SignIn { .. }
            | MailError::Rejected { .. } => false,
        }
    }

    /// Whether it is this one mail that the server does not want: another one may well go through.
    pub(crate) fn is_about_this_mail(&self) -> bool {
        let is_at_it = |stage: &Stage| matches!(stage, Stage::Data | Stage::Message);
        match self {
            MailError::Rejected { stage, .. } => is_at_it(stage),
            // It may not like a mail's content for as long as it lies here.
            MailError::Temporary { stage, reply, .. } => is_at_it(stage) && reply.code != CLOSING,
            _ => false,
        }
    }

    /// Whether the mail was handed over, and the server did not say whether it has it.
    fn is_unanswered(&self) -> bool {
        matches!(
            self,
            MailError::TimedOut {
                stage: Stage::Message,
                ..
            } | MailError::Broken {
                stage: Stage::Message,
                ..
            }
        )
    }

    /// Whether nothing is wrong but that some have to be asked again later.
    pub(super) fn only_puts_off_some(&self) -> bool {
        matches!(self, MailError::SomeRecipients { refused, .. } if are_put_off(refused))
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> Option<String> {
        let help = match self {
            MailError::Address { setting, .. } => return Some(format!("correct {setting}")),
            MailError::Resolve { .. } => {
                "check SMTP_HOST, and whether this machine can resolve names"
            }
            MailError::Connect { .. } => CHECK_PLACE,
            MailError::TimedOut { place, stage, .. } => match stage {
                // A server that waits for us to begin TLS says nothing.
                Stage::Greeting if place.ends_with(":465") => {
                    "port 465 mostly wants SMTP_SECURITY=tls"
                }
                Stage::Resolve | Stage::Connect => CHECK_PLACE,
                _ => return None,
            },
            MailError::Certificate { advice, .. } => advice,
            MailError::Tls { advice, .. } => advice,
            MailError::NoStartTls { .. } => {
                "set SMTP_SECURITY=tls if that port wants TLS from the start (mostly 465); if the server should offer it, \
                 someone in between takes it away"
            }
            MailError::NoSignIn { .. } => {
                "use its port for submission (587 or 465), or leave SMTP_USERNAME and SMTP_PASSWORD empty if it wants no \
                 password"
            }
            MailError::SignIn { place, reply } if is_gmail(place) || reply.is_of_gmail() => {
                return Some(format!("{GMAIL_HELP}; {CHECK_LOGIN}"));
            }
            MailError::SignIn { .. } => CHECK_LOGIN,
            MailError::Rejected { place, reply, .. }
                if reply.code == 530 && (is_gmail(place) || reply.is_of_gmail()) =>
            {
                GMAIL_HELP
            }
            MailError::Rejected { reply, .. } if reply.code == 530 => {
                "it wants SMTP_USERNAME and SMTP_PASSWORD"
            }
            MailError::Rejected {
                stage: Stage::Sender,
                ..
            } => "check EMAIL_FROM: many servers take only the address that signs in",
            MailError::NoRecipient { refused, .. } | MailError::SomeRecipients { refused, .. } => {
                match are_put_off(refused) {
                    true => GREYLISTED,
                    false => CHECK_RECIPIENTS,
                }
            }
            MailError::Broken { .. } | MailError::Temporary { .. } | MailError::Rejected { .. } => {
                return None;
            }
        };
        Some(help.to_owned())
    }

    /// What is wrong and what to do about it.
    pub(crate) fn problem(&self) -> Problem {
        Problem::new(self.to_string(), self.help().unwrap_or_default())
    }

    /// What it means for the mail.
    pub(crate) fn into_delivery(self) -> Delivery {
        let problem = self.problem();
        match self {
            // Those who have it must not get it again.
            MailError::SomeRecipients {
                reached, refused, ..
            } if refused.iter().any(|one| one.is_transient) => {
                let lost = refused.iter().filter(|one| !one.is_transient);
                Delivery::Partly {
                    reached: reached.iter().map(|one| recipient::key(one)).collect(),
                    lost: lost.map(|one| recipient::key(&one.address)).collect(),
                    problem,
                }
            }
            MailError::SomeRecipients { reached, .. } if reached.is_empty() => {
                Delivery::GivenUp(problem)
            }
            MailError::SomeRecipients { .. } => Delivery::Delivered {
                complaint: Some(problem),
            },
            error if error.is_unanswered() => Delivery::Unanswered(problem),
            error if error.is_transient() => match error.is_about_this_mail() {
                true => Delivery::PutOff(problem),
                false => Delivery::Retry(problem),
            },
            error => Delivery::Rejected {
                problem,
                only_this_one: error.is_about_this_mail(),
            },
        }
    }
}

fn are_put_off(refused: &[Refused]) -> bool {
    refused.iter().all(|one| one.is_transient)
}

fn listed(refused: &[Refused]) -> String {
    let each = refused
        .iter()
        .map(|one| format!("{} ({})", one.address, one.why));
    each.collect::<Vec<_>>().join(", ")
}

/// Whether a host, with or without a port, is one of Gmail's.
pub(super) fn is_gmail(place: &str) -> bool {
    let host = place
        .split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_ascii_lowercase();
    matches!(
        host.as_str(),
        "smtp.gmail.com" | "smtp-relay.gmail.com" | "smtp.googlemail.com"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gmail_is_known_by_its_host_and_by_its_words() {
        for (place, text, hint) in [
            ("smtp.gmail.com:587", "no", true),
            ("SMTP.Gmail.com.:587", "no", true),
            (
                "relay.example.org:25",
                "see https://support.google.com/mail",
                true,
            ),
            ("smtp.gmail.com.example.org:587", "no", false),
            ("[2001:db8::1]:587", "no", false),
        ] {
            let error = MailError::SignIn {
                place: place.into(),
                reply: Reply::new(535, text, &[]),
            };
            assert_eq!(
                error
                    .problem()
                    .to_string()
                    .contains("https://myaccount.google.com/apppasswords"),
                hint,
                "{error}"
            );
        }
    }

    #[test]
    fn a_port_for_tls_that_waits_is_explained() {
        let late = |place: &str, stage| {
            MailError::TimedOut {
                place: place.into(),
                stage,
                limit: Duration::from_secs(30),
            }
            .problem()
            .to_string()
        };
        assert_eq!(
            late("mx:465", Stage::Greeting),
            "the mail server mx:465 took longer than 30 s, waiting for its greeting; port 465 mostly wants \
             SMTP_SECURITY=tls"
        );
        assert!(late("mx:587", Stage::Greeting).ends_with("waiting for its greeting"));
        assert!(late("mx:587", Stage::Connect).ends_with("firewalls in between"));
    }
}
