//! Archives in zstd: frames as the encoder makes them, and nothing of our own between them.
//!
//! A frame consists of blocks, and each block's header says how long it is: a reader hops from header to header to the
//! frame's end without decompressing. So members need no field for their length, as gzip's do. What a frame's header may
//! say is fixed but for its content's length: one segment (so that a window is never larger than the block that is being
//! decompressed), with a checksum, without a dictionary. All else is refused, since a flipped bit in what decoders
//! ignore is damage too.
//!
//! What is ours and no part of the tar lies in two frames that every decoder skips: one at the start, which marks the file,
//! and one at the end. The file begins with an empty frame, since not everything that tells files by their first bytes knows
//! those to be skipped.

use super::{
    BLOCK_BYTES, Codec, Effort, LARGEST_BYTES, MemberError, Pack, QUICKER, ReadError, TAR_END,
    Unpack,
};
use crate::archive::buffer::set_length;
use crate::archive::container::tar_header::TAR_BLOCK;
use std::io::{self, Read};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, compress_bound};

#[derive(Debug)]
pub(super) struct Zstd;

/// What zstd makes of no bytes at all; then, to be skipped, whose file this is.
const HEAD: [u8; 42] =
    *b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51\x5b\x2a\x4d\x18\x15\x00\x00\x00Pantry Keeper archive";

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// One segment and a checksum, with one, two or four bytes for the content's length; other descriptors are not ours.
const DESCRIPTORS: [(u8, usize); 3] = [(0x24, 1), (0x64, 2), (0xa4, 4)];
const BLOCK_HEADER_BYTES: usize = 3;
const CHECKSUM_BYTES: usize = 4;
/// Bytes up to the end of the first block's header, with the shortest length.
const SHORTEST_HEAD: usize = MAGIC.len() + 1 + 1 + BLOCK_HEADER_BYTES;

/// Behind it in the trailer: the two fields.
const TRAILER_FRAME: [u8; 12] = *b"\x5b\x2a\x4d\x18\x14\x00\x00\x00PKPE";
const TRAILER_FIELDS_AT: usize =
    MAGIC.len() + 3 + BLOCK_HEADER_BYTES + 1 + CHECKSUM_BYTES + TRAILER_FRAME.len();

/// zstd's level for each of gzip's.
const LEVELS: [i32; 9] = [1, 1, 2, 2, 3, 3, 5, 7, 9];

/// No window is needed beyond a block; it is what memory is taken for.
const WINDOW_LOG: u32 = BLOCK_BYTES.ilog2();

struct Packer {
    thorough: i32,
    quick: i32,
    compressor: Compressor<'static>,
    member: Vec<u8>,
}

impl Packer {
    fn compress(&mut self, block: &[u8], level: i32) -> io::Result<()> {
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::ChecksumFlag(true),
        ] {
            self.compressor.set_parameter(parameter)?;
        }
        self.member.clear();
        self.member.reserve(compress_bound(block.len()));
        self.compressor
            .compress_to_buffer(block, &mut self.member)?;
        Ok(())
    }
}

impl Pack for Packer {
    fn pack(&mut self, buffer: &mut Vec<u8>, effort: Effort) -> bool {
        let level = match effort {
            Effort::Thorough => self.thorough,
            Effort::Quick => self.quick,
        };
        // Only what a reader will take for a member may go into the archive.
        let packed = self.compress(buffer, level).is_ok()
            && self.member.len() <= LARGEST_BYTES
            && self
                .member
                .get(MAGIC.len())
                .is_some_and(|byte| length_bytes(*byte).is_some());
        buffer.clear();
        buffer.extend_from_slice(&self.member);
        packed
    }
}

#[derive(Default)]
struct Unpacker(Decompressor<'static>);

impl Unpack for Unpacker {
    fn unpack(&mut self, member: &[u8], block: &mut Vec<u8>) -> Result<(), MemberError> {
        block.clear();
        block.reserve_exact(BLOCK_BYTES);
        let unpacked = self.0.decompress_to_buffer(member, block);
        match unpacked {
            Ok(length) if length <= BLOCK_BYTES => Ok(()),
            _ => Err(MemberError::Content),
        }
    }
}

impl Codec for Zstd {
    fn head(&self) -> &'static [u8] {
        &HEAD
    }

    fn is_ours(&self, first_bytes: &[u8]) -> bool {
        let mark = HEAD.len() - 21..HEAD.len();
        first_bytes.get(mark.clone()) == Some(&HEAD[mark])
    }

    fn packer(&self, level: u8) -> Box<dyn Pack> {
        let of = |level: u8| LEVELS[usize::from(level.clamp(1, 9)) - 1];
        Box::new(Packer {
            thorough: of(level),
            quick: of(level.saturating_sub(QUICKER)),
            compressor: Compressor::default(),
            member: Vec::new(),
        })
    }

    fn unpacker(&self) -> Box<dyn Unpack> {
        Box::new(Unpacker::default())
    }

    fn read_member(
        &self,
        input: &mut dyn Read,
        most: u64,
        member: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let mut frame = Frame {
            input,
            most: usize::try_from(most)
                .unwrap_or(usize::MAX)
                .min(LARGEST_BYTES),
            member,
        };
        frame.member.clear();
        frame.read(SHORTEST_HEAD)?;
        let Some(length_bytes) = frame
            .member
            .strip_prefix(&MAGIC)
            .and_then(|rest| length_bytes(*rest.first()?))
        else {
            return Err(MemberError::Head.into());
        };
        frame.read(length_bytes - 1)?;
        loop {
            let (last, content) = block_header(frame.member)?;
            // With its content, what follows it: the next block's header, or the checksum.
            if last {
                return frame.read(content + CHECKSUM_BYTES);
            }
            frame.read(content + BLOCK_HEADER_BYTES)?;
        }
    }

    fn placeholder(&self, tar_header: &[u8; TAR_BLOCK]) -> Vec<u8> {
        // The last block, stored.
        frame(TAR_BLOCK, 0, tar_header, xxh64(tar_header))
    }

    fn trailer_bytes(&self) -> usize {
        TRAILER_FIELDS_AT + 16
    }

    fn trailer(&self, manifest_position: u64, crc64: u64) -> Vec<u8> {
        // The last block, of one byte that is repeated.
        let mut trailer = frame(TAR_END.len(), 1, &TAR_END[..1], xxh64(&TAR_END));
        trailer.extend_from_slice(&TRAILER_FRAME);
        trailer.extend_from_slice(&manifest_position.to_le_bytes());
        trailer.extend_from_slice(&crc64.to_le_bytes());
        trailer
    }

    fn trailer_fields_at(&self) -> usize {
        TRAILER_FIELDS_AT
    }
}

