//! The documents of an archive that fit a query, a batch at a time.

use crate::archive::bson_framer;
use crate::archive::container::reason;
use crate::archive::document_reader::DocumentReader;
use crate::archive::element::{Value, elements, get, kind};
use crate::archive::extended_json::JsonStyle;
use crate::context::Context;
use crate::query::Query;
use crate::report::fields::shown;
use crate::restore::RestoreError;
use crate::restore::contents::{ArchivedId, Broken, Contents};
use crate::sys::progress::{Meter, Unit, showing};
use mongodb::bson::{Bson, RawDocumentBuf};
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc::{Sender, channel};

/// A batch is full with so many documents, or so many bytes. One document alone may be longer.
const BATCH_DOCUMENTS: usize = 500;
const BATCH_BYTES: usize = 512 * 1024;
/// What a server holds in one document at most.
const LONGEST_DOCUMENT: usize = 16 * 1024 * 1024;

/// Which documents of which collection are wanted.
#[derive(Clone)]
pub(super) struct Source {
    pub contents: Arc<Contents>,
    pub id: ArchivedId,
    pub query: Arc<Query>,
    /// All that fits, where it is that little: then the archive need not be read again.
    pub only: Option<Only>,
}

/// The only batch, and what was read for it.
pub(super) type Only = (Arc<Batch>, Reading);

/// A document that fits.
pub(super) struct Matched {
    /// Its place among all that fit.
    pub place: u64,
    pub raw: RawDocumentBuf,
    pub id: Bson,
}

impl Matched {
    pub(super) fn id_value(&self) -> Value<'_> {
        id_value(self.raw.as_bytes())
    }

    pub(super) fn shown_id(&self) -> String {
        shown_id(self.raw.as_bytes())
    }
}

/// Documents that fit, no two of the same `_id`.
#[derive(Default)]
pub(super) struct Batch {
    pub documents: Vec<Matched>,
    /// Those that no server takes as they are: `_id`, and why.
    pub unfit: Vec<(String, &'static str)>,
    pub bytes: usize,
}

/// How much of an archive was read, and how much of it fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub documents: u64,
    pub fit: u64,
    pub fit_bytes: u64,
}

fn id_value(document: &[u8]) -> Value<'_> {
    get(document, b"_id").unwrap_or(Value {
        kind: kind::NULL,
        bytes: &[],
    })
}

/// A document's `_id`, for people.
pub(super) fn shown_id(document: &[u8]) -> String {
    match get(document, b"_id") {
        Some(id) => shown(id, JsonStyle::Relaxed),
        None => "(none)".into(),
    }
}

/// The `_id` of a document, or why no server takes the document as it is.
fn usable_id(document: &RawDocumentBuf) -> Result<Bson, &'static str> {
    let bytes = document.as_bytes();
    if bytes.len() > LONGEST_DOCUMENT {
        return Err("it is longer than the 16 MB that a server takes");
    }
    bson_framer::check(bytes).map_err(|_| "it is no valid BSON")?;
    let first = elements(bytes).next();
    let Some(id) = first.filter(|first| first.key == b"_id") else {
        return Err(match get(bytes, b"_id") {
            None => "it has no _id by which it could be told from others",
            Some(_) => "its _id is not its first field, and a server would put it there",
        });
    };
    if matches!(id.value.kind, kind::ARRAY | kind::REGEX | kind::UNDEFINED) {
        return Err("its _id is of a type that no server takes for one");
    }
    let operator = |one: &[u8]| elements(one).any(|one| one.key.starts_with(b"$"));
    if id.value.kind == kind::DOCUMENT && operator(id.value.bytes) {
        return Err("its _id has a field that begins with $, which no server takes");
    }
    let id = document.get("_id").ok().flatten();
    id.and_then(|id| Bson::try_from(id).ok())
        .ok_or("its _id is no text in UTF-8, and cannot be asked for")
}

