//! One of the two sides that are compared: where its documents come from, and how they arrive.

use crate::archive::namespace::{Kind, Namespace};
use crate::inspect::{Archive, InspectError, Next, ReadError};
use crate::mongo::target::Target;
use crate::sys::cancel::Cancel;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Documents that travel together, in bytes.
const BATCH_BYTES: usize = 256 * 1024;
const BATCHES_AHEAD: usize = 2;

/// Where the documents of a side come from.
#[derive(Clone)]
pub(super) enum Source<'t> {
    /// The collection at this place in an archive.
    Archived(Arc<Archive>, usize),
    Live(&'t Target, Namespace, Kind),
}

/// What arrives of a side.
pub(super) enum Message {
    /// Whole documents, one behind the other.
    Batch(Vec<u8>),
    /// There are no more.
    End,
    Failed(InspectError),
}

pub(super) fn pipe() -> (Sender<Message>, Receiver<Message>) {
    channel(BATCHES_AHEAD)
}

impl Source<'_> {
    /// Sends all documents, and how that ended.
    pub(super) async fn send(self, cancel: &Cancel, sender: Sender<Message>) {
        let ended = match self {
            Source::Archived(archive, index) => {
                let sending = sender.clone();
                let reading = cancel.blocking(move |cancelled| {
                    let mut batch = Vec::with_capacity(BATCH_BYTES);
                    let read = archive.documents::<()>(index, cancelled, &mut |document| {
                        batch.extend_from_slice(document);
                        if batch.len() < BATCH_BYTES {
                            return Ok(Next::More);
                        }
                        let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_BYTES));
                        let sent = sending.blocking_send(Message::Batch(full));
                        sent.map(|()| Next::More).map_err(drop)
                    });
                    let _ = sending.blocking_send(Message::Batch(batch));
                    match read {
                        Err(ReadError::Archive(error)) => Err(error),
                        Ok(_) | Err(ReadError::Visitor(())) => Ok(()),
                    }
                });
                reading
                    .await
                    .map_err(InspectError::from)
                    .and_then(|read| read)
            }
            Source::Live(target, namespace, kind) => {
                let send = async |batch| sender.send(Message::Batch(batch)).await.is_ok();
                let reading = target.document_batches(&namespace, kind, BATCH_BYTES, send);
                let read = cancel.or(reading).await;
                read.map_err(InspectError::from)
                    .and_then(|read| read.map_err(InspectError::from))
            }
        };
        let last = match ended {
            Ok(()) => Message::End,
            Err(error) => Message::Failed(error),
        };
        // Nobody may want to know any more.
        let _ = sender.send(last).await;
    }
}

/// The documents of a side, one at a time. For a thread that may block.
pub(super) struct Documents {
    receiver: Receiver<Message>,
    batch: Vec<u8>,
    at: usize,
    /// Bytes of the document at hand; 0 before the first and after the last.
    length: usize,
    ended: bool,
    /// Documents before the one at hand.
    pub position: u64,
}

impl Documents {
    pub(super) fn new(receiver: Receiver<Message>) -> Self {
        Documents {
            receiver,
            batch: Vec::new(),
            at: 0,
            length: 0,
            ended: false,
            position: 0,
        }
    }

    /// The document at hand; none after the last.
    pub(super) fn current(&self) -> Option<&[u8]> {
        self.batch
            .get(self.at..self.at + self.length)
            .filter(|document| !document.is_empty())
    }

    /// Goes to the next document.
    pub(super) fn advance(&mut self) -> Result<(), InspectError> {
        self.position += u64::from(self.length > 0);
        self.at += self.length;
        self.length = 0;
        while self.at >= self.batch.len() && !self.ended {
            self.at = 0;
            self.batch.clear();
            match self.receiver.blocking_recv() {
                Some(Message::Batch(batch)) => self.batch = batch,
                Some(Message::End) => self.ended = true,
                Some(Message::Failed(error)) => return Err(error),
                None => return Err(crate::sys::cancel::Interruption::Cancelled.into()),
            }
        }
        let rest = self.batch.get(self.at..).unwrap_or_default();
        if let Some(length) = rest.first_chunk::<4>() {
            self.length = (u32::from_le_bytes(*length) as usize).min(rest.len());
        }
        Ok(())
    }
}
