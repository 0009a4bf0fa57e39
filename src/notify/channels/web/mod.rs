//! Services that take a message by HTTP: one request for each, and an answer that says whether it was taken.
//!
//! Redirects are not followed: a token goes only where its owner sent it. Of an answer only the start is read.

mod discord;
mod gotify;
mod json;
mod matrix;
mod ntfy;
mod pushover;
mod slack;
mod telegram;
#[cfg(test)]
mod tests;

use super::{Answer, Channel, Delivery, LONGEST_DELIVERY, harmless};
use crate::notify::notification::{Notification, Severity};
use crate::notify::templates::{self, Message};
use crate::report::Problem;
use crate::settings::{Login, NotifyUrl};
use crate::sys::http::{self, Body, Client, HttpError, Request, Uri};
use crate::sys::redact::Redactor;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::net::TcpStream;

/// Of an answer, no more is read.
const MOST_ANSWER_BYTES: usize = 64 * 1024;
const USER_AGENT: &str = concat!("pantry-keeper/", env!("CARGO_PKG_VERSION"));

/// A service that takes messages.
trait Service: Send + Sync {
    /// The request that sends it.
    fn compose(&self, notification: &Notification, message: &Message) -> Post;

    /// How to see whether it would work.
    fn inquiry(&self) -> Inquiry;

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

/// A request, before it is one.
#[derive(Debug)]
struct Post {
    method: &'static str,
    uri: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Post {
    fn json(method: &'static str, uri: String, body: &Value) -> Self {
        Post {
            method,
            uri,
            headers: vec![("content-type", "application/json".into())],
            body: body.to_string().into_bytes(),
        }
    }

    fn get(uri: String) -> Self {
        Post {
            method: "GET",
            uri,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn signed(self, login: Option<&Login>) -> Self {
        let value = match login {
            None => return self,
            Some(Login::Token(token)) => format!("Bearer {}", token.expose()),
            Some(Login::Password { user, password }) => {
                let pair = format!("{user}:{}", password.expose());
                format!("Basic {}", STANDARD.encode(pair))
            }
        };
        self.with("authorization", value)
    }
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
        let (kind, server, service): (_, &str, Box<dyn Service>) = match url.clone() {
            NotifyUrl::Ntfy {
                server,
                topic,
                login,
            } => (
                "ntfy",
                &server.clone(),
                Box::new(ntfy::Ntfy {
                    server,
                    topic,
                    login,
                }),
            ),
            NotifyUrl::Gotify { server, token } => (
                "gotify",
                &server.clone(),
                Box::new(gotify::Gotify { server, token }),
            ),
            NotifyUrl::Discord { id, token } => (
                "discord",
                discord::SERVER,
                Box::new(discord::Discord::new(discord::SERVER, id, token)),
            ),
            NotifyUrl::Slack { webhook } => (
                "slack",
                slack::SERVER,
                Box::new(slack::Slack::new(slack::SERVER, webhook)),
            ),
            NotifyUrl::Telegram { token, chat } => (
                "telegram",
                telegram::SERVER,
                Box::new(telegram::Telegram::new(telegram::SERVER, token, chat)),
            ),
            NotifyUrl::Matrix {
                server,
                token,
                room,
            } => (
                "matrix",
                &server.clone(),
                Box::new(matrix::Matrix {
                    server,
                    token,
                    room,
                }),
            ),
            NotifyUrl::Pushover {
                token,
                user,
                device,
            } => (
                "pushover",
                pushover::SERVER,
                Box::new(pushover::Pushover::new(
                    pushover::SERVER,
                    token,
                    user,
                    device,
                )),
            ),
            NotifyUrl::Json {
                server,
                path,
                login,
            } => (
                "json",
                &server.clone(),
                Box::new(json::Json {
                    server,
                    path,
                    login,
                }),
            ),
        };
        WebChannel {
            id: format!("{kind}-{}", fingerprint(url)),
            kind,
            place: host_of(server),
            service,
            redactor: redactor.clone(),
            limit: LONGEST_DELIVERY,
        }
    }

    #[cfg(test)]
    fn of_service(kind: &'static str, server: &str, service: Box<dyn Service>) -> Self {
        WebChannel {
            id: kind.into(),
            kind,
            place: host_of(server),
            service,
            redactor: Redactor::default(),
            limit: LONGEST_DELIVERY,
        }
    }

    async fn ask(&self, post: Post) -> Result<http::Answer, HttpError> {
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
        if matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error() {
            let summary = format!("{place} cannot take it now: {words}");
            return Some(Delivery::Retry(Problem::new(summary, "")));
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

fn rejected(problem: Problem, only_this_one: bool) -> Delivery {
    Delivery::Rejected {
        problem,
        only_this_one,
    }
}

/// Where it leads is shown without its path, which may be a secret.
pub(super) fn redirected(place: &str, answer: &http::Answer) -> Problem {
    let location = answer.headers.get("location");
    let target = location
        .and_then(|location| location.to_str().ok())
        .and_then(|location| Uri::try_from(location).ok());
    let target = target.and_then(|uri| {
        let host = uri.host()?.to_owned();
        Some(format!("{}://{host}", uri.scheme_str().unwrap_or("http")))
    });
    let to = target.map_or_else(|| "elsewhere".to_owned(), |target| format!("to {target}"));
    Problem::new(
        format!(
            "{place} redirects {to} ({}), which is not followed",
            answer.status.as_u16()
        ),
        "give the address that it redirects to; if that is the same host with https, the form of the URL for it: ntfys, \
         gotifys, jsons",
    )
}

/// Sends a request and reads the start of the answer.
pub(super) async fn send_request(
    method: &'static str,
    uri: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
) -> Result<http::Answer, HttpError> {
    let post = Post {
        method,
        uri,
        headers,
        body,
    };
    request(post, LONGEST_DELIVERY).await
}

async fn request(post: Post, limit: Duration) -> Result<http::Answer, HttpError> {
    let place = host_of(&post.uri);
    let broken = |problem: String| HttpError::Broken {
        place: place.clone(),
        problem,
    };
    let mut request = Request::builder()
        .method(post.method)
        .uri(post.uri.as_str())
        .header("user-agent", USER_AGENT);
    for (name, value) in &post.headers {
        request = request.header(*name, value.as_str());
    }
    let request: Request<Body> = request
        .body(http::body(post.body))
        .map_err(|_| broken("the address or the login cannot be sent".into()))?;
    // It reads the system's certificates.
    let client = tokio::task::spawn_blocking(Client::new).await;
    let client = client
        .map_err(|error| broken(error.to_string()))?
        .map_err(|error| broken(error.to_string()))?;
    client.fetch(request, limit, MOST_ANSWER_BYTES).await
}

/// What went wrong on the way.
pub(super) fn problem_of(error: &HttpError) -> Problem {
    Problem::new(error.to_string(), error.help().unwrap_or_default())
}

/// Connects, and nothing else.
pub(super) async fn connect(uri: &str) -> Result<String, Problem> {
    let place = host_of(uri);
    let parsed = Uri::try_from(uri).ok();
    let host = parsed.as_ref().and_then(|uri| uri.host());
    let host = host.unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let secure = uri.starts_with("https://");
    let port = parsed
        .as_ref()
        .and_then(Uri::port_u16)
        .unwrap_or(if secure { 443 } else { 80 });
    let connecting = TcpStream::connect((host.as_str(), port));
    let problem = match tokio::time::timeout(LONGEST_DELIVERY, connecting).await {
        Ok(Ok(_)) => return Ok(format!("{place} can be reached")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it did not answer in time".into(),
    };
    Err(Problem::new(
        format!("cannot connect to {place}: {problem}"),
        "check the host and the port, and that it can be reached from here",
    ))
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
            let answer = self.ask(post).await.map_err(|error| problem_of(&error))?;
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
                Err(error) if error.is_transient() => Delivery::Retry(problem_of(&error)),
                Err(error) => rejected(problem_of(&error), false),
            }
        })
    }
}

/// Tells the channels of a service from one another, and betrays nothing.
fn fingerprint(url: &NotifyUrl) -> String {
    let secret = |secret: &crate::sys::redact::Secret| secret.expose().to_owned();
    let text = match url {
        NotifyUrl::Ntfy { server, topic, .. } => [server.clone(), secret(topic)],
        NotifyUrl::Gotify { server, token } => [server.clone(), secret(token)],
        NotifyUrl::Discord { id, token } => [id.clone(), secret(token)],
        NotifyUrl::Slack { webhook } => [String::new(), secret(webhook)],
        NotifyUrl::Telegram { token, chat } => [chat.clone(), secret(token)],
        NotifyUrl::Matrix { server, room, .. } => [server.clone(), room.clone()],
        NotifyUrl::Pushover { user, device, .. } => {
            [secret(user), device.clone().unwrap_or_default()]
        }
        NotifyUrl::Json { server, path, .. } => [server.clone(), secret(path)],
    };
    let digest = Sha256::digest(text.join("\n"));
    digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The host, with its port where one was given.
pub(super) fn host_of(uri: &str) -> String {
    let parsed = Uri::try_from(uri).ok();
    let authority = parsed.as_ref().and_then(Uri::authority);
    authority.map_or_else(|| "its server".to_owned(), ToString::to_string)
}

/// What a service says in an answer: the field in which it explains itself, or else its first line of plain text.
pub(super) fn said(body: &[u8]) -> String {
    const FIELDS: [&str; 6] = [
        "description",
        "errorDescription",
        "errors",
        "error",
        "message",
        "msg",
    ];
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        let field = FIELDS.iter().find_map(|field| json.get(field));
        return match field {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                texts.join(", ")
            }
            _ => String::new(),
        };
    }
    let text = String::from_utf8_lossy(body);
    let line = text.trim().lines().next().unwrap_or_default();
    match line.starts_with('<') {
        true => String::new(),
        false => line.to_owned(),
    }
}

/// A field of an answer in JSON.
fn field(answer: &http::Answer, name: &str) -> Option<Value> {
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    json.get(name).cloned()
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
