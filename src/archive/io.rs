//! Hashes a file while it is read for another reason, so that it is read once.

use super::crc64;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Hashes what passes by: SHA-256 of all of it, CRC-64 of what is before the trailer.
pub(crate) struct Hashing<R> {
    input: R,
    bytes: u64,
    crc_end: u64,
    sha256: Sha256,
    crc: crc64::Digest,
}

impl<R: Read> Hashing<R> {
    /// The CRC-64 covers the first `crc_end` bytes, the SHA-256 all.
    pub(crate) fn new(input: R, crc_end: u64) -> Self {
        Hashing {
            input,
            bytes: 0,
            crc_end,
            sha256: Sha256::new(),
            crc: crc64::Digest::new(),
        }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.bytes
    }

    /// Reads on to `position`, for the hashes alone.
    pub(crate) fn skip_to(&mut self, position: u64) -> io::Result<()> {
        let distance = position.saturating_sub(self.bytes);
        io::copy(&mut self.take(distance), &mut io::sink()).map(drop)
    }

    /// Reads what is left and returns the SHA-256 and the CRC-64/XZ.
    pub(crate) fn finish(mut self) -> io::Result<([u8; 32], u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((self.sha256.finalize().into(), self.crc.sum64()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.sha256.update(&buffer[..read]);
        let covered = self.crc_end.saturating_sub(self.bytes).min(read as u64) as usize;
        self.crc.write(&buffer[..covered]);
        self.bytes += read as u64;
        Ok(read)
    }
}
