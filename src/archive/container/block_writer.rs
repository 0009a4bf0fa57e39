//! Writes a seekable tar.gz in one pass: filled block by block, compressed on all cores, written in order.
//!
//! A tar header needs a file's size before its content, and a collection's size is only known behind it. The output is a
//! file, so the header's place is kept free in an uncompressed member of fixed length and filled in at the end. A
//! collection that fits one block needs no such thing: its header is filled in before the block is compressed.
//!
//! Every file opened with [`Writer::open`] starts a gzip member, so that it can be reached without reading the rest.

use super::member::{self, BLOCK_BYTES, Effort, LARGEST_BYTES, Packer};
use super::tar_header::{Headers, TAR_BLOCK, padding};
use crate::archive::worker_pool::{Pool, Ticket};
use crc_fast::{CrcAlgorithm, Digest};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Blocks that may wait for a thread to compress them.
///
/// mongodump hands over 16 MiB at a time and asks the server for more only when it is rid of them. Taking in much of that
/// at once keeps the server busy while we compress; memory is what it costs.
const WAITING: usize = 7;

/// From this many waiting blocks on, compression is made quicker. While we are behind, the server has to keep a dump's
/// cursors open; a few percent of disk are the lesser evil, and only where processors are few.
const BEHIND: usize = 5;

/// A block of at most this many bytes is compressed on the spot: that takes less time than to wake another thread and wait
/// for it, and there may be thousands of small collections.
const SMALL_BYTES: usize = 64 * 1024;

/// Small members are gathered to at least this many bytes before they are written.
const GATHER_BYTES: usize = 128 * 1024;

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("writing the archive failed: {0}")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Name(#[from] crate::archive::namespace::NameError),
    /// A thread of ours is gone: a defect, never a reason to call the archive complete.
    #[error("a part of the writer stopped early; please report this")]
    Lost,
}

/// Stands for the position of a file in the archive, until [`Writer::positions`] tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(usize);

/// Positions in bytes from the archive's start, by mark.
pub(crate) struct Positions(Vec<u64>);

impl Positions {
    pub(crate) fn of(&self, mark: FileId) -> u64 {
        self.0.get(mark.0).copied().unwrap_or_default()
    }
}

/// A complete archive, not yet synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub archive_bytes: u64,
    /// CRC-64/XZ of everything before the trailer, as it left us for the disk.
    pub crc64: u64,
}

/// A block on its way to becoming a member; a fixed number of them bounds the memory.
struct Slot {
    buffer: Vec<u8>,
    packed: bool,
}

impl Slot {
    fn new() -> Self {
        Slot {
            buffer: Vec::with_capacity(LARGEST_BYTES),
            packed: false,
        }
    }
}

/// What the thread that owns the file does next.
enum Step {
    FileId,
    Member(Ticket<Slot>),
    Packed(Slot),
    Placeholder,
    Fill(Box<[u8; TAR_BLOCK]>),
    Positions(Sender<Vec<u64>>),
    Trailer(FileId),
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
    packer: Packer,
    pool: Pool<Slot, Slot>,
    steps: Sender<Step>,
    free: Receiver<Slot>,
    slot: Slot,
    open: Option<Open>,
    marks: usize,
    thread: JoinHandle<Result<Written, WriteError>>,
}