impl Source {
    /// Hands on what fits, of the whole collection. Ends early when that fails.
    pub(super) async fn each(
        &self,
        ctx: &Context,
        what: &str,
        mut visit: impl AsyncFnMut(Arc<Batch>) -> Result<(), RestoreError>,
    ) -> Result<Reading, RestoreError> {
        if let Some((batch, read)) = &self.only {
            visit(Arc::clone(batch)).await?;
            return Ok(*read);
        }
        let total = self.contents[self.id].totals.bytes;
        let meter = Meter::new(what, Unit::Bytes, Some(total), &ctx.screen);
        let (source, shown) = (self.clone(), Arc::clone(&meter));
        let (sender, mut receiver) = channel(1);
        let reading = ctx
            .cancel
            .blocking(move |cancelled| source.read(cancelled, &shown, &sender));
        // Its end of the channel goes with it, which ends the reader too.
        let visiting = async move {
            while let Some(batch) = receiver.recv().await {
                visit(Arc::new(batch)).await?;
            }
            Ok::<_, RestoreError>(())
        };
        let both = async { tokio::join!(reading, visiting) };
        let (read, visited) = showing(&meter, both).await;
        visited?;
        let read = read?;
        read.map_err(|damage| RestoreError::Damaged {
            name: self.contents.name.clone(),
            damage,
        })
    }

    fn read(
        &self,
        cancelled: &AtomicBool,
        meter: &Meter,
        sender: &Sender<Batch>,
    ) -> Result<Reading, String> {
        let mut collector = Collector {
            sender,
            batch: Batch::default(),
            ids: HashSet::new(),
            read: Reading::default(),
        };
        let archived = &self.contents[self.id];
        let wanted = |id| id == self.id;
        let read = self.contents.each(&wanted, cancelled, &mut |_, content| {
            let mut reader = DocumentReader::new(content);
            self.collect(&mut reader, &mut collector, cancelled, meter)?;
            match reader.totals() == archived.totals {
                true => Ok(()),
                false => Err("it is no longer what was verified: the disk may be failing".into()),
            }
        });
        match read {
            Ok(()) => {
                collector.flush()?;
                Ok(collector.read)
            }
            Err(Broken::Archive(problem) | Broken::Visitor(problem)) => {
                Err(format!("{}: {problem}", archived.namespace))
            }
        }
    }

    fn collect<R: Read>(
        &self,
        reader: &mut DocumentReader<R>,
        collector: &mut Collector<'_>,
        cancelled: &AtomicBool,
        meter: &Meter,
    ) -> Result<(), String> {
        let mut bytes = 0;
        while let Some(document) = reader.next().map_err(|error| reason(&error))? {
            if cancelled.load(Ordering::Relaxed) {
                return Err("reading was interrupted".into());
            }
            bytes += document.len() as u64;
            meter.set(bytes);
            collector.read.documents += 1;
            if self.query.fits(document) {
                collector.take(document)?;
            }
        }
        Ok(())
    }
}

/// Gathers documents into batches.
struct Collector<'s> {
    sender: &'s Sender<Batch>,
    batch: Batch,
    /// Types and values of the `_id`s in the batch.
    ids: HashSet<(u8, Vec<u8>)>,
    read: Reading,
}

impl Collector<'_> {
    fn take(&mut self, document: &[u8]) -> Result<(), String> {
        let place = self.read.fit;
        self.read.fit += 1;
        self.read.fit_bytes += document.len() as u64;
        let raw = RawDocumentBuf::from_bytes(document.to_vec());
        let raw = raw.map_err(|error| error.to_string())?;
        let id = match usable_id(&raw) {
            Ok(id) => id,
            Err(why) => {
                self.batch.unfit.push((shown_id(document), why));
                return self.flush_when_full();
            }
        };
        let Value { kind, bytes } = id_value(document);
        let key = (kind, bytes.to_vec());
        let too_long = self.batch.bytes > 0 && self.batch.bytes + document.len() > BATCH_BYTES;
        if too_long || self.ids.contains(&key) {
            self.flush()?;
        }
        self.ids.insert(key);
        self.batch.bytes += document.len();
        self.batch.documents.push(Matched { place, raw, id });
        self.flush_when_full()
    }

    fn flush_when_full(&mut self) -> Result<(), String> {
        let batch = &self.batch;
        let documents = batch.documents.len() + batch.unfit.len();
        match documents >= BATCH_DOCUMENTS || batch.bytes >= BATCH_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        self.ids.clear();
        let batch = std::mem::take(&mut self.batch);
        if batch.documents.is_empty() && batch.unfit.is_empty() {
            return Ok(());
        }
        let sent = self.sender.blocking_send(batch);
        sent.map_err(|_| "reading was interrupted".to_owned())
    }
}
