//! One round over all places: what is verified here and not there yet is sent, the newest first, and retention follows.
//!
//! ```text
//! what is there → what is left over goes → send and prove, newest first → the checksum last → retention there
//! ```
//!
//! One archive is brought there in `sync/bring.rs`. Nothing there is overwritten: what lies under an archive's name and is not the archive is an alarm, and stays.

mod bring;

use super::record::{self, Book, Record};
use super::{answered, is_copy_of, is_ours, moving, needed, open, retention, sealed_note};
use crate::archive::file_name;
use crate::context::Context;
use crate::notify::notifier::{DifferingCopy, Notifier};
use crate::notify::outbox::Queued;
use crate::report::ArchiveSummary;
use crate::settings::{OffsitePlace, Settings};
use crate::state::{StateStore, warn_unsaved};
use crate::store::remote::{Comparison, Entry, Proof, Store, StoreError, StoreErrorKind, Transfer};
use crate::store::repository::Repository;
use crate::sys::atomic_file::{self, PARTIAL_EXTENSION};
use crate::sys::cancel::Interruption;
use crate::sys::humanize;
use crate::sys::lock::LockError;
use crate::sys::progress::Meter;
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// A round, and the notifications that it brought.
pub(crate) struct Round {
    pub end: RoundEnd,
    pub queued: Queued,
}

/// Brings all places up to date.
pub(crate) async fn round(settings: &Settings, ctx: &Context, notifier: &Notifier<'_>) -> Round {
    let mut differing = Vec::new();
    let end = visit_all(settings, ctx, &mut differing).await;
    // Another process tells what it finds.
    let queued = match end {
        RoundEnd::Busy => Queued::default(),
        _ => {
            let record = record::read(&Repository::of(settings), &settings.offsite.places);
            let released = notifier.release(|archive| is_everywhere(settings, &record, archive));
            let told = released.and(notifier.differing(&differing));
            match end {
                RoundEnd::Complete if !settings.offsite.places.is_empty() => {
                    told.and(all_clear(settings, notifier))
                }
                _ => told,
            }
        }
    };
    Round { end, queued }
}

fn all_clear(settings: &Settings, notifier: &Notifier<'_>) -> Queued {
    let own = Repository::of(settings).own_folder();
    notifier.copies_complete(&mut StateStore::new(own))
}

/// Whether every place has a copy that counts.
fn is_everywhere(settings: &Settings, record: &Record, archive: &str) -> bool {
    let needed = needed(settings);
    settings.offsite.places.iter().all(|place| {
        let known = record.of(place);
        let mut copies = known.into_iter().flat_map(|known| &known.copies);
        copies.any(|(name, copy)| is_copy_of(name, archive) && copy.counts(needed))
    })
}

