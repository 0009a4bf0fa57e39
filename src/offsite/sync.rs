//! One round over all places: what is verified here and not there yet is sent, the newest first, and retention follows.
//!
//! ```text
//! what is there → what is left over goes → send and prove, newest first → the checksum last → retention there
//! ```
//!
//! The newest goes to every place before older ones go to any, and one that is made meanwhile goes before what is left. One
//! archive is brought there in `sync/bring.rs`, and what it should be is found out in `sync/known.rs`; what lies there is looked after in `sync/there.rs`. Nothing there is
//! overwritten: what lies under an archive's name and is not the archive is an alarm, and stays.

mod bring;
mod known;
mod there;

use super::record::{self, Book, Record};
use super::{is_copy_of, needed, open, retention, sealed_note};
use crate::context::Context;
use crate::notify::notifier::{DifferingCopy, Notifier};
use crate::notify::outbox::Queued;
use crate::report::ArchiveSummary;
use crate::settings::{OffsitePlace, Settings};
use crate::state::{StateStore, warn_unsaved};
use crate::store::remote::{Proof, Store, StoreError, StoreErrorKind};
use crate::store::repository::Repository;
use crate::sys::cancel::{Interruption, joined};
use crate::sys::lock::LockError;
use bring::Brought;
use std::collections::BTreeMap;

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
    for place in &settings.offsite.places {
        let (since, now) = (&mut book.place(place).since, (ctx.now)());
        // Written down on a clock that was ahead, it would let no copy be late for as long.
        *since = Some(since.map_or(now, |since| since.min(now)));
    }
    // Whatever ends us from here on, it is known that copies are to go there.
    warn_unsaved(book.save());
    let mut tour = Tour {
        settings,
        ctx,
        repository: &repository,
        book,
        differing,
    };
    loop {
        if let Some(end) = tour.all_places().await {
            return end;
        }
    }
}

/// What a visit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// The newest archive alone.
    Newest,
    All,
}

/// How a visit ended that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Done,
    /// There is a newer archive by now, which goes first.
    Overtaken,
}

/// The way from place to place.
struct Tour<'t> {
    settings: &'t Settings,
    ctx: &'t Context,
    repository: &'t Repository,
    book: Book,
    differing: &'t mut Vec<DifferingCopy>,
}

