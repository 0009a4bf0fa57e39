//! Reads single sections of an archive of ours, without the rest of it: how one collection comes out of a large archive.

use super::codec::{BLOCK_BYTES, Unpack};
use super::member_cache::MemberCache;
use super::reader::{Damage, Members, NativeArchive, Role, Section};
use super::tar_header::padding;
use std::io::{self, Read};
use std::sync::{MutexGuard, PoisonError};
use tar::{EntryType, Header};

/// The tar bytes of one section.
pub(crate) struct Extract<'a> {
    ours: &'a NativeArchive,
    members: Members,
    unpacker: Box<dyn Unpack>,
    member: Vec<u8>,
    block: Vec<u8>,
    at: usize,
}

impl NativeArchive {
    /// Reads one section of [`NativeArchive::sections`]. Several may be read at once.
    pub(crate) fn extract(&self, section: &Section) -> Extract<'_> {
        Extract {
            ours: self,
            members: Members {
                codec: self.codec,
                position: section.start,
                end: section.end,
            },
            unpacker: self.codec.unpacker(),
            member: Vec::new(),
            block: Vec::with_capacity(BLOCK_BYTES),
            at: 0,
        }
    }

    /// Reads the one file of documents that a section consists of, without what the tar has around it. None when it is not
    /// such a section: small collections share theirs.
    ///
    /// For sections that were verified before.
    pub(crate) fn extract_alone(
        &self,
        section: &Section,
    ) -> io::Result<Option<io::Take<Extract<'_>>>> {
        if !matches!(section.files.as_slice(), [Role::Data(_)]) {
            return Ok(None);
        }
        let mut extract = self.extract(section);
        let mut header = Header::new_gnu();
        loop {
            extract.read_exact(header.as_mut_bytes())?;
            let bytes = header.entry_size()?;
            match header.entry_type() {
                EntryType::Regular => return Ok(Some(extract.take(bytes))),
                // What carries a long name.
                _ => io::copy(
                    &mut (&mut extract).take(bytes + padding(bytes) as u64),
                    &mut io::sink(),
                )?,
            };
        }
    }

    fn kept(&self) -> MutexGuard<'_, MemberCache> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Extract<'_> {
    /// Where in the archive reading has come to, in bytes.
    pub(crate) fn position(&self) -> u64 {
        self.members.position
    }

    /// The next block; none at the section's end.
    fn advance(&mut self) -> Result<bool, Damage> {
        self.block.clear();
        self.at = 0;
        let position = self.members.position;
        if position >= self.members.end {
            return Ok(false);
        }
        let kept = self.ours.kept().get(position);
        match kept {
            Some(member) => {
                self.members.position += member.len() as u64;
                self.member = member;
            }
            None => {
                let mut input = self.ours.source.at(position);
                self.members.next(&mut input, &mut self.member)?;
                self.ours.kept().keep(position, &self.member);
            }
        }
        let unpacked = self.unpacker.unpack(&self.member, &mut self.block);
        unpacked.map_err(|error| Damage::Member { position, error })?;
        Ok(true)
    }
}

impl Read for Extract<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.advance().map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        let step = buffer.len().min(self.block.len() - self.at);
        buffer[..step].copy_from_slice(&self.block[self.at..self.at + step]);
        self.at += step;
        Ok(step)
    }
}
