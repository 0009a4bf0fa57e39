//! One round over all places: what is verified here and not there yet is sent, the newest first, and retention follows.
//!
//! ```text
//! what is there → what is left over goes → send and prove, newest first → the checksum last → retention there
//! ```
//!
//! Nothing there is overwritten: what lies under an archive's name and is not the archive is an alarm, and stays.

use super::record::{Book, CopyRecord};
use super::{is_ours, moving, needed, open, retention};
use crate::archive::file_name;
use crate::archive::sidecar::{self, Sidecar};
use crate::context::Context;
use crate::report::ArchiveSummary;
use crate::settings::{OffsitePlace, Settings};
use crate::state::{StateStore, warn_unsaved};
use crate::store::remote::{
    Comparison, Entry, Proof, Source, Store, StoreError, StoreErrorKind, Transfer,
};
use crate::store::repository::Repository;
use crate::sys::atomic_file::PARTIAL_EXTENSION;
use crate::sys::cancel::Interruption;
use crate::sys::humanize;
use crate::sys::lock::LockError;
use crate::sys::progress::{Meter, Unit};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoundEnd {
    /// Everything that belongs elsewhere is there.
    Complete,
    /// Something is not there; it was logged and kept for mails, `list` and `health`.
    Behind,
    /// Another process is at it.
    Busy,
    Stopped,
}

/// Brings all places up to date.
pub(crate) async fn round(settings: &Settings, ctx: &Context) -> RoundEnd {
    if settings.offsite.places.is_empty() {
        return RoundEnd::Complete;
    }
    let repository = Repository::of(settings);
    let mut book = match Book::open(&repository) {
        Ok(book) => book,
        Err(LockError::Held(_)) => return RoundEnd::Busy,
        Err(error) => {
            tracing::warn!("copies elsewhere were not looked at: {error}");
            return RoundEnd::Behind;
        }
    };
    let mut end = RoundEnd::Complete;
    for place in &settings.offsite.places {
        let shown = place.to_string();
        book.place(&shown).since.get_or_insert((ctx.now)());
        let mut visit = Visit {
            settings,
            ctx,
            repository: &repository,
            book: &mut book,
            place: shown.clone(),
            problems: Vec::new(),
        };
        let result = ctx.cancel.or(visit.sync(place)).await;
        let problems = std::mem::take(&mut visit.problems);
        match conclude(ctx, &mut book, &shown, result, problems) {
            RoundEnd::Stopped => return RoundEnd::Stopped,
            RoundEnd::Complete => {}
            other => end = other,
        }
    }
    end
}

/// Writes down how it went at one place.
fn conclude(
    ctx: &Context,
    book: &mut Book,
    shown: &str,
    result: Result<Result<(), StoreError>, Interruption>,
    mut problems: Vec<String>,
) -> RoundEnd {
    let stopped = result.is_err();
    if let Ok(Err(error)) = &result {
        problems.push(error.to_string());
    }
    let now = (ctx.now)();
    let redacted = problems
        .first()
        .map(|problem| ctx.redactor.redact(problem).into_owned());
    for problem in &problems {
        tracing::warn!("{shown}: {}", ctx.redactor.redact(problem));
    }
    let known = book.place(shown);
    if !stopped {
        known.problem = redacted;
        if known.problem.is_none() {
            known.complete_at = Some(now);
        }
    }
    warn_unsaved(book.save());
    match (stopped, problems.is_empty()) {
        (true, _) => RoundEnd::Stopped,
        (_, true) => RoundEnd::Complete,
        (_, false) => RoundEnd::Behind,
    }
}

/// One place, once.
struct Visit<'v> {
    settings: &'v Settings,
    ctx: &'v Context,
    repository: &'v Repository,
    book: &'v mut Book,
    place: String,
    problems: Vec<String>,
}

type Listing = BTreeMap<String, u64>;

