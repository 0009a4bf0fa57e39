//! What differs between a `.tar.gz` and a `.tar.zst` of ours; everything else in `container` knows neither.
//!
//! Both are many *members*, one behind the other, which decompress independently of each other into at most
//! [`BLOCK_BYTES`] of tar. A member's length can be read without decompressing it, so that one thread finds the members
//! and all cores work on them. The trailer ends the tar, and says where the manifest lies and the CRC-64 of every byte
//! before it: with it, an archive proves itself even when its `.sha256` is lost.

mod gzip;
mod zstd;

use super::tar_header::TAR_BLOCK;
use crate::archive::compression::Compression;
use std::fmt::Debug;
use std::io::{self, Read};

/// Tar bytes in one member.
pub(super) const BLOCK_BYTES: usize = 1024 * 1024;

/// No member of ours is larger than this, in bytes: a full block that would not compress, and some slack.
pub(super) const LARGEST_BYTES: usize = BLOCK_BYTES + BLOCK_BYTES / 64 + 1024;

/// Two blocks of zeros end a tar.
const TAR_END: [u8; 2 * TAR_BLOCK] = [0; 2 * TAR_BLOCK];

/// By how many levels compression gives way when there is no time.
const QUICKER: u8 = 2;

/// What is wrong with a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemberError {
    #[error("no compressed block begins here")]
    Head,
    #[error("a compressed block claims an impossible size of {0} bytes")]
    Size(u32),
    #[error("a compressed block does not decompress")]
    Content,
}

/// Why the next member could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(io::Error),
    Member(MemberError),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        ReadError::Io(error)
    }
}

impl From<MemberError> for ReadError {
    fn from(error: MemberError) -> Self {
        ReadError::Member(error)
    }
}

/// How much time there is for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    Thorough,
    Quick,
}

/// Compresses blocks; one for each thread.
pub(super) trait Pack: Send {
    /// Puts the compressed member in the place of its block: while it waits to be written it takes no more memory than
    /// that. False when it did not fit, which the bound rules out.
    fn pack(&mut self, buffer: &mut Vec<u8>, effort: Effort) -> bool;
}

/// Decompresses members; one for each thread.
pub(super) trait Unpack: Send {
    /// Writes what `member` holds over what `block` held.
    fn unpack(&mut self, member: &[u8], block: &mut Vec<u8>) -> Result<(), MemberError>;
}

/// One kind of archive.
pub(super) trait Codec: Debug + Sync {
    /// What the file begins with, before its first member.
    fn head(&self) -> &'static [u8];

    /// Whether a file that begins with these bytes was written by us.
    fn is_ours(&self, first_bytes: &[u8]) -> bool;

    /// `level` is on gzip's scale, 1 to 9; one outside is taken as the nearest.
    fn packer(&self, level: u8) -> Box<dyn Pack>;

    fn unpacker(&self) -> Box<dyn Unpack>;

    /// Reads the next member over what `member` held. One that would be larger than `most` bytes is damaged.
    fn read_member(
        &self,
        input: &mut dyn Read,
        most: u64,
        member: &mut Vec<u8>,
    ) -> Result<(), ReadError>;

    /// A tar header in an uncompressed member: it can be filled in later without changing its length. Before the header
    /// is known, pass zeros.
    fn placeholder(&self, tar_header: &[u8; TAR_BLOCK]) -> Vec<u8>;

    /// The trailer's length, always.
    fn trailer_bytes(&self) -> usize;

    /// The end of the tar, and what makes the archive self-sufficient. `crc64` is the CRC-64/XZ of every byte before it.
    fn trailer(&self, manifest_position: u64, crc64: u64) -> Vec<u8>;

    /// Where in the trailer the manifest's position is, and the CRC-64 right behind it.
    fn trailer_fields_at(&self) -> usize;

    /// Reads a trailer back: the manifest's position and the CRC-64. None when a single bit of it is off.
    fn parse_trailer(&self, bytes: &[u8]) -> Option<(u64, u64)> {
        let at = self.trailer_fields_at();
        let field = |at: usize| {
            bytes
                .get(at..)?
                .first_chunk()
                .map(|bytes| u64::from_le_bytes(*bytes))
        };
        let (manifest_position, crc64) = (field(at)?, field(at + 8)?);
        (self.trailer(manifest_position, crc64) == bytes).then_some((manifest_position, crc64))
    }
}

/// The one of this compression.
pub(super) fn of(compression: Compression) -> &'static dyn Codec {
    match compression {
        Compression::Gzip => &gzip::Gzip,
        Compression::Zstd => &zstd::Zstd,
    }
}

