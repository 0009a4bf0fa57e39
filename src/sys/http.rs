//! Asking another server something over HTTP/1.1: certificates are checked, redirects are not followed, and neither an
//! answer nor a wait is without bounds.

use super::certificate::CertificateProblem;
use super::tls::RootStore;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::rustls;

pub(crate) use hyper::{HeaderMap, Request, Response, StatusCode, Uri};

/// How long a connection may take to come about, for each address of the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections that wait for the next request end after this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection on which nothing comes is asked whether there is still somebody: after this long, this often.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;
/// The longest head of an answer; a server that is well meant needs a few hundred bytes.
const LONGEST_HEAD_BYTES: usize = 64 * 1024;

/// What is sent. Errors of its source end the request.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body that is in memory.
pub(crate) fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// The same; it notes that it is being sent. Until then, there was no connection.
pub(crate) fn noting_body(bytes: impl Into<Bytes>, is_sent: Arc<AtomicBool>) -> Body {
    let inner = Full::new(bytes.into());
    NotingBody { inner, is_sent }.boxed_unsync()
}

/// `BodyExt::map_frame` loses the length, so that the request would be sent in chunks.
struct NotingBody {
    inner: Full<Bytes>,
    is_sent: Arc<AtomicBool>,
}

impl hyper::body::Body for NotingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.is_sent.store(true, Ordering::Relaxed);
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        frame.map_err(|never| match never {})
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer that was read to its end, or to the limit.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Keeps connections open for the next request. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Body>,
}

/// Why there was no answer. No address that may hold a secret is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("cannot connect to {place}: {problem}")]
    Connect { place: String, problem: String },
    #[error("the certificate of {place} is not accepted: {problem}")]
    Certificate {
        place: String,
        problem: CertificateProblem,
    },
    #[error("no secure connection to {place}: {problem}")]
    Tls { place: String, problem: String },
    #[error("{place} did not answer within {} s", limit.as_secs())]
    TimedOut { place: String, limit: Duration },
    #[error("{place} has said nothing for {} s", quiet.as_secs())]
    Silent { place: String, quiet: Duration },
    #[error("the connection to {place} broke: {problem}")]
    Broken { place: String, problem: String },
}

impl HttpError {
    /// Whether the same request may succeed later with nothing changed here.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::Silent { .. }
            | Self::Broken { .. } => true,
            Self::Certificate { .. } | Self::Tls { .. } => false,
        }
    }

    /// What to do about it, where there is something.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Connect { .. } => {
                Some("check the host and the port, and that it can be reached from here")
            }
            Self::Certificate { problem, .. } => Some(match problem {
                CertificateProblem::Expired | CertificateProblem::NotValidYet => {
                    "check this machine's clock, then the server's certificate"
                }
                CertificateProblem::OtherName(_) => "use the name that the certificate is for",
                CertificateProblem::IsAuthority
                | CertificateProblem::UnknownIssuer
                | CertificateProblem::Other(_) => {
                    "if the server is your own, set SSL_CERT_FILE to a file with the certificate of its authority (CA)"
                }
            }),
            Self::Tls { .. } => Some("check that the port is the one for https"),
            Self::TimedOut { .. } | Self::Silent { .. } | Self::Broken { .. } => None,
        }
    }

    fn of(place: &str, error: &(dyn Error + 'static)) -> Self {
        let place = place.to_owned();
        let causes = causes(error);
        match causes
            .iter()
            .find_map(|cause| cause.downcast_ref::<rustls::Error>())
        {
            Some(rustls::Error::InvalidCertificate(invalid)) => {
                let problem = CertificateProblem::of(invalid);
                return Self::Certificate { place, problem };
            }
            Some(other) => {
                let problem = match other {
                    rustls::Error::InvalidMessage(_) => "it does not speak TLS there".to_owned(),
                    other => other.to_string(),
                };
                return Self::Tls { place, problem };
            }
            None => {}
        }
        // The innermost says what happened; those around it only where.
        let problem = causes.last().map_or_else(String::new, ToString::to_string);
        match error.downcast_ref::<legacy::Error>() {
            Some(error) if error.is_connect() => Self::Connect { place, problem },
            _ => Self::Broken { place, problem },
        }
    }
}

impl Client {
    /// Trusts what the system trusts. Reads files.
    ///
    /// # Errors
    /// If TLS cannot be set up at all.
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(RootStore::of_system().client_config()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http1_max_buf_size(LONGEST_HEAD_BYTES)
            .build(connector);
        Ok(Client { inner })
    }

    /// Sends a request and reads at most `most_bytes` of what comes back; more of it is left unread.
    ///
    /// # Errors
    /// Says what went wrong if there is no whole answer within `limit`. An answer of any status is none.
    pub(crate) async fn fetch(
        &self,
        request: Request<Body>,
        limit: Duration,
        most_bytes: usize,
    ) -> Result<Answer, HttpError> {
        let place = place(request.uri());
        let asking = self.fetch_unless_silent(request, Duration::MAX, most_bytes);
        match timeout(limit, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::TimedOut { place, limit }),
        }
    }

    /// Likewise, however long it takes, as long as something comes: it fails when nothing has for `quiet`.
    pub(crate) async fn fetch_unless_silent(
        &self,
        request: Request<Body>,
        quiet: Duration,
        most_bytes: usize,
    ) -> Result<Answer, HttpError> {
        let place = place(request.uri());
        let silent = |_| HttpError::Silent {
            place: place.clone(),
            quiet,
        };
        let sent = timeout(quiet, self.send(request)).await;
        let (head, mut incoming) = sent.map_err(silent)??.into_parts();
        let mut body = Vec::new();
        while body.len() < most_bytes {
            let Some(frame) = timeout(quiet, incoming.frame()).await.map_err(silent)? else {
                break;
            };
            let frame = frame.map_err(|error| HttpError::of(&place, &error))?;
            let data = frame.into_data().unwrap_or_default();
            body.extend_from_slice(&data[..data.len().min(most_bytes - body.len())]);
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// Sends a request; the head of the answer, whose body is still to be read. Sets no limit to how long that takes.
    ///
    /// # Errors
    /// Says what went wrong if there is no answer.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, HttpError> {
        let place = place(request.uri());
        let answer = self.inner.request(request).await;
        answer.map_err(|error| HttpError::of(&place, &error))
    }
}

/// The server alone: the rest of an address may be a secret.
fn place(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    match uri.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// An error and what it was caused by. One that an `io::Error` only carries is not among its sources.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = vec![error];
    let mut next = Some(error);
    while let Some(error) = next {
        let carried = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match carried {
            Some(carried) => Some(carried),
            None => error.source(),
        };
        causes.extend(next);
    }
    causes
}

#[cfg(test)]
mod tests;
