//! Takes a dump as it streams by and lays it out as mongodump's own folder would be, inside the archive.

use super::appender::{FileId, WriteError, Written};
use super::block_writer::{Positions, Writer};
use super::codec;
use crate::archive::compression::Compression;
use crate::archive::manifest::{self, Entry, FORMAT, Manifest, Place, Server};
use crate::archive::namespace::{Announced, DumpSink, Kind, Namespace, StreamHeader, Totals};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// What comes was announced first, or there is no telling what it is.
const UNANNOUNCED: WriteError = WriteError::Order("a collection was not announced");

/// What the archive is called and how it is compressed.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The archive's name without its extension, also the folder inside it.
    pub name: String,
    pub compression: Compression,
    /// 1 (fast) to 9 (small).
    pub level: u8,
    pub threads: NonZeroUsize,
    /// Blocks of 1 MiB that may wait for a thread to compress them: what takes in much at once keeps its sender busy, and
    /// takes memory.
    pub waiting: usize,
    pub started_at: DateTime<Utc>,
    pub server: Server,
}

/// An archive being made from one or more dump streams.
pub(crate) struct ArchiveSink {
    plan: Plan,
    writer: Writer,
    header: Option<StreamHeader>,
    /// Announced, but not ended yet.
    waiting: HashMap<Namespace, Waiting>,
    current: Option<(Namespace, Option<(String, FileId)>)>,
    done: Vec<Done>,
}

struct Waiting {
    kind: Kind,
    metadata: Option<(String, FileId)>,
}

struct Done {
    namespace: Namespace,
    kind: Kind,
    totals: Totals,
    data: Option<(String, FileId)>,
    metadata: Option<(String, FileId)>,
}

impl ArchiveSink {
    pub(crate) fn create(file: Arc<File>, plan: Plan) -> Result<Self, WriteError> {
        let modified_at = u64::try_from(plan.started_at.timestamp()).unwrap_or_default();
        let writer = Writer::start(
            file,
            codec::of(plan.compression),
            plan.level,
            plan.threads,
            plan.waiting,
            modified_at,
        )?;
        Ok(ArchiveSink {
            plan,
            writer,
            header: None,
            waiting: HashMap::new(),
            current: None,
            done: Vec::new(),
        })
    }

    /// Completes the archive with its manifest. Nothing is synced yet.
    pub(crate) fn finish(
        mut self,
        finished_at: DateTime<Utc>,
    ) -> Result<(Written, Manifest), WriteError> {
        if self.current.is_some() || !self.waiting.is_empty() {
            return Err(WriteError::Order("a collection did not end"));
        }
        let positions = self.writer.positions()?;
        let manifest = self.manifest(finished_at, &positions);
        let json = manifest
            .to_json()
            .map_err(|error| WriteError::Write(std::io::Error::other(error)))?;
        let path = self.inside(manifest::FILE_NAME);
        Ok((self.writer.finish(&path, &json)?, manifest))
    }

    fn manifest(&mut self, finished_at: DateTime<Utc>, positions: &Positions) -> Manifest {
        let place = |file: Option<(String, FileId)>| {
            file.map(|(path, id)| Place {
                path,
                position: positions.of(id),
            })
        };
        let namespaces: Vec<Entry> = std::mem::take(&mut self.done)
            .into_iter()
            .map(|done| Entry {
                namespace: done.namespace,
                kind: done.kind,
                documents: done.totals.documents,
                bytes: done.totals.bytes,
                crc64: done.totals.crc64,
                data: place(done.data),
                metadata: place(done.metadata),
            })
            .collect();
        let owners = || {
            namespaces
                .iter()
                .filter(|entry| !entry.namespace.is_servers_own())
        };
        Manifest {
            pantry_keeper_format: FORMAT,
            archive: self.plan.name.clone(),
            started_at: self.plan.started_at,
            finished_at,
            pantry_keeper_version: env!("CARGO_PKG_VERSION").into(),
            mongodump_version: self
                .header
                .as_ref()
                .map(|header| header.tool_version.clone())
                .unwrap_or_default(),
            server: self.plan.server.clone(),
            point_in_time: namespaces.iter().any(|entry| entry.kind == Kind::Oplog),
            documents: owners().map(|entry| entry.documents).sum(),
            bytes: owners().map(|entry| entry.bytes).sum(),
            namespaces,
        }
    }

    fn inside(&self, path: &str) -> String {
        format!("{}/{path}", self.plan.name)
    }
}

impl DumpSink for ArchiveSink {
    type Error = WriteError;

    fn header(&mut self, header: &StreamHeader) -> Result<(), WriteError> {
        if self.header.is_none() {
            // The same two fields that mongodump writes into a dump folder: mongorestore reads them.
            let prelude = serde_json::json!({
                "ServerVersion": header.server_version,
                "ToolVersion": header.tool_version,
            });
            let path = self.inside(manifest::PRELUDE_NAME);
            self.writer.file(&path, prelude.to_string().as_bytes())?;
            self.header = Some(header.clone());
        }
        Ok(())
    }

    fn announce(&mut self, announced: Announced) -> Result<(), WriteError> {
        let Announced {
            namespace,
            kind,
            metadata,
        } = announced;
        let metadata = if kind == Kind::Oplog {
            None
        } else {
            let path = namespace.metadata_path()?;
            let inside = self.inside(&path);
            Some((path, self.writer.file(&inside, metadata.as_bytes())?))
        };
        self.waiting.insert(namespace, Waiting { kind, metadata });
        Ok(())
    }

    fn begin(&mut self, namespace: &Namespace) -> Result<(), WriteError> {
        let kind = self.waiting.get(namespace).ok_or(UNANNOUNCED)?.kind;
        let data = match kind {
            Kind::View => None,
            _ => {
                let path = namespace.data_path(kind)?;
                let inside = self.inside(&path);
                Some((path, self.writer.open(inside)?))
            }
        };
        self.current = Some((namespace.clone(), data));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if self.current.as_ref().is_none_or(|(_, data)| data.is_none()) {
            // A view's documents are its source's: mongodump does not dump them, and there is no file to put them in.
            return Err(WriteError::Order("documents came that have no file"));
        }
        self.writer.write(bytes)
    }

    fn end(&mut self, totals: Totals) -> Result<(), WriteError> {
        self.writer.close()?;
        let (namespace, data) = self.current.take().ok_or(UNANNOUNCED)?;
        let Waiting { kind, metadata } = self.waiting.remove(&namespace).ok_or(UNANNOUNCED)?;
        self.done.push(Done {
            namespace,
            kind,
            totals,
            data,
            metadata,
        });
        Ok(())
    }
}
