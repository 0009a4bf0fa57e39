//! Reads mongodump's archive stream: checks the framing, every document's length, counts and checksums, and hands the
//! documents on as they pass. The format is published as `common/archive/spec.md` in mongo-tools.
//!
//! mongodump writes the CRC-64 of each namespace's documents behind them. Computing it again here, and keeping it in the
//! manifest, makes it an end-to-end check from mongodump's memory to our disk.

mod headers;
mod window;

use super::MAGIC;
use crate::archive::bson_framer::{BsonFramer, FrameError};
use crate::archive::crc64::Digest;
use crate::archive::namespace::{BUCKETS_PREFIX, DumpSink, Kind, Namespace, Totals};
use crate::sys::progress::DumpWatch;
use headers::{Segment, parse_announced, parse_header, parse_segment};
use std::collections::HashMap;
use std::io::{self, Read};
use window::Window;

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
            crc: Digest::new(),
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            documents: self.framer.documents(),
            bytes: self.bytes,
            crc64: self.crc.sum64(),
        }
    }
}

#[cfg(test)]
mod tests;
