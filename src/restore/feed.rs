//! What mongorestore is fed: the collections of an archive under the names they get, and the oplog behind them.

use super::Step;
use super::contents::{Broken, Contents};
use super::interleave;
use super::replay::{self, Operations};
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
    pub steps: Vec<Step>,
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
            tool: self.tool.clone(),
            uri: self.uri.without_database(),
            environment: ctx.environment.clone(),
            redactor: ctx.redactor.clone(),
            stall_timeout: settings.stall_timeout,
            drop: self.drop,
            replay: self.operations.is_some(),
        };
        let bytes = self
            .steps
            .iter()
            .map(|step| self.contents.holdings[step.holding].totals.bytes)
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
            if self.contents.holdings[step.holding].file.is_none() {
                writer.begin(&step.to)?;
                writer.end(Totals::default())?;
            }
        }
        let fed = interleave::feed(self, &targets, &mut writer, cancelled)?;
        let rest = |index: usize| targets.contains_key(&index) && !fed.contains(&index);
        let documents = self.contents.each(&rest, cancelled, &mut |index, content| {
            let (holding, to) = (&self.contents.holdings[index], &targets[&index]);
            writer.begin(to)?;
            copy(content, &mut writer, holding)?;
            writer.end(holding.totals).map_err(FeedError::from)
        });
        documents.map_err(broken)?;
        // Last, and on its own: mongorestore wants everything else before.
        if let (Some(oplog), Some(operations)) = (self.contents.oplog(), &self.operations) {
            replay::feed(&self.contents, oplog, operations, &mut writer, cancelled)
                .map_err(broken)?;
        }
        writer.finish().map_err(FeedError::from)
    }

    /// Says what will come. Where each holding goes.
    fn announce(&self, writer: &mut Feed) -> Result<HashMap<usize, Namespace>, FeedError> {
        let origin = &self.contents.origin;
        writer.header(&StreamHeader {
            server_version: origin.server_version.clone().unwrap_or_default(),
            tool_version: origin.tool_version.clone().unwrap_or_default(),
        })?;
        let mut targets: HashMap<usize, Namespace> = HashMap::new();
        for step in &self.steps {
            writer.announce(Announced {
                namespace: step.to.clone(),
                kind: self.contents.holdings[step.holding].kind,
                metadata: step.metadata.clone(),
            })?;
            targets.insert(step.holding, step.to.clone());
        }
        if self.operations.is_some()
            && let Some(oplog) = self.contents.oplog()
        {
            writer.announce(Announced {
                namespace: self.contents.holdings[oplog].namespace.clone(),
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
    holding: &ArchivedNamespace,
) -> Result<(), FeedError> {
    let mut window = vec![0; WINDOW_BYTES];
    let (mut crc, mut bytes) = (Digest::new(CrcAlgorithm::Crc64Xz), 0);
    loop {
        let read = content
            .read(&mut window)
            .map_err(|error| broken_in(holding, &error))?;
        if read == 0 {
            break;
        }
        crc.update(&window[..read]);
        bytes += read as u64;
        writer.data(&window[..read])?;
    }
    if (bytes, crc.finalize()) == (holding.totals.bytes, holding.totals.crc64) {
        Ok(())
    } else {
        Err(changed(holding))
    }
}

/// What was read is not what was read before.
pub(super) fn changed(holding: &ArchivedNamespace) -> FeedError {
    FeedError::Archive(format!(
        "{} is no longer what was verified: the disk may be failing",
        holding.namespace
    ))
}

/// What was read before cannot be read again.
pub(super) fn broken_in(holding: &ArchivedNamespace, error: &std::io::Error) -> FeedError {
    FeedError::Archive(format!("{}: {}", holding.namespace, reason(error)))
}