impl Tour<'_> {
    /// The newest archive to each place, then the rest to one place after the other. None when a newer archive was made
    /// meanwhile, which may have been days: it is begun anew then.
    async fn all_places(&mut self) -> Option<RoundEnd> {
        let places = &self.settings.offsite.places;
        let (mut end, mut failed) = (RoundEnd::Complete, Vec::new());
        if places.len() > 1 {
            for (at, place) in places.iter().enumerate() {
                match self.visit(place, Errand::Newest).await? {
                    RoundEnd::Stopped => return Some(RoundEnd::Stopped),
                    RoundEnd::Complete => {}
                    other => {
                        end = other;
                        failed.push(at);
                    }
                }
            }
        }
        let rest = places.iter().enumerate();
        for (_, place) in rest.filter(|(at, _)| !failed.contains(at)) {
            match self.visit(place, Errand::All).await? {
                RoundEnd::Stopped => return Some(RoundEnd::Stopped),
                RoundEnd::Complete => {}
                other => end = other,
            }
        }
        Some(end)
    }

    /// One place, once; none when there is a newer archive by now.
    async fn visit(&mut self, place: &OffsitePlace, errand: Errand) -> Option<RoundEnd> {
        let mut visit = Visit {
            settings: self.settings,
            ctx: self.ctx,
            repository: self.repository,
            book: &mut self.book,
            place,
            shown: place.to_string(),
            problems: Vec::new(),
            differing: self.differing,
        };
        let result = self.ctx.cancel.or(visit.sync(errand)).await;
        let problems = std::mem::take(&mut visit.problems);
        match result {
            Ok(Ok(Turn::Overtaken)) => None,
            // What is wrong with the archive is found again when it is the turn of all.
            Ok(Ok(Turn::Done)) if errand == Errand::Newest => Some(RoundEnd::Complete),
            result => {
                let result = result.map(|visited| visited.map(drop));
                Some(conclude(self.ctx, &mut self.book, place, result, problems))
            }
        }
    }
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
    let is_damaged = known.copies.values().any(|copy| copy.damage.is_some());
    if !stopped {
        known.problem = redacted;
        if known.problem.is_none() {
            known.complete_at = Some(now);
        }
    }
    warn_unsaved(book.save());
    match (stopped, problems.is_empty() && !is_damaged) {
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

/// Names with their sizes.
type Listing = BTreeMap<String, u64>;

impl Visit<'_> {
    async fn sync(&mut self, errand: Errand) -> Result<Turn, StoreError> {
        let local = self.local().await?;
        if errand == Errand::Newest && self.has_newest(&local) {
            return Ok(Turn::Done);
        }
        let store = open(self.settings, self.ctx, self.place).await?;
        let mut there = self.look(&store).await?;
        self.sweep(&store, &mut there).await;
        let mut wanted = self.wanted(&local);
        match errand {
            Errand::Newest => wanted.truncate(1),
            Errand::All => self.write_sidecars(&store, &local).await,
        }
        for one in wanted {
            let brought = self.bring_making_room(&store, one, &there).await;
            let took_time = !matches!(brought, Ok(Brought::Already));
            match brought {
                Ok(_) => {}
                // One that cannot be copied does not keep the others.
                Err(error) if is_of_one_archive(&error) => {
                    self.problems.push(format!("{}: {error}", one.archive));
                }
                Err(error) => return Err(error),
            }
            warn_unsaved(self.book.save());
            if took_time && is_overtaken(&local, &self.local().await?) {
                self.retain(&store).await?;
                return Ok(Turn::Overtaken);
            }
        }
        // Nothing goes while nothing new is taken.
        if errand == Errand::All && self.has_newest(&local) {
            self.retain(&store).await?;
        }
        Ok(Turn::Done)
    }

    /// The archives here.
    async fn local(&self) -> Result<Vec<ArchiveSummary>, StoreError> {
        let repository = self.repository.clone();
        let listing = tokio::task::spawn_blocking(move || repository.list()).await;
        let local = |problem: String| StoreError::new(StoreErrorKind::Local, problem, "");
        joined(listing).map_err(|error| local(error.to_string()))
    }

    /// Whether the newest archive is known to be there.
    fn has_newest(&mut self, local: &[ArchiveSummary]) -> bool {
        let (needed, known) = (needed(self.settings), self.book.place(self.place));
        newest(local).is_none_or(|newest| {
            let mut copies = known.copies.iter();
            copies.any(|(name, copy)| is_copy_of(name, &newest.archive) && copy.counts(needed))
        })
    }

    /// Brings one archive there; where it is refused, once more after what retention there lets go has gone. That a place
    /// is full has many words, and none in SFTP.
    async fn bring_making_room(
        &mut self,
        store: &Store,
        archive: &ArchiveSummary,
        there: &Listing,
    ) -> Result<Brought, StoreError> {
        let refused = match self.bring(store, archive, there).await {
            Err(error) if may_be_full(&error) => error,
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
}

/// The newest archive that belongs elsewhere.
fn newest(local: &[ArchiveSummary]) -> Option<&ArchiveSummary> {
    let good = local.iter().filter(|one| one.is_good());
    good.max_by_key(|one| (one.made_at, &one.archive))
}

/// Whether there is a newer archive now than there was before.
fn is_overtaken(before: &[ArchiveSummary], now: &[ArchiveSummary]) -> bool {
    let made_at = |local| newest(local).and_then(|newest| newest.made_at);
    made_at(now) > made_at(before)
}

/// Whether an error speaks of one archive or copy, and not of the place.
fn is_of_one_archive(error: &StoreError) -> bool {
    use StoreErrorKind::{Differs, Exists, Local};
    matches!(error.kind, Local | Differs | Exists)
}

/// Whether a place may take it once there is room.
fn may_be_full(error: &StoreError) -> bool {
    matches!(error.kind, StoreErrorKind::Full | StoreErrorKind::Other)
}

/// What is known of a copy, in words.
pub(crate) fn label(proof: Proof) -> &'static str {
    match proof {
        Proof::Sent => "sent",
        Proof::Confirmed => "size and checksum confirmed",
        Proof::Read => "read back",
    }
}
