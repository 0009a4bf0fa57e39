//! An archive of documents of one collection that are handed over, instead of dumped: what a restore is about to replace.
//!
//! It is made like any other: written under a temporary name, synced, read back from the disk, verified, sealed where archives
//! are, and only then named.

use super::error::{Failed, JobError, Stage};
use super::proof::{Dumped, Proof};
use crate::archive::container::{ArchiveSink, WriteError};
use crate::archive::crc64::Digest;
use crate::archive::manifest::Server;
use crate::archive::namespace::{Announced, DumpSink, Kind, Namespace, StreamHeader, Totals};
use crate::context::Context;
use crate::report::BackupReport;
use crate::settings::Settings;
use crate::store::locked::LockedRepository;
use std::cell::Cell;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

/// Blocks that may wait to be compressed: a server is asked for each of these documents, and that takes longer.
const WAITING: usize = 1;

/// What is handed over.
pub(crate) enum Handed {
    /// One document, in its BSON bytes.
    Document(Vec<u8>),
    /// There are no more. Without this, there is no archive.
    End,
}

/// Whose documents they are.
pub(crate) struct Origin {
    pub server: Server,
    pub namespace: Namespace,
    /// Options and indexes, as `metadata.json` has them.
    pub metadata: String,
    /// The mongodump whose layout the archive has.
    pub tool_version: String,
}

/// Makes a verified archive of all that comes; none where nothing came.
pub(crate) async fn archive(
    settings: &Settings,
    ctx: &Context,
    repository: &LockedRepository,
    origin: Origin,
    documents: Receiver<Handed>,
) -> Result<Option<BackupReport>, Failed> {
    let stage = Cell::new(Stage::Folder);
    let proof = Proof {
        settings,
        ctx,
        cancel: &ctx.cancel,
        repository,
        stage: &stage,
    };
    let made = make(&proof, origin, documents).await;
    made.map_err(|error| Failed {
        stage: stage.get(),
        error,
    })
}

async fn make(
    proof: &Proof<'_>,
    origin: Origin,
    documents: Receiver<Handed>,
) -> Result<Option<BackupReport>, JobError> {
    let begun = Instant::now();
    let swept = proof.repository.sweep();
    if swept > 0 {
        tracing::debug!("removed {swept} leftover files of an interrupted backup");
    }
    let ctx = proof.ctx;
    let stem = proof.free_stem();
    let partial = proof.repository.begin(&stem)?;
    proof.stage.set(Stage::Dump);
    let sink = proof.sink(&partial, &stem, origin.server.clone(), WAITING)?;
    let now = ctx.now;
    let writing = proof.cancel.blocking(move |_| {
        let (sink, count) = write(sink, origin, documents)?;
        sink.finish(now())
            .map(|(written, manifest)| (written.archive_bytes, manifest, count))
    });
    let written = writing.await?;
    let (archive_bytes, manifest, count) = written.map_err(|error| proof.write_error(error))?;
    if count == 0 {
        return Ok(None);
    }
    let dumped = Dumped {
        partial,
        stem,
        manifest,
        archive_bytes,
        dump_seconds: begun.elapsed().as_secs_f64(),
        warnings: Vec::new(),
    };
    let proven = proof.prove(dumped).await?;
    proof.stage.set(Stage::Name);
    let report = proven.commit(proof.repository, begun, 1, Vec::new(), ctx)?;
    Ok(Some(report))
}

/// How many documents were written.
fn write(
    mut sink: ArchiveSink,
    origin: Origin,
    mut documents: Receiver<Handed>,
) -> Result<(ArchiveSink, u64), WriteError> {
    sink.header(&StreamHeader {
        server_version: origin.server.version,
        tool_version: origin.tool_version,
    })?;
    sink.announce(Announced {
        namespace: origin.namespace.clone(),
        kind: Kind::Collection,
        metadata: origin.metadata,
    })?;
    sink.begin(&origin.namespace)?;
    let (mut crc, mut totals) = (Digest::new(), Totals::default());
    loop {
        match documents.blocking_recv() {
            Some(Handed::Document(document)) => {
                crc.write(&document);
                totals.documents += 1;
                totals.bytes += document.len() as u64;
                sink.data(&document)?;
            }
            Some(Handed::End) => break,
            None => return Err(WriteError::Order("the documents did not come to their end")),
        }
    }
    totals.crc64 = crc.sum64();
    sink.end(totals)?;
    Ok((sink, totals.documents))
}
