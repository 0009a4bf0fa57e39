//! The ways a notification takes to its reader. One is a folder or a file here that implements [`Channel`], and a line in [`of`].

pub(crate) mod mail;
mod ping;
mod web;

use crate::notify::notification::{Interest, Notification};
use crate::report::Problem;
use crate::settings::Settings;
use crate::sys::redact::Redactor;
use ping::PingChannel;
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use web::WebChannel;

/// The longest that a channel may take for one notification, but for the other side's word on a mail.
pub(crate) const LONGEST_DELIVERY: Duration = Duration::from_secs(30);
/// How long that word may take where somebody may be waiting for the end, such as at a terminal.
pub(crate) const SHORT_ANSWER: Duration = Duration::from_secs(60);
/// How long it may take where nobody does. Servers that look at each mail closely take minutes; RFC 5321 grants them ten.
pub(crate) const LONG_ANSWER: Duration = Duration::from_secs(5 * 60);

/// What a channel answers when it is ready.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to tell somebody.
pub(crate) trait Channel: Send + Sync {
    /// Stays the same over restarts, can be part of a file's name, and holds no secret.
    fn id(&self) -> &str;

    /// What people call it: `mail`, `ntfy`.
    fn kind(&self) -> &'static str;

    /// Where it goes through, without secrets.
    fn place(&self) -> String;

    /// What is sent: `mail`, `message`.
    fn unit(&self) -> &'static str {
        "message"
    }

    /// What it wants to be sent.
    fn interest(&self) -> Interest {
        Interest::News
    }

    /// The settings that a test may be about, none of them secret.
    fn settings(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Tries everything but to send; what was seen to work.
    fn probe(&self) -> Answer<'_, Result<String, Problem>>;

    /// Sends one, within [`LONGEST_DELIVERY`] and what a mail's answer may take.
    fn send<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Delivery>;

    /// A run has begun. Nothing waits for it, and no failure counts.
    fn begin<'a>(&'a self, _run_id: &'a str) -> Answer<'a, ()> {
        Box::pin(async {})
    }

    /// Sends a test; what was answered.
    fn test<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Result<String, Problem>> {
        Box::pin(async move {
            match self.send(notification).await.problem() {
                None => Ok(format!("accepted by {}", self.place())),
                Some(problem) => Err(problem),
            }
        })
    }
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// It has arrived; there may still be something to say about it.
    Delivered { complaint: Option<Problem> },
    /// Some have it, and others may get it later, with nothing changed. Another one may go through now.
    Partly {
        /// Whom it has reached now, as a notification notes them.
        reached: Vec<String>,
        /// Who will not get it.
        lost: Vec<String>,
        problem: Problem,
    },
    /// It was not sent, and is not tried again: those who can have it have it.
    GivenUp(Problem),
    /// It was handed over, and nobody knows whether it has arrived. Another one may go through now.
    Unanswered(Problem),
    /// The same may succeed later with nothing changed; until then, no other would.
    Retry(Problem),
    /// The same may succeed later. The server answered about this one alone: another may go through now.
    PutOff(Problem),
    /// The same will not succeed.
    Rejected {
        problem: Problem,
        /// Another notification may still go through.
        only_this_one: bool,
    },
}

impl Delivery {
    /// The same, with one that is never answered given up: it is not sent for ever.
    pub(crate) fn counted(self, notification: &mut Notification, channel: &str) -> Self {
        match self {
            Delivery::Unanswered(problem) => match notification.count_unanswered(channel) {
                Some(count) => Delivery::GivenUp(Problem::new(
                    format!(
                        "{}; it was handed over {count} times without an answer, so it may have arrived, and is not sent again",
                        problem.summary
                    ),
                    "",
                )),
                None => Delivery::Unanswered(problem),
            },
            delivery => delivery,
        }
    }

    /// Who needs it no more, as a notification notes them: the channel, or some whom it tells.
    pub(crate) fn settled<'d>(&'d self, channel: &'d str) -> Vec<&'d str> {
        match self {
            Delivery::Delivered { .. } | Delivery::GivenUp(_) => vec![channel],
            Delivery::Partly { reached, lost, .. } => {
                reached.iter().chain(lost).map(String::as_str).collect()
            }
            Delivery::Unanswered(_)
            | Delivery::Retry(_)
            | Delivery::PutOff(_)
            | Delivery::Rejected { .. } => Vec::new(),
        }
    }

    /// Delivered, with nothing to say about it.
    pub(crate) const DONE: Self = Delivery::Delivered { complaint: None };

    /// What went wrong, if anything did.
    pub(crate) fn problem(self) -> Option<Problem> {
        match self {
            Delivery::Delivered { complaint } => complaint,
            Delivery::Partly { problem, .. }
            | Delivery::GivenUp(problem)
            | Delivery::Unanswered(problem)
            | Delivery::Retry(problem)
            | Delivery::PutOff(problem)
            | Delivery::Rejected { problem, .. } => Some(problem),
        }
    }
}

/// All channels that are set up, where somebody may be waiting for the end.
pub(crate) fn of(settings: &Settings, redactor: &Redactor) -> Vec<Arc<dyn Channel>> {
    with(settings, redactor, SHORT_ANSWER)
}

/// The same for sending in the background.
pub(crate) fn patient(settings: &Settings, redactor: &Redactor) -> Vec<Arc<dyn Channel>> {
    with(settings, redactor, LONG_ANSWER)
}

fn with(settings: &Settings, redactor: &Redactor, answer: Duration) -> Vec<Arc<dyn Channel>> {
    let mut channels: Vec<Arc<dyn Channel>> = Vec::new();
    if let Some(mail) = &settings.mail {
        channels.push(Arc::new(mail::MailChannel::new(mail, redactor, answer)));
    }
    let urls = settings.notify_urls.iter();
    channels
        .extend(urls.map(|url| -> Arc<dyn Channel> { Arc::new(WebChannel::new(url, redactor)) }));
    let pings = [
        (Interest::EveryBackup, &settings.ping),
        (Interest::EveryDrill, &settings.drill.ping),
    ];
    for (interest, url) in pings {
        if let Some(url) = url {
            channels.push(Arc::new(PingChannel::new(interest, url, redactor)));
        }
    }
    channels
}

/// What a server says is cut after so many characters: enough for a reason and a link.
const LONGEST_REPLY_CHARS: usize = 300;

/// Text of a server as it may be shown, on one line. Secrets go first: escaping or cutting one would make it unknown.
fn harmless(text: &str, redactors: &[&Redactor]) -> String {
    let mut text = text.to_owned();
    for redactor in redactors {
        text = redactor.redact(&text).into_owned();
    }
    let mut shown = String::new();
    for (at, c) in text.trim().chars().enumerate() {
        if at == LONGEST_REPLY_CHARS {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}
