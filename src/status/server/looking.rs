//! Looks at the folder, one at a time, for all who ask.

use crate::archive::file_name;
use crate::settings::Settings;
use crate::status::page::Contents;
use crate::status::snapshot::{Reader, Snapshot};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How old a look may be: whoever asks again and again is not let wear the disk.
const FRESH: Duration = Duration::from_secs(3);
/// How long a look may take.
const LONGEST_LOOK: Duration = Duration::from_secs(20);

/// The disk does not answer.
#[derive(Debug)]
pub(super) struct Hangs;

pub(super) struct Looking {
    /// Whoever looks holds it; one who hangs keeps it for good, so that no further thread is lost.
    reader: Arc<Mutex<Reader>>,
    /// The last look and when it was. Held while another one is made, which all then share.
    last: Mutex<Option<(Instant, Arc<Snapshot>)>>,
    now: fn() -> DateTime<Utc>,
}

impl Looking {
    pub(super) fn new(settings: &Settings, now: fn() -> DateTime<Utc>) -> Self {
        Looking {
            reader: Arc::new(Mutex::new(Reader::new(settings))),
            last: Mutex::new(None),
            now,
        }
    }

    /// Looks once, however long it takes: to read the ends of thousands of archives for the first time can be minutes.
    pub(super) async fn first(&self) {
        let now = self.now;
        // Whoever asks meanwhile waits for it.
        let mut last = self.last.lock().await;
        let first = self
            .with_reader(move |reader| Arc::new(reader.look(now())))
            .await;
        *last = first.ok().map(|snapshot| (Instant::now(), snapshot));
    }

    /// How things are, or were a moment ago.
    pub(super) async fn snapshot(&self) -> Result<Arc<Snapshot>, Hangs> {
        let now = self.now;
        let looking = async {
            let mut last = self.last.lock().await;
            if let Some((at, snapshot)) = last.as_ref()
                && at.elapsed() < FRESH
            {
                return Ok(Arc::clone(snapshot));
            }
            let snapshot = self
                .with_reader(move |reader| Arc::new(reader.look(now())))
                .await?;
            *last = Some((Instant::now(), Arc::clone(&snapshot)));
            Ok(snapshot)
        };
        tokio::time::timeout(LONGEST_LOOK, looking)
            .await
            .unwrap_or(Err(Hangs))
    }

    /// What is in an archive and in the one before it; none where it has no manifest that can be read.
    pub(super) async fn contents(
        &self,
        archive: String,
        before: Option<String>,
    ) -> Result<Option<Contents>, Hangs> {
        let reading = async {
            // The others wait, and share what they can.
            let _others = self.last.lock().await;
            self.with_reader(move |reader| {
                let manifest = |name: &str| {
                    let stem = file_name::stem_of(name)?;
                    reader.repository().manifest(stem)
                };
                let before = before.and_then(|before| manifest(&before));
                manifest(&archive).map(|manifest| Contents { manifest, before })
            })
            .await
        };
        tokio::time::timeout(LONGEST_LOOK, reading)
            .await
            .unwrap_or(Err(Hangs))
    }

    async fn with_reader<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> T + Send + 'static,
    ) -> Result<T, Hangs> {
        let mut reader = Arc::clone(&self.reader)
            .try_lock_owned()
            .map_err(|_| Hangs)?;
        let reading = tokio::task::spawn_blocking(move || read(&mut reader));
        // A panic of the reader's is told by its hook; to who asks it is the same.
        reading.await.map_err(|_| Hangs)
    }
}
