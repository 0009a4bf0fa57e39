//! The stream's bytes, a window at a time.

use super::super::TERMINATOR;
use super::{Current, StreamError, Watch};
use crate::archive::bson_framer::LONGEST_BYTES;
use crate::archive::namespace::DumpSink;
use std::io::{self, Read};

/// Large enough that a system call is rare, small enough to stay in a core's cache with the work on it.
const WINDOW_BYTES: usize = 256 * 1024;

/// The input, a window at a time.
pub(super) struct Window<'w, R, W> {
    input: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    pub watch: &'w mut W,
    stream_bytes: u64,
}

impl<'w, R: Read, W: Watch> Window<'w, R, W> {
    pub(super) fn new(input: R, watch: &'w mut W) -> Self {
        Window {
            input,
            buffer: vec![0; WINDOW_BYTES].into(),
            start: 0,
            end: 0,
            watch,
            stream_bytes: 0,
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads more behind what is left; false at the end of the input.
    fn fill<E>(&mut self) -> Result<bool, StreamError<E>> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.end += read;
                    self.stream_bytes += read as u64;
                    self.watch.moved(self.stream_bytes);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StreamError::Read(error)),
            }
        }
    }

    /// The next four bytes; none at a clean end of the input.
    pub(super) fn word<E>(&mut self) -> Result<Option<[u8; 4]>, StreamError<E>> {
        loop {
            if let Some(word) = self.rest().first_chunk::<4>() {
                let word = *word;
                self.start += 4;
                return Ok(Some(word));
            }
            if !self.fill()? {
                return if self.rest().is_empty() {
                    Ok(None)
                } else {
                    Err(StreamError::Cut("inside a length"))
                };
            }
        }
    }

    pub(super) fn terminator<E>(&mut self) -> Result<(), StreamError<E>> {
        match self.word()? {
            Some(TERMINATOR) => Ok(()),
            Some(_) => Err(StreamError::Format("a terminator is missing".into())),
            None => Err(StreamError::Cut("before a terminator")),
        }
    }

    /// The next document, whole; none at a terminator. Only for headers and metadata, which are small.
    pub(super) fn document<E>(
        &mut self,
        place: &'static str,
    ) -> Result<Option<Vec<u8>>, StreamError<E>> {
        match self.word()? {
            None => Err(StreamError::Cut(place)),
            Some(TERMINATOR) => Ok(None),
            Some(length) => self.rest_of_document(length, place).map(Some),
        }
    }

    /// The header of the next segment; none where the stream ends as it should.
    pub(super) fn next_header<E>(&mut self) -> Result<Option<Vec<u8>>, StreamError<E>> {
        match self.word()? {
            None => Ok(None),
            Some(length) => self
                .rest_of_document(length, "in a collection's header")
                .map(Some),
        }
    }

    fn rest_of_document<E>(
        &mut self,
        length: [u8; 4],
        place: &'static str,
    ) -> Result<Vec<u8>, StreamError<E>> {
        let total = u32::from_le_bytes(length);
        if !(5..=LONGEST_BYTES).contains(&total) {
            return Err(StreamError::Format(format!(
                "a header claims {total} bytes"
            )));
        }
        let mut document = length.to_vec();
        while document.len() < total as usize {
            if self.rest().is_empty() && !self.fill()? {
                return Err(StreamError::Cut(place));
            }
            let step = (total as usize - document.len()).min(self.end - self.start);
            document.extend_from_slice(&self.buffer[self.start..self.start + step]);
            self.start += step;
        }
        Ok(document)
    }

    /// Hands a segment's documents on, up to and over its terminator.
    pub(super) fn documents<S: DumpSink>(
        &mut self,
        current: &mut Current,
        sink: &mut S,
        documents_before: u64,
    ) -> Result<(), StreamError<S::Error>> {
        loop {
            let window = &self.buffer[self.start..self.end];
            let fed = current
                .framer
                .feed(window)
                .map_err(|error| StreamError::Document {
                    namespace: current.namespace.clone(),
                    error,
                })?;
            let bytes = &window[..fed.consumed];
            current.crc.write(bytes);
            current.bytes += bytes.len() as u64;
            if current.wanted && !bytes.is_empty() {
                sink.data(bytes).map_err(StreamError::Sink)?;
            }
            self.start += fed.consumed;
            if fed.terminated {
                self.start += TERMINATOR.len();
                return Ok(());
            }
            self.watch.at(
                &current.namespace,
                documents_before + current.framer.documents(),
            );
            if !self.fill()? {
                return Err(StreamError::Cut("inside a collection"));
            }
        }
    }
}
