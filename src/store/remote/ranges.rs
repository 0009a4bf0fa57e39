//! A file elsewhere that is read by threads which may block, as all that reads archives does.
//!
//! One thread keeps the connection, with a runtime of its own: whoever waits for bytes can be any thread, that of the
//! program's runtime too, and nothing stands still. It ends with the last reader. What may pass is tried again, with what has
//! arrived already kept; nothing waits for ever.

use super::error::{StoreError, StoreErrorKind};
use super::part::Part;
use super::transfer::Transfer;
use super::{Access, Store};
use crate::archive::ranged::Ranges;
use crate::settings::{OffsiteCredentials, OffsitePlace};
use crate::sys::cancel::Cancel;
use crate::sys::redact::Redactor;
use chrono::{DateTime, Utc};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// How long to wait before the first further attempt; before each that follows, three times as long.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// For how long no byte may come before it is given up: a router takes less to start again.
const LONGEST_STANDSTILL: Duration = Duration::from_secs(120);

/// All that it takes to get to a place, again and again.
#[derive(Clone)]
pub(crate) struct Way {
    pub place: OffsitePlace,
    pub credentials: OffsiteCredentials,
    pub environment: Vec<(OsString, OsString)>,
    pub redactor: Redactor,
    /// The clock.
    pub now: fn() -> DateTime<Utc>,
    pub cancel: Cancel,
    pub stall_timeout: Duration,
    /// Where a kind may lay down what it cannot hold.
    pub scratch: PathBuf,
}

impl Way {
    async fn open(&self) -> Result<Store, StoreError> {
        let access = Access {
            credentials: &self.credentials,
            environment: &self.environment,
            redactor: &self.redactor,
            now: self.now,
            bandwidth: None,
            scratch: &self.scratch,
        };
        let limit = self.attempt_limit();
        match tokio::time::timeout(limit, Store::open(&self.place, &access)).await {
            Ok(opened) => opened,
            Err(_) => Err(StoreError::new(
                StoreErrorKind::Unreachable,
                format!("no connection within {} s", limit.as_secs()),
                "",
            )),
        }
    }

    /// How long nothing may come in all.
    fn limit(&self) -> Duration {
        self.stall_timeout.min(LONGEST_STANDSTILL)
    }

    /// How long nothing may come over one connection, so that there is time for another.
    fn attempt_limit(&self) -> Duration {
        self.limit() / 2
    }
}

/// Why a file was given up. Nothing more is asked for then: whoever reads on where a part is missing, to see what else is
/// there, would wait as long for each of the others.
#[derive(Clone, Default)]
pub(crate) struct GivenUp(Arc<OnceLock<StoreError>>);

impl GivenUp {
    pub(crate) fn reason(&self) -> Option<&StoreError> {
        self.0.get()
    }
}

struct Job {
    range: Range<u64>,
    answer: SyncSender<Result<Vec<u8>, StoreError>>,
}

/// A file elsewhere, open to be read.
pub(crate) struct OpenFile {
    jobs: UnboundedSender<Job>,
    given_up: GivenUp,
}

impl OpenFile {
    /// Nothing is connected before the first byte is wanted. `bytes` is how long the file is said to be.
    pub(crate) fn new(way: Way, name: &str, bytes: u64) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (jobs, wanted) = unbounded_channel();
        let name = name.to_owned();
        let thread = thread::Builder::new().name("elsewhere".into());
        thread.spawn(move || {
            let file = RemoteFile {
                way,
                name,
                bytes,
                store: tokio::sync::Mutex::default(),
                tag: RefCell::default(),
            };
            runtime.block_on(file.serve(wanted));
        })?;
        Ok(OpenFile {
            jobs,
            given_up: GivenUp::default(),
        })
    }

    pub(crate) fn given_up(&self) -> GivenUp {
        self.given_up.clone()
    }
}

impl Ranges for OpenFile {
    fn fetch(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        if let Some(error) = self.given_up.reason() {
            return Err(io::Error::other(error.to_string()));
        }
        let gone = || io::Error::other("the thread that reads elsewhere has stopped");
        let (answer, answered) = sync_channel(1);
        let sent = self.jobs.send(Job { range, answer });
        sent.map_err(|_| gone())?;
        let result = answered.recv().map_err(|_| gone())?;
        result.map_err(|error| {
            let error = self.given_up.0.get_or_init(|| error);
            io::Error::other(error.to_string())
        })
    }
}

