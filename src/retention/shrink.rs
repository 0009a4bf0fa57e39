//! Whether a new backup has lost what the last one had: a sound archive of an emptied database is worth a warning.

#[cfg(test)]
mod tests;

use crate::archive::manifest::Entry;
use crate::archive::namespace::{Kind, Namespace};
use crate::sys::humanize;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Below this many documents, half of them come and go in a day's work.
const FEWEST_TO_HALVE: u64 = 100;
/// Below this many, all of them do.
const FEWEST_TO_EMPTY: u64 = 10;

/// A namespace that is gone, or has far fewer documents than it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loss {
    #[serde(flatten)]
    pub namespace: Namespace,
    pub documents_before: u64,
    /// `None` if the namespace is gone.
    pub documents_now: Option<u64>,
    /// A view is worth its definition, though it has no documents.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_view: bool,
}

/// What one backup had of a namespace.
#[derive(Clone, Copy)]
struct Holding {
    documents: u64,
    is_view: bool,
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loss {
            namespace,
            documents_before,
            documents_now,
            ..
        } = self;
        match (documents_now, documents_before) {
            (None, 0) => write!(out, "{namespace}: gone"),
            (None, _) => write!(
                out,
                "{namespace}: gone (had {})",
                humanize::counted(*documents_before, "document")
            ),
            (Some(now), _) => {
                write!(
                    out,
                    "{namespace}: {} → {}",
                    humanize::count(*documents_before),
                    humanize::counted(*now, "document")
                )
            }
        }
    }
}

/// What `before` had and `now` has not, by namespace. `excluded` says what today's settings leave out on purpose.
pub(crate) fn losses(
    before: &[Entry],
    now: &[Entry],
    excluded: &dyn Fn(&Namespace) -> bool,
) -> Vec<Loss> {
    let now = holdings(now);
    let watched = holdings(before)
        .into_iter()
        .filter(|(namespace, _)| is_watched(namespace, excluded));
    watched
        .filter_map(|(namespace, before)| loss(namespace, before, now.get(namespace)))
        .collect()
}

/// Those of `earlier` that are still lost, with the documents they have `now`. What counted as a loss in an earlier version,
/// and no longer does, is over.
pub(crate) fn still_lost(
    earlier: &[Loss],
    now: &[Entry],
    excluded: &dyn Fn(&Namespace) -> bool,
) -> Vec<Loss> {
    let now = holdings(now);
    let watched = earlier
        .iter()
        .filter(|loss| is_watched(&loss.namespace, excluded));
    watched
        .filter_map(|lost| {
            let before = Holding {
                documents: lost.documents_before,
                is_view: lost.is_view,
            };
            loss(&lost.namespace, before, now.get(&lost.namespace))
        })
        .collect()
}

/// Both together, by namespace. What is in both counts from what it had at first, and stands where it does now.
pub(crate) fn merged(earlier: Vec<Loss>, new: Vec<Loss>) -> Vec<Loss> {
    let mut all: BTreeMap<Namespace, Loss> = BTreeMap::new();
    for loss in earlier.into_iter().chain(new) {
        let documents_now = loss.documents_now;
        all.entry(loss.namespace.clone())
            .or_insert(loss)
            .documents_now = documents_now;
    }
    all.into_values().collect()
}

fn holdings(entries: &[Entry]) -> BTreeMap<&Namespace, Holding> {
    let of_users = entries.iter().filter(|entry| entry.kind != Kind::Oplog);
    let held = |entry: &Entry| Holding {
        documents: entry.documents,
        is_view: entry.kind == Kind::View,
    };
    of_users
        .map(|entry| (&entry.namespace, held(entry)))
        .collect()
}

/// The server keeps its own notes in `config` and `local`, and makes and drops them as it likes; and some for a while elsewhere.
fn is_watched(namespace: &Namespace, excluded: &dyn Fn(&Namespace) -> bool) -> bool {
    let servers_notes = matches!(namespace.database.as_str(), "config" | "local");
    !servers_notes && !namespace.is_temporary() && !excluded(namespace)
}

fn loss(namespace: &Namespace, before: Holding, now: Option<&Holding>) -> Option<Loss> {
    let documents_now = now.map(|now| now.documents);
    let lost = match documents_now {
        // With an empty collection nothing is lost that anybody would miss.
        None => before.documents > 0 || before.is_view,
        // Users, roles and keys are few, and change all at once.
        Some(_) if namespace.database == "admin" => false,
        Some(now) => has_fallen(before.documents, now),
    };
    lost.then(|| Loss {
        namespace: namespace.clone(),
        documents_before: before.documents,
        documents_now,
        is_view: before.is_view,
    })
}

fn has_fallen(before: u64, now: u64) -> bool {
    let halved = before >= FEWEST_TO_HALVE && now < before.div_ceil(2);
    let emptied = before >= FEWEST_TO_EMPTY && now == 0;
    halved || emptied
}
