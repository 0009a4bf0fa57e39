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
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loss {
            namespace,
            documents_before,
            documents_now,
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
    let now = documents(now);
    let watched = documents(before)
        .into_iter()
        .filter(|(namespace, _)| is_watched(namespace, excluded));
    watched
        .filter_map(|(namespace, before)| loss(namespace, before, now.get(namespace).copied()))
        .collect()
}

/// Those of `earlier` that are still lost, with the documents they have `now`.
pub(crate) fn still_lost(
    earlier: &[Loss],
    now: &[Entry],
    excluded: &dyn Fn(&Namespace) -> bool,
) -> Vec<Loss> {
    let now = documents(now);
    let watched = earlier
        .iter()
        .filter(|loss| is_watched(&loss.namespace, excluded));
    watched
        .filter_map(
            |Loss {
                 namespace,
                 documents_before,
                 ..
             }| { loss(namespace, *documents_before, now.get(namespace).copied()) },
        )
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

fn documents(entries: &[Entry]) -> BTreeMap<&Namespace, u64> {
    let of_users = entries.iter().filter(|entry| entry.kind != Kind::Oplog);
    of_users
        .map(|entry| (&entry.namespace, entry.documents))
        .collect()
}

/// The server keeps its own notes in `config` and `local`, and makes and drops them as it likes.
fn is_watched(namespace: &Namespace, excluded: &dyn Fn(&Namespace) -> bool) -> bool {
    !matches!(namespace.database.as_str(), "config" | "local") && !excluded(namespace)
}

fn loss(namespace: &Namespace, documents_before: u64, documents_now: Option<u64>) -> Option<Loss> {
    let lost = match documents_now {
        None => true,
        // Users, roles and keys are few, and change all at once.
        Some(_) if namespace.database == "admin" => false,
        Some(now) => has_fallen(documents_before, now),
    };
    lost.then(|| Loss {
        namespace: namespace.clone(),
        documents_before,
        documents_now,
    })
}

fn has_fallen(before: u64, now: u64) -> bool {
    let halved = before >= FEWEST_TO_HALVE && now < before.div_ceil(2);
    let emptied = before >= FEWEST_TO_EMPTY && now == 0;
    halved || emptied
}
