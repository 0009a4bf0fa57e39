//! Services that take a message by HTTP: one request for each, and an answer that says whether it was taken.
//!
//! Redirects are not followed: a token goes only where its owner sent it. Of an answer only the start is read.

mod discord;
mod gotify;
mod json;
mod matrix;
mod ntfy;
mod pushover;
mod request;
mod slack;
mod telegram;
#[cfg(test)]
mod tests;

use super::{Answer, Channel, Delivery, LONGEST_DELIVERY, harmless};
use crate::notify::notification::{Notification, Severity};
use crate::notify::templates::{self, Message};
use crate::report::Problem;
use crate::settings::NotifyUrl;
use crate::sys::http;
use crate::sys::redact::Redactor;
use request::{Failed, Post, field, names_message, request};
use sha2::{Digest, Sha256};
use std::time::Duration;

pub(super) use request::{connect, host_of, problem_of, redirected, said, send_request};

/// A service that takes messages.
trait Service: Send + Sync {
    /// What people call it.
    fn kind(&self) -> &'static str;

    /// `https://host`, and what else leads there.
    fn server(&self) -> &str;

    /// What tells one place there from another.
    fn identity(&self) -> String;

    /// The request that sends it.
    fn compose(&self, notification: &Notification, message: &Message) -> Post;

    /// How to see whether it would work.
    fn inquiry(&self) -> Inquiry;

    /// Whether an answer whose status says that all is well can be its own: a portal or another site says so to everything.
    fn is_its_own(&self, _answer: &http::Answer) -> bool {
        true
    }

    /// What it says is wrong in an answer whose status says that all is well.
    fn refusal(&self, _answer: &http::Answer) -> Option<String> {
        None
    }

    /// What an answer to the inquiry shows.
    fn inquired(&self, answer: &http::Answer) -> Result<String, String>;

    /// What to do when it does not take the token.
    fn help(&self) -> &'static str;
}

/// How to see, without sending anything, whether a service would take a message.
enum Inquiry {
    Ask(Post),
    /// Nothing but to connect.
    Connect(String),
}

/// One place at one service.
pub(super) struct WebChannel {
    id: String,
    kind: &'static str,
    place: String,
    service: Box<dyn Service>,
    redactor: Redactor,
    limit: Duration,
}

impl WebChannel {
    pub(super) fn new(url: &NotifyUrl, redactor: &Redactor) -> Self {
        Self::of(service(url.clone()), redactor)
    }

    fn of(service: Box<dyn Service>, redactor: &Redactor) -> Self {
        let kind = service.kind();
        // Tells the channels of a service from one another, and betrays nothing.
        let digest = Sha256::digest(format!("{}\n{}", service.server(), service.identity()));
        let digest = digest.iter().take(4);
        let digest: String = digest.map(|byte| format!("{byte:02x}")).collect();
        WebChannel {
            id: format!("{kind}-{digest}"),
            kind,
            place: host_of(service.server()),
            service,
            redactor: redactor.clone(),
            limit: LONGEST_DELIVERY,
        }
    }

    async fn ask(&self, post: Post) -> Result<http::Answer, Failed> {
        request(post, self.limit).await
    }

    /// What the service answered, on one line.
    fn words(&self, answer: &http::Answer) -> String {
        let words = harmless(&said(&answer.body), &[&self.redactor]);
        let status = answer.status.as_u16();
        match words.is_empty() {
            true => status.to_string(),
            false => format!("{status} {words}"),
        }
    }

    /// None where the answer says that it was taken.
    fn judge(&self, answer: &http::Answer) -> Option<Delivery> {
        let status = answer.status;
        let place = format!("{} ({})", self.place, self.kind);
        if status.is_success() && !self.service.is_its_own(answer) {
            let (status, kind) = (status.as_u16(), self.kind);
            let summary = format!("{place} answered {status}, but not as {kind} does");
            return Some(rejected(
                Problem::new(summary, "is that its address?"),
                false,
            ));
        }
        if status.is_success() {
            let refusal = self.service.refusal(answer)?;
            let refusal = harmless(&refusal, &[&self.redactor]);
            let problem = Problem::new(format!("{place} did not take it: {refusal}"), "");
            return Some(rejected(problem, true));
        }
        if status.is_redirection() {
            return Some(rejected(redirected(&place, answer), false));
        }
        let words = self.words(answer);
        let is_busy = matches!(status.as_u16(), 408 | 425 | 429);
        if is_busy || status.is_server_error() {
            let problem = Problem::new(format!("{place} cannot take it now: {words}"), "");
            // A server may fail over one message for ever, and take all others.
            return Some(match is_busy {
                true => Delivery::Retry(problem),
                false => Delivery::PutOff(problem),
            });
        }
        let problem = Problem::new(
            format!("{place} did not take it: {words}"),
            self.service.help(),
        );
        // What may be wrong with this message alone.
        let only_this_one = matches!(status.as_u16(), 400 | 413 | 422);
        Some(rejected(problem, only_this_one))
    }
}

