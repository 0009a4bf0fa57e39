//! Reads an archive of ours: first the trailer, then the manifest, then any part of the rest, on all cores.
//!
//! The manifest cuts the archive into sections, each of which begins with a gzip member. A damaged member spoils its own
//! section only: reading goes on with the next one, so that a report can name what is lost and what is not.

use super::hashing::Hashing;
use super::member::{self, BLOCK_BYTES, HEADER_BYTES, MemberError, TRAILER_BYTES, Unpacker};
use crate::manifest::{self, Manifest};
use crate::pool::{Pool, Ticket};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A manifest larger than this, in bytes of JSON, is not one of ours: a hundred thousand collections take a third of it.
const LONGEST_MANIFEST: u64 = 128 * 1024 * 1024;

/// What keeps an archive from being read.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("reading failed: {0}")]
    Read(#[from] io::Error),
    #[error("the file is empty")]
    Empty,
    #[error("the end is missing or damaged: the archive was cut short or changed")]
    Trailer,
    #[error("the manifest is damaged: {0}")]
    Manifest(String),
    #[error("at byte {position}: {error}")]
    Member { position: u64, error: MemberError },
    #[error("at byte {position}: the file ends inside a compressed block")]
    Cut { position: u64 },
    #[error("reading was interrupted")]
    Interrupted,
}

/// What a file in the archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Prelude,
    /// Options and indexes of the manifest's namespace with this index.
    Metadata(usize),
    /// Documents of the manifest's namespace with this index.
    Data(usize),
    Manifest,
}

/// A file that the manifest says is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// With the archive's folder in front.
    pub path: String,
    pub role: Role,
}

/// A run of gzip members that begins with a tar header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub start: u64,
    pub end: u64,
    pub files: Vec<Expected>,
}

/// A file, and whose it is.
pub enum Opened {
    Ours(Box<Ours>),
    /// Not written by Pantry Keeper, or so damaged that nothing shows it any more.
    Foreign(File),
}

/// An archive of ours with an intact trailer and manifest.
pub struct Ours {
    file: File,
    pub manifest: Manifest,
    pub archive_bytes: u64,
    manifest_position: u64,
    crc64: u64,
}

/// Opens an archive. One that begins or ends like ours has to have a sound manifest too.
pub fn open(mut file: File) -> Result<Opened, Damage> {
    let archive_bytes = file.metadata()?.len();
    if archive_bytes == 0 {
        return Err(Damage::Empty);
    }
    let mut head = Vec::with_capacity(HEADER_BYTES);
    (&file).take(HEADER_BYTES as u64).read_to_end(&mut head)?;
    let mut tail = Vec::with_capacity(TRAILER_BYTES);
    file.seek(SeekFrom::Start(archive_bytes.saturating_sub(TRAILER_BYTES as u64)))?;
    (&file).take(TRAILER_BYTES as u64).read_to_end(&mut tail)?;
    let Some((manifest_position, crc64)) = member::parse_trailer(&tail) else {
        if member::is_ours(&head) {
            return Err(Damage::Trailer);
        }
        file.rewind()?;
        return Ok(Opened::Foreign(file));
    };
    let end = archive_bytes - TRAILER_BYTES as u64;
    let manifest = read_manifest(&mut file, manifest_position, end)?;
    Ok(Opened::Ours(Box::new(Ours { file, manifest, archive_bytes, manifest_position, crc64 })))
}

fn read_manifest(file: &mut File, start: u64, end: u64) -> Result<Manifest, Damage> {
    if start >= end {
        return Err(Damage::Manifest("it lies outside the file".into()));
    }
    file.seek(SeekFrom::Start(start))?;
    let (mut members, mut unpacker, mut tar) = (Members { position: start, end }, Unpacker::default(), Vec::new());
    let (mut member, mut block) = (Vec::new(), Vec::new());
    while members.position < end {
        let position = members.position;
        members.next(file, &mut member)?;
        unpacker.unpack(&member, &mut block).map_err(|error| Damage::Member { position, error })?;
        tar.extend_from_slice(&block);
        if tar.len() as u64 > LONGEST_MANIFEST {
            return Err(Damage::Manifest("it is too large".into()));
        }
    }
    let damaged = |error: String| Damage::Manifest(error);
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut entries = archive.entries().map_err(|error| damaged(error.to_string()))?;
    let entry = entries.next().ok_or_else(|| damaged("it is missing".into()))?;
    let mut entry = entry.map_err(|error| damaged(error.to_string()))?;
    if !entry.path_bytes().ends_with(manifest::FILE_NAME.as_bytes()) {
        return Err(damaged("another file stands in its place".into()));
    }
    let mut json = Vec::new();
    entry.read_to_end(&mut json).map_err(|error| damaged(error.to_string()))?;
    Manifest::from_json(&json).map_err(|error| damaged(error.to_string()))
}

/// Walks from member to member.
struct Members {
    position: u64,
    end: u64,
}

impl Members {
    /// Reads the next member over what `member` held.
    fn next(&mut self, input: &mut impl Read, member: &mut Vec<u8>) -> Result<(), Damage> {
        let position = self.position;
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Damage::Cut { position },
            _ => Damage::Read(error),
        };
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header).map_err(cut)?;
        member.clear();
        member.extend_from_slice(&header);
        let size = member::member_bytes(&header).map_err(|error| Damage::Member { position, error })?;
        if position + size as u64 > self.end {
            return Err(Damage::Member { position, error: MemberError::Size(size as u32) });
        }
        member.resize(size, 0);
        input.read_exact(&mut member[HEADER_BYTES..]).map_err(cut)?;
        self.position += size as u64;
        Ok(())
    }
}

