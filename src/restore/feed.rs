//! What mongorestore is fed: the collections of an archive under the names they get, and the oplog behind them.

use super::checked::{Checked, broken_in};
use super::contents::{ArchivedId, Broken, Contents};
use super::definition::StoredDefinition;
use super::interleave;
use super::replay::{self, Operations};
use super::steps::RestoreStep;
use super::system::is_taken_first;
use crate::archive::namespace::{Announced, DumpSink, Kind, Namespace, StreamHeader, Totals};
use crate::archive::verify::ArchivedNamespace;
use crate::context::Context;
use crate::mongo::mongorestore::{self, Feed, FeedError, LoadOutcome, RestoreOptions};
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::settings::Settings;
use crate::sys::cancel::Cancel;
use crate::sys::progress::{Meter, Unit};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Handed to mongorestore at a time, in bytes.
const WINDOW_BYTES: usize = 256 * 1024;

/// Collections that mongorestore takes at once. It would wait forever for the end of one while a fifth begins.
const COLLECTIONS_AT_ONCE: usize = 4;
/// Connections that should be inserting at any time. More of them made nothing faster.
const INSERTING: u64 = 4;
/// Documents that a worker of mongorestore sends at a time.
const BATCH_DOCUMENTS: u64 = 1000;
/// What the batches of one collection may take of mongorestore's memory, in bytes.
const BATCHES_BYTES: u64 = 64 * 1024 * 1024;

/// What mongorestore is given, and where it puts it.
pub(crate) struct Load {
    pub contents: Arc<Contents>,
    pub steps: Arc<[RestoreStep]>,
    pub uri: MongoUri,
    pub tool: Tool,
    pub drop: bool,
    /// How many collections may be under way at once; at least one.
    pub readers: usize,
    /// Where operations of the oplog go; none when it is not replayed.
    pub operations: Option<Operations>,
}

/// Each collection that is under way takes memory of mongorestore, and time of a processor.
pub(crate) fn most_readers(settings: &Settings) -> usize {
    settings.threads.get().min(COLLECTIONS_AT_ONCE)
}

impl Load {
    /// Streams the archive into mongorestore, with progress.
    pub(crate) async fn run(
        self,
        settings: &Settings,
        ctx: &Context,
        cancel: &Cancel,
    ) -> LoadOutcome {
        let tool = ctx.tool_options(self.tool.clone(), &self.uri, settings.stall_timeout);
        let options = RestoreOptions {
            tool: tool.await,
            workers: self.insertion_workers(),
            drop: self.drop,
            replay: self.operations.is_some(),
        };
        let bytes = self
            .steps
            .iter()
            .map(|step| self.contents[step.source].totals.bytes)
            .sum();
        let meter = Meter::new("restoring", Unit::Bytes, Some(bytes), &ctx.screen);
        let cancelled = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&cancelled);
        let feed = move |writer| self.feed(writer, &seen);
        let outcome = mongorestore::run(&options, feed, &meter, cancel).await;
        cancelled.store(true, Ordering::Relaxed);
        outcome
    }

    /// How many workers insert each collection: with one alone, documents and the server wait for each other. The larger the
    /// share of the largest collection, the more there are; four collections are inserted at once anyway. The order of a
    /// capped collection is part of it, and only one worker keeps it.
    fn insertion_workers(&self) -> usize {
        let restored = self.steps.iter().map(|step| &self.contents[step.source]);
        let capped = |one: &ArchivedNamespace| {
            // What cannot be read may say so.
            StoredDefinition::parse(&one.metadata).map_or(true, |stored| stored.is_capped())
        };
        if restored.clone().any(capped) {
            return 1;
        }
        let all = restored.map(|one| one.totals);
        workers(all, self.readers)
    }

    fn feed(&self, mut writer: Feed, cancelled: &AtomicBool) -> Result<(), FeedError> {
        let targets = self.announce(&mut writer)?.into_iter();
        // First what mongorestore takes before everything else only.
        let (first, mut targets): (HashMap<_, _>, HashMap<_, _>) =
            targets.partition(|(id, _)| is_taken_first(&self.contents[*id].namespace));
        self.feed_in_order(first, 0, &mut writer, cancelled)?;
        // Views, and collections that are options only.
        for step in self.steps.iter() {
            if self.contents[step.source].file.is_none() {
                writer.begin(&step.to)?;
                writer.end(Totals::default())?;
            }
        }
        let fed = interleave::feed(
            &self.contents,
            self.readers,
            &targets,
            &mut writer,
            cancelled,
        )?;
        targets.retain(|id, _| !fed.contains(id));
        self.feed_in_order(targets, self.readers - 1, &mut writer, cancelled)?;
        // Last, and on its own: mongorestore wants everything else before.
        if let (Some(oplog), Some(operations)) = (self.contents.oplog(), &self.operations) {
            replay::feed(&self.contents, oplog, operations, &mut writer, cancelled)
                .map_err(broken)?;
        }
        writer.finish().map_err(FeedError::from)
    }

    /// Feeds one after the other, as the archive has them. Up to `ahead` of the next ones are begun before it is their turn: to
    /// make a collection is to wait for the server, and it makes several while it waits.
    fn feed_in_order(
        &self,
        targets: HashMap<ArchivedId, &Namespace>,
        ahead: usize,
        writer: &mut Feed,
        cancelled: &AtomicBool,
    ) -> Result<(), FeedError> {
        let wanted = |id: ArchivedId| targets.contains_key(&id);
        let with_documents = self.contents.all().filter(|(_, one)| one.file.is_some());
        let ids = with_documents.map(|(id, _)| id).filter(|id| wanted(*id));
        let mut waiting: VecDeque<ArchivedId> = ids.collect();
        let mut begun = HashSet::new();
        let documents = self.contents.each(&wanted, cancelled, &mut |id, content| {
            begun.remove(&id);
            if let Some(at) = waiting.iter().position(|one| *one == id) {
                waiting.remove(at);
            }
            while begun.len() < ahead
                && let Some(next) = waiting.pop_front()
            {
                writer.begin(targets[&next])?;
                begun.insert(next);
            }
            writer.begin(targets[&id])?;
            let totals = copy(content, writer, &self.contents[id])?;
            writer.end(totals).map_err(FeedError::from)
        });
        documents.map_err(broken)
    }

    /// Says what will come. Where each namespace goes.
    fn announce(&self, writer: &mut Feed) -> Result<HashMap<ArchivedId, &Namespace>, FeedError> {
        let origin = &self.contents.origin;
        writer.header(&StreamHeader {
            server_version: origin.server_version.clone().unwrap_or_default(),
            tool_version: origin.tool_version.clone().unwrap_or_default(),
        })?;
        let mut targets = HashMap::with_capacity(self.steps.len());
        for step in self.steps.iter() {
            let archived = &self.contents[step.source];
            let metadata = step.metadata.as_ref().unwrap_or(&archived.metadata);
            writer.announce(Announced {
                namespace: step.to.clone(),
                kind: archived.kind,
                metadata: metadata.clone(),
            })?;
            targets.insert(step.source, &step.to);
        }
        if self.operations.is_some()
            && let Some(oplog) = self.contents.oplog()
        {
            writer.announce(Announced {
                namespace: self.contents[oplog].namespace.clone(),
                kind: Kind::Oplog,
                metadata: String::new(),
            })?;
        }
        Ok(targets)
    }
}