async fn visit_all(
    settings: &Settings,
    ctx: &Context,
    differing: &mut Vec<DifferingCopy>,
) -> RoundEnd {
    if settings.offsite.places.is_empty() {
        return RoundEnd::Complete;
    }
    let repository = Repository::of(settings);
    let mut book = match Book::open(&repository, &settings.offsite.places) {
        Ok(book) => book,
        Err(LockError::Held(_)) => return RoundEnd::Busy,
        Err(error) => {
            tracing::warn!("copies elsewhere were not looked at: {error}");
            return RoundEnd::Behind;
        }
    };
    sealed_note::sweep(&repository);
    let mut end = RoundEnd::Complete;
    for place in &settings.offsite.places {
        book.place(place).since.get_or_insert((ctx.now)());
        // Whatever ends us from here on, it is known that copies are to go there.
        warn_unsaved(book.save());
        let mut visit = Visit {
            settings,
            ctx,
            repository: &repository,
            book: &mut book,
            place,
            shown: place.to_string(),
            problems: Vec::new(),
            differing,
        };
        let result = ctx.cancel.or(visit.sync()).await;
        let problems = std::mem::take(&mut visit.problems);
        match conclude(ctx, &mut book, place, result, problems) {
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
    place: &OffsitePlace,
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
        tracing::warn!("{place}: {}", ctx.redactor.redact(problem));
    }
    let known = book.place(place);
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
    place: &'v OffsitePlace,
    /// The same in words.
    shown: String,
    problems: Vec<String>,
    /// Copies that were found to differ now.
    differing: &'v mut Vec<DifferingCopy>,
}

type Listing = BTreeMap<String, u64>;

impl Visit<'_> {
    async fn sync(&mut self) -> Result<(), StoreError> {
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
        let store = open(self.settings, self.ctx, self.place).await?;
        let mut there = self.look(&store).await?;
        self.sweep(&store, &mut there).await;
        for one in self.wanted(&local) {
            match self.bring_making_room(&store, one, &there).await {
                Ok(()) => {}
                // One that cannot be copied does not keep the others.
                Err(error) if is_of_one_archive(&error) => {
                    self.problems.push(format!("{}: {error}", one.archive));
                }
                Err(error) => return Err(error),
            }
            warn_unsaved(self.book.save());
        }
        self.retain(&store).await.map(drop)
    }

    /// Brings one archive there; where it is refused, once more after what retention there lets go has gone. That a place
    /// is full has many words, and none in SFTP.
    async fn bring_making_room(
        &mut self,
        store: &Store,
        archive: &ArchiveSummary,
        there: &Listing,
    ) -> Result<(), StoreError> {
        let refused = match self.bring(store, archive, there).await {
            Err(error) if !is_of_one_archive(&error) && !error.is(StoreErrorKind::Unreachable) => {
                error
            }
            brought => return brought,
        };
        match self.retain(store).await {
            Ok(0) => Err(refused),
            Ok(_) => {
                let there = self.look(store).await?;
                self.bring(store, archive, &there).await
            }
            Err(error) => {
                tracing::debug!("{}: no room could be made: {error}", self.shown);
                Err(refused)
            }
        }
    }

    /// What is there now, and what is known to have been there.
    async fn look(&mut self, store: &Store) -> Result<Listing, StoreError> {
        let listed = answered(self.settings, store.list()).await?;
        let there: Listing = listed
            .into_iter()
            .map(|Entry { name, bytes }| (name, bytes))
            .collect();
        let known = self.book.place(self.place);
        let gone: Vec<String> = known
            .copies
            .keys()
            .filter(|archive| !there.contains_key(*archive))
            .cloned()
            .collect();
        if !gone.is_empty()
            && gone.len() == known.copies.len()
            && matches!(self.place, OffsitePlace::Folder(_))
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
                self.shown
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
            .filter(|name| partly_sent(name).is_some_and(ours))
            .cloned()
            .collect();
        for name in left {
            match answered(self.settings, store.remove(&name)).await {
                Ok(()) => drop(there.remove(&name)),
                Err(error) => tracing::debug!("{}: {error}", self.shown),
            }
        }
        // Not all credentials may list or abort uploads.
        if let Err(error) = answered(self.settings, store.sweep(&ours)).await {
            tracing::debug!("{}: {error}", self.shown);
        }
    }

    /// The archives that belong there, newest first: not those that retention there would take away at once.
    fn wanted<'l>(&mut self, local: &'l [ArchiveSummary]) -> Vec<&'l ArchiveSummary> {
        let good: Vec<&ArchiveSummary> = local.iter().filter(|one| one.is_good()).collect();
        let state = StateStore::new(self.repository.own_folder()).state();
        let now = (self.ctx.now)();
        let plan = {
            let known = self.book.place(self.place);
            retention::plan(self.settings, &state, known, &good, now)
        };
        let mut wanted: Vec<&ArchiveSummary> = good
            .into_iter()
            .filter(|one| {
                let mut going = plan.go.iter();
                !going.any(|going| is_copy_of(&going.name, &one.archive))
            })
            .collect();
        wanted.sort_by_key(|one| std::cmp::Reverse((one.made_at, one.archive.clone())));
        wanted
    }

    /// Removes the copies that retention there lets go; how many went.
    async fn retain(&mut self, store: &Store) -> Result<usize, StoreError> {
        let mut gone = 0;
        let state = StateStore::new(self.repository.own_folder()).state();
        let now = (self.ctx.now)();
        let plan = retention::plan(self.settings, &state, self.book.place(self.place), &[], now);
        for going in plan.go {
            let stem = file_name::stem_of(&going.name);
            let sidecar = stem.map(file_name::sidecar);
            match answered(self.settings, store.remove(&going.name)).await {
                Ok(()) => {}
                Err(error) if error.is(StoreErrorKind::Missing) => {}
                Err(error) if error.is(StoreErrorKind::Denied) => {
                    let known = self.book.place(self.place);
                    if !std::mem::replace(&mut known.keeps_all, true) {
                        tracing::info!(
                            "{}: nothing can be removed there with these credentials, so all copies stay: {error}",
                            self.shown
                        );
                    }
                    return Ok(gone);
                }
                Err(error) => return Err(error),
            }
            gone += 1;
            if let Some(sidecar) = sidecar
                && let Err(error) = answered(self.settings, store.remove(&sidecar)).await
            {
                tracing::debug!("{}: {error}", self.shown);
            }
            self.book.place(self.place).copies.remove(&going.name);
            tracing::info!(
                "{}: the copy of {} was removed: nothing keeps it",
                self.shown,
                going.name
            );
            warn_unsaved(self.book.save());
        }
        Ok(gone)
    }
}

/// Whether an error speaks of one archive or copy, and not of the place.
fn is_of_one_archive(error: &StoreError) -> bool {
    use StoreErrorKind::{Differs, Exists, Local};
    matches!(error.kind, Local | Differs | Exists)
}

/// Whose beginning a file is: ours has a dot in front, rclone's has eight hexadecimal digits behind.
fn partly_sent(name: &str) -> Option<&str> {
    atomic_file::target_of_partial(name).or_else(|| {
        let (target, tag) = name.strip_suffix(PARTIAL_EXTENSION)?.rsplit_once('.')?;
        let is_tag = tag.len() == 8 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_tag.then_some(target)
    })
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

#[cfg(test)]
mod tests {
    use super::partly_sent;

    #[test]
    fn what_an_interrupted_transfer_leaves_is_known_by_its_name() {
        for (name, whose) in [
            (".a.tar.gz.partial", Some("a.tar.gz")),
            ("a.tar.gz.4ee9405b.partial", Some("a.tar.gz")),
            ("a.tar.gz.partial", None),
            ("a.tar.gz.4ee9405.partial", None),
            ("a.tar.gz.4ee9405x.partial", None),
            ("a.tar.gz.4ee9405b", None),
            ("a.tar.gz", None),
        ] {
            assert_eq!(partly_sent(name), whose, "{name}");
        }
    }
}
