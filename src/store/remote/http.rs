//! What S3 and WebDAV share: requests whose body is a source, and patience with a server that is busy.

use super::Sink;
use super::error::{StoreError, StoreErrorKind};
use super::patience::Patience;
use super::source::Source;
use super::transfer::Share;
use crate::sys::http::{Answer, Body, Client, Request, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// No answer that we ask for is longer; a listing of a thousand files is some 400 KB.
pub(super) const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
/// A transfer is watched for standing still; this only bounds it at all.
const LONGEST_TRANSFER: Duration = Duration::from_secs(7 * 86_400);
/// A small question ends when nothing has come for so long.
const QUIET: Duration = Duration::from_secs(90);
/// One that makes a large file of what was sent may keep a service busy.
const QUIET_AT_WORK: Duration = Duration::from_secs(10 * 60);
/// How long to wait before each further attempt at a small question.
const WAITS: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(4),
];
/// It is not asked again when it has taken so long already.
const LONGEST_ASKING: Duration = Duration::from_secs(120);

/// A body that is read as it is sent.
pub(super) fn streamed(source: Source, share: &Arc<Share>) -> Body {
    let start = Some((source, Arc::clone(share), 0));
    let pieces = futures_util::stream::unfold(start, |reading| async move {
        let (mut source, share, mut end) = reading?;
        match source.next_unhurried().await {
            Ok(Some(piece)) => {
                end += piece.len() as u64;
                share.pass(piece.len(), end).await;
                Some((Ok(Frame::data(piece)), Some((source, share, end))))
            }
            Ok(None) => None,
            Err(error) => Some((Err(io::Error::other(error.to_string())), None)),
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// Asks something small, and asks again a few times while the server is busy or out of reach.
pub(super) async fn ask(
    client: &Client,
    request: impl Fn() -> Result<Request<Body>, StoreError>,
) -> Result<Answer, StoreError> {
    let (begun, mut waits) = (Instant::now(), WAITS.into_iter());
    let patience = || waits.next().filter(|_| begun.elapsed() < LONGEST_ASKING);
    again_and_again(client, request, QUIET, patience).await
}

/// Likewise, where much would be lost if it were given up: an outage is waited for, and work that takes its time.
pub(super) async fn ask_patiently(
    client: &Client,
    request: impl Fn() -> Result<Request<Body>, StoreError>,
) -> Result<Answer, StoreError> {
    let mut patience = Patience::new(Instant::now());
    let patience = || patience.wait(Instant::now(), (0, 0));
    again_and_again(client, request, QUIET_AT_WORK, patience).await
}

async fn again_and_again(
    client: &Client,
    request: impl Fn() -> Result<Request<Body>, StoreError>,
    quiet: Duration,
    mut patience: impl FnMut() -> Option<Duration>,
) -> Result<Answer, StoreError> {
    loop {
        let result = answer(client, request()?, quiet).await;
        if !may_pass(&result) {
            return result;
        }
        match patience() {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return result,
        }
    }
}

/// Sends what is watched by whoever sends it, and may be sent again only by them.
pub(super) async fn ask_once(
    client: &Client,
    request: Request<Body>,
) -> Result<Answer, StoreError> {
    answer(client, request, LONGEST_TRANSFER).await
}

/// Whether the same may succeed later with nothing changed.
pub(super) fn may_pass(result: &Result<Answer, StoreError>) -> bool {
    match result {
        Ok(answer) => is_busy(answer.status),
        Err(error) => error.is(StoreErrorKind::Unreachable),
    }
}

/// The answer, or as much of it as is read of any; given up when nothing has come for so long.
async fn answer(
    client: &Client,
    request: Request<Body>,
    quiet: Duration,
) -> Result<Answer, StoreError> {
    let fetching = client.fetch_unless_silent(request, quiet, LONGEST_ANSWER);
    Ok(fetching.await?)
}

fn broken(error: hyper::Error) -> StoreError {
    let summary = format!("the connection broke while reading: {error}");
    StoreError::new(StoreErrorKind::Unreachable, summary, "")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::body;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What a server that says these pieces, 100 ms apart, and then holds the line is heard to say.
    async fn heard(pieces: &'static [&'static str]) -> Result<Answer, StoreError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            for piece in pieces {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let _ = stream.write_all(piece.as_bytes()).await;
            }
            std::future::pending::<()>().await;
        });
        let request = Request::get(format!("http://{address}/")).body(body(Bytes::new()));
        let client = Client::new().unwrap();
        answer(&client, request.unwrap(), Duration::from_millis(250)).await
    }

    #[tokio::test]
    async fn who_says_nothing_any_more_is_given_up_and_who_is_slow_is_not() {
        const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
        let slow = heard(&[HEAD, "s", "l", "o", "w", "!"]).await.unwrap();
        assert_eq!(slow.body, b"slow!");
        for silent in [&[][..], &[HEAD], &[HEAD, "hal"]] {
            let error = heard(silent).await.unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Unreachable);
            assert!(error.to_string().contains("said nothing"), "{error}");
        }
    }
}
