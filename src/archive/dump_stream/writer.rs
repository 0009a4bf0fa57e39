//! Writes mongodump's archive stream, as mongorestore reads it: the opposite of [`crate::mongo::mongodump`]'s reader.

use super::{MAGIC, TERMINATOR};
use crate::archive::namespace::{
    Announced, BUCKETS_PREFIX, DumpSink, Kind, Namespace, StreamHeader, Totals,
};
use crate::sys::progress::DumpWatch;
use mongodb::bson::{Document, doc};
use std::collections::HashSet;
use std::io::{self, BufWriter, Write};

/// Headers of many small collections go together; documents come in larger pieces and pass through.
const BUFFER_BYTES: usize = 128 * 1024;

/// Takes a dump and makes the stream of it. Several namespaces may be under way in turns.
pub(crate) struct StreamWriter<W: Write> {
    output: BufWriter<W>,
    watch: DumpWatch,
    /// Time series, which lie under another name than they are announced with.
    time_series: HashSet<Namespace>,
    announcing: bool,
    current: Option<Namespace>,
    written_bytes: u64,
    /// Of documents.
    data_bytes: u64,
}

impl<W: Write> StreamWriter<W> {
    pub(crate) fn new(output: W, watch: DumpWatch) -> Self {
        StreamWriter {
            output: BufWriter::with_capacity(BUFFER_BYTES, output),
            watch,
            time_series: HashSet::new(),
            announcing: true,
            current: None,
            written_bytes: 0,
            data_bytes: 0,
        }
    }

    /// Says that there is no more. A stream that is not finished is one that mongorestore refuses.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.all_announced()?;
        self.output.flush()
    }

    fn all_announced(&mut self) -> io::Result<()> {
        if self.announcing {
            self.announcing = false;
            self.write(&TERMINATOR)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)?;
        self.written_bytes += bytes.len() as u64;
        self.watch.moved(self.written_bytes);
        Ok(())
    }

    fn document(&mut self, document: &Document) -> io::Result<()> {
        let bytes = document.to_vec().map_err(io::Error::other)?;
        self.write(&bytes)
    }

    fn segment(&mut self, namespace: &Namespace, end: Option<u64>) -> io::Result<()> {
        let collection = match self.time_series.contains(namespace) {
            true => format!("{BUCKETS_PREFIX}{}", namespace.collection),
            false => namespace.collection.clone(),
        };
        let (ended, crc64) = (end.is_some(), end.unwrap_or_default() as i64);
        self.document(&doc! { "db": &namespace.database, "collection": collection, "EOF": ended, "CRC": crc64 })
    }

    /// Closes the segment that is open.
    fn pause(&mut self) -> io::Result<()> {
        if self.current.take().is_some() {
            self.write(&TERMINATOR)
        } else {
            Ok(())
        }
    }
}

impl<W: Write> DumpSink for StreamWriter<W> {
    type Error = io::Error;

    fn header(&mut self, header: &StreamHeader) -> io::Result<()> {
        self.write(&MAGIC)?;
        self.document(&doc! {
            "concurrent_collections": 1,
            "version": "0.1",
            "server_version": &header.server_version,
            "tool_version": &header.tool_version,
        })
    }

    fn announce(&mut self, announced: Announced) -> io::Result<()> {
        let kind = match announced.kind {
            Kind::View => "view",
            Kind::TimeSeries => "timeseries",
            Kind::Collection | Kind::Oplog => "",
        };
        let Namespace {
            database,
            collection,
        } = &announced.namespace;
        self.document(&doc! {
            "db": database, "collection": collection, "metadata": announced.metadata, "size": 0, "type": kind,
        })?;
        if announced.kind == Kind::TimeSeries {
            self.time_series.insert(announced.namespace);
        }
        Ok(())
    }

    /// Goes on with a namespace, from its first document or from where it was left.
    fn begin(&mut self, namespace: &Namespace) -> io::Result<()> {
        self.all_announced()?;
        self.pause()?;
        self.segment(namespace, None)?;
        self.current = Some(namespace.clone());
        self.watch.at(namespace, self.data_bytes);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.data_bytes += bytes.len() as u64;
        if let Some(namespace) = &self.current {
            self.watch.at(namespace, self.data_bytes);
        }
        self.write(bytes)
    }

    fn end(&mut self, totals: Totals) -> io::Result<()> {
        let Some(namespace) = self.current.clone() else {
            return Ok(());
        };
        self.pause()?;
        self.segment(&namespace, Some(totals.crc64))?;
        self.write(&TERMINATOR)?;
        Ok(())
    }
}
