//! The thread that owns an archive's file while it is written.

use super::codec::{Codec, LARGEST_BYTES};
use super::tar_header::TAR_BLOCK;
use crate::archive::crc64::{self, Digest};
use crate::archive::namespace::NameError;
use crate::archive::worker_pool::Ticket;
use crossbeam_channel::{Receiver, Sender};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Small members are gathered to at least this many bytes before they are written.
const GATHER_BYTES: usize = 128 * 1024;

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("writing the archive failed: {0}")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Name(#[from] NameError),
    /// A defect of ours, and never a reason to call the archive complete.
    #[error("the archive would not be whole: {0}; please report this")]
    Order(&'static str),
}

/// Stands for the position of a file in the archive, until [`Step::Positions`] tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(pub(super) usize);

/// A complete archive, not yet synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub archive_bytes: u64,
    /// CRC-64/XZ of everything before the trailer, as it left us for the disk.
    pub crc64: u64,
}

/// A block on its way to becoming a member; a fixed number of them bounds the memory.
pub(super) struct Slot {
    pub buffer: Vec<u8>,
    pub packed: bool,
}

impl Slot {
    pub(super) fn new() -> Self {
        Slot {
            buffer: Vec::with_capacity(LARGEST_BYTES),
            packed: false,
        }
    }
}

/// What the thread that owns the file does next.
pub(super) enum Step {
    Remember,
    Member(Ticket<Slot>),
    Packed(Slot),
    Placeholder,
    Fill(Box<[u8; TAR_BLOCK]>),
    Positions(Sender<Vec<u64>>),
    Trailer(FileId),
}

/// The checksum of everything that was written, put together from its parts.
struct Checksum {
    /// Of what is before the last gap or its filling.
    before: u64,
    behind: Digest,
    behind_bytes: u64,
}

impl Checksum {
    fn new() -> Self {
        Checksum {
            before: 0,
            behind: Digest::new(),
            behind_bytes: 0,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.behind.write(bytes);
        self.behind_bytes += bytes.len() as u64;
    }

    fn so_far(&self) -> u64 {
        crc64::combine(self.before, self.behind.sum64(), self.behind_bytes)
    }

    /// What comes from here on stands behind a gap.
    fn leave_gap(&mut self) {
        *self = Checksum {
            before: self.so_far(),
            ..Checksum::new()
        };
    }

    fn fill_gap(&mut self, member: &[u8]) {
        let bytes = member.len() as u64;
        self.before = crc64::combine(self.before, crc64::checksum(member), bytes);
        self.leave_gap();
    }
}

/// Owns the file: appends in order, remembers positions, and keeps the CRC-64 of all of it.
pub(super) struct Appender {
    file: Arc<File>,
    codec: &'static dyn Codec,
    free: Sender<Slot>,
    gathered: Vec<u8>,
    /// Bytes that are in the file, not only gathered.
    written: u64,
    positions: Vec<u64>,
    checksum: Checksum,
    /// Where a placeholder waits for its header.
    gap: Option<u64>,
}

impl Appender {
    pub(super) fn new(file: Arc<File>, codec: &'static dyn Codec, free: Sender<Slot>) -> Self {
        let mut checksum = Checksum::new();
        checksum.add(codec.head());
        Appender {
            file,
            codec,
            free,
            gathered: codec.head().to_vec(),
            written: 0,
            positions: Vec::new(),
            checksum,
            gap: None,
        }
    }

    /// Succeeds only through [`Step::Trailer`]: an inbox that just ends is a writer that was given up.
    pub(super) fn run(mut self, inbox: Receiver<Step>) -> Result<Written, WriteError> {
        for step in inbox {
            match step {
                Step::Remember => self.positions.push(self.position()),
                Step::Member(ticket) => self.member(ticket.wait())?,
                Step::Packed(slot) => self.member(slot)?,
                Step::Placeholder => {
                    self.checksum.leave_gap();
                    self.gap = Some(self.position());
                    self.append(&self.codec.placeholder(&[0; TAR_BLOCK]))?;
                }
                Step::Fill(header) => self.fill(&header)?,
                Step::Positions(reply) => {
                    let _ = reply.send(self.positions.clone());
                }
                Step::Trailer(manifest) => return self.end(manifest),
            }
        }
        Err(WriteError::Order("its writer was given up"))
    }

    fn member(&mut self, slot: Slot) -> Result<(), WriteError> {
        if !slot.packed {
            return Err(WriteError::Order("a block could not be compressed"));
        }
        self.checksum.add(&slot.buffer);
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
        let gap = self.gap.take();
        let position = gap.ok_or(WriteError::Order("a header has no place"))?;
        let member = self.codec.placeholder(header);
        self.checksum.fill_gap(&member);
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
            return Err(WriteError::Order("a header is missing"));
        }
        let position = self.positions.get(manifest.0).copied();
        let manifest_position = position.ok_or(WriteError::Order("its manifest has no place"))?;
        let crc64 = self.checksum.so_far();
        self.append(&self.codec.trailer(manifest_position, crc64))?;
        self.write_out()?;
        Ok(Written {
            archive_bytes: self.written,
            crc64,
        })
    }
}
