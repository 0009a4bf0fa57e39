//! Reads a run of documents and says what they are: how many, how large, which checksum.

use crate::archive::bson_framer::{self, BsonFramer, FrameError};
use crate::archive::crc64::Digest;
use crate::archive::namespace::Totals;
use std::io::{self, Read};

/// Read at a time, in bytes.
const WINDOW_BYTES: usize = 256 * 1024;

/// Why documents could not be read to their end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error("{0}")]
    Read(io::Error),
    #[error("{0}")]
    Frame(FrameError),
    #[error("document {number}: {problem}")]
    Document { number: u64, problem: String },
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Lengths only: a checksum vouches for the rest.
    Framing,
    /// Every element of every document.
    Elements,
}

/// Reads `input` to its end. The totals tell how far it came, also when it failed.
pub(super) fn documents(mut input: impl Read, depth: Depth) -> (Totals, Result<(), ScanError>) {
    let mut scan = Scan {
        framer: BsonFramer::default(),
        crc: Digest::new(),
        bytes: 0,
        whole: Vec::new(),
    };
    let result = scan.run(&mut input, depth);
    let totals = Totals {
        documents: scan.framer.documents(),
        bytes: scan.bytes,
        crc64: scan.crc.sum64(),
    };
    (totals, result)
}

struct Scan {
    framer: BsonFramer,
    crc: Digest,
    bytes: u64,
    /// The document under way, where every element is looked at.
    whole: Vec<u8>,
}

impl Scan {
    fn run(&mut self, input: &mut impl Read, depth: Depth) -> Result<(), ScanError> {
        let mut window = vec![0; WINDOW_BYTES];
        let mut filled = 0;
        loop {
            let read = match input.read(&mut window[filled..]) {
                Ok(0) => return self.framer.finish(filled).map_err(ScanError::Frame),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ScanError::Read(error)),
            };
            filled += read;
            let fed = self
                .framer
                .feed(&window[..filled])
                .map_err(ScanError::Frame)?;
            if fed.terminated {
                let number = self.framer.documents() + 1;
                return Err(ScanError::Frame(FrameError::Length {
                    number,
                    length: u32::MAX,
                }));
            }
            let bytes = &window[..fed.consumed];
            self.crc.write(bytes);
            self.bytes += bytes.len() as u64;
            if depth == Depth::Elements {
                self.look_inside(fed.consumed, &window)?;
            }
            window.copy_within(fed.consumed..filled, 0);
            filled -= fed.consumed;
        }
    }

    /// Gathers documents whole and checks each; their lengths are known to be plausible.
    fn look_inside(&mut self, consumed: usize, window: &[u8]) -> Result<(), ScanError> {
        self.whole.extend_from_slice(&window[..consumed]);
        let mut at = 0;
        let mut ended = Vec::new();
        while let Some(length) = self.whole[at..]
            .first_chunk::<4>()
            .map(|bytes| u32::from_le_bytes(*bytes) as usize)
        {
            if self.whole.len() - at < length {
                break;
            }
            ended.push(at..at + length);
            at += length;
        }
        let first = self.framer.documents() + 1 - ended.len() as u64;
        for (number, range) in (first..).zip(ended) {
            bson_framer::check(&self.whole[range])
                .map_err(|problem| ScanError::Document { number, problem })?;
        }
        self.whole.drain(..at);
        Ok(())
    }
}