/// Whose trailer a file ends with, and what it says: the manifest's position and the CRC-64.
pub(super) fn by_trailer(tail: &[u8]) -> Option<(&'static dyn Codec, u64, u64)> {
    Compression::ALL.into_iter().find_map(|compression| {
        let codec = of(compression);
        let trailer = tail.get(tail.len().checked_sub(codec.trailer_bytes())?..)?;
        let (manifest_position, crc64) = codec.parse_trailer(trailer)?;
        Some((codec, manifest_position, crc64))
    })
}

/// As many bytes as the longest head, and as the longest trailer.
pub(super) const LONGEST_END: u64 = 2048;

/// Whether a file that begins so was written by us.
pub(super) fn begins_like_ours(first_bytes: &[u8]) -> bool {
    Compression::ALL
        .into_iter()
        .any(|compression| of(compression).is_ours(first_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_placeholder_keeps_its_length_and_holds_what_was_put_in() {
        for codec in Compression::ALL.map(of) {
            let mut lengths = Vec::new();
            for header in [[0; TAR_BLOCK], [0xa5; TAR_BLOCK]] {
                let placeholder = codec.placeholder(&header);
                let (mut member, mut block) = (Vec::new(), Vec::new());
                codec
                    .read_member(&mut placeholder.as_slice(), 4096, &mut member)
                    .unwrap();
                assert_eq!(member, placeholder);
                codec.unpacker().unpack(&member, &mut block).unwrap();
                assert_eq!(block, header);
                lengths.push(placeholder.len());
            }
            assert_eq!(lengths[0], lengths[1]);
        }
    }

    #[test]
    fn no_bit_of_a_trailer_can_flip_unnoticed() {
        let fields = Some((123_456, 0xdead_beef_0bad_cafe));
        for codec in Compression::ALL.map(of) {
            let whole = codec.trailer(123_456, 0xdead_beef_0bad_cafe);
            assert_eq!(whole.len(), codec.trailer_bytes());
            assert!(whole.len() as u64 <= LONGEST_END);
            assert_eq!(codec.parse_trailer(&whole), fields);
            let at = codec.trailer_fields_at();
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let read = codec.parse_trailer(&flipped);
                // Inside the two fields a flip reads as other values, which match neither the file nor its manifest.
                assert!(match (at..at + 16).contains(&(bit / 8)) {
                    true => read != fields,
                    false => read.is_none(),
                });
            }
        }
    }

    #[test]
    fn an_archive_is_known_by_its_ends_and_by_those_of_its_own_kind() {
        for codec in Compression::ALL.map(of) {
            let tail = [&[7; 100][..], &codec.trailer(1, 2)].concat();
            let (found, position, crc64) = by_trailer(&tail).unwrap();
            assert_eq!((found.head(), position, crc64), (codec.head(), 1, 2));
        }
        assert!(by_trailer(b"short").is_none());
    }

    #[test]
    fn a_member_that_claims_more_than_there_may_be_is_refused() {
        for codec in Compression::ALL.map(of) {
            let (mut packed, mut member) = (vec![1; 5000], Vec::new());
            assert!(codec.packer(6).pack(&mut packed, Effort::Thorough));
            let most = packed.len() as u64 - 1;
            let read = codec.read_member(&mut packed.as_slice(), most, &mut member);
            assert!(
                matches!(read, Err(ReadError::Member(MemberError::Size(_)))),
                "{read:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn blocks_come_back_as_they_were(
            block in prop::collection::vec(any::<u8>(), 0..5_000), times in 1usize..300, level in 1u8..=9, quick: bool,
        ) {
            let mut block = block.repeat(times);
            block.truncate(BLOCK_BYTES);
            for codec in Compression::ALL.map(of) {
                let (mut packed, mut member, mut back) = (block.clone(), Vec::new(), Vec::new());
                let effort = if quick { Effort::Quick } else { Effort::Thorough };
                prop_assert!(codec.packer(level).pack(&mut packed, effort));
                let behind = [packed.as_slice(), b"what follows"].concat();
                codec.read_member(&mut behind.as_slice(), behind.len() as u64, &mut member).unwrap();
                prop_assert_eq!(&member, &packed);
                codec.unpacker().unpack(&member, &mut back).unwrap();
                prop_assert_eq!(&back, &block);
            }
        }

        #[test]
        fn nothing_at_all_makes_a_codec_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), as_zstd: bool) {
            if as_zstd && bytes.len() > 5 {
                bytes[..5].copy_from_slice(&[0x28, 0xb5, 0x2f, 0xfd, 0xa4]);
            }
            for codec in Compression::ALL.map(of) {
                let (mut member, mut block) = (Vec::new(), Vec::new());
                if codec.read_member(&mut bytes.as_slice(), 1 << 20, &mut member).is_ok() {
                    let _ = codec.unpacker().unpack(&member, &mut block);
                }
            }
        }
    }
}
