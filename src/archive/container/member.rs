//! The gzip members an archive is made of.
//!
//! An archive is an ordinary gzip file of many members, each of at most [`BLOCK_BYTES`] of tar. Every member's header
//! carries its own compressed size in an extra field, so that a reader finds the next one without decompressing, and all
//! cores can work at once. The last member holds the end of the tar, and in its extra field where the manifest lies and
//! the CRC-64 of every byte before it: with it, an archive proves itself even when its `.sha256` is lost.
//!
//! Nothing in a member is free to vary but its content. Times, names, flags: all are fixed and all are compared, since a
//! flipped bit in a field that gzip ignores is damage too.

use libdeflater::{CompressionLvl, Compressor, Decompressor};

/// Tar bytes in one member.
pub(super) const BLOCK_BYTES: usize = 1024 * 1024;

/// gzip, deflate, with an extra field, no time, no name; made on "unknown". Then the extra field's length and its id.
const DATA_HEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'P', b'K', 4, 0];
const TRAILER_HEAD: [u8; 16] = [
    0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 20, 0, b'P', b'E', 16, 0,
];

/// Bytes before the deflate stream of a data member.
pub(super) const HEADER_BYTES: usize = DATA_HEAD.len() + 4;
/// CRC-32 and length, behind the deflate stream.
const FOOTER_BYTES: usize = 8;
/// What a stored deflate block adds to its content.
const STORED_BYTES: usize = 5;
/// Two blocks of zeros end a tar.
const TAR_END: [u8; 1024] = [0; 1024];
/// The trailer's length in bytes, always.
pub(super) const TRAILER_BYTES: usize =
    TRAILER_HEAD.len() + 16 + STORED_BYTES + TAR_END.len() + FOOTER_BYTES;
/// No member of ours is larger than this, in bytes: a full block that would not compress, and some slack.
pub(super) const LARGEST_BYTES: usize = BLOCK_BYTES + BLOCK_BYTES / 64 + 1024;

/// libdeflate's level for each of gzip's. Its 6 takes a third more time than its 5 for archives 2 % smaller; on two cores
/// that is what makes a backup slower than the dump it is made of.
const LIBDEFLATE_LEVELS: [i32; 9] = [1, 2, 3, 3, 4, 5, 6, 8, 9];

/// What is wrong with a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemberError {
    #[error("no compressed block begins here")]
    Head,
    #[error("a compressed block claims an impossible size of {0} bytes")]
    Size(u32),
    #[error("a compressed block does not decompress")]
    Deflate,
}

/// By how many levels compression gives way when there is no time.
const QUICKER: u8 = 2;

/// Compresses blocks; one for each thread.
pub(super) struct Packer {
    thorough: Compressor,
    quick: Compressor,
    member: Vec<u8>,
}

/// How much time there is for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    Thorough,
    Quick,
}

impl Packer {
    /// `level` is on gzip's scale, 1 to 9; one outside is taken as the nearest.
    pub(super) fn new(level: u8) -> Self {
        let compressor = |level: u8| {
            let level = LIBDEFLATE_LEVELS[usize::from(level.clamp(1, 9)) - 1];
            Compressor::new(CompressionLvl::new(level).unwrap_or_default())
        };
        let quick = compressor(level.saturating_sub(QUICKER));
        Packer {
            thorough: compressor(level),
            quick,
            member: Vec::new(),
        }
    }

    /// Puts the compressed member in the place of its block: while it waits to be written it takes no more memory than
    /// that. False when it did not fit, which the bound rules out.
    pub(super) fn pack(&mut self, buffer: &mut Vec<u8>, pace: Effort) -> bool {
        let compressor = match pace {
            Effort::Thorough => &mut self.thorough,
            Effort::Quick => &mut self.quick,
        };
        let member = &mut self.member;
        member.resize(
            HEADER_BYTES + compressor.deflate_compress_bound(buffer.len()) + FOOTER_BYTES,
            0,
        );
        let Ok(deflated) = compressor.deflate_compress(buffer, &mut member[HEADER_BYTES..]) else {
            return false;
        };
        member.truncate(HEADER_BYTES + deflated);
        close(member, buffer);
        buffer.clear();
        buffer.extend_from_slice(member);
        true
    }
}

/// Decompresses members; one for each thread.
pub(super) struct Unpacker(Decompressor);

impl Default for Unpacker {
    fn default() -> Self {
        Unpacker(Decompressor::new())
    }
}

