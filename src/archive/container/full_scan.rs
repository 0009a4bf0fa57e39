//! Reads an archive of ours from end to end: one thread reads, all cores decompress, one looks at what comes out.
//!
//! A damaged member spoils its own section only: reading goes on with the next one, so that a report can name what is
//! lost and what is not.

use super::codec::{BLOCK_BYTES, Codec, MemberError};
use super::reader::{Damage, Members, NativeArchive, Section};
use crate::archive::io::Hashing;
use crate::archive::source::Source;
use crate::archive::worker_pool::{Pool, Ticket};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What reading the whole file showed, besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FullScan {
    pub sha256: [u8; 32],
    /// Whether the CRC-64 in the trailer is that of the file.
    pub crc64_matches: bool,
}

impl NativeArchive {
    /// Reads every byte once, in order. `visit` is given each section's tar bytes; what it leaves is skipped.
    ///
    /// `moved` is told the bytes read so far. Setting `stop` ends it soon, with [`Damage::Interrupted`].
    pub(crate) fn full_scan(
        &self,
        sections: &[Section],
        threads: NonZeroUsize,
        stop: &AtomicBool,
        moved: impl Fn(u64) + Send,
        mut visit: impl FnMut(&Section, &mut dyn Read),
    ) -> Result<FullScan, Damage> {
        let (slots, codec) = (2 * threads.get() + 2, self.codec);
        let pool = Pool::start(threads, slots, "decompress", || {
            let mut unpacker = codec.unpacker();
            move |mut slot: Slot, _| {
                slot.unpacked = unpacker.unpack(&slot.member, &mut slot.block);
                slot
            }
        })?;
        let (free_sender, free) = bounded(slots);
        for _ in 0..slots {
            let _ = free_sender.send(Slot::new());
        }
        let (sender, pieces) = bounded(slots);
        let crc64 = self.crc64;
        let hashed_bytes = self.archive_bytes - codec.trailer_bytes() as u64;
        let reader = Sequential {
            codec,
            input: Hashing::new(self.source.at(0), hashed_bytes),
            pool,
            free,
            pieces: sender,
        };
        thread::scope(|scope| {
            let reader = thread::Builder::new()
                .name("read".into())
                .spawn_scoped(scope, move || reader.run(sections, stop, moved))?;
            let mut stream = Pieces {
                pieces,
                next: None,
                free: free_sender,
            };
            for (index, section) in sections.iter().enumerate() {
                let mut input = SectionReader {
                    stream: &mut stream,
                    index,
                    slot: None,
                    at: 0,
                    failed: false,
                };
                visit(section, &mut input);
                input.drain();
            }
            drop(stream);
            let (sha256, crc) = reader
                .join()
                .map_err(|_| io::Error::other("a reading thread stopped"))??;
            Ok(FullScan {
                sha256,
                crc64_matches: crc == crc64,
            })
        })
    }
}

/// A member on its way through the pool.
struct Slot {
    position: u64,
    member: Vec<u8>,
    block: Vec<u8>,
    unpacked: Result<(), MemberError>,
}

impl Slot {
    fn new() -> Self {
        Slot {
            position: 0,
            member: Vec::new(),
            block: Vec::with_capacity(BLOCK_BYTES),
            unpacked: Ok(()),
        }
    }
}

/// A member of the section with this index, or why it could not be read.
struct Piece {
    section: usize,
    content: Result<Ticket<Slot>, Damage>,
}

/// The one thread that reads the file.
struct Sequential {
    codec: &'static dyn Codec,
    input: Hashing<Source>,
    pool: Pool<Slot, Slot>,
    free: Receiver<Slot>,
    pieces: Sender<Piece>,
}

impl Sequential {
    fn run(
        mut self,
        sections: &[Section],
        stop: &AtomicBool,
        moved: impl Fn(u64),
    ) -> Result<([u8; 32], u64), Damage> {
        // The buffers of a member that could not be read; losing them would starve the queue bit by bit.
        let mut spare = None;
        // What the file begins with is no member of any section.
        if let Some(first) = sections.first() {
            self.input.skip_to(first.start)?;
        }
        for (index, section) in sections.iter().enumerate() {
            let mut members = Members {
                codec: self.codec,
                position: section.start,
                end: section.end,
            };
            while members.position < section.end {
                if stop.load(Ordering::Relaxed) {
                    return Err(Damage::Interrupted);
                }
                // Nobody receives any more only when the visitor panicked; the scope carries that on.
                let Some(mut slot) = spare.take().or_else(|| self.free.recv().ok()) else {
                    return Err(Damage::Interrupted);
                };
                slot.position = members.position;
                let content = match members.next(&mut self.input, &mut slot.member) {
                    Ok(()) => Ok(self.pool.submit(slot)),
                    Err(damage) => {
                        spare = Some(slot);
                        Err(damage)
                    }
                };
                let damaged = content.is_err();
                if self
                    .pieces
                    .send(Piece {
                        section: index,
                        content,
                    })
                    .is_err()
                {
                    return Err(Damage::Interrupted);
                }
                moved(self.input.position());
                if damaged {
                    self.input.skip_to(section.end)?;
                    break;
                }
            }
        }
        Ok(self.input.finish()?)
    }
}

/// All pieces, in order.
struct Pieces {
    pieces: Receiver<Piece>,
    next: Option<Piece>,
    free: Sender<Slot>,
}

/// The tar bytes of one section.
struct SectionReader<'p> {
    stream: &'p mut Pieces,
    index: usize,
    slot: Option<Slot>,
    at: usize,
    failed: bool,
}

impl SectionReader<'_> {
    /// The next block of this section; none at its end.
    fn advance(&mut self) -> Result<bool, Damage> {
        if let Some(slot) = self.slot.take() {
            let _ = self.stream.free.send(slot);
        }
        if self.stream.next.is_none() {
            self.stream.next = self.stream.pieces.recv().ok();
        }
        if self
            .stream
            .next
            .as_ref()
            .is_none_or(|piece| piece.section != self.index)
        {
            return Ok(false);
        }
        let Some(piece) = self.stream.next.take() else {
            return Ok(false);
        };
        let slot = piece.content?.wait();
        let (position, unpacked) = (slot.position, slot.unpacked.clone());
        self.at = 0;
        self.slot = Some(slot);
        unpacked.map_err(|error| Damage::Member { position, error })?;
        Ok(true)
    }

    /// Takes what is left of this section out of the way of the next.
    fn drain(&mut self) {
        while !matches!(self.advance(), Ok(false)) {}
    }
}

impl Read for SectionReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.failed {
                return Err(io::Error::other("this part of the archive is damaged"));
            }
            if let Some(slot) = &self.slot
                && self.at < slot.block.len()
            {
                let step = buffer.len().min(slot.block.len() - self.at);
                buffer[..step].copy_from_slice(&slot.block[self.at..self.at + step]);
                self.at += step;
                return Ok(step);
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(damage) => {
                    self.failed = true;
                    return Err(io::Error::other(damage));
                }
            }
        }
    }
}