fn workers(all: impl Iterator<Item = Totals> + Clone, most: usize) -> usize {
    let bytes: u64 = all.clone().map(|one| one.bytes).sum();
    let Some(largest) = all.max_by_key(|one| one.bytes) else {
        return 1;
    };
    let batch = largest.bytes / largest.documents.max(1) * BATCH_DOCUMENTS;
    let share = (INSERTING * largest.bytes).div_ceil(bytes.max(1));
    let wanted = share.min(BATCHES_BYTES / batch.max(1));
    usize::try_from(wanted).map_or(most, |wanted| wanted.clamp(1, most))
}

fn broken(broken: Broken<FeedError>) -> FeedError {
    match broken {
        Broken::Archive(problem) => FeedError::Archive(problem),
        Broken::Visitor(error) => error,
    }
}

/// Hands documents on, and makes sure that they are still what was verified.
fn copy(
    content: &mut dyn Read,
    writer: &mut Feed,
    archived: &ArchivedNamespace,
) -> Result<Totals, FeedError> {
    let mut window = vec![0; WINDOW_BYTES];
    let mut checked = Checked::new();
    loop {
        let read = content.read(&mut window);
        let read = read.map_err(|error| broken_in(archived, &error))?;
        if read == 0 {
            return checked.finish(archived);
        }
        checked.update(&window[..read]);
        writer.data(&window[..read])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_has_as_many_workers_as_its_share_and_its_documents_allow() {
        let of = |documents, bytes| Totals {
            documents,
            bytes,
            crc64: 0,
        };
        let small = of(1_000_000, 100_000_000);
        let for_all = |all: &[Totals]| workers(all.iter().copied(), 4);
        assert_eq!(for_all(&[small]), 4);
        assert_eq!(for_all(&[small, of(1, 100)]), 4);
        assert_eq!(for_all(&[small, small]), 2);
        assert_eq!(for_all(&[small, small, small]), 2);
        assert_eq!(for_all(&[small; 5]), 1);
        assert_eq!(for_all(&[of(100, 100_000_000)]), 1, "1 MB each");
        assert_eq!(for_all(&[of(10_000, 200_000_000)]), 3, "20 kB each");
        assert_eq!(for_all(&[of(0, 0)]), 1);
        assert_eq!(for_all(&[]), 1);
        assert_eq!(workers([small].into_iter(), 1), 1);
    }
}
