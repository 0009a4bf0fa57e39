//! Seals what is read.

use super::Recipient;
use age::Encryptor;
use age::stream::StreamWriter;
use sha2::{Digest, Sha256};
use std::io::{self, BufReader, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Read and written at a time.
const WINDOW_BYTES: usize = 256 * 1024;

/// Taken from the input at a time: one chunk of an age file.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a chunk grows by.
const TAG_BYTES: u64 = 16;

/// Sealed bytes, as the input is read: from its start to its end, once, in order.
pub(crate) struct Sealing<R> {
    input: R,
    sealer: Option<StreamWriter<Buffer>>,
    buffer: Buffer,
    ready: Vec<u8>,
    at: usize,
    chunk: Vec<u8>,
}

/// Where the sealer puts what it made.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<R: Read> Sealing<R> {
    /// Seals `input` with a key of its own, which each of `recipients` can open.
    pub(crate) fn new(input: R, recipients: &[Recipient]) -> io::Result<Self> {
        let recipients = recipients.iter().map(Recipient::as_age);
        let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        let buffer = Buffer::default();
        Ok(Sealing {
            input,
            sealer: Some(encryptor.wrap_output(buffer.clone())?),
            buffer,
            ready: Vec::new(),
            at: 0,
            chunk: vec![0; CHUNK_BYTES],
        })
    }

    /// How many bytes `plain_bytes` become; to be asked before anything is read. What stands in front of them has another
    /// length each time.
    pub(crate) fn sealed_bytes(&self, plain_bytes: u64) -> u64 {
        let buffer = self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.len() as u64 + payload_bytes(plain_bytes)
    }

    /// Seals some more; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(mut sealer) = self.sealer.take() else {
            return Ok(false);
        };
        let read = loop {
            match self.input.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The sealer is gone: what was cut off by an error never looks finished.
                result => break result?,
            }
        };
        if read == 0 {
            sealer.finish()?;
        } else {
            sealer.write_all(&self.chunk[..read])?;
            self.sealer = Some(sealer);
        }
        let mut buffer = self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.ready.clear();
        self.at = 0;
        std::mem::swap(&mut self.ready, &mut buffer);
        Ok(true)
    }
}

/// How many bytes so many become, without what stands in front of them.
pub(crate) fn payload_bytes(plain_bytes: u64) -> u64 {
    let chunks = plain_bytes.div_ceil(CHUNK_BYTES as u64).max(1);
    plain_bytes + chunks * TAG_BYTES
}

impl<R: Read> Read for Sealing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let step = buffer.len().min(self.ready.len() - self.at);
        buffer[..step].copy_from_slice(&self.ready[self.at..self.at + step]);
        self.at += step;
        Ok(step)
    }
}

/// How many bytes a file has, and their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measured {
    pub bytes: u64,
    pub sha256: [u8; 32],
}

/// Seals all of `input` into `output`, and measures what was written. None when it was cancelled.
pub(crate) fn seal(
    input: impl Read,
    output: &mut impl Write,
    to: &[Recipient],
    cancelled: &AtomicBool,
    moved: &dyn Fn(u64),
) -> io::Result<Option<Measured>> {
    let sealing = Sealing::new(BufReader::with_capacity(WINDOW_BYTES, input), to)?;
    copy(sealing, output, cancelled, moved)
}

/// Reads a file through. None when it was cancelled.
pub(crate) fn measure(
    input: impl Read,
    cancelled: &AtomicBool,
    moved: &dyn Fn(u64),
) -> io::Result<Option<Measured>> {
    copy(input, &mut io::sink(), cancelled, moved)
}

fn copy(
    mut input: impl Read,
    output: &mut impl Write,
    cancelled: &AtomicBool,
    moved: &dyn Fn(u64),
) -> io::Result<Option<Measured>> {
    let (mut window, mut sha256, mut bytes) = (vec![0; WINDOW_BYTES], Sha256::new(), 0);
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let read = input.read(&mut window)?;
        if read == 0 {
            let sha256 = sha256.finalize().into();
            return Ok(Some(Measured { bytes, sha256 }));
        }
        output.write_all(&window[..read])?;
        sha256.update(&window[..read]);
        bytes += read as u64;
        moved(bytes);
    }
}
