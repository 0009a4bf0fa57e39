//! Copies that are late, on a machine whose clock was once ahead.

use super::record::{CopyRecord, PlaceRecord};
use super::waiting_for;
use crate::report::ArchiveSummary;
use crate::store::remote::Proof;
use chrono::{DateTime, TimeDelta, Utc};

fn now() -> DateTime<Utc> {
    "2026-05-31T12:00:00Z".parse().unwrap()
}

fn archive(made_at: DateTime<Utc>) -> ArchiveSummary {
    ArchiveSummary {
        archive: made_at.to_string(),
        made_at: Some(made_at),
        archive_bytes: 1,
        documents: Some(1),
        namespaces: None,
        point_in_time: None,
        verified_at: Some(made_at),
        drilled_at: None,
        damage: None,
        kept: Vec::new(),
        goes_at: None,
        copies: Vec::new(),
    }
}

fn copied(made_at: DateTime<Utc>) -> PlaceRecord {
    let copy = CopyRecord {
        made_at: Some(made_at),
        bytes: 1,
        sha256: String::new(),
        proof: Proof::Read,
        at: made_at,
        damage: None,
        is_bare: false,
    };
    PlaceRecord {
        since: Some(now() - TimeDelta::days(90)),
        copies: [(made_at.to_string(), copy)].into(),
        ..PlaceRecord::default()
    }
}

#[test]
fn a_copy_from_the_future_does_not_make_up_for_those_that_are_missing() {
    let (ahead, old) = (now() + TimeDelta::days(1400), now() - TimeDelta::days(30));
    let waiting = |known: &PlaceRecord, listed: &[ArchiveSummary]| {
        waiting_for(
            known.copies.values(),
            Proof::Read,
            listed,
            now(),
            known.since,
        )
    };
    let known = copied(ahead);
    assert_eq!(waiting(&known, &[archive(old), archive(ahead)]), Some(old));
    // One that is not there yet says nothing of how late it is.
    assert_eq!(waiting(&copied(old), &[archive(old), archive(ahead)]), None);
    let mut promised_ahead = copied(old - TimeDelta::days(1));
    promised_ahead.since = Some(ahead);
    assert_eq!(waiting(&promised_ahead, &[archive(old)]), Some(now()));
}
