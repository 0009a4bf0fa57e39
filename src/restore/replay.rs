//! The oplog of an archive, read operation by operation: what is to be replayed, and under which names.

use super::contents::{ArchivedId, Broken, Contents};
use super::documents;
use super::error::RestoreError;
use super::indexes::IndexCatalog;
use super::oplog::{self, Operation, Unfit};
use super::plan::{OplogEffects, RestorePlan};
use crate::archive::container::reason;
use crate::archive::crc64::Digest;
use crate::archive::namespace::{DumpSink, Namespace, Totals};
use crate::mongo::mongorestore::{Feed, FeedError};
use crate::sys::cancel::Cancel;
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// mongorestore takes no more than 16 MiB for one entry of an archive's oplog; a new name may make it longer. Of a folder,
/// stock mongorestore takes some more.
const LARGEST_BYTES: usize = 16 * 1024 * 1024 - 1024;
const TOO_LARGE: &str =
    "one of more than 16 MiB, which mongorestore takes from an unpacked folder only";

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

/// Reads the oplog through. What it does, and the indexes that are to be there after it.
pub(super) async fn inspect(
    plan: &RestorePlan,
    oplog: ArchivedId,
    cancel: &Cancel,
) -> Result<(OplogEffects, IndexCatalog), RestoreError> {
    let held: HashSet<&Namespace> = plan.steps.iter().map(|step| &step.to).collect();
    // What the dump does not hold was made while it ran. If the target has one of that name, it is another one.
    let there = plan.target.facts.found.iter().map(|found| &found.namespace);
    let untouchable = there.filter(|namespace| !held.contains(namespace));
    let mut effects = OplogEffects {
        untouchable: untouchable.cloned().collect(),
        ..OplogEffects::default()
    };
    let mut indexes = plan.indexes.clone();
    let (contents, selection) = (Arc::clone(&plan.contents), plan.selection.clone());
    let reading = cancel.blocking(move |cancelled| {
        let touched = RefCell::new(HashSet::new());
        let target = |from: &Namespace| {
            let to = selection.target_of_operation(from, &effects.untouchable)?;
            touched.borrow_mut().insert(to.clone());
            Some(to)
        };
        let (mut entries, mut fed) = (0, 0);
        let (mut there, mut left_over) = (oplog::Effects::default(), oplog::Effects::default());
        let read = read_through(&contents, oplog, &target, cancelled, &mut |operation| {
            entries += u64::from(there.applies(&operation));
            let left = without_indexes(operation, &mut indexes);
            fed += u64::from(left.is_some_and(|left| left_over.applies(&left)));
            Ok(())
        });
        read.map_err(|broken| unreadable(&contents, broken))?;
        effects.replayed = touched.into_inner();
        (effects.entries, effects.fed) = (entries, fed);
        Ok((effects, indexes))
    });
    reading.await?
}

fn unreadable(contents: &Contents, broken: Broken<OperationError>) -> RestoreError {
    let damage = match broken {
        Broken::Visitor(OperationError::Unfit(unfit)) => return unfit.into(),
        Broken::Visitor(other) => other.to_string(),
        Broken::Archive(damage) => damage,
    };
    contents.no_longer_sound(damage)
}

/// Why the oplog of an archive cannot be replayed as a whole, where that is so.
pub(crate) async fn problem_of(
    contents: &Arc<Contents>,
    cancel: &Cancel,
) -> Result<Option<String>, RestoreError> {
    let Some(oplog) = contents.oplog() else {
        return Ok(None);
    };
    let contents = Arc::clone(contents);
    let reading = cancel.blocking(move |cancelled| {
        let everything = |from: &Namespace| Some(from.clone());
        match read_through(&contents, oplog, &everything, cancelled, &mut |_| Ok(())) {
            Ok(()) => Ok(None),
            Err(Broken::Visitor(OperationError::Unfit(unfit))) => Ok(Some(unfit.to_string())),
            Err(broken) => Err(unreadable(&contents, broken)),
        }
    });
    reading.await?
}

/// Reads an archive's oplog, and hands over what is to be replayed of it.
pub(super) fn read_through(
    contents: &Contents,
    oplog: ArchivedId,
    target: &oplog::Target,
    cancelled: &AtomicBool,
    visit: &mut dyn FnMut(Operation) -> Result<(), OperationError>,
) -> Result<(), Broken<OperationError>> {
    contents.each(&|id| id == oplog, cancelled, &mut |_, content| {
        each_operation(content, target, visit)
    })
}

/// Hands over the operations that are to be replayed, as they are to be replayed.
fn each_operation(
    content: &mut dyn Read,
    target: &oplog::Target,
    visit: &mut dyn FnMut(Operation) -> Result<(), OperationError>,
) -> Result<(), OperationError> {
    let (mut failed, mut first) = (None, true);
    let read = documents::each(content, |raw| {
        let bytes = raw.as_bytes().len();
        if std::mem::take(&mut first) && oplog::is_before_the_dump(raw) {
            return Ok(());
        }
        let visited = match oplog::chosen(raw, target) {
            Ok(Some(_)) if bytes > LARGEST_BYTES => Err(Unfit(TOO_LARGE.into()).into()),
            Ok(Some(operation)) => visit(operation),
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

/// What is left of an operation without what it does to indexes, which `indexes` takes over.
fn without_indexes(operation: Operation, indexes: &mut IndexCatalog) -> Option<Operation> {
    match operation {
        Operation::Command(entry) => indexes.replay(entry).map(Operation::Command),
        on_document @ Operation::OnDocument(_) => Some(on_document),
    }
}

/// Feeds the operations, without what they do to indexes: those are built by us in the end, as the catalog says.
pub(super) fn feed(
    contents: &Contents,
    oplog: ArchivedId,
    operations: &Operations,
    writer: &mut Feed,
    cancelled: &AtomicBool,
) -> Result<(), Broken<FeedError>> {
    let is_oplog = |id| id == oplog;
    contents.each(&is_oplog, cancelled, &mut |_, content| {
        writer.begin(&contents[oplog].namespace)?;
        let (mut crc, mut totals) = (Digest::new(), Totals::default());
        let mut indexes = IndexCatalog::default();
        let operated = each_operation(content, operations, &mut |operation| {
            let bytes = match without_indexes(operation, &mut indexes) {
                None => return Ok(()),
                Some(Operation::OnDocument(bytes)) => bytes,
                Some(Operation::Command(entry)) => entry
                    .to_vec()
                    .map_err(|error| OperationError::Other(error.to_string()))?,
            };
            crc.write(&bytes);
            totals.documents += 1;
            totals.bytes += bytes.len() as u64;
            writer.data(&bytes).map_err(OperationError::Pipe)
        });
        operated.map_err(|error| match error {
            OperationError::Pipe(error) => FeedError::Pipe(error),
            other => FeedError::Archive(other.to_string()),
        })?;
        totals.crc64 = crc.sum64();
        writer.end(totals).map_err(FeedError::from)
    })
}
