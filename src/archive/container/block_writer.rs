//! Writes a seekable tar.gz or tar.zst in one pass: filled block by block, compressed on all cores, written in order.
//!
//! A tar header needs a file's size before its content, and a collection's size is only known behind it. The output is a
//! file, so the header's place is kept free in an uncompressed member of fixed length and filled in at the end. A
//! collection that fits one block needs no such thing: its header is filled in before the block is compressed.
//!
//! Every file opened with [`Writer::open`] starts a member, so that it can be reached without reading the rest.

use super::appender::{Appender, FileId, Slot, Step, WriteError, Written};
use super::codec::{BLOCK_BYTES, Codec, Effort, Pack};
use super::tar_header::{Headers, TAR_BLOCK, padding};
use crate::archive::worker_pool::Pool;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fs::File;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// From this many waiting blocks on, compression is made quicker. While we are behind, the server has to keep a dump's
/// cursors open; a few percent of disk are the lesser evil, and only where processors are few.
const BEHIND: usize = 5;

/// A block of at most this many bytes is compressed on the spot: that takes less time than to wake another thread and wait
/// for it, and there may be thousands of small collections.
const SMALL_BYTES: usize = 64 * 1024;

/// Positions in bytes from the archive's start, by file.
pub(crate) struct Positions(Vec<u64>);

impl Positions {
    pub(crate) fn of(&self, file: FileId) -> u64 {
        self.0.get(file.0).copied().unwrap_or_default()
    }
}

/// The file that documents are being written to.
struct Open {
    path: String,
    content_bytes: u64,
    /// Where the header goes in the first block; none once that block is gone and a placeholder is in the archive.
    header_at: Option<usize>,
}

pub(crate) struct Writer {
    headers: Headers,
    packer: Box<dyn Pack>,
    pool: Pool<Slot, Slot>,
    steps: Sender<Step>,
    free: Receiver<Slot>,
    slot: Slot,
    open: Option<Open>,
    /// Positions that the other thread remembers.
    remembered: usize,
    /// Owns the file; none once it has been joined.
    thread: Option<JoinHandle<Result<Written, WriteError>>>,
}

impl Writer {
    /// Starts writing at the file's beginning. So many blocks may wait to be compressed. `modified_at` (seconds since 1970)
    /// dates every file in the archive.
    pub(super) fn start(
        file: Arc<File>,
        codec: &'static dyn Codec,
        level: u8,
        threads: NonZeroUsize,
        waiting: usize,
        modified_at: u64,
    ) -> Result<Self, WriteError> {
        let pool = Pool::start(threads, waiting, "compress", || {
            let mut packer = codec.packer(level);
            move |mut slot: Slot, behind| {
                let effort = if behind >= BEHIND {
                    Effort::Quick
                } else {
                    Effort::Thorough
                };
                slot.packed = packer.pack(&mut slot.buffer, effort);
                slot
            }
        })?;
        let slots = threads.get() + waiting;
        let (free_sender, free) = bounded(slots);
        for _ in 0..slots {
            let _ = free_sender.send(Slot::new());
        }
        let (steps, inbox) = bounded(2 * slots);
        let thread = thread::Builder::new()
            .name("write".into())
            .spawn(move || Appender::new(file, codec, free_sender).run(inbox))?;
        let headers = Headers { modified_at };
        let packer = codec.packer(level);
        Ok(Writer {
            headers,
            packer,
            pool,
            steps,
            free,
            slot: Slot::new(),
            open: None,
            remembered: 0,
            thread: Some(thread),
        })
    }

