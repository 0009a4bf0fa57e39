//! Requests and their answers, within bounds.

use super::LONGEST_DELIVERY;
use crate::report::Problem;
use crate::settings::Login;
use crate::sys::http::{self, Body, Client, HttpError, Request, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

/// Of an answer, no more is read.
const MOST_ANSWER_BYTES: usize = 64 * 1024;
pub(super) const USER_AGENT: &str = concat!("pantry-keeper/", env!("CARGO_PKG_VERSION"));

/// A request, before it is one.
#[derive(Debug)]
pub(super) struct Post {
    pub method: &'static str,
    pub uri: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Post {
    pub(super) fn json(method: &'static str, uri: String, body: &Value) -> Self {
        Post {
            method,
            uri,
            headers: vec![("content-type", "application/json".into())],
            body: body.to_string().into_bytes(),
        }
    }

    pub(super) fn get(uri: String) -> Self {
        Post {
            method: "GET",
            uri,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn signed(self, login: Option<&Login>) -> Self {
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

/// Where it leads is shown without its path, which may be a secret.
pub(in crate::notify::channels) fn redirected(place: &str, answer: &http::Answer) -> Problem {
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
pub(in crate::notify::channels) async fn send_request(
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
    let answered = request(post, LONGEST_DELIVERY).await;
    answered.map_err(|failed| failed.error)
}

/// Why there is no answer.
pub(super) struct Failed {
    pub error: HttpError,
    /// Whether the other side may have the request.
    pub was_sent: bool,
}

pub(super) async fn request(post: Post, limit: Duration) -> Result<http::Answer, Failed> {
    let is_sent = Arc::<AtomicBool>::default();
    let answered = fetch(post, limit, Arc::clone(&is_sent)).await;
    answered.map_err(|error| Failed {
        error,
        was_sent: is_sent.load(Ordering::Relaxed),
    })
}

async fn fetch(
    post: Post,
    limit: Duration,
    is_sent: Arc<AtomicBool>,
) -> Result<http::Answer, HttpError> {
    let place = host_of(&post.uri);
    let broken = |problem: String| HttpError::Broken {
        place: place.clone(),
        problem,
    };
    let mut request = Request::builder()
        .method(post.method)
        .uri(post.uri.as_str())
        .header("user-agent", USER_AGENT)
        .header("accept-encoding", "identity");
    for (name, value) in &post.headers {
        request = request.header(*name, value.as_str());
    }
    let request: Request<Body> = request
        .body(http::noting_body(post.body, is_sent))
        .map_err(|_| broken("the address or the login cannot be sent".into()))?;
    // It reads the system's certificates.
    let client = tokio::task::spawn_blocking(Client::new).await;
    let client = client
        .map_err(|error| broken(error.to_string()))?
        .map_err(|error| broken(error.to_string()))?;
    client.fetch(request, limit, MOST_ANSWER_BYTES).await
}

/// What went wrong on the way.
pub(in crate::notify::channels) fn problem_of(error: &HttpError) -> Problem {
    Problem::new(error.to_string(), error.help().unwrap_or_default())
}

/// Connects, and nothing else.
pub(in crate::notify::channels) async fn connect(uri: &str) -> Result<String, Problem> {
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

/// The host, with its port where one was given.
pub(in crate::notify::channels) fn host_of(uri: &str) -> String {
    let parsed = Uri::try_from(uri).ok();
    let authority = parsed.as_ref().and_then(Uri::authority);
    authority.map_or_else(|| "its server".to_owned(), ToString::to_string)
}

/// What a service says in an answer: the field in which it explains itself, or else its first line of plain text.
pub(in crate::notify::channels) fn said(body: &[u8]) -> String {
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
pub(super) fn field(answer: &http::Answer, name: &str) -> Option<Value> {
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    json.get(name).cloned()
}

/// Whether it names the message that was made. One that came packed, though that was not asked for, cannot be looked at.
pub(super) fn names_message(answer: &http::Answer) -> bool {
    let encoding = answer.headers.get("content-encoding");
    let is_packed = encoding.is_some_and(|encoding| encoding != "identity");
    is_packed || field(answer, "id").is_some_and(|id| !id.is_null())
}
