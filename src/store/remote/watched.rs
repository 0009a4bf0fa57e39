//! A pipe whose end is told to all who wait for what comes through it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;

/// Something that is read from until it ends.
pub(super) struct Watched<R> {
    inner: R,
    /// Becomes true at its end.
    ended: watch::Sender<bool>,
}

impl<R> Watched<R> {
    /// It, and where its end is seen.
    pub(super) fn new(inner: R) -> (Self, watch::Receiver<bool>) {
        let (ended, seen) = watch::channel(false);
        (Watched { inner, ended }, seen)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let result = ready!(Pin::new(&mut self.inner).poll_read(context, buffer));
        if result.is_err() || (room > 0 && buffer.filled().len() == before) {
            self.ended.send_replace(true);
        }
        Poll::Ready(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn its_end_is_seen_and_not_before() {
        let (mut watched, seen) = Watched::new(&b"some"[..]);
        let mut read = [0; 4];
        watched.read_exact(&mut read).await.unwrap();
        assert!(!*seen.borrow());
        assert_eq!(watched.read(&mut read).await.unwrap(), 0);
        assert!(*seen.borrow());
    }
}
