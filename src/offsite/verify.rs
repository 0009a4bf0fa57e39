//! Proof that copies are what they should be: read from their start to their end, and held against their checksums.

use super::checksums::{checksum, hash};
use super::copies::{Copies, Copy, sidecar_of, words};
use super::record::{self, Book, CopyRecord, Finding};
use super::{answered, open};
use crate::archive::file_name;
use crate::context::Context;
use crate::settings::{OffsitePlace, Settings};
use crate::state::warn_unsaved;
use crate::store::remote::{Proof, StoreError, StoreErrorKind};
use crate::store::repository::Repository;
use crate::sys::lock::LockError;
use crate::sys::progress::{Meter, Unit};
use serde::Serialize;
use std::time::Instant;

/// What the reading of one copy showed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct VerifiedCopy {
    pub place: String,
    pub archive: String,
    pub sound: bool,
    /// What is wrong with it, or why it could not be read.
    pub problem: Option<String>,
    pub archive_bytes: u64,
    pub elapsed_seconds: f64,
}

/// Reads one copy. What it shows is kept for `list` and for retention there.
pub(crate) async fn verify(
    settings: &Settings,
    ctx: &Context,
    place: &OffsitePlace,
    copy: &Copy,
) -> VerifiedCopy {
    let begun = Instant::now();
    let what = format!("verifying {}", copy.archive);
    let meter = Meter::new(&what, Unit::Bytes, Some(copy.archive_bytes), &ctx.screen);
    let reading = async {
        let store = open(settings, ctx, place).await?;
        let expected = match answered(settings, checksum(&store, &copy.archive)).await {
            Ok(expected) => Some(expected),
            Err(error) if error.is(StoreErrorKind::Differs) => None,
            Err(error) => return Err(error),
        };
        let found = hash(settings, &store, &copy.archive, copy.archive_bytes, &meter).await?;
        Ok((expected, found))
    };
    let result: Result<_, StoreError> = reading.await;
    let problem = match result {
        Ok((expected, (bytes, found))) => {
            let sent = sent_sha256(settings, place, copy);
            let verdict = judge(bytes == copy.archive_bytes, found, expected, sent);
            match verdict {
                Verdict::Sound | Verdict::WrongSidecar => {
                    remember(settings, ctx, place, copy, found, None);
                }
                Verdict::Damaged(damage) => {
                    let expected = expected.unwrap_or(found);
                    remember(settings, ctx, place, copy, expected, Some(damage.into()));
                }
                Verdict::Unknown => {}
            }
            verdict.problem(&copy.archive)
        }
        Err(error) => Some(words(ctx, &error)),
    };
    VerifiedCopy {
        place: place.to_string(),
        archive: copy.archive.clone(),
        sound: problem.is_none(),
        problem,
        archive_bytes: copy.archive_bytes,
        elapsed_seconds: begun.elapsed().as_secs_f64(),
    }
}

/// What a copy that was read turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Sound,
    Damaged(&'static str),
    /// It is what was sent, but its `.sha256` says otherwise.
    WrongSidecar,
    /// Neither its `.sha256` nor the record tells what it should be.
    Unknown,
}

impl Verdict {
    fn problem(self, archive: &str) -> Option<String> {
        let sidecar = sidecar_of(archive);
        match self {
            Self::Sound => None,
            Self::Damaged(damage) => Some(damage.to_owned()),
            Self::WrongSidecar => Some(format!(
                "is what was sent, but its .sha256 is wrong: remove {sidecar} there, and it is written anew after the next backup"
            )),
            Self::Unknown => Some(format!("{sidecar} is not a checksum of it")),
        }
    }
}

/// Holds what was `found` against the `.sha256` beside it and against what is known from when it was `sent`. A record that was
/// lost knows nothing.
fn judge(
    is_whole: bool,
    found: [u8; 32],
    sidecar: Option<[u8; 32]>,
    sent: Option<[u8; 32]>,
) -> Verdict {
    let (by_sidecar, by_record) = (
        sidecar.map(|one| one == found),
        sent.map(|one| one == found),
    );
    match (by_sidecar, by_record) {
        _ if !is_whole => Verdict::Damaged("is damaged: it is shorter than the place says"),
        (Some(true), None | Some(true)) => Verdict::Sound,
        (Some(true), Some(false)) => {
            Verdict::Damaged("and its .sha256 are not what was sent: both were replaced")
        }
        (_, Some(true)) => Verdict::WrongSidecar,
        (Some(false), _) => Verdict::Damaged("is damaged: its SHA-256 is not that of its .sha256"),
        (None, Some(false)) => {
            Verdict::Damaged("is damaged: its SHA-256 is not that of what was sent")
        }
        (None, None) => Verdict::Unknown,
    }
}