/// Bytes of the content's length behind this descriptor; none when it is not one of ours.
fn length_bytes(descriptor: u8) -> Option<usize> {
    let known = DESCRIPTORS
        .into_iter()
        .find(|(known, _)| *known == descriptor);
    known.map(|(_, bytes)| bytes)
}

/// A frame that is being read.
struct Frame<'f> {
    input: &'f mut dyn Read,
    most: usize,
    member: &'f mut Vec<u8>,
}

impl Frame<'_> {
    fn read(&mut self, bytes: usize) -> Result<(), ReadError> {
        let from = self.member.len();
        if from + bytes > self.most {
            return Err(MemberError::Size((from + bytes) as u32).into());
        }
        set_length(self.member, from + bytes);
        Ok(self.input.read_exact(&mut self.member[from..])?)
    }
}

/// What the block header says that `member` ends with: whether this is the last block, and how many bytes follow.
fn block_header(member: &[u8]) -> Result<(bool, usize), MemberError> {
    let [.., low, middle, high] = *member else {
        return Err(MemberError::Head);
    };
    let header = u32::from_le_bytes([low, middle, high, 0]);
    let bytes = match (header >> 1) & 3 {
        // Stored, compressed.
        0 | 2 => header >> 3,
        // One byte, many times.
        1 => 1,
        _ => return Err(MemberError::Content),
    };
    Ok((header & 1 == 1, bytes as usize))
}

/// A frame of one block, for content of 256 bytes to 64 KiB.
fn frame(length: usize, kind: u32, block: &[u8], checksum: u64) -> Vec<u8> {
    let header = 1 | (kind << 1) | ((length as u32) << 3);
    let mut frame = MAGIC.to_vec();
    frame.push(0x64);
    frame.extend_from_slice(&((length - 256) as u16).to_le_bytes());
    frame.extend_from_slice(&header.to_le_bytes()[..BLOCK_HEADER_BYTES]);
    frame.extend_from_slice(block);
    frame.extend_from_slice(&checksum.to_le_bytes()[..CHECKSUM_BYTES]);
    frame
}

/// The XXH64 of whole stripes of 32 bytes; its low half is a frame's checksum.
fn xxh64(content: &[u8]) -> u64 {
    const PRIMES: [u64; 4] = [
        0x9e37_79b1_85eb_ca87,
        0xc2b2_ae3d_27d4_eb4f,
        0x1656_67b1_9e37_79f9,
        0x85eb_ca77_c2b2_ae63,
    ];
    let round = |lane: u64, input: u64| {
        let sum = lane.wrapping_add(input.wrapping_mul(PRIMES[1]));
        sum.rotate_left(31).wrapping_mul(PRIMES[0])
    };
    let mut lanes = [
        PRIMES[0].wrapping_add(PRIMES[1]),
        PRIMES[1],
        0,
        PRIMES[0].wrapping_neg(),
    ];
    for (number, word) in content.as_chunks::<8>().0.iter().enumerate() {
        let lane = &mut lanes[number % 4];
        *lane = round(*lane, u64::from_le_bytes(*word));
    }
    let mut hash: u64 = 0;
    for (lane, turn) in lanes.into_iter().zip([1, 7, 12, 18]) {
        hash = hash.wrapping_add(lane.rotate_left(turn));
    }
    for lane in lanes {
        hash = (hash ^ round(0, lane))
            .wrapping_mul(PRIMES[0])
            .wrapping_add(PRIMES[3]);
    }
    hash = hash.wrapping_add(content.len() as u64);
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 29)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_trailer_are_frames_that_any_decoder_reads() {
        let whole = [
            &HEAD[..],
            &Zstd.placeholder(&[7; TAR_BLOCK]),
            &Zstd.trailer(1, 2),
        ]
        .concat();
        let content = zstd::stream::decode_all(whole.as_slice()).unwrap();
        assert_eq!(content, [&[7; TAR_BLOCK][..], &TAR_END].concat());
        assert_eq!(zstd::bulk::compress(b"", 3).unwrap()[4] & !4, 0x20);
    }

    #[test]
    fn what_a_decoder_would_ignore_is_not_ours() {
        let (mut packed, mut member) = (vec![1; 70_000], Vec::new());
        assert!(Zstd.packer(6).pack(&mut packed, Effort::Thorough));
        for bit in 0..5 * 8 {
            let mut flipped = packed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = Zstd.read_member(&mut flipped.as_slice(), 1 << 20, &mut member);
            let refused = read.is_err()
                || Unpacker::default()
                    .unpack(&member, &mut Vec::new())
                    .is_err();
            assert!(refused, "bit {bit}");
        }
    }
}