    /// Adds a whole small file. Small files share a member, at whose start a reader finds the first of them.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) -> Result<FileId, WriteError> {
        let mut head = self.headers.long_name(path);
        head.extend_from_slice(&self.headers.file(path, content.len() as u64));
        let padding = padding(content.len() as u64);
        let whole = head.len() + content.len() + padding;
        if !self.slot.buffer.is_empty() && self.slot.buffer.len() + whole > BLOCK_BYTES {
            self.flush()?;
        }
        let id = if self.slot.buffer.is_empty() {
            self.remember_position()?
        } else {
            FileId(self.remembered - 1)
        };
        self.append(&head)?;
        self.append(content)?;
        self.append(&[0; TAR_BLOCK][..padding])?;
        if whole > BLOCK_BYTES {
            // The next file must not begin in the middle of this one's last member.
            self.flush()?;
        }
        Ok(id)
    }

    /// Begins a file whose size is not known yet.
    pub(crate) fn open(&mut self, path: String) -> Result<FileId, WriteError> {
        self.flush()?;
        let id = self.remember_position()?;
        self.slot
            .buffer
            .extend_from_slice(&self.headers.long_name(&path));
        let header_at = Some(self.slot.buffer.len());
        self.slot.buffer.extend_from_slice(&[0; TAR_BLOCK]);
        self.open = Some(Open {
            path,
            content_bytes: 0,
            header_at,
        });
        Ok(id)
    }

    /// Adds content to the open file.
    pub(crate) fn write(&mut self, content: &[u8]) -> Result<(), WriteError> {
        if let Some(open) = &mut self.open {
            open.content_bytes += content.len() as u64;
        }
        self.append(content)
    }

    /// Ends the open file.
    pub(crate) fn close(&mut self) -> Result<(), WriteError> {
        let Some(bytes) = self.open.as_ref().map(|open| open.content_bytes) else {
            return Ok(());
        };
        self.append(&[0; TAR_BLOCK][..padding(bytes)])?;
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let header = self.headers.file(&open.path, open.content_bytes);
        match open.header_at {
            Some(at) => {
                self.slot.buffer[at..at + TAR_BLOCK].copy_from_slice(&header);
                self.flush()
            }
            None => {
                self.flush()?;
                self.send(Step::Fill(Box::new(header)))
            }
        }
    }

    /// Where everything so far lies.
    pub(crate) fn positions(&mut self) -> Result<Positions, WriteError> {
        self.flush()?;
        let (reply, answer) = bounded(1);
        self.send(Step::Positions(reply))?;
        answer.recv().map(Positions).map_err(|_| self.reason())
    }

    /// Adds the manifest and the end of the archive.
    pub(crate) fn finish(
        mut self,
        manifest_path: &str,
        manifest: &[u8],
    ) -> Result<Written, WriteError> {
        self.flush()?;
        let id = self.file(manifest_path, manifest)?;
        self.flush()?;
        self.send(Step::Trailer(id))?;
        self.join()
    }

    /// Why nothing more can be written: the thread that owns the file has ended, and knows.
    fn reason(&mut self) -> WriteError {
        match self.join() {
            Ok(_) => WriteError::Order("it has been completed already"),
            Err(error) => error,
        }
    }

    /// How that thread ended, once it has been told to or could not go on. Its panic goes on here.
    fn join(&mut self) -> Result<Written, WriteError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(panic)) => resume_unwind(panic),
            None => Err(WriteError::Order("writing it has failed before")),
        }
    }

    fn remember_position(&mut self) -> Result<FileId, WriteError> {
        self.send(Step::Remember)?;
        self.remembered += 1;
        Ok(FileId(self.remembered - 1))
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            let step = bytes.len().min(BLOCK_BYTES - self.slot.buffer.len());
            self.slot.buffer.extend_from_slice(&bytes[..step]);
            bytes = &bytes[step..];
            if self.slot.buffer.len() == BLOCK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Sends the block off to be compressed, and goes on with an empty one.
    fn flush(&mut self) -> Result<(), WriteError> {
        if let Some(at) = self.open.as_mut().and_then(|open| open.header_at.take()) {
            let content = self.slot.buffer.split_off(at + TAR_BLOCK);
            self.slot.buffer.truncate(at);
            self.flush_block()?;
            self.send(Step::Placeholder)?;
            self.slot.buffer.extend_from_slice(&content);
        }
        self.flush_block()
    }

    fn flush_block(&mut self) -> Result<(), WriteError> {
        if self.slot.buffer.is_empty() {
            return Ok(());
        }
        let empty = self.free.recv().map_err(|_| self.reason())?;
        let mut full = std::mem::replace(&mut self.slot, empty);
        self.slot.buffer.clear();
        if full.buffer.len() <= SMALL_BYTES {
            full.packed = self.packer.pack(&mut full.buffer, Effort::Thorough);
            return self.send(Step::Packed(full));
        }
        let ticket = self.pool.submit(full);
        self.send(Step::Member(ticket))
    }

    fn send(&mut self, step: Step) -> Result<(), WriteError> {
        self.steps.send(step).map_err(|_| self.reason())
    }
}
