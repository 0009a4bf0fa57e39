//! The oplog of an archive, read operation by operation: what is to be replayed, and under which names.

use super::contents::{Broken, Contents};
use super::documents;
use super::indexes::IndexCatalog;
use super::oplog::{self, Unfit};
use crate::archive::container::reason;
use crate::archive::namespace::{DumpSink, Namespace, Totals};
use crate::mongo::mongorestore::{Feed, FeedError};
use crc_fast::{CrcAlgorithm, Digest};
use mongodb::bson::Document;
use std::io::Read;
use std::sync::atomic::AtomicBool;

/// Where operations on a namespace go; none when they are left out.
pub(super) type Operations = Box<dyn Fn(&Namespace) -> Option<Namespace> + Send>;

/// Why an oplog could not be read through.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperationError {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("{0}")]
    Pipe(std::io::Error),
    #[error("the oplog: {0}")]
    Other(String),
}

/// Hands over the operations that are to be replayed, as they are to be replayed.
pub(super) fn each_operation(
    content: &mut dyn Read,
    target: &oplog::Target,
    visit: &mut dyn FnMut(Document) -> Result<(), OperationError>,
) -> Result<(), OperationError> {
    let (mut failed, mut first) = (None, true);
    let read = documents::each(content, |raw| {
        let entry = Document::try_from(raw).map_err(std::io::Error::other)?;
        // mongodump begins with the last operation before the dump, which the dump holds already; only where a transaction
        // was under way does it begin earlier, and then with that. Left out, it spares a quiet server the whole replay.
        if std::mem::take(&mut first) && matches!(entry.get_str("op"), Ok("i" | "u" | "d")) {
            return Ok(());
        }
        let visited = match oplog::rewrite(entry, target) {
            Ok(Some(entry)) => visit(entry),
            Ok(None) => Ok(()),
            Err(unfit) => Err(unfit.into()),
        };
        visited.map_err(|error| {
            failed = Some(error);
            std::io::ErrorKind::Other.into()
        })
    });
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, read) => read.map_err(|error| OperationError::Other(reason(&error))),
    }
}

/// Feeds the operations, without what they do to indexes: those are built by us in the end, as the catalog says.
pub(super) fn feed(
    contents: &Contents,
    oplog: usize,
    operations: &Operations,
    writer: &mut Feed,
    cancelled: &AtomicBool,
) -> Result<(), Broken<FeedError>> {
    let is_oplog = |index| index == oplog;
    contents.each(&is_oplog, cancelled, &mut |_, content| {
        writer.begin(&contents.holdings[oplog].namespace)?;
        let (mut crc, mut totals) = (Digest::new(CrcAlgorithm::Crc64Xz), Totals::default());
        let mut indexes = IndexCatalog::default();
        let operated = each_operation(content, operations, &mut |entry| {
            let Some(entry) = indexes.replay(entry) else {
                return Ok(());
            };
            let bytes = entry
                .to_vec()
                .map_err(|error| OperationError::Other(error.to_string()))?;
            crc.update(&bytes);
            totals.documents += 1;
            totals.bytes += bytes.len() as u64;
            writer.data(&bytes).map_err(OperationError::Pipe)
        });
        operated.map_err(|error| match error {
            OperationError::Pipe(error) => FeedError::Pipe(error),
            other => FeedError::Archive(other.to_string()),
        })?;
        totals.crc64 = crc.finalize();
        writer.end(totals).map_err(FeedError::from)
    })
}