impl Writer {
    /// Starts writing at the file's beginning. `modified_at` (seconds since 1970) dates every file in the archive.
    pub(crate) fn start(
        file: Arc<File>,
        level: u8,
        threads: NonZeroUsize,
        modified_at: u64,
    ) -> Result<Self, WriteError> {
        let pool = Pool::start(threads, WAITING, "compress", || {
            let mut packer = Packer::new(level);
            move |mut slot: Slot, waiting| {
                let pace = if waiting >= BEHIND {
                    Effort::Quick
                } else {
                    Effort::Thorough
                };
                slot.packed = packer.pack(&mut slot.buffer, pace);
                slot
            }
        })?;
        let slots = threads.get() + WAITING;
        let (free_sender, free) = bounded(slots);
        for _ in 0..slots {
            let _ = free_sender.send(Slot::new());
        }
        let (steps, inbox) = bounded(2 * slots);
        let thread = thread::Builder::new()
            .name("write".into())
            .spawn(move || Appender::new(file, free_sender).run(inbox))?;
        let headers = Headers { modified_at };
        let packer = Packer::new(level);
        Ok(Writer {
            headers,
            packer,
            pool,
            steps,
            free,
            slot: Slot::new(),
            open: None,
            marks: 0,
            thread,
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
        let mark = if self.slot.buffer.is_empty() {
            self.mark()?
        } else {
            FileId(self.marks - 1)
        };
        self.append(&head)?;
        self.append(content)?;
        self.append(&[0; TAR_BLOCK][..padding])?;
        if whole > BLOCK_BYTES {
            // The next file must not begin in the middle of this one's last member.
            self.flush()?;
        }
        Ok(mark)
    }

    /// Begins a file whose size is not known yet.
    pub(crate) fn open(&mut self, path: String) -> Result<FileId, WriteError> {
        self.flush()?;
        let mark = self.mark()?;
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
        Ok(mark)
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
        answer.recv().map(Positions).map_err(|_| WriteError::Lost)
    }

    /// Adds the manifest and the end of the archive.
    pub(crate) fn finish(
        mut self,
        manifest_path: &str,
        manifest: &[u8],
    ) -> Result<Written, WriteError> {
        self.flush()?;
        let mark = self.file(manifest_path, manifest)?;
        self.flush()?;
        self.send(Step::Trailer(mark))?;
        self.join()
    }

    /// The reason why nothing more can be written.
    pub(crate) fn into_error(self) -> WriteError {
        self.join().err().unwrap_or(WriteError::Lost)
    }

    fn join(self) -> Result<Written, WriteError> {
        drop(self.steps);
        self.thread.join().unwrap_or(Err(WriteError::Lost))
    }

    fn mark(&mut self) -> Result<FileId, WriteError> {
        self.send(Step::FileId)?;
        self.marks += 1;
        Ok(FileId(self.marks - 1))
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
        let empty = self.free.recv().map_err(|_| WriteError::Lost)?;
        let mut full = std::mem::replace(&mut self.slot, empty);
        self.slot.buffer.clear();
        if full.buffer.len() <= SMALL_BYTES {
            full.packed = self.packer.pack(&mut full.buffer, Effort::Thorough);
            return self.send(Step::Packed(full));
        }
        let ticket = self.pool.submit(full).ok_or(WriteError::Lost)?;
        self.send(Step::Member(ticket))
    }

    fn send(&self, step: Step) -> Result<(), WriteError> {
        self.steps.send(step).map_err(|_| WriteError::Lost)
    }
}

/// The placeholder that waits for its header.
struct Gap {
    position: u64,
    before: Digest,
}

/// Owns the file: appends in order, remembers positions, and keeps the CRC-64 of all of it.
struct Appender {
    file: Arc<File>,
    free: Sender<Slot>,
    gathered: Vec<u8>,
    /// Bytes that are in the file, not only gathered.
    written: u64,
    positions: Vec<u64>,
    crc: Digest,
    gap: Option<Gap>,
}

impl Appender {
    fn new(file: Arc<File>, free: Sender<Slot>) -> Self {
        let crc = Digest::new(CrcAlgorithm::Crc64Xz);
        Appender {
            file,
            free,
            gathered: Vec::new(),
            written: 0,
            positions: Vec::new(),
            crc,
            gap: None,
        }
    }

    /// Succeeds only through [`Step::Trailer`]: an inbox that just ends is a writer that was given up.
    fn run(mut self, inbox: Receiver<Step>) -> Result<Written, WriteError> {
        for step in inbox {
            match step {
                Step::FileId => self.positions.push(self.position()),
                Step::Member(ticket) => self.member(ticket.wait().ok_or(WriteError::Lost)?)?,
                Step::Packed(slot) => self.member(slot)?,
                Step::Placeholder => {
                    let before =
                        std::mem::replace(&mut self.crc, Digest::new(CrcAlgorithm::Crc64Xz));
                    self.gap = Some(Gap {
                        position: self.position(),
                        before,
                    });
                    self.append(&member::placeholder(&[0; TAR_BLOCK]))?;
                }
                Step::Fill(header) => self.fill(&header)?,
                Step::Positions(reply) => {
                    let _ = reply.send(self.positions.clone());
                }
                Step::Trailer(manifest) => return self.end(manifest),
            }
        }
        Err(WriteError::Lost)
    }

    fn member(&mut self, slot: Slot) -> Result<(), WriteError> {
        if !slot.packed {
            return Err(WriteError::Lost);
        }
        self.crc.update(&slot.buffer);
        self.append(&slot.buffer)?;
        let _ = self.free.send(slot);
        Ok(())
    }

    fn position(&self) -> u64 {
        self.written + self.gathered.len() as u64
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER_BYTES {
            self.write_out()
        } else {
            Ok(())
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.gathered, self.written)?;
        self.written += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }

    /// Puts a header in its place; the checksum is put together from what was before, in, and behind the gap.
    fn fill(&mut self, header: &[u8; TAR_BLOCK]) -> Result<(), WriteError> {
        let Gap {
            position,
            before: mut crc,
        } = self.gap.take().ok_or(WriteError::Lost)?;
        let member = member::placeholder(header);
        crc.update(&member);
        crc.combine(&self.crc);
        self.crc = crc;
        match position.checked_sub(self.written) {
            Some(at) => {
                self.gathered[at as usize..at as usize + member.len()].copy_from_slice(&member);
            }
            // Members are gathered whole, so the placeholder is all in the file or not at all.
            None => self.file.write_all_at(&member, position)?,
        }
        Ok(())
    }

    fn end(mut self, manifest: FileId) -> Result<Written, WriteError> {
        if self.gap.is_some() {
            return Err(WriteError::Lost);
        }
        let manifest_position = self
            .positions
            .get(manifest.0)
            .copied()
            .ok_or(WriteError::Lost)?;
        let crc64 = self.crc.finalize();
        self.append(&member::trailer(manifest_position, crc64))?;
        self.write_out()?;
        Ok(Written {
            archive_bytes: self.written,
            crc64,
        })
    }
}
