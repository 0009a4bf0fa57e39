//! Archives in gzip: members whose header carries their own compressed size in an extra field.
//!
//! Nothing in a member is free to vary but its content. Times, names, flags: all are fixed and all are compared, since a
//! flipped bit in a field that gzip ignores is damage too.

use super::{
    BLOCK_BYTES, Codec, Effort, LARGEST_BYTES, MemberError, Pack, QUICKER, ReadError, TAR_END,
    Unpack,
};
use crate::archive::buffer::set_length;
use crate::archive::container::tar_header::TAR_BLOCK;
use libdeflater::{CompressionLvl, Compressor, Decompressor};
use std::io::Read;

#[derive(Debug)]
pub(super) struct Gzip;

/// gzip, deflate, with an extra field, no time, no name; made on "unknown". Then the extra field's length and its id.
const DATA_HEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'P', b'K', 4, 0];
const TRAILER_HEAD: [u8; 16] = [
    0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 20, 0, b'P', b'E', 16, 0,
];

/// Bytes before the deflate stream of a data member.
const HEADER_BYTES: usize = DATA_HEAD.len() + 4;
/// CRC-32 and length, behind the deflate stream.
const FOOTER_BYTES: usize = 8;
/// What a stored deflate block adds to its content.
const STORED_BYTES: usize = 5;
/// The trailer's length in bytes, always.
const TRAILER_BYTES: usize = TRAILER_HEAD.len() + 16 + STORED_BYTES + TAR_END.len() + FOOTER_BYTES;

/// libdeflate's level for each of gzip's. Its 6 takes a third more time than its 5 for archives 2 % smaller; on two cores
/// that is what makes a backup slower than the dump it is made of.
const LIBDEFLATE_LEVELS: [i32; 9] = [1, 2, 3, 3, 4, 5, 6, 8, 9];

struct Packer {
    thorough: Compressor,
    /// Made when it is first needed: each takes some hundred kilobytes.
    quick: Option<Compressor>,
    level: u8,
    /// Room for the longest member.
    member: Vec<u8>,
}

impl Packer {
    fn new(level: u8) -> Self {
        Packer {
            thorough: compressor(level),
            quick: None,
            level,
            member: Vec::new(),
        }
    }
}

fn compressor(level: u8) -> Compressor {
    let level = LIBDEFLATE_LEVELS[usize::from(level.clamp(1, 9)) - 1];
    Compressor::new(CompressionLvl::new(level).unwrap_or_default())
}

impl Pack for Packer {
    fn pack(&mut self, buffer: &mut Vec<u8>, effort: Effort) -> bool {
        let quicker = self.level.saturating_sub(QUICKER);
        let compressor = match effort {
            Effort::Thorough => &mut self.thorough,
            Effort::Quick => self.quick.get_or_insert_with(|| compressor(quicker)),
        };
        let longest = HEADER_BYTES + compressor.deflate_compress_bound(buffer.len()) + FOOTER_BYTES;
        if self.member.len() < longest {
            // Zeros that nobody has written yet take no memory, and most members are much shorter.
            self.member = vec![0; longest];
        }
        let member = &mut self.member;
        let room = &mut member[HEADER_BYTES..longest - FOOTER_BYTES];
        let Ok(deflated) = compressor.deflate_compress(buffer, room) else {
            return false;
        };
        let footer_at = HEADER_BYTES + deflated;
        let size = footer_at + FOOTER_BYTES;
        member[footer_at..size].copy_from_slice(&footer(buffer));
        member[..HEADER_BYTES].copy_from_slice(&header(size));
        buffer.clear();
        buffer.extend_from_slice(&member[..size]);
        true
    }
}

struct Unpacker(Decompressor);

impl Unpack for Unpacker {
    fn unpack(&mut self, member: &[u8], block: &mut Vec<u8>) -> Result<(), MemberError> {
        // Its last bytes say how long it becomes; libdeflate holds them to it.
        let length = member
            .last_chunk()
            .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
        set_length(block, length.min(BLOCK_BYTES));
        let length = self
            .0
            .gzip_decompress(member, block)
            .map_err(|_| MemberError::Content)?;
        block.truncate(length);
        Ok(())
    }
}

impl Codec for Gzip {
    fn head(&self) -> &'static [u8] {
        &[]
    }

    fn is_ours(&self, first_bytes: &[u8]) -> bool {
        first_bytes.get(12..14) == Some(&DATA_HEAD[12..14])
    }

    fn packer(&self, level: u8) -> Box<dyn Pack> {
        Box::new(Packer::new(level))
    }

    fn unpacker(&self) -> Box<dyn Unpack> {
        Box::new(Unpacker(Decompressor::new()))
    }

    fn read_member(
        &self,
        input: &mut dyn Read,
        most: u64,
        member: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header)?;
        let size = member_bytes(&header)?;
        if size as u64 > most {
            return Err(MemberError::Size(size as u32).into());
        }
        set_length(member, size);
        member[..HEADER_BYTES].copy_from_slice(&header);
        Ok(input.read_exact(&mut member[HEADER_BYTES..])?)
    }

    fn placeholder(&self, tar_header: &[u8; TAR_BLOCK]) -> Vec<u8> {
        let mut member = vec![0; HEADER_BYTES];
        store(&mut member, tar_header);
        member.extend_from_slice(&footer(tar_header));
        let header = header(member.len());
        member[..HEADER_BYTES].copy_from_slice(&header);
        member
    }

    fn trailer_bytes(&self) -> usize {
        TRAILER_BYTES
    }

    fn trailer(&self, manifest_position: u64, crc64: u64) -> Vec<u8> {
        let mut member = TRAILER_HEAD.to_vec();
        member.extend_from_slice(&manifest_position.to_le_bytes());
        member.extend_from_slice(&crc64.to_le_bytes());
        store(&mut member, &TAR_END);
        member.extend_from_slice(&footer(&TAR_END));
        member
    }

    fn trailer_fields_at(&self) -> usize {
        TRAILER_HEAD.len()
    }
}

/// A member's whole size, from its first [`HEADER_BYTES`] bytes.
fn member_bytes(header: &[u8; HEADER_BYTES]) -> Result<usize, MemberError> {
    let (head, size) = header.split_at(DATA_HEAD.len());
    if head != DATA_HEAD {
        return Err(MemberError::Head);
    }
    let size = size
        .first_chunk::<4>()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if (HEADER_BYTES + FOOTER_BYTES..=LARGEST_BYTES).contains(&(size as usize)) {
        Ok(size as usize)
    } else {
        Err(MemberError::Size(size))
    }
}

fn store(member: &mut Vec<u8>, content: &[u8]) {
    let length = content.len() as u16;
    member.push(1);
    member.extend_from_slice(&length.to_le_bytes());
    member.extend_from_slice(&(!length).to_le_bytes());
    member.extend_from_slice(content);
}

/// What is before a member's deflate stream: how long the whole member is.
fn header(size: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..DATA_HEAD.len()].copy_from_slice(&DATA_HEAD);
    header[DATA_HEAD.len()..].copy_from_slice(&(size as u32).to_le_bytes());
    header
}

/// What is behind it: the content's checksum and length.
fn footer(content: &[u8]) -> [u8; FOOTER_BYTES] {
    let mut footer = [0; FOOTER_BYTES];
    footer[..4].copy_from_slice(&libdeflater::crc32(content).to_le_bytes());
    footer[4..].copy_from_slice(&(content.len() as u32).to_le_bytes());
    footer
}
