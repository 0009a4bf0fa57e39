//! The outbox against restarts, foreign files, too many letters, and a disk that takes nothing.

use super::Outbox;
use crate::notify::channels::mail::session_tests::notification;
use crate::notify::templates::{Kind, Notification};
use crate::testing::noon;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

pub(super) fn numbered(kind: Kind, number: i64) -> Notification {
    let written_at = noon() + chrono::Duration::seconds(number);
    Notification {
        id: format!("n{number}"),
        kind,
        written_at,
        subject: format!("s{number}"),
        ..notification()
    }
}

pub(super) fn ids(outbox: &Outbox) -> Vec<String> {
    outbox
        .waiting()
        .into_iter()
        .map(|notification| notification.id)
        .collect()
}

pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

pub(super) struct Place {
    root: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let place = Place {
            root: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(place.own()).unwrap();
        place
    }

    pub(super) fn own(&self) -> PathBuf {
        self.root.path().join(".pantry-keeper")
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.own().join("outbox")
    }

    pub(super) fn outbox(&self) -> Outbox {
        Outbox::new(self.folder())
    }
}

#[test]
fn letters_survive_a_restart_and_are_their_owner_s_alone() {
    let place = Place::new();
    assert!(place.outbox().waiting().is_empty() && !place.folder().exists());
    for number in [3, 1, 2] {
        assert!(
            place
                .outbox()
                .keep(numbered(Kind::Failed, number))
                .is_none()
        );
    }
    let outbox = place.outbox();
    assert_eq!(
        outbox.waiting(),
        [1, 2, 3].map(|number| numbered(Kind::Failed, number))
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.folder()), 0o700);
    let paths = files(&place.folder());
    assert!(paths.iter().all(|path| mode(path) == 0o600));
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names[0], "20250531T120001000Z-n1.json");
    assert_eq!(names.len(), 3);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&paths[0]).unwrap()).unwrap();
    assert_eq!(
        (&json["kind"], &json["written_at"]),
        (&"failed".into(), &"2025-05-31T12:00:01Z".into())
    );
    assert!(outbox.sent("n2").is_none() && outbox.sent("unknown").is_none());
    assert_eq!(ids(&place.outbox()), ["n1", "n3"]);
}

#[test]
fn an_id_can_be_anything_but_a_way_out_of_the_folder() {
    let place = Place::new();
    let outbox = place.outbox();
    for id in ["../../x", "a/b", "", "ñ\0", &"long".repeat(100)] {
        assert!(
            outbox
                .keep(Notification {
                    id: id.into(),
                    ..notification()
                })
                .is_none(),
            "{id:?}"
        );
    }
    assert_eq!(files(&place.folder()).len(), 5);
    assert_eq!(fs::read_dir(place.root.path()).unwrap().count(), 1);
    for id in ids(&outbox) {
        outbox.sent(&id);
    }
    assert_eq!(files(&place.folder()).len(), 0);
}

#[test]
fn files_that_are_no_letters_are_passed_over_and_stay() {
    let place = Place::new();
    let outbox = place.outbox();
    outbox.keep(numbered(Kind::Failed, 1));
    let folder = place.folder();
    fs::write(folder.join("a.json"), "{").unwrap();
    fs::write(folder.join("b.json"), vec![b' '; 2 << 20]).unwrap();
    fs::write(folder.join("notes.txt"), "x").unwrap();
    fs::create_dir(folder.join("c.json")).unwrap();
    fs::copy(&files(&folder)[0], folder.join(".d.json.partial")).unwrap();
    symlink("/dev/zero", folder.join("e.json")).unwrap();
    assert_eq!(ids(&place.outbox()), ["n1"]);
    place.outbox().sent("n1");
    assert_eq!(files(&folder).len(), 6);
}

#[test]
fn a_newer_letter_that_it_still_fails_replaces_the_older_one() {
    let place = Place::new();
    let outbox = place.outbox();
    outbox.keep(numbered(Kind::Failed, 1));
    for number in 2..6 {
        outbox.keep(numbered(Kind::StillFailing, number));
    }
    assert_eq!(ids(&outbox), ["n1", "n5"]);
    assert_eq!(files(&place.folder()).len(), 2);
}

#[test]
fn news_outlasts_what_only_repeats() {
    let place = Place::new();
    let outbox = place.outbox();
    for number in 0..10 {
        outbox.keep(numbered(Kind::Failed, number));
    }
    for number in 10..35 {
        outbox.keep(numbered(Kind::Receipt, number));
    }
    let expected = |numbers: Vec<i64>| {
        numbers
            .into_iter()
            .map(|number| format!("n{number}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&outbox), expected((0..10).chain(25..35).collect()));
    for number in 40..65 {
        outbox.keep(numbered(Kind::Recovered, number));
    }
    assert_eq!(ids(&outbox), expected((45..65).collect()));
    outbox.keep(numbered(Kind::Warning, 70));
    assert_eq!(ids(&outbox), expected((45..65).collect()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn never_more_than_twenty_and_one_that_still_fails(kinds in proptest::collection::vec(0..5u8, 1..40)) {
        // What is in memory is bounded by the same code, and needs no disk.
        let outbox = Outbox::new(PathBuf::from("/dev/null/outbox"));
        for (number, kind) in kinds.iter().enumerate() {
            let kinds = [Kind::Failed, Kind::StillFailing, Kind::Recovered, Kind::Warning, Kind::Receipt];
            let notification = numbered(kinds[usize::from(*kind)], number as i64);
            prop_assert!(outbox.keep(notification).is_some());
        }
        let waiting = outbox.waiting();
        prop_assert!(!waiting.is_empty() && waiting.len() <= 20 && waiting.len() <= kinds.len());
        prop_assert!(waiting.iter().filter(|notification| notification.kind == Kind::StillFailing).count() <= 1);
        prop_assert!(waiting.is_sorted_by_key(|notification| notification.written_at));
    }
}

#[test]
fn what_the_disk_does_not_take_is_kept_in_memory_and_written_later() {
    let place = Place::new();
    // What is missing is not made up: the disk may not be there.
    fs::remove_dir(place.own()).unwrap();
    let outbox = place.outbox();
    let error = outbox.keep(numbered(Kind::Failed, 1)).expect("an error");
    assert!(
        error.to_string().contains(".pantry-keeper/outbox"),
        "{error}"
    );
    assert_eq!(ids(&outbox), ["n1"]);
    assert!(place.outbox().waiting().is_empty());
    assert!(!place.own().exists());
    fs::create_dir(place.own()).unwrap();
    assert!(outbox.keep(numbered(Kind::Failed, 2)).is_none());
    assert_eq!(ids(&outbox), ["n1", "n2"]);
    assert_eq!(ids(&place.outbox()), ["n1", "n2"]);
    assert!(outbox.sent("n1").is_none());
    assert_eq!(ids(&outbox), ["n2"]);
}
