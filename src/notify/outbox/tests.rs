//! The outbox against restarts, foreign files, too many notifications, and a disk that takes nothing.

use super::Outbox;
use crate::notify::channels::mail::session_tests::notification;
use crate::notify::channels::{Answer, Channel, Delivery};
use crate::notify::notification::{Event, FinishedMail, Interest, Notification};
use crate::report::Problem;
use crate::testing::noon;
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub(super) fn numbered(event: Event, number: i64) -> Notification {
    let written_at = noon() + chrono::Duration::seconds(number);
    Notification {
        id: format!("n{number}"),
        event,
        written_at,
        mail: Some(FinishedMail {
            subject: format!("s{number}"),
            text: "it failed".into(),
            html: String::new(),
        }),
        ..notification()
    }
}

/// A channel that answers as it is told, and notes the ids of what it was sent.
pub(super) struct Puppet {
    id: &'static str,
    interest: Interest,
    answer: fn(&str) -> Delivery,
    pub(super) sent: Mutex<Vec<String>>,
}

impl Puppet {
    pub(super) fn new(id: &'static str, answer: fn(&str) -> Delivery) -> Arc<Self> {
        Self::wanting(Interest::News, id, answer)
    }

    pub(super) fn wanting(
        interest: Interest,
        id: &'static str,
        answer: fn(&str) -> Delivery,
    ) -> Arc<Self> {
        let sent = Mutex::default();
        Arc::new(Puppet {
            id,
            interest,
            answer,
            sent,
        })
    }

    pub(super) fn took(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

impl Channel for Puppet {
    fn id(&self) -> &str {
        self.id
    }

    fn kind(&self) -> &'static str {
        "puppet"
    }

    fn place(&self) -> String {
        self.id.into()
    }

    fn interest(&self) -> Interest {
        self.interest
    }

    fn probe(&self) -> Answer<'_, Result<String, Problem>> {
        Box::pin(async { Ok(String::new()) })
    }

    fn send<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Delivery> {
        Box::pin(async {
            self.sent.lock().unwrap().push(notification.id.clone());
            (self.answer)(&notification.id)
        })
    }
}

pub(super) fn takes_all(_: &str) -> Delivery {
    Delivery::DONE
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
        self.outbox_for(&[Puppet::new("mail", takes_all)])
    }

    /// At this time.
    pub(super) fn outbox_at(&self, now: fn() -> DateTime<Utc>) -> Outbox {
        let mail: Arc<dyn Channel> = Puppet::new("mail", takes_all);
        Outbox::new(self.folder(), &[mail], now)
    }

    pub(super) fn outbox_for(&self, puppets: &[Arc<Puppet>]) -> Outbox {
        let channels = puppets
            .iter()
            .map(|puppet| Arc::clone(puppet) as Arc<dyn Channel>);
        Outbox::new(self.folder(), &channels.collect::<Vec<_>>(), noon)
    }
}

#[test]
fn notifications_survive_a_restart_and_are_their_owner_s_alone() {
    let place = Place::new();
    assert!(place.outbox().waiting().is_empty() && !place.folder().exists());
    for number in [3, 1, 2] {
        assert!(
            place
                .outbox()
                .keep(numbered(Event::Failed, number))
                .is_none()
        );
    }
    let outbox = place.outbox();
    assert_eq!(
        outbox.waiting(),
        [1, 2, 3].map(|number| numbered(Event::Failed, number))
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
        (&json["event"], &json["written_at"]),
        (&"failed".into(), &"2025-05-31T12:00:01Z".into())
    );
    assert!(
        outbox.delivered("n2", "mail").is_none() && outbox.delivered("unknown", "mail").is_none()
    );
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
        outbox.delivered(&id, "mail");
    }
    assert_eq!(files(&place.folder()).len(), 0);
}

#[test]
fn files_that_are_no_notifications_are_passed_over_and_stay() {
    let place = Place::new();
    let outbox = place.outbox();
    outbox.keep(numbered(Event::Failed, 1));
    let folder = place.folder();
    fs::write(folder.join("a.json"), "{").unwrap();
    fs::write(folder.join("b.json"), vec![b' '; 2 << 20]).unwrap();
    fs::write(folder.join("notes.txt"), "x").unwrap();
    fs::create_dir(folder.join("c.json")).unwrap();
    fs::copy(&files(&folder)[0], folder.join(".d.json.partial")).unwrap();
    symlink("/dev/zero", folder.join("e.json")).unwrap();
    assert_eq!(ids(&place.outbox()), ["n1"]);
    place.outbox().delivered("n1", "mail");
    assert_eq!(files(&folder).len(), 6);
}

#[test]
fn a_newer_one_that_it_still_fails_replaces_the_older_one() {
    let place = Place::new();
    let outbox = place.outbox();
    outbox.keep(numbered(Event::Failed, 1));
    for number in 2..6 {
        outbox.keep(numbered(Event::StillFailing, number));
    }
    assert_eq!(ids(&outbox), ["n1", "n5"]);
    // Drills by themselves.
    outbox.keep(numbered(Event::DrillFailed, 6));
    for number in 7..10 {
        outbox.keep(numbered(Event::DrillStillFailing, number));
    }
    assert_eq!(ids(&outbox), ["n1", "n5", "n6", "n9"]);
    assert_eq!(files(&place.folder()).len(), 4);
}

