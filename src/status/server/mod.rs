//! Serving the page, over plain HTTP/1.1 on one thread.
//!
//! Nothing that a client does costs more than it may: so many connections at once, of which the oldest gives way to a new
//! one; a head of so many bytes; so many seconds for all of it. One request is answered on a connection, and the answers to
//! all of them come from one look at the folder that is a few seconds old at most. A disk that hangs holds up one thread.

mod access;
mod answers;
mod looking;

use crate::context::Context;
use crate::settings::Settings;
use answers::Answers;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Connections at once. A browser needs one or two.
const MOST_CONNECTIONS: usize = 64;
/// How long a client may take to say what it wants.
const LONGEST_HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last in all: a page of 300 kB takes this long at 10 kB a second.
const LONGEST_CONNECTION: Duration = Duration::from_secs(30);
/// The longest head of a request, and hyper's buffer for a connection.
const MOST_HEAD_BYTES: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;
/// How long to wait when no connection can be accepted, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the status page cannot listen at {address} (STATUS_LISTEN): {error}")]
pub(crate) struct ListenError {
    address: SocketAddr,
    error: io::Error,
}

/// Serves until it is asked to stop.
pub(crate) async fn serve(
    settings: &Settings,
    address: SocketAddr,
    ctx: &Context,
) -> Result<(), ListenError> {
    let failed = |error| ListenError { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!("the status page is at http://{address}/");
    let answers = Arc::new(Answers::new(settings, ctx));
    let first = Arc::clone(&answers);
    tokio::spawn(async move { first.prepare().await });
    let mut connections = Connections::default();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = ctx.cancel.requested() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => connections.begin(stream, Arc::clone(&answers)),
            // Of a client that has gone already, or for want of something that comes back.
            Err(error) => {
                tracing::debug!("no connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Those that are open, the oldest first.
#[derive(Default)]
struct Connections(VecDeque<JoinHandle<()>>);

impl Connections {
    fn begin(&mut self, stream: TcpStream, answers: Arc<Answers>) {
        self.0.retain(|connection| !connection.is_finished());
        // Whoever holds connections open to keep others out only pushes out their own.
        while self.0.len() >= MOST_CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(tokio::spawn(converse(stream, answers)));
    }
}

async fn converse(stream: TcpStream, answers: Arc<Answers>) {
    let answer = service_fn(move |request| {
        let answers = Arc::clone(&answers);
        async move { Ok::<_, std::convert::Infallible>(answers.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEAD)
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    match tokio::time::timeout(LONGEST_CONNECTION, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!("a connection ended: {error}"),
    }
}