struct RemoteFile {
    way: Way,
    name: String,
    bytes: u64,
    store: tokio::sync::Mutex<Option<Rc<Store>>>,
    tag: RefCell<Option<String>>,
}

impl RemoteFile {
    async fn serve(self, mut wanted: UnboundedReceiver<Job>) {
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                job = wanted.recv() => match job {
                    Some(job) => running.push(self.answer(job)),
                    // Nobody reads any more.
                    None => return,
                },
                Some(()) = running.next() => {}
            }
        }
    }

    async fn answer(&self, job: Job) {
        let fetching = self.way.cancel.or(self.fetch(job.range)).await;
        let result = fetching.unwrap_or_else(|reason| {
            let stopped = StoreError::new(StoreErrorKind::Other, reason.to_string(), "");
            Err(stopped)
        });
        // One who was stopped does not wait for it.
        let _ = job.answer.send(result);
    }

    /// All of a range, in several attempts if need be.
    async fn fetch(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let length = (range.end - range.start) as usize;
        let mut bytes = Vec::with_capacity(length);
        let (mut since, mut wait) = (Instant::now(), FIRST_WAIT);
        loop {
            let before = bytes.len();
            let error = match self.attempt(&range, &mut bytes).await {
                Ok(()) if bytes.len() == length => return Ok(bytes),
                Ok(()) => {
                    let (name, there) = (&self.name, bytes.len());
                    let summary = format!("only {there} of {length} bytes of {name} arrived");
                    StoreError::new(StoreErrorKind::Unreachable, summary, "")
                }
                Err(error) => error,
            };
            let error = self.redacted(error);
            if bytes.len() > before {
                (since, wait) = (Instant::now(), FIRST_WAIT);
            }
            let left = self.way.limit().saturating_sub(since.elapsed());
            if !error.is(StoreErrorKind::Unreachable) || left.is_zero() {
                return Err(error);
            }
            tracing::debug!("reading {}: {error}; trying again", self.name);
            tokio::time::sleep(wait.min(left)).await;
            wait = (wait * 3).min(LONGEST_WAIT);
        }
    }

    /// Adds to `bytes` what is missing of a range, or some of it.
    async fn attempt(&self, range: &Range<u64>, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
        let store = self.connected().await?;
        let transfer = Transfer::new(None);
        let tag = self.tag.borrow().clone();
        let part = Part {
            name: &self.name,
            range: range.start + bytes.len() as u64..range.end,
            bytes: self.bytes,
            tag: tag.as_deref(),
        };
        let most = (range.end - range.start) as usize;
        let moved = Arc::clone(&transfer);
        let mut sink = |piece: &[u8]| {
            if piece.len() > most - bytes.len() {
                return Err(io::Error::other("more came than was asked for"));
            }
            bytes.extend_from_slice(piece);
            moved.advance(piece.len() as u64);
            Ok(())
        };
        let reading = store.read_part(&part, &mut sink);
        match transfer
            .unless_stalled(self.way.attempt_limit(), reading)
            .await
        {
            Ok(seen) => {
                if let (None, Some(seen)) = (tag, seen) {
                    self.tag.borrow_mut().get_or_insert(seen);
                }
                Ok(())
            }
            Err(error) => {
                if error.is(StoreErrorKind::Unreachable) {
                    self.disconnect(&store).await;
                }
                Err(error)
            }
        }
    }

    async fn connected(&self) -> Result<Rc<Store>, StoreError> {
        let mut store = self.store.lock().await;
        if let Some(store) = &*store {
            return Ok(Rc::clone(store));
        }
        let opened = Rc::new(self.way.open().await?);
        *store = Some(Rc::clone(&opened));
        Ok(opened)
    }

    /// Once, however many readers it fails.
    async fn disconnect(&self, broken: &Rc<Store>) {
        let mut store = self.store.lock().await;
        if store
            .as_ref()
            .is_some_and(|store| Rc::ptr_eq(store, broken))
        {
            *store = None;
        }
    }

    fn redacted(&self, error: StoreError) -> StoreError {
        let redact = |text: String| self.way.redactor.redact(&text).into_owned();
        let mut error = error;
        error.problem.summary = redact(error.problem.summary);
        error.problem.help = error.problem.help.map(redact);
        error
    }
}