impl Unpacker {
    /// Writes what `member` holds over what `block` held.
    pub(super) fn unpack(&mut self, member: &[u8], block: &mut Vec<u8>) -> Result<(), MemberError> {
        block.resize(BLOCK_BYTES, 0);
        let length = self
            .0
            .gzip_decompress(member, block)
            .map_err(|_| MemberError::Deflate)?;
        block.truncate(length);
        Ok(())
    }
}

/// A tar header in an uncompressed member of its own: it can be filled in later without changing its length. Before the
/// header is known, pass zeros.
pub(super) fn placeholder(tar_header: &[u8; 512]) -> Vec<u8> {
    let mut member = vec![0; HEADER_BYTES];
    store(&mut member, tar_header);
    close(&mut member, tar_header);
    member
}

/// The last member: the end of the tar, and what makes the archive self-sufficient.
///
/// `crc64` is the CRC-64/XZ of every byte of the file before this member.
pub(super) fn trailer(manifest_position: u64, crc64: u64) -> Vec<u8> {
    let mut member = TRAILER_HEAD.to_vec();
    member.extend_from_slice(&manifest_position.to_le_bytes());
    member.extend_from_slice(&crc64.to_le_bytes());
    store(&mut member, &TAR_END);
    member.extend_from_slice(&libdeflater::crc32(&TAR_END).to_le_bytes());
    member.extend_from_slice(&(TAR_END.len() as u32).to_le_bytes());
    member
}

/// Reads a trailer back: the manifest's position and the CRC-64. None when a single bit of it is off.
pub(super) fn parse_trailer(bytes: &[u8]) -> Option<(u64, u64)> {
    let field = |at: usize| {
        bytes
            .get(at..at + 8)?
            .first_chunk::<8>()
            .map(|bytes| u64::from_le_bytes(*bytes))
    };
    let (manifest_position, crc64) = (field(TRAILER_HEAD.len())?, field(TRAILER_HEAD.len() + 8)?);
    (trailer(manifest_position, crc64) == bytes).then_some((manifest_position, crc64))
}

/// Whether a file that begins with these bytes was written by us.
pub(super) fn is_ours(first_bytes: &[u8]) -> bool {
    first_bytes.get(12..14) == Some(&DATA_HEAD[12..14])
}

/// A member's whole size, from its first [`HEADER_BYTES`] bytes.
pub(super) fn member_bytes(header: &[u8; HEADER_BYTES]) -> Result<usize, MemberError> {
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

/// Adds the footer, then the header, which needs to know the whole size.
fn close(member: &mut Vec<u8>, content: &[u8]) {
    member.extend_from_slice(&libdeflater::crc32(content).to_le_bytes());
    member.extend_from_slice(&(content.len() as u32).to_le_bytes());
    let size = member.len() as u32;
    member[..DATA_HEAD.len()].copy_from_slice(&DATA_HEAD);
    member[DATA_HEAD.len()..HEADER_BYTES].copy_from_slice(&size.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_placeholder_keeps_its_length_whatever_it_holds() {
        assert_eq!(
            placeholder(&[0; 512]).len(),
            placeholder(&[0xa5; 512]).len()
        );
    }

    #[test]
    fn no_bit_of_a_trailer_can_flip_unnoticed() {
        let whole = trailer(123_456, 0xdead_beef_0bad_cafe);
        assert_eq!(whole.len(), TRAILER_BYTES);
        assert_eq!(
            parse_trailer(&whole),
            Some((123_456, 0xdead_beef_0bad_cafe))
        );
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = parse_trailer(&flipped);
            let in_fields = (16..32).contains(&(bit / 8));
            // Inside the two fields a flip reads as other values, which then match neither the file nor its manifest.
            assert!(if in_fields {
                read != Some((123_456, 0xdead_beef_0bad_cafe))
            } else {
                read.is_none()
            });
        }
    }

    proptest! {
        #[test]
        fn blocks_come_back_as_they_were(block in prop::collection::vec(any::<u8>(), 0..70_000), level in 1u8..=9, quick: bool) {
            let (mut member, mut back) = (block.clone(), Vec::new());
            let pace = if quick { Effort::Quick } else { Effort::Thorough };
            prop_assert!(Packer::new(level).pack(&mut member, pace));
            let header = member.first_chunk::<HEADER_BYTES>().unwrap();
            prop_assert_eq!(member_bytes(header).unwrap(), member.len());
            Unpacker::default().unpack(&member, &mut back).unwrap();
            prop_assert_eq!(back, block);
        }
    }
}
