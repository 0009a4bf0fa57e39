//! Reads mongodump's archive stream: checks the framing, every document's length, counts and checksums, and hands the
//! documents on as they pass. The format is published as `common/archive/spec.md` in mongo-tools.
//!
//! mongodump writes the CRC-64 of each namespace's documents behind them. Computing it again here, and keeping it in the
//! manifest, makes it an end-to-end check from mongodump's memory to our disk.

use super::{MAGIC, TERMINATOR};
use crate::archive::bson_framer::{BsonFramer, FrameError, LONGEST_BYTES};
use crate::archive::namespace::{
    Announced, BUCKETS_PREFIX, DumpSink, Kind, Namespace, StreamHeader, Totals,
};
use crate::sys::progress::DumpWatch;
use crc_fast::{CrcAlgorithm, Digest};
use mongodb::bson::RawDocument;
use std::collections::HashMap;
use std::io::{self, Read};

/// Large enough that a system call is rare, small enough to stay in a core's cache with the work on it.
const WINDOW_BYTES: usize = 256 * 1024;

/// Why a stream cannot become an archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError<E> {
    #[error("reading from mongodump failed: {0}")]
    Read(io::Error),
    #[error("mongodump's output stopped {0}")]
    Cut(&'static str),
    #[error("mongodump's output is not an archive stream: {0}")]
    Format(String),
    #[error("{namespace}: {error}")]
    Document {
        namespace: Namespace,
        error: FrameError,
    },
    #[error(
        "{namespace}: the checksum of what arrived ({arrived:016x}) is not mongodump's ({sent:016x})"
    )]
    Checksum {
        namespace: Namespace,
        arrived: u64,
        sent: u64,
    },
    #[error("mongodump announced {0} but sent no end of it")]
    Missing(Namespace),
    /// The receiver refused what it was given.
    #[error(transparent)]
    Sink(E),
}

/// What went by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Streamed {
    pub namespaces: u64,
    pub documents: u64,
    pub bytes: u64,
}

/// Told as the stream moves on, so that a person can be shown how far it is and a stall can be noticed.
pub(crate) trait Watch {
    /// Bytes read from mongodump so far.
    fn moved(&mut self, stream_bytes: u64);
    /// Where it is, and documents so far; called once for every window of bytes, not for every document.
    fn at(&mut self, namespace: &Namespace, documents: u64);
}

impl Watch for DumpWatch {
    fn moved(&mut self, stream_bytes: u64) {
        DumpWatch::moved(self, stream_bytes);
    }

    fn at(&mut self, namespace: &Namespace, documents: u64) {
        DumpWatch::at(self, namespace, documents);
    }
}

/// Reads one whole stream. Namespaces that `wanted` turns down are checked but not handed on.
pub(crate) fn read<R: Read, S: DumpSink, W: Watch>(
    input: R,
    sink: &mut S,
    watch: &mut W,
    wanted: impl Fn(&Namespace) -> bool,
) -> Result<Streamed, StreamError<S::Error>> {
    let mut window = Window::new(input, watch);
    read_header(&mut window, sink)?;
    let mut announced = read_announced(&mut window, sink, &wanted)?;
    let mut streamed = Streamed::default();
    let mut current: Option<Current> = None;
    while let Some(document) = window.next_header()? {
        let segment = parse_segment(&document)?;
        let one = expected(&mut announced, &segment, current.as_ref())?;
        if current.is_none() {
            let wanted = wanted(&one.namespace);
            if wanted {
                sink.begin(&one.namespace).map_err(StreamError::Sink)?;
            }
            window.watch.at(&one.namespace, streamed.documents);
        }
        let running = current
            .get_or_insert_with(|| Current::new(one.namespace.clone(), wanted(&one.namespace)));
        if !segment.eof {
            window.documents(running, sink, streamed.documents)?;
            continue;
        }
        window.terminator()?;
        running.end(&segment, sink, &mut streamed)?;
        one.ended = true;
        current = None;
    }
    if current.is_some() {
        return Err(StreamError::Cut("inside a collection"));
    }
    match announced.into_values().find(|one| !one.ended) {
        Some(one) => Err(StreamError::Missing(one.namespace)),
        None => Ok(streamed),
    }
}

/// The magic number and the header, which goes to the sink.
fn read_header<R: Read, S: DumpSink, W: Watch>(
    window: &mut Window<R, W>,
    sink: &mut S,
) -> Result<(), StreamError<S::Error>> {
    let Some(magic) = window.word()? else {
        return Err(StreamError::Cut("before it began"));
    };
    if magic != MAGIC {
        return Err(StreamError::Format("its first bytes are wrong".into()));
    }
    let header = window.document::<S::Error>("in its header")?;
    let header = header.ok_or(StreamError::Cut("in its header"))?;
    sink.header(&parse_header(&header)?)
        .map_err(StreamError::Sink)
}

/// A namespace that the stream's beginning lists.
struct Expected {
    namespace: Namespace,
    /// Whether its documents came to their end.
    ended: bool,
}

/// The list of collections, by the names under which their documents will come.
fn read_announced<R: Read, S: DumpSink, W: Watch>(
    window: &mut Window<R, W>,
    sink: &mut S,
    wanted: &impl Fn(&Namespace) -> bool,
) -> Result<HashMap<Namespace, Expected>, StreamError<S::Error>> {
    let mut all = HashMap::new();
    while let Some(document) = window.document("in its list of collections")? {
        let announced = parse_announced(&document)?;
        let namespace = announced.namespace.clone();
        let mut data = namespace.clone();
        if announced.kind == Kind::TimeSeries {
            data.collection.insert_str(0, BUCKETS_PREFIX);
        }
        if wanted(&namespace) {
            sink.announce(announced).map_err(StreamError::Sink)?;
        }
        all.insert(
            data,
            Expected {
                namespace,
                ended: false,
            },
        );
    }
    Ok(all)
}