fn sent_sha256(settings: &Settings, place: &OffsitePlace, copy: &Copy) -> Option<[u8; 32]> {
    let record = record::read(&Repository::of(settings), &settings.offsite.places);
    let known = record.of(place)?.copies.get(&copy.archive)?;
    known.measured().map(|sent| sent.sha256)
}

fn remember(
    settings: &Settings,
    ctx: &Context,
    place: &OffsitePlace,
    copy: &Copy,
    sha256: [u8; 32],
    damage: Option<String>,
) {
    let (repository, places) = (Repository::of(settings), &settings.offsite.places);
    let found = |before: Option<&CopyRecord>| {
        // What a damaged copy should be is known from before.
        let sent = before.filter(|_| damage.is_some());
        CopyRecord {
            // Not from its name: others may write there under names like ours, and what has a time may go one day.
            made_at: before.and_then(|known| known.made_at),
            bytes: copy.archive_bytes,
            sha256: sent.map_or_else(|| hex::encode(sha256), |known| known.sha256.clone()),
            proof: Proof::Read,
            at: (ctx.now)(),
            damage: damage.clone(),
            is_bare: false,
        }
    };
    match Book::open(&repository, places) {
        Ok(mut book) => {
            let copies = &mut book.place(place).copies;
            let known = found(copies.get(&copy.archive));
            copies.insert(copy.archive.clone(), known);
            warn_unsaved(book.save());
        }
        // Whoever works on the copies takes it over.
        Err(LockError::Held(_)) => {
            let record = record::read(&repository, places);
            let before = record.of(place);
            let before = before.and_then(|known| known.copies.get(&copy.archive));
            let finding = Finding::of(place, &copy.archive, found(before));
            warn_unsaved(finding.leave(&repository));
        }
        Err(LockError::File(error)) => {
            tracing::debug!("what was found is not kept, as there is no folder here yet: {error}");
        }
    }
}

/// The copies to bring home, the best first: those of one archive, at places that could be looked at, and whole.
pub(crate) fn candidates<'c>(places: &'c [Copies], name: &str) -> Vec<(usize, &'c Copy)> {
    let places = places.iter().enumerate();
    let mut all: Vec<(usize, &Copy)> = places
        .filter(|(_, place)| place.problem.is_none())
        .flat_map(|(at, place)| place.copies.iter().map(move |copy| (at, copy)))
        .filter(|(_, copy)| copy.is_whole)
        .collect();
    let wanted = match name {
        // What is known to be damaged is not the latest that there is.
        "latest" => {
            let sound = all.iter().filter(|(_, copy)| copy.damage.is_none());
            let newest = sound.max_by_key(|(_, copy)| (copy.made_at, &copy.archive));
            newest.map_or("", |(_, copy)| &copy.archive)
        }
        name => name,
    };
    all.retain(|(_, copy)| is_named(copy, wanted));
    all.sort_by_key(|(at, copy)| (copy.damage.is_some(), copy.archive != wanted, *at));
    all
}

/// The copy of this name at a place, or the newest there.
pub(crate) fn find<'c>(place: &'c Copies, name: &str) -> Option<&'c Copy> {
    let mut copies = place.copies.iter();
    match name {
        "latest" => copies.max_by_key(|copy| (copy.made_at, &copy.archive)),
        name => copies.find(|copy| is_named(copy, name)),
    }
}

fn is_named(copy: &Copy, name: &str) -> bool {
    copy.archive == name || file_name::bare(&copy.archive) == file_name::bare(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_what_was_sent_is_not_damaged_by_a_wrong_sidecar() {
        let (good, other, third) = ([1; 32], [2; 32], [3; 32]);
        let sound = |sidecar, sent| judge(true, good, sidecar, sent);
        assert_eq!(sound(Some(good), None), Verdict::Sound);
        assert_eq!(sound(Some(good), Some(good)), Verdict::Sound);
        assert_eq!(sound(Some(other), Some(good)), Verdict::WrongSidecar);
        assert_eq!(sound(None, Some(good)), Verdict::WrongSidecar);
        assert_eq!(sound(None, None), Verdict::Unknown);
        for (sidecar, sent) in [
            (Some(good), Some(other)),
            (Some(other), None),
            (Some(other), Some(other)),
            (Some(other), Some(third)),
            (None, Some(other)),
        ] {
            let verdict = sound(sidecar, sent);
            assert!(
                matches!(verdict, Verdict::Damaged(_)),
                "{sidecar:?} {sent:?}"
            );
        }
        let cut = judge(false, good, Some(good), Some(good));
        assert!(matches!(cut, Verdict::Damaged(_)));
    }
}
