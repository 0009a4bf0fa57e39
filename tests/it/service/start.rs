//! What keeps it from starting is said at start, and not on the first Sunday.

use super::site;
use crate::support::{ANSWER_VERSION, Site, shared};
use std::fs;
use std::time::Duration;

const QUICKLY: Duration = Duration::from_secs(10);

#[test]
fn mail_that_is_off_is_said_once() {
    let site = site();
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    assert_eq!(
        running
            .said()
            .matches("mail is off: SMTP_HOST is not set")
            .count(),
        1,
        "{}",
        running.said()
    );
    super::stop(running);
}

#[test]
fn a_folder_that_cannot_be_made() {
    let site = site();
    fs::write(site.backups(), "a file").unwrap();
    site.run(&["run"])
        .ended_with(1)
        .within(QUICKLY)
        .saying(&["cannot start", "backups"]);
}

#[test]
fn no_mongodump_and_one_that_is_too_old() {
    let site = Site::of(shared()).with("PATH", "/nowhere");
    site.run(&["run"])
        .ended_with(1)
        .within(QUICKLY)
        .saying(&["cannot start: there is no mongodump on PATH"]);
    let old = ANSWER_VERSION.replace("100.12.2", "100.2.0");
    let site = Site::of(shared()).with_false_mongodump(&old);
    site.run(&["run"])
        .ended_with(1)
        .within(QUICKLY)
        .saying(&["cannot start", "version 100.2.0"]);
}

#[test]
fn a_disk_that_is_not_mounted_and_nothing_is_put_in_its_place() {
    let site = site().with("BACKUP_REQUIRE_MOUNT", "true");
    fs::create_dir(site.backups()).unwrap();
    site.run(&["run"])
        .ended_with(1)
        .within(QUICKLY)
        .saying(&["cannot start", "is not the disk it was"]);
    assert_eq!(fs::read_dir(site.backups()).unwrap().count(), 0);
}

#[test]
fn settings_that_are_wrong() {
    let site = site()
        .with("BACKUP_SCHEDULE", "30 2 31 2 *")
        .with("TZ", "Europe/Madird");
    site.run(&["run"]).ended_with(2).within(QUICKLY).saying(&[
        "BACKUP_SCHEDULE",
        "never comes",
        "TZ",
        "Europe/Madrid",
    ]);
}