impl Visit<'_> {
    async fn sync(&mut self, place: &OffsitePlace) -> Result<(), StoreError> {
        let repository = self.repository.clone();
        let listing = tokio::task::spawn_blocking(move || repository.list());
        let local = match listing.await {
            Ok(Ok(local)) => local,
            Ok(Err(error)) => {
                return Err(StoreError::new(
                    StoreErrorKind::Local,
                    error.to_string(),
                    "",
                ));
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let store = open(self.settings, self.ctx, place).await?;
        let mut there = self.look(&store, place).await?;
        self.sweep(&store, &mut there).await;
        for one in self.wanted(&local) {
            let stem = file_name::stem_of(&one.archive).unwrap_or(&one.archive);
            match self.bring(&store, one, stem, &there).await {
                Ok(()) => {}
                // One that cannot be copied does not keep the others.
                Err(error)
                    if [
                        StoreErrorKind::Local,
                        StoreErrorKind::Differs,
                        StoreErrorKind::Exists,
                    ]
                    .contains(&error.kind) =>
                {
                    self.problems.push(format!("{}: {error}", one.archive));
                }
                Err(error) => return Err(error),
            }
            warn_unsaved(self.book.save());
        }
        self.retain(&store).await
    }

    /// What is there now, and what is known to have been there.
    async fn look(&mut self, store: &Store, place: &OffsitePlace) -> Result<Listing, StoreError> {
        let listed = store.list().await?;
        let there: Listing = listed
            .into_iter()
            .map(|Entry { name, bytes }| (name, bytes))
            .collect();
        let known = self.book.place(&self.place);
        let gone: Vec<String> = known
            .copies
            .keys()
            .filter(|archive| !there.contains_key(*archive))
            .cloned()
            .collect();
        if !gone.is_empty()
            && gone.len() == known.copies.len()
            && matches!(place, OffsitePlace::Folder(_))
        {
            return Err(StoreError::new(
                StoreErrorKind::NoPlace,
                format!(
                    "it is not the disk it was: none of its {} is there",
                    humanize::counted(gone.len() as u64, "copy").replace("copys", "copies")
                ),
                "mount the right disk; if this is a new one, say so by removing .pantry-keeper/offsite.json",
            ));
        }
        for archive in gone {
            known.copies.remove(&archive);
            tracing::warn!(
                "{}: the copy of {archive} is gone, and nobody here removed it",
                self.place
            );
        }
        Ok(there)
    }

    /// Takes away what an interrupted transfer left.
    async fn sweep(&mut self, store: &Store, there: &mut Listing) {
        let prefix = self.settings.prefix.clone();
        let ours = |name: &str| is_ours(&prefix, name);
        let left: Vec<String> = there
            .keys()
            .filter(|name| {
                let target = name
                    .strip_prefix('.')
                    .and_then(|name| name.strip_suffix(PARTIAL_EXTENSION));
                target.is_some_and(ours)
            })
            .cloned()
            .collect();
        for name in left {
            match store.remove(&name).await {
                Ok(()) => drop(there.remove(&name)),
                Err(error) => tracing::debug!("{}: {error}", self.place),
            }
        }
        // Not all credentials may list or abort uploads.
        if let Err(error) = store.sweep(&ours).await {
            tracing::debug!("{}: {error}", self.place);
        }
    }

    /// The archives that belong there, newest first: not those that retention there would take away at once.
    fn wanted<'l>(&mut self, local: &'l [ArchiveSummary]) -> Vec<&'l ArchiveSummary> {
        let good: Vec<&ArchiveSummary> = local.iter().filter(|one| one.is_good()).collect();
        let state = StateStore::new(self.repository.own_folder()).state();
        let now = (self.ctx.now)();
        let plan = {
            let known = self.book.place(&self.place);
            retention::plan(self.settings, &state, known, &good, now)
        };
        let mut wanted: Vec<&ArchiveSummary> = good
            .into_iter()
            .filter(|one| !plan.go.iter().any(|going| going.name == one.archive))
            .collect();
        wanted.sort_by_key(|one| std::cmp::Reverse((one.made_at, one.archive.clone())));
        wanted
    }

    /// Sees to it that one archive is there, and proven.
    async fn bring(
        &mut self,
        store: &Store,
        one: &ArchiveSummary,
        stem: &str,
        there: &Listing,
    ) -> Result<(), StoreError> {
        // What leaves is sealed, or it does not leave.
        if !self.settings.encrypt.to.is_empty() && !file_name::is_sealed(stem) {
            return Err(StoreError::new(
                StoreErrorKind::Local,
                "it is not sealed, and ENCRYPT_TO says that what leaves this machine is",
                "set ENCRYPT_LOCAL=true: archives are then sealed when they are made, and copied",
            ));
        }
        let needed = needed(self.settings);
        let sidecar_name = file_name::sidecar(stem);
        let known = self
            .book
            .place(&self.place)
            .copies
            .get(&one.archive)
            .cloned();
        let has_sidecar = there.contains_key(&sidecar_name);
        let there_bytes = there.get(&one.archive).copied();
        if let Some(copy) = &known
            && copy.damage.is_some()
        {
            let damage = copy.damage.clone().unwrap_or_default();
            return Err(StoreError::new(
                StoreErrorKind::Differs,
                format!("the copy {damage}"),
                "",
            ));
        }
        let same_size = there_bytes == known.as_ref().map(|copy| copy.bytes);
        if has_sidecar && same_size && known.as_ref().is_some_and(|copy| copy.counts(needed)) {
            return Ok(());
        }
        let sha256 = self.checksum(stem).await?;
        let proof = match there_bytes {
            Some(bytes) => self.reread(store, one, bytes, sha256).await?,
            None => self.send(store, one, stem, sha256).await?,
        };
        if !has_sidecar {
            let line = sidecar::line(&hex::encode(sha256), &one.archive);
            let transfer = Transfer::new(None);
            let source = Source::of_bytes(line, &transfer);
            let putting = store.put(&sidecar_name, source);
            transfer
                .unless_stalled(self.settings.stall_timeout, putting)
                .await?;
        }
        self.remember(one, sha256, proof, None);
        Ok(())
    }

    /// The checksum that the archive had when it was verified.
    async fn checksum(&self, stem: &str) -> Result<[u8; 32], StoreError> {
        match self.repository.sidecar(stem) {
            Sidecar::Sha256(sha256) => return Ok(sha256),
            Sidecar::Missing => {}
            Sidecar::Unreadable(problem) => {
                let summary = format!("its .sha256 {problem}");
                return Err(StoreError::new(StoreErrorKind::Local, summary, ""));
            }
        }
        let opened = self.repository.open_as_it_lies(stem);
        let hashing = tokio::task::spawn_blocking(move || {
            let (mut file, mut hasher) = (opened?, Sha256::new());
            let mut piece = vec![0; 256 * 1024];
            loop {
                match file.read(&mut piece) {
                    Ok(0) => return Ok(hasher.finalize().into()),
                    Ok(read) => hasher.update(&piece[..read]),
                    Err(error) => {
                        let path = std::path::Path::new("the archive");
                        return Err(crate::sys::atomic_file::FileError::new("read", path, error));
                    }
                }
            }
        });
        match hashing.await {
            Ok(result) => result
                .map_err(|error| StoreError::new(StoreErrorKind::Local, error.to_string(), "")),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Sends an archive; what is known of the copy then.
    async fn send(
        &mut self,
        store: &Store,
        one: &ArchiveSummary,
        stem: &str,
        sha256: [u8; 32],
    ) -> Result<Proof, StoreError> {
        let begun = Instant::now();
        let file = self
            .repository
            .open_as_it_lies(stem)
            .map_err(|error| StoreError::new(StoreErrorKind::Local, error.to_string(), ""))?;
        let bytes = one.archive_bytes;
        let transfer = Transfer::new(self.settings.offsite.bandwidth);
        let source = Source::of_file(
            file,
            self.repository.archive_path(stem),
            bytes,
            sha256,
            &transfer,
        );
        let meter = self.meter("copying", one);
        let putting = store.put(&one.archive, source);
        let proof = match moving(self.settings, &transfer, &meter, putting).await {
            // It came into being while we looked.
            Err(error) if error.is(StoreErrorKind::Differs) => {
                return Err(self.alarm(one, sha256, error));
            }
            result => result?,
        };
        drop(meter);
        let proof = match proof < needed(self.settings) {
            true => self.reread(store, one, bytes, sha256).await?,
            false => proof,
        };
        tracing::info!(
            "{} copied to {}: {} in {}, {}",
            one.archive,
            self.place,
            humanize::bytes(bytes),
            humanize::duration(begun.elapsed()),
            label(proof)
        );
        Ok(proof)
    }

    /// Holds what is there against the archive here.
    async fn reread(
        &mut self,
        store: &Store,
        one: &ArchiveSummary,
        bytes: u64,
        sha256: [u8; 32],
    ) -> Result<Proof, StoreError> {
        let differs = |problem: String| StoreError::new(StoreErrorKind::Differs, problem, "");
        if bytes != one.archive_bytes {
            let problem = format!("has {bytes} bytes instead of {}", one.archive_bytes);
            return Err(self.alarm(one, sha256, differs(problem)));
        }
        let meter = self.meter("reading back", one);
        let found = hash(self.settings, store, &one.archive, bytes, &meter).await?;
        if found != (one.archive_bytes, sha256) {
            let problem = "is not what was sent: its SHA-256 differs".to_owned();
            return Err(self.alarm(one, sha256, differs(problem)));
        }
        Ok(Proof::Read)
    }

    fn alarm(&mut self, one: &ArchiveSummary, sha256: [u8; 32], error: StoreError) -> StoreError {
        let damage = error.problem.summary.clone();
        self.remember(one, sha256, Proof::Sent, Some(damage));
        StoreError::new(
            error.kind,
            format!("the copy {}", error.problem.summary),
            "it stays as it is: see why, then remove it there",
        )
    }

    fn remember(
        &mut self,
        one: &ArchiveSummary,
        sha256: [u8; 32],
        proof: Proof,
        damage: Option<String>,
    ) {
        let copy = CopyRecord {
            made_at: one.made_by_manifest(),
            bytes: one.archive_bytes,
            sha256: hex::encode(sha256),
            proof,
            at: (self.ctx.now)(),
            damage,
        };
        let known = self.book.place(&self.place);
        known.copies.insert(one.archive.clone(), copy);
    }

    fn meter(&self, what: &str, one: &ArchiveSummary) -> Arc<Meter> {
        let what = format!("{what} {}", one.archive);
        Meter::new(
            &what,
            Unit::Bytes,
            Some(one.archive_bytes),
            &self.ctx.screen,
        )
    }

    /// Removes the copies that retention there lets go.
    async fn retain(&mut self, store: &Store) -> Result<(), StoreError> {
        let state = StateStore::new(self.repository.own_folder()).state();
        let now = (self.ctx.now)();
        let plan = retention::plan(
            self.settings,
            &state,
            self.book.place(&self.place),
            &[],
            now,
        );
        for going in plan.go {
            let stem = file_name::stem_of(&going.name);
            let sidecar = stem.map(file_name::sidecar);
            match store.remove(&going.name).await {
                Ok(()) => {}
                Err(error) if error.is(StoreErrorKind::Missing) => {}
                Err(error) if error.is(StoreErrorKind::Denied) => {
                    let known = self.book.place(&self.place);
                    if !std::mem::replace(&mut known.keeps_all, true) {
                        tracing::info!(
                            "{}: nothing can be removed there with these credentials, so all copies stay: {error}",
                            self.place
                        );
                    }
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            if let Some(sidecar) = sidecar
                && let Err(error) = store.remove(&sidecar).await
            {
                tracing::debug!("{}: {error}", self.place);
            }
            self.book.place(&self.place).copies.remove(&going.name);
            tracing::info!(
                "{}: the copy of {} was removed: nothing keeps it",
                self.place,
                going.name
            );
            warn_unsaved(self.book.save());
        }
        Ok(())
    }
}

/// Bytes and SHA-256 of a file elsewhere, read from its start to its end.
pub(super) async fn hash(
    settings: &Settings,
    store: &Store,
    name: &str,
    bytes: u64,
    meter: &Arc<Meter>,
) -> Result<(u64, [u8; 32]), StoreError> {
    let transfer = Transfer::new(None);
    let mut comparison = Comparison::new(&transfer);
    let mut sink = |piece: &[u8]| {
        comparison.update(piece);
        Ok(())
    };
    let reading = store.read(name, 0..bytes, &mut sink);
    moving(settings, &transfer, meter, reading).await?;
    Ok(comparison.finish())
}

/// What is known of a copy, in words.
pub(crate) fn label(proof: Proof) -> &'static str {
    match proof {
        Proof::Sent => "sent",
        Proof::Confirmed => "size and checksum confirmed",
        Proof::Read => "read back",
    }
}