#[test]
fn of_how_backups_and_drills_ended_only_the_last_is_kept_and_news_does_not_push_it_out() {
    let place = Place::new();
    let outbox = place.outbox();
    for number in 0..5 {
        outbox.keep(numbered(Event::BackupNotDone, 2 * number));
        outbox.keep(numbered(Event::DrillDone, 2 * number + 1));
    }
    outbox.keep(numbered(Event::BackupDone, 20));
    assert_eq!(ids(&outbox), ["n9", "n20"]);
    for number in 30..60 {
        outbox.keep(numbered(Event::Failed, number));
    }
    assert_eq!(ids(&outbox).len(), 22);
    assert_eq!(ids(&outbox)[..2], ["n9", "n20"]);
}

#[test]
fn a_file_of_an_earlier_version_is_read_and_sent() {
    let place = Place::new();
    let mail = Puppet::new("mail", takes_all);
    let outbox = place.outbox_for(&[Arc::clone(&mail)]);
    fs::create_dir(place.folder()).unwrap();
    let name = "20250531T120001000Z-jorbites.20250531T120001.000000.json";
    let old = include_str!("../../../tests/fixtures/state-0.1/outbox.json");
    fs::write(place.folder().join(name), old).unwrap();
    let waiting = outbox.waiting();
    let finished = waiting[0].mail.as_ref().unwrap();
    assert_eq!(waiting[0].event, Event::StillFailing);
    assert_eq!(finished.subject, "jorbites backup still failing, day 3");
    assert!(finished.html.starts_with("<!DOCTYPE html>"));
    assert!(outbox.delivered(&waiting[0].id, "mail").is_none());
    assert_eq!(files(&place.folder()).len(), 0);
}

#[test]
fn news_outlasts_what_only_repeats() {
    let place = Place::new();
    let outbox = place.outbox();
    for number in 0..10 {
        outbox.keep(numbered(Event::Failed, number));
    }
    for number in 10..35 {
        outbox.keep(numbered(Event::Receipt, number));
    }
    let expected = |numbers: Vec<i64>| {
        numbers
            .into_iter()
            .map(|number| format!("n{number}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&outbox), expected((0..10).chain(25..35).collect()));
    for number in 40..65 {
        outbox.keep(numbered(Event::Recovered, number));
    }
    assert_eq!(ids(&outbox), expected((45..65).collect()));
    // The newest stays for a moment at least: no channel has been asked to take it.
    for number in 70..72 {
        outbox.keep(numbered(Event::Warning, number));
        assert_eq!(ids(&outbox), expected((46..65).chain([number]).collect()));
    }
}

#[test]
fn what_waits_for_a_dead_channel_pushes_out_nothing_that_the_others_still_have_to_get() {
    let place = Place::new();
    let (phone, mail) = (
        Puppet::new("phone", takes_all),
        Puppet::new("mail", takes_all),
    );
    let outbox = place.outbox_for(&[phone, Arc::clone(&mail)]);
    for number in 0..25 {
        outbox.keep(numbered(Event::Failed, number));
        outbox.delivered(&format!("n{number}"), "mail");
    }
    for number in 30..33 {
        outbox.keep(numbered(Event::Warning, number));
    }
    let waiting = outbox.waiting_for(mail.as_ref());
    let waiting: Vec<&str> = waiting.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(waiting, ["n30", "n31", "n32"]);
    assert_eq!(ids(&outbox).len(), 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn never_more_than_twenty_and_one_that_still_fails(events in proptest::collection::vec(0..5u8, 1..40)) {
        // What is in memory is bounded by the same code, and needs no disk.
        let outbox = Outbox::new(PathBuf::from("/dev/null/outbox"), &[], noon);
        for (number, event) in events.iter().enumerate() {
            let events = [Event::Failed, Event::StillFailing, Event::Recovered, Event::Warning, Event::Receipt];
            let notification = numbered(events[usize::from(*event)], number as i64);
            prop_assert!(outbox.keep(notification).is_some());
        }
        let waiting = outbox.waiting();
        prop_assert!(!waiting.is_empty() && waiting.len() <= 20 && waiting.len() <= events.len());
        prop_assert!(waiting.iter().filter(|notification| notification.event == Event::StillFailing).count() <= 1);
        prop_assert!(waiting.is_sorted_by_key(|notification| notification.written_at));
    }
}

#[test]
fn what_the_disk_does_not_take_is_kept_in_memory_and_written_later() {
    let place = Place::new();
    // What is missing is not made up: the disk may not be there.
    fs::remove_dir(place.own()).unwrap();
    let outbox = place.outbox();
    let error = outbox.keep(numbered(Event::Failed, 1)).expect("an error");
    assert!(
        error.to_string().contains(".pantry-keeper/outbox"),
        "{error}"
    );
    assert_eq!(ids(&outbox), ["n1"]);
    assert!(place.outbox().waiting().is_empty());
    assert!(!place.own().exists());
    fs::create_dir(place.own()).unwrap();
    assert!(outbox.keep(numbered(Event::Failed, 2)).is_none());
    assert_eq!(ids(&outbox), ["n1", "n2"]);
    assert_eq!(ids(&place.outbox()), ["n1", "n2"]);
    assert!(outbox.delivered("n1", "mail").is_none());
    assert_eq!(ids(&outbox), ["n2"]);
}
