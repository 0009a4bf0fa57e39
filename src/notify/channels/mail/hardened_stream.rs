//! The connection under lettre's SMTP client, which trusts a server more than we do.
//!
//! It hands over one byte at a time, so that nothing a stranger slips in behind the reply to STARTTLS is left in a
//! buffer and believed once TLS is there. It ends replies without end, and makes them plain text: the client takes a
//! line of any length into memory, fails on text that is not UTF-8, and panics on a line of white space alone.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// No honest server says more between two commands.
const LONGEST_REPLY_BYTES: usize = 64 * 1024;
/// A reply's text begins behind its code and a space or dash.
const TEXT_COLUMN: usize = 4;

/// Shared with the client, so that TLS can begin under it. Only ever used by one task.
#[derive(Debug, Clone)]
pub(super) struct HardenedStream(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    line: Line,
    read_bytes: usize,
    column: usize,
    /// A line feed to hand over before anything else is read.
    feed: bool,
}

#[derive(Debug)]
enum Line {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// While TLS begins, and for good when that failed.
    Gone,
}

impl HardenedStream {
    pub(super) fn clear(stream: TcpStream) -> Self {
        Self::over(Line::Clear(stream))
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::over(Line::Tls(Box::new(stream)))
    }

    fn over(line: Line) -> Self {
        HardenedStream(Arc::new(Mutex::new(State {
            line,
            read_bytes: 0,
            column: 0,
            feed: false,
        })))
    }

    /// The connection in clear, to begin TLS with; None when it is no longer in clear.
    pub(super) fn take_clear(&self) -> Option<TcpStream> {
        let mut state = self.state();
        match std::mem::replace(&mut state.line, Line::Gone) {
            Line::Clear(stream) => Some(stream),
            other => {
                state.line = other;
                None
            }
        }
    }

    pub(super) fn begin_tls(&self, stream: TlsStream<TcpStream>) {
        let mut state = self.state();
        state.line = Line::Tls(Box::new(stream));
        (state.column, state.feed) = (0, false);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What lettre may see of a byte; None for one that it need not see.
    fn plain(&mut self, byte: u8) -> Option<u8> {
        let column = self.column;
        match byte {
            // It comes back before every line feed.
            b'\r' => None,
            b'\n' => {
                (self.column, self.feed) = (0, true);
                Some(b'\r')
            }
            _ => {
                self.column += 1;
                let blank = matches!(byte, b' ' | b'\t');
                Some(match byte {
                    _ if blank && column == TEXT_COLUMN => b'.',
                    b'\t' => b' ',
                    b' '..=b'~' => byte,
                    _ => b'?',
                })
            }
        }
    }

    fn poll_byte(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u8>> {
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        ready!(match &mut self.line {
            Line::Clear(stream) => Pin::new(stream).poll_read(cx, &mut one),
            Line::Tls(stream) => Pin::new(stream).poll_read(cx, &mut one),
            Line::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        })?;
        match one.filled() {
            [byte] => {
                self.read_bytes += 1;
                Poll::Ready(Ok(*byte))
            }
            _ => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it closed the connection",
            ))),
        }
    }
}

impl AsyncRead for HardenedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if std::mem::take(&mut state.feed) {
            buffer.put_slice(b"\n");
            return Poll::Ready(Ok(()));
        }
        loop {
            let byte = ready!(state.poll_byte(cx))?;
            if state.read_bytes > LONGEST_REPLY_BYTES {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "its reply does not end",
                )));
            }
            if let Some(byte) = state.plain(byte) {
                buffer.put_slice(&[byte]);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for HardenedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        state.read_bytes = 0;
        match &mut state.line {
            Line::Clear(stream) => Pin::new(stream).poll_write(cx, bytes),
            Line::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Line::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state().line {
            Line::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Line::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Line::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state().line {
            Line::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Line::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Line::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncTokioStream for HardenedStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.state().line {
            Line::Clear(stream) => stream.peer_addr(),
            Line::Tls(stream) => stream.get_ref().0.peer_addr(),
            Line::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