/// The namespace that a segment belongs to, which must be able to come now.
fn expected<'a, E>(
    announced: &'a mut HashMap<Namespace, Expected>,
    segment: &Segment,
    current: Option<&Current>,
) -> Result<&'a mut Expected, StreamError<E>> {
    let Some(one) = announced.get_mut(&segment.namespace) else {
        let problem = format!("{} was never announced", segment.namespace);
        return Err(StreamError::Format(problem));
    };
    if one.ended {
        let problem = format!("{} goes on after its end", one.namespace);
        return Err(StreamError::Format(problem));
    }
    if current.is_some_and(|current| current.namespace != one.namespace) {
        let problem = format!("{} begins inside another collection", one.namespace);
        return Err(StreamError::Format(problem));
    }
    Ok(one)
}

/// The namespace whose documents are passing by.
struct Current {
    namespace: Namespace,
    wanted: bool,
    framer: BsonFramer,
    bytes: u64,
    crc: Digest,
}

impl Current {
    /// Compares what arrived with what was sent, and hands the totals on.
    fn end<S: DumpSink>(
        &self,
        segment: &Segment,
        sink: &mut S,
        streamed: &mut Streamed,
    ) -> Result<(), StreamError<S::Error>> {
        let totals = self.totals();
        if totals.crc64 != segment.crc64 {
            return Err(StreamError::Checksum {
                namespace: self.namespace.clone(),
                arrived: totals.crc64,
                sent: segment.crc64,
            });
        }
        if self.wanted {
            sink.end(totals).map_err(StreamError::Sink)?;
            streamed.namespaces += 1;
            streamed.documents += totals.documents;
            streamed.bytes += totals.bytes;
        }
        Ok(())
    }

    fn new(namespace: Namespace, wanted: bool) -> Self {
        Current {
            namespace,
            wanted,
            framer: BsonFramer::default(),
            bytes: 0,
            crc: Digest::new(CrcAlgorithm::Crc64Xz),
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            documents: self.framer.documents(),
            bytes: self.bytes,
            crc64: self.crc.finalize(),
        }
    }
}

/// The input, a window at a time.
struct Window<'w, R, W> {
    input: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    watch: &'w mut W,
    stream_bytes: u64,
}

impl<'w, R: Read, W: Watch> Window<'w, R, W> {
    fn new(input: R, watch: &'w mut W) -> Self {
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
    fn word<E>(&mut self) -> Result<Option<[u8; 4]>, StreamError<E>> {
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

    fn terminator<E>(&mut self) -> Result<(), StreamError<E>> {
        match self.word()? {
            Some(TERMINATOR) => Ok(()),
            Some(_) => Err(StreamError::Format("a terminator is missing".into())),
            None => Err(StreamError::Cut("before a terminator")),
        }
    }

    /// The next document, whole; none at a terminator. Only for headers and metadata, which are small.
    fn document<E>(&mut self, place: &'static str) -> Result<Option<Vec<u8>>, StreamError<E>> {
        match self.word()? {
            None => Err(StreamError::Cut(place)),
            Some(TERMINATOR) => Ok(None),
            Some(length) => self.rest_of_document(length, place).map(Some),
        }
    }

    /// The header of the next segment; none where the stream ends as it should.
    fn next_header<E>(&mut self) -> Result<Option<Vec<u8>>, StreamError<E>> {
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
    fn documents<S: DumpSink>(
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
            current.crc.update(bytes);
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

fn parse_header<E>(document: &[u8]) -> Result<StreamHeader, StreamError<E>> {
    let raw = parse(document)?;
    if text(raw, "version")? != "0.1" {
        return Err(StreamError::Format(
            "its version is not 0.1; this Pantry Keeper is too old for this mongodump".into(),
        ));
    }
    Ok(StreamHeader {
        server_version: text(raw, "server_version")?,
        tool_version: text(raw, "tool_version")?,
    })
}

fn parse_announced<E>(document: &[u8]) -> Result<Announced, StreamError<E>> {
    let raw = parse(document)?;
    let namespace = Namespace::new(text(raw, "db")?, text(raw, "collection")?);
    let kind = match text(raw, "type")?.as_str() {
        "timeseries" => Kind::TimeSeries,
        "view" => Kind::View,
        _ if namespace.database.is_empty() => Kind::Oplog,
        _ => Kind::Collection,
    };
    Ok(Announced {
        namespace,
        kind,
        metadata: text(raw, "metadata")?,
    })
}

struct Segment {
    namespace: Namespace,
    eof: bool,
    crc64: u64,
}

fn parse_segment<E>(document: &[u8]) -> Result<Segment, StreamError<E>> {
    let raw = parse(document)?;
    let namespace = Namespace::new(text(raw, "db")?, text(raw, "collection")?);
    let eof = raw
        .get_bool("EOF")
        .map_err(|error| StreamError::Format(error.to_string()))?;
    let crc = raw
        .get_i64("CRC")
        .map_err(|error| StreamError::Format(error.to_string()))?;
    Ok(Segment {
        namespace,
        eof,
        crc64: crc as u64,
    })
}

fn parse<E>(document: &[u8]) -> Result<&RawDocument, StreamError<E>> {
    RawDocument::from_bytes(document).map_err(|error| StreamError::Format(error.to_string()))
}

fn text<E>(document: &RawDocument, field: &str) -> Result<String, StreamError<E>> {
    document
        .get_str(field)
        .map(str::to_owned)
        .map_err(|error| StreamError::Format(error.to_string()))
}

#[cfg(test)]
mod tests;