/// The service that a URL names.
fn service(url: NotifyUrl) -> Box<dyn Service> {
    match url {
        NotifyUrl::Ntfy {
            server,
            topic,
            login,
        } => Box::new(ntfy::Ntfy::new(server, topic, login)),
        NotifyUrl::Gotify { server, token } => Box::new(gotify::Gotify::new(server, token)),
        NotifyUrl::Discord { id, token } => {
            Box::new(discord::Discord::new(discord::SERVER, id, token))
        }
        NotifyUrl::Slack { webhook } => Box::new(slack::Slack::new(slack::SERVER, webhook)),
        NotifyUrl::Telegram { token, chat } => {
            Box::new(telegram::Telegram::new(telegram::SERVER, token, chat))
        }
        NotifyUrl::Matrix {
            server,
            token,
            room,
        } => Box::new(matrix::Matrix::new(server, token, room)),
        NotifyUrl::Pushover {
            token,
            user,
            device,
        } => {
            let server = pushover::SERVER;
            Box::new(pushover::Pushover::new(server, token, user, device))
        }
        NotifyUrl::Json {
            server,
            path,
            login,
        } => Box::new(json::Json::new(server, path, login)),
    }
}

fn rejected(problem: Problem, only_this_one: bool) -> Delivery {
    Delivery::Rejected {
        problem,
        only_this_one,
    }
}

impl Channel for WebChannel {
    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn place(&self) -> String {
        format!("{} ({})", self.place, self.kind)
    }

    fn settings(&self) -> Vec<(String, String)> {
        vec![(
            "NOTIFY_URLS".into(),
            format!("{}://{}/…", self.kind, self.place),
        )]
    }

    fn probe(&self) -> Answer<'_, Result<String, Problem>> {
        Box::pin(async {
            let post = match self.service.inquiry() {
                Inquiry::Ask(post) => post,
                Inquiry::Connect(uri) => {
                    let seen = connect(&uri).await?;
                    return Ok(format!(
                        "{seen}; notify-test shows whether it takes messages"
                    ));
                }
            };
            let answer = self.ask(post).await;
            let answer = answer.map_err(|failed| problem_of(&failed.error))?;
            if answer.status.is_redirection() {
                return Err(redirected(&self.place(), &answer));
            }
            let seen = self.service.inquired(&answer);
            seen.map(|seen| format!("{}: {seen}", self.place))
                .map_err(|problem| {
                    let problem = harmless(&problem, &[&self.redactor]);
                    let words = self.words(&answer);
                    let summary = format!("{}: {problem} ({words})", self.place());
                    Problem::new(summary, self.service.help())
                })
        })
    }

    fn send<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Delivery> {
        Box::pin(async {
            let message = templates::render(notification);
            match self.ask(self.service.compose(notification, &message)).await {
                Ok(answer) => self.judge(&answer).unwrap_or(Delivery::DONE),
                Err(Failed { error, was_sent }) => {
                    let problem = problem_of(&error);
                    match (error.is_transient(), was_sent) {
                        (true, true) => Delivery::Unanswered(problem),
                        (true, false) => Delivery::Retry(problem),
                        (false, _) => rejected(problem, false),
                    }
                }
            }
        })
    }
}

/// A message of at most so many bytes.
fn brief_bytes(message: &Message, most_bytes: usize) -> String {
    let mut text = message.brief(most_bytes);
    while text.len() > most_bytes {
        let chars = text.chars().count();
        text = templates::cut(&text, chars - (text.len() - most_bytes).div_ceil(4).max(1));
    }
    text
}

/// The subject, and below it the message.
fn with_subject(message: &Message, most_chars: usize) -> String {
    let subject = &message.subject;
    let left = most_chars.saturating_sub(subject.chars().count() + 2);
    format!("{subject}\n\n{}", message.brief(left))
}

/// The colour that goes with it, as `RRGGBB`.
fn colour(severity: Severity) -> u32 {
    match severity {
        Severity::Good => 0x2e_7d32,
        Severity::Attention => 0xb2_6a00,
        Severity::Bad => 0xb3_261e,
    }
}
