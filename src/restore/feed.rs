//! What mongorestore is fed: the collections of an archive under the names they get, and the oplog behind them.

use super::contents::{ArchivedId, Broken, Contents};
use super::interleave;
use super::replay::{self, Operations};
use super::steps::RestoreStep;
use crate::archive::container::reason;
use crate::archive::namespace::{Announced, DumpSink, Kind, Namespace, StreamHeader, Totals};
use crate::archive::verify::ArchivedNamespace;
use crate::context::Context;
use crate::mongo::mongorestore::{self, Feed, FeedError, LoadOutcome, RestoreOptions};
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::settings::Settings;
use crate::sys::cancel::Cancel;
use crate::sys::progress::{Meter, Unit};
use crc_fast::{CrcAlgorithm, Digest};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Handed to mongorestore at a time, in bytes.
const WINDOW_BYTES: usize = 256 * 1024;

/// What mongorestore is given, and where it puts it.
pub(crate) struct Load {
    pub contents: Arc<Contents>,
    pub steps: Vec<RestoreStep>,
    pub uri: MongoUri,
    pub tool: Tool,
    pub drop: bool,
    /// How many collections may be under way at once.
    pub readers: usize,
    /// Where operations of the oplog go; none when it is not replayed.
    pub operations: Option<Operations>,
}

/// mongorestore takes four collections at once; each takes memory of it, and time of a processor.
pub(crate) fn most_readers(settings: &Settings) -> usize {
    settings.threads.get().min(4)
}

impl Load {
    /// Streams the archive into mongorestore, with progress.
    pub(crate) async fn run(
        self,
        settings: &Settings,
        ctx: &Context,
        cancel: &Cancel,
    ) -> LoadOutcome {
        let options = RestoreOptions {
            tool: ctx.tool_options(self.tool.clone(), &self.uri, settings.stall_timeout),
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

    fn feed(&self, mut writer: Feed, cancelled: &AtomicBool) -> Result<(), FeedError> {
        let targets = self.announce(&mut writer)?;
        // Views, and collections that are options only.
        for step in &self.steps {
            if self.contents[step.source].file.is_none() {
                writer.begin(&step.to)?;
                writer.end(Totals::default())?;
            }
        }
        let fed = interleave::feed(self, &targets, &mut writer, cancelled)?;
        let rest = |id: ArchivedId| targets.contains_key(&id) && !fed.contains(&id);
        let documents = self.contents.each(&rest, cancelled, &mut |id, content| {
            let (archived, to) = (&self.contents[id], &targets[&id]);
            writer.begin(to)?;
            copy(content, &mut writer, archived)?;
            writer.end(archived.totals).map_err(FeedError::from)
        });
        documents.map_err(broken)?;
        // Last, and on its own: mongorestore wants everything else before.
        if let (Some(oplog), Some(operations)) = (self.contents.oplog(), &self.operations) {
            replay::feed(&self.contents, oplog, operations, &mut writer, cancelled)
                .map_err(broken)?;
        }
        writer.finish().map_err(FeedError::from)
    }

    /// Says what will come. Where each namespace goes.
    fn announce(&self, writer: &mut Feed) -> Result<HashMap<ArchivedId, Namespace>, FeedError> {
        let origin = &self.contents.origin;
        writer.header(&StreamHeader {
            server_version: origin.server_version.clone().unwrap_or_default(),
            tool_version: origin.tool_version.clone().unwrap_or_default(),
        })?;
        let mut targets: HashMap<ArchivedId, Namespace> = HashMap::new();
        for step in &self.steps {
            writer.announce(Announced {
                namespace: step.to.clone(),
                kind: self.contents[step.source].kind,
                metadata: step.metadata.clone(),
            })?;
            targets.insert(step.source, step.to.clone());
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
) -> Result<(), FeedError> {
    let mut window = vec![0; WINDOW_BYTES];
    let (mut crc, mut bytes) = (Digest::new(CrcAlgorithm::Crc64Xz), 0);
    loop {
        let read = content
            .read(&mut window)
            .map_err(|error| broken_in(archived, &error))?;
        if read == 0 {
            break;
        }
        crc.update(&window[..read]);
        bytes += read as u64;
        writer.data(&window[..read])?;
    }
    if (bytes, crc.finalize()) == (archived.totals.bytes, archived.totals.crc64) {
        Ok(())
    } else {
        Err(changed(archived))
    }
}

/// What was read is not what was read before.
pub(super) fn changed(archived: &ArchivedNamespace) -> FeedError {
    FeedError::Archive(format!(
        "{} is no longer what was verified: the disk may be failing",
        archived.namespace
    ))
}

/// What was read before cannot be read again.
pub(super) fn broken_in(archived: &ArchivedNamespace, error: &std::io::Error) -> FeedError {
    FeedError::Archive(format!("{}: {}", archived.namespace, reason(error)))
}
