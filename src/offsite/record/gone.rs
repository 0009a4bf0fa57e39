//! Copies that were not there when a place was looked at. One look may be wrong: a volume that was not mounted shows an empty
//! folder. So what is known of them is kept aside for a year, in which nothing counts them, and they are ours again when they
//! are back.

use super::{CopyRecord, PlaceRecord};
use crate::store::remote::Proof;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const KEPT: TimeDelta = TimeDelta::days(365);

/// What was known of a copy that is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GoneCopy {
    pub since: DateTime<Utc>,
    pub copy: CopyRecord,
}

impl PlaceRecord {
    /// Puts aside the copies that are not `there`, which holds names with sizes; the names of those.
    pub(in crate::offsite) fn put_aside(
        &mut self,
        there: &BTreeMap<String, u64>,
        now: DateTime<Utc>,
    ) -> Vec<String> {
        self.gone.retain(|_, gone| now - gone.since < KEPT);
        let is_gone = |archive: &String| !there.contains_key(archive);
        let names: Vec<String> = self
            .copies
            .keys()
            .filter(|name| is_gone(name))
            .cloned()
            .collect();
        for name in &names {
            let copy = self.copies.remove(name);
            // Damaged ones are removed by hand, as we ask for.
            if let Some(copy) = copy.filter(|copy| copy.damage.is_none()) {
                self.gone
                    .insert(name.clone(), GoneCopy { since: now, copy });
            }
        }
        names
    }

    /// Takes back those that are there again in the same size; their names. They are not proven until they are read.
    pub(in crate::offsite) fn take_back(
        &mut self,
        there: &BTreeMap<String, u64>,
        now: DateTime<Utc>,
    ) -> Vec<String> {
        let mut names = Vec::new();
        let gone = std::mem::take(&mut self.gone).into_iter();
        let (back, gone): (BTreeMap<_, _>, _) =
            gone.partition(|(name, _)| there.contains_key(name));
        self.gone = gone;
        for (name, GoneCopy { copy, .. }) in back {
            match self.copies.get_mut(&name) {
                // What `verify` found meanwhile does not tell that it is ours.
                Some(known) if known.made_at.is_none() && known.measured() == copy.measured() => {
                    known.made_at = copy.made_at;
                }
                Some(_) => {}
                None if there.get(&name) == Some(&copy.bytes) => {
                    let (proof, at) = (Proof::Sent, now);
                    let copy = CopyRecord { proof, at, ..copy };
                    self.copies.insert(name.clone(), copy);
                    names.push(name);
                }
                None => {}
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(now: DateTime<Utc>) -> CopyRecord {
        CopyRecord {
            made_at: Some(now),
            bytes: 7,
            sha256: "ab".repeat(32),
            proof: Proof::Read,
            at: now,
            damage: None,
            is_bare: false,
        }
    }

    fn listing(entries: &[(&str, u64)]) -> BTreeMap<String, u64> {
        entries
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), *bytes))
            .collect()
    }

    #[test]
    fn what_was_gone_is_ours_again_for_a_year_and_unproven() {
        let now = DateTime::UNIX_EPOCH;
        let damaged = CopyRecord {
            damage: Some("is damaged".into()),
            ..copy(now)
        };
        let mut place = PlaceRecord::default();
        for name in ["a", "b", "c"] {
            place.copies.insert(name.into(), copy(now));
        }
        place.copies.insert("d".into(), damaged);
        let sound = listing(&[("a", 7)]);
        assert_eq!(place.put_aside(&sound, now), ["b", "c", "d"]);
        assert_eq!(place.copies.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(place.gone.keys().collect::<Vec<_>>(), ["b", "c"]);
        // An older file has no such thing, and an older program reads it over.
        let json = serde_json::to_string(&place).unwrap();
        assert_eq!(serde_json::from_str::<PlaceRecord>(&json).unwrap(), place);
        let later = now + TimeDelta::days(364);
        assert!(place.put_aside(&sound, later).is_empty());
        let back = listing(&[("a", 7), ("b", 7), ("c", 8)]);
        assert_eq!(place.take_back(&back, later), ["b"]);
        assert_eq!(
            (place.copies["b"].proof, place.copies["b"].at),
            (Proof::Sent, later)
        );
        assert_eq!(place.copies["b"].made_at, Some(now));
        assert!(place.gone.is_empty() && !place.copies.contains_key("c"));
        place.put_aside(&sound, later);
        place.put_aside(&sound, later + KEPT);
        assert!(place.gone.is_empty());
    }

    #[test]
    fn what_verify_found_meanwhile_is_ours_if_it_is_the_same() {
        let now = DateTime::UNIX_EPOCH;
        for (sha256, made_at) in [("ab", Some(now)), ("cd", None)] {
            let mut place = PlaceRecord::default();
            place.copies.insert("a".into(), copy(now));
            place.put_aside(&listing(&[]), now);
            let found = CopyRecord {
                made_at: None,
                sha256: sha256.repeat(32),
                ..copy(now)
            };
            place.copies.insert("a".into(), found);
            assert!(place.take_back(&listing(&[("a", 7)]), now).is_empty());
            assert_eq!(
                (place.copies["a"].made_at, place.copies["a"].proof),
                (made_at, Proof::Read)
            );
        }
    }
}
