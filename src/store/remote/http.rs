//! What S3 and WebDAV share: requests whose body is a source, and patience with a server that is busy.

use super::Sink;
use super::error::{StoreError, StoreErrorKind};
use super::source::Source;
use crate::sys::http::{Answer, Body, Client, Request, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::io;
use std::time::Duration;

/// No answer that we ask for is longer; a listing of a thousand files is some 400 KB.
pub(super) const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
/// A transfer is watched for standing still; this only bounds it at all.
const LONGEST_TRANSFER: Duration = Duration::from_secs(7 * 86_400);
/// How long to wait before each further attempt.
const PATIENCE: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(4),
];

/// A body that is read as it is sent.
pub(super) fn streamed(source: Source) -> Body {
    let pieces = futures_util::stream::unfold(Some(source), |source| async move {
        let mut source = source?;
        match source.next().await {
            Ok(Some(piece)) => Some((Ok(Frame::data(piece)), Some(source))),
            Ok(None) => None,
            Err(error) => Some((Err(io::Error::other(error.to_string())), None)),
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// Asks, and asks again a few times while the server is busy or out of reach.
pub(super) async fn ask(
    client: &Client,
    request: impl Fn() -> Result<Request<Body>, StoreError>,
) -> Result<Answer, StoreError> {
    let mut patience = PATIENCE.into_iter();
    loop {
        let result = client
            .fetch(request()?, LONGEST_TRANSFER, LONGEST_ANSWER)
            .await;
        let passes = match &result {
            Ok(answer) => is_busy(answer.status),
            Err(error) => error.is_transient(),
        };
        match patience.next() {
            Some(wait) if passes => tokio::time::sleep(wait).await,
            _ => return Ok(result?),
        }
    }
}

/// Sends what may be sent once only; the caller tries again.
pub(super) async fn ask_once(
    client: &Client,
    request: Request<Body>,
) -> Result<Answer, StoreError> {
    Ok(client
        .fetch(request, LONGEST_TRANSFER, LONGEST_ANSWER)
        .await?)
}

/// Whether a server asks for patience.
pub(super) fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502..=504)
}

/// Reads the body of an answer as it comes.
pub(super) async fn read(
    client: &Client,
    request: Request<Body>,
    sink: &mut Sink<'_>,
) -> Result<(Answer, u64), StoreError> {
    let (head, mut body) = client.send(request).await?.into_parts();
    let mut answer = Answer {
        status: head.status,
        headers: head.headers,
        body: Vec::new(),
    };
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let broken = |error: hyper::Error| {
            let summary = format!("the connection broke while reading: {error}");
            StoreError::new(StoreErrorKind::Unreachable, summary, "")
        };
        let data = frame.map_err(broken)?.into_data().unwrap_or_default();
        if answer.status.is_success() {
            sink(&data).map_err(|error| StoreError::of_io("keep", "what was read", &error))?;
            read += data.len() as u64;
        } else if answer.body.len() < LONGEST_ANSWER {
            answer.body.extend_from_slice(&data);
        }
    }
    Ok((answer, read))
}

/// A body that is in the wrong form.
pub(super) fn malformed(place: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Other,
        format!("{place} answered something that cannot be read"),
        "",
    )
}
