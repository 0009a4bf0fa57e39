//! Backups that wait for what the scheduler itself is at.

use super::{site, stop};
use crate::support::{Proxy, SOON, Server, Site, Then, Trap, shared, until};
use rustix::process::Signal;
use std::fs;

#[test]
fn a_slot_that_a_drill_keeps_waiting_is_not_missed() {
    let scratch = Server::standalone();
    let site = site()
        .with("TZ", "UTC")
        .with("BACKUP_CATCH_UP", "false")
        .with("DRILL_URI", scratch.uri())
        .with("DRILL_SCHEDULE", "50 1 * * SUN")
        .with_clock("2026-05-30T12:00:00Z");
    site.run(&["backup"]).done();
    let go = site.path("go");
    let slow = format!(
        "while [ ! -e '{}' ]; do sleep 0.1; done; exec \"$REAL\" \"$@\"",
        go.display()
    );
    let site = site.with_false_mongorestore(&slow);
    let running = site.start(&["run"]);
    running.until_it_says("next drill: Sunday 31 May 2026 at 01:50 UTC");
    site.set_clock("2026-05-31T01:49:58Z");
    running.until_it_says("starting a drill: scheduled");
    running.tool("mongorestore");
    site.set_clock("2026-05-31T02:30:00Z");
    fs::write(go, "").unwrap();
    running.until_it_says("making up for the run of Sunday 31 May 2026 at 02:00 UTC");
    running.until_it_says("backup complete and verified");
    assert!(!running.said().contains("missed"), "{}", running.said());
    stop(running);
    assert_eq!(site.archives().len(), 2);
}

#[test]
fn a_backup_beside_the_schedule_does_for_the_slot_that_it_spans() {
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let site = Site::new()
        .with("MONGODB_URI", shared().backup_uri_by(proxy.port))
        .with("BACKUP_CATCH_UP", "false")
        .with("BACKUP_ON_START", "true")
        .with_clock("2026-05-31T01:40:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("starting a backup: at start");
    proxy.sprung();
    site.set_clock("2026-05-31T02:30:00Z");
    proxy.release();
    running.until_it_says("1 run came due while this one was at work, and is skipped");
    running.until_it_says("next backup: Sunday 7 June 2026 at 02:00 UTC");
    // Its archive is older than the slot, and yet the backup that was promised.
    site.set_clock("2026-05-31T12:00:00Z");
    running.until_it_says("the clock jumped ahead by 9 h");
    site.run(&["health"]).done();
    assert!(!running.said().contains("missed"), "{}", running.said());
    stop(running);
    assert_eq!(site.archives().len(), 1);
}

/// Nothing takes its place: the slot has its own chance.
#[test]
fn a_failed_one_does_not_do_for_it() {
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let site = Site::new()
        .with("MONGODB_URI", shared().backup_uri_by(proxy.port))
        .with("BACKUP_ON_START", "true")
        .with_clock("2026-05-31T01:40:00Z");
    let running = site.start(&["run"]);
    proxy.sprung();
    site.set_clock("2026-05-31T02:30:00Z");
    running.tell_child(Signal::KILL);
    proxy.release();
    running.until_it_says("making up for the run of Sunday 31 May 2026 at 02:00 UTC");
    running.until_it_says("backup complete and verified");
    stop(running);
    until("one archive", SOON, || site.archives().len() == 1);
}

/// A promise that was written down on a clock that was ahead would be one for years from now.
#[test]
fn a_clock_that_was_ahead_once_does_not_hide_what_is_missing() {
    let site = site()
        .with("TZ", "UTC")
        .with("BACKUP_SCHEDULE", "@hourly")
        .with_clock("2030-03-31T12:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("next backup: Sunday 31 March 2030 at 13:00 UTC");
    stop(running);
    site.set_clock("2026-05-31T12:10:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("next backup: Sunday 31 May 2026 at 13:00 UTC");
    stop(running);
    site.run(&["backup"]).done();
    site.set_clock("2026-06-30T12:10:00Z");
    let outcome = site
        .run(&["health"])
        .ended_with(1)
        .printing(&["there is no backup of Tuesday 30 June 2026 at 05:00 UTC"]);
    assert!(!outcome.stdout.contains("2030"), "{}", outcome.stdout);
    let next = &site.run(&["health", "--json"]).json()["next_run_at"];
    assert_eq!(next, "2026-06-30T13:00:00Z");
}
