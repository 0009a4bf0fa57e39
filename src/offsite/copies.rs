//! What lies at a place: looked at now, with what is known from before.

use super::record::{CopyRecord, PlaceRecord, Record};
use super::{answered, open, retention, waiting_since};
use crate::archive::file_name;
use crate::archive::seal::Measured;
use crate::context::Context;
use crate::report::ArchiveSummary;
use crate::retention::policy::Plan;
use crate::settings::{OffsitePlace, Settings};
use crate::state::State;
use crate::store::remote::{Proof, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeSet;

/// A copy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Copy {
    /// The archive's file name.
    pub archive: String,
    pub made_at: Option<DateTime<Utc>>,
    pub archive_bytes: u64,
    /// What is known of it.
    pub state: Proof,
    /// When that was found out; none when it never was.
    pub proven_at: Option<DateTime<Utc>>,
    /// What is wrong with it.
    pub damage: Option<String>,
    /// Why it stays; nothing when it goes at the next occasion.
    pub kept: Vec<String>,
    pub goes_at: Option<DateTime<Utc>>,
    /// Whether its `.sha256` is there: without one it can be neither fetched nor verified.
    #[serde(skip)]
    pub is_whole: bool,
    /// What it should be, where that was written down.
    #[serde(skip)]
    pub expected: Option<Measured>,
}

/// The copies at one place, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Copies {
    pub place: String,
    /// Why it could not be looked at; the copies are then those that are known from before.
    pub problem: Option<String>,
    pub copies: Vec<Copy>,
    /// Since when the newest archive waits for its copy.
    pub waiting_since: Option<DateTime<Utc>>,
}

/// Looks at a place.
pub(crate) async fn copies(
    settings: &Settings,
    ctx: &Context,
    place: &OffsitePlace,
    record: &Record,
    local: &[ArchiveSummary],
    state: &State,
) -> Copies {
    let known = record.of(place).cloned().unwrap_or_default();
    let looked = async {
        let store = open(settings, ctx, place).await?;
        answered(settings, store.list()).await
    };
    let (listed, problem) = match looked.await {
        Ok(listed) => (Some(listed), None),
        Err(error) => (None, Some(words(ctx, &error))),
    };
    let plan = retention::plan(settings, state, &known, &[], (ctx.now)());
    let sizes: Vec<(String, u64)> = match listed {
        Some(listed) => {
            let listed = listed.into_iter();
            listed.map(|entry| (entry.name, entry.bytes)).collect()
        }
        None => {
            let known = known.copies.iter();
            known
                .map(|(name, copy)| (name.clone(), copy.bytes))
                .collect()
        }
    };
    let names: BTreeSet<&str> = sizes.iter().map(|(name, _)| name.as_str()).collect();
    let described = sizes.iter().filter_map(|(archive, archive_bytes)| {
        let named = named(settings, archive)?;
        let is_whole = names.contains(sidecar_of(archive).as_str());
        let copy = describe(archive, *archive_bytes, &known, &plan);
        Some(Copy {
            made_at: copy.made_at.or(named),
            is_whole,
            ..copy
        })
    });
    let mut copies: Vec<Copy> = described.collect();
    copies.sort_by(|one, other| one.archive.cmp(&other.archive));
    Copies {
        place: place.to_string(),
        problem,
        copies,
        waiting_since: waiting_since(settings, &known, local, (ctx.now)()),
    }
}

/// What is known of a copy of this size.
fn describe(archive: &str, archive_bytes: u64, known: &PlaceRecord, plan: &Plan) -> Copy {
    let before = known.copies.get(archive);
    let kept = plan.keep.iter().find(|kept| kept.archive.name == archive);
    let goes = plan.go.iter().any(|going| going.name == archive);
    let reasons = kept.map(|kept| kept.reasons.iter().map(ToString::to_string).collect());
    Copy {
        archive: archive.to_owned(),
        made_at: before.and_then(|copy| copy.made_at),
        archive_bytes,
        state: before.map_or(Proof::Sent, |copy| copy.proof),
        proven_at: before.map(|copy| copy.at),
        damage: before.and_then(|copy| copy.damage_at(archive_bytes)),
        kept: reasons.unwrap_or_else(|| match goes {
            true => Vec::new(),
            false => vec!["not verified".to_owned()],
        }),
        goes_at: kept.and_then(|kept| kept.goes_at),
        is_whole: false,
        expected: before.and_then(CopyRecord::measured),
    }
}

/// What the `.sha256` of a copy is called.
pub(super) fn sidecar_of(archive: &str) -> String {
    file_name::sidecar(file_name::stem_of(archive).unwrap_or(archive))
}

/// The time in an archive's name; none when it is not one of ours.
pub(super) fn named(settings: &Settings, archive: &str) -> Option<Option<DateTime<Utc>>> {
    let stem = file_name::stem_of(archive)?;
    let time = file_name::time_of(&settings.prefix, stem)?;
    let local = time.and_local_timezone(settings.time_zone).earliest();
    Some(local.map(|at| at.to_utc()))
}

/// An error without secrets.
pub(super) fn words(ctx: &Context, error: &StoreError) -> String {
    ctx.redactor.redact(&error.to_string()).into_owned()
}