/// What reading the whole file showed, besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrubbed {
    pub sha256: [u8; 32],
    /// Whether the CRC-64 in the trailer is that of the file.
    pub crc64_matches: bool,
}

impl Ours {
    /// The archive's sections, in file order, or what in the manifest contradicts itself.
    pub fn sections(&self) -> Result<Vec<Section>, Damage> {
        let mut starts: BTreeMap<u64, Vec<Expected>> = BTreeMap::new();
        let root = &self.manifest.archive;
        let inside = |path: &str| format!("{root}/{path}");
        if self.manifest_position > 0 {
            starts.entry(0).or_default().push(Expected { path: inside("prelude.json"), role: Role::Prelude });
        }
        for (index, entry) in self.manifest.namespaces.iter().enumerate() {
            let metadata = entry.metadata.as_ref().map(|place| (place, Role::Metadata(index)));
            let data = entry.data.as_ref().map(|place| (place, Role::Data(index)));
            for (place, role) in metadata.into_iter().chain(data) {
                if place.position >= self.manifest_position {
                    return Err(Damage::Manifest(format!("{} lies outside the archive", entry.namespace)));
                }
                starts.entry(place.position).or_default().push(Expected { path: inside(&place.path), role });
            }
        }
        let manifest = Expected { path: inside(manifest::FILE_NAME), role: Role::Manifest };
        starts.entry(self.manifest_position).or_default().push(manifest);
        let end = self.archive_bytes - TRAILER_BYTES as u64;
        let ends: Vec<u64> = starts.keys().copied().skip(1).chain([end]).collect();
        Ok(starts.into_iter().zip(ends).map(|((start, files), end)| Section { start, end, files }).collect())
    }

    /// Reads every byte once, in order. `visit` is given each section's tar bytes; what it leaves is skipped.
    ///
    /// `moved` is told the bytes read so far. Setting `stop` ends it soon, with [`Damage::Interrupted`].
    pub fn scrub(
        mut self,
        sections: &[Section],
        threads: NonZeroUsize,
        stop: &AtomicBool,
        moved: impl Fn(u64) + Send,
        mut visit: impl FnMut(&Section, &mut dyn Read),
    ) -> Result<Scrubbed, Damage> {
        let pool = Pool::start(threads, "decompress", || {
            let mut unpacker = Unpacker::default();
            move |mut slot: Slot| {
                slot.unpacked = unpacker.unpack(&slot.member, &mut slot.block);
                slot
            }
        })?;
        let slots = 2 * threads.get() + 2;
        let (free_sender, free) = bounded(slots);
        for _ in 0..slots {
            let _ = free_sender.send(Slot::new());
        }
        let (sender, pieces) = bounded(slots);
        let crc64 = self.crc64;
        self.file.rewind()?;
        let reader = Sequential {
            input: Hashing::new(&mut self.file, self.archive_bytes - TRAILER_BYTES as u64),
            pool,
            free,
            pieces: sender,
        };
        thread::scope(|scope| {
            let reader = thread::Builder::new()
                .name("read".into())
                .spawn_scoped(scope, move || reader.run(sections, stop, moved))?;
            let mut stream = Pieces { pieces, next: None, free: free_sender };
            for (index, section) in sections.iter().enumerate() {
                let mut input = SectionReader { stream: &mut stream, index, slot: None, at: 0, failed: false };
                visit(section, &mut input);
                input.drain();
            }
            drop(stream);
            let (sha256, crc) = reader.join().map_err(|_| io::Error::other("a reading thread stopped"))??;
            Ok(Scrubbed { sha256, crc64_matches: crc == crc64 })
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
        Slot { position: 0, member: Vec::new(), block: Vec::with_capacity(BLOCK_BYTES), unpacked: Ok(()) }
    }
}

/// A member of the section with this index, or why it could not be read.
struct Piece {
    section: usize,
    content: Result<Ticket<Slot>, Damage>,
}

/// The one thread that reads the file.
struct Sequential<'f> {
    input: Hashing<&'f mut File>,
    pool: Pool<Slot, Slot>,
    free: Receiver<Slot>,
    pieces: Sender<Piece>,
}

impl Sequential<'_> {
    fn run(mut self, sections: &[Section], stop: &AtomicBool, moved: impl Fn(u64)) -> Result<([u8; 32], u64), Damage> {
        // The buffers of a member that could not be read; losing them would starve the queue bit by bit.
        let mut spare = None;
        for (index, section) in sections.iter().enumerate() {
            let mut members = Members { position: section.start, end: section.end };
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
                    Ok(()) => self.pool.submit(slot).ok_or(Damage::Interrupted),
                    Err(damage) => {
                        spare = Some(slot);
                        Err(damage)
                    }
                };
                let damaged = content.is_err();
                if self.pieces.send(Piece { section: index, content }).is_err() {
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
        if self.stream.next.as_ref().is_none_or(|piece| piece.section != self.index) {
            return Ok(false);
        }
        let Some(piece) = self.stream.next.take() else { return Ok(false) };
        let slot = piece.content?.wait().ok_or(Damage::Interrupted)?;
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
