//! Drills that end early, come at the same time, or come by themselves.

use super::drill::{history, state, tampering};
use super::same;
use crate::support::{
    PASSWORD_ENCODED, Proxy, SOON, Server, Site, Then, Trap, is_alive, shared, until,
};
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

/// A place whose drills go through a network that fails when this is sent.
fn behind(scratch: &Server, moment: &'static str, then: Then) -> (Proxy, Site) {
    let proxy = Proxy::to(scratch.port, Trap::Sent(moment), then);
    let site = Site::new().with("DRILL_URI", scratch.backup_uri_by(proxy.port));
    site.with_sound_archive();
    (proxy, site)
}

#[test]
fn asked_to_end_it_drops_what_it_made() {
    let scratch = Server::standalone();
    scratch.seed("small");
    let others = scratch.fingerprint();
    // One that has done its work and goes on, as it does while indexes are built.
    let slow = "\"$REAL\" \"$@\"; echo restored >&2; exec sleep 600";
    let site = Site::new()
        .with("DRILL_URI", scratch.uri())
        .with_false_mongorestore(slow);
    let site = site.with("LOG_LEVEL", "debug");
    site.with_sound_archive();
    let running = site.start(&["drill"]);
    running.until_it_says("mongorestore: restored");
    assert!(
        scratch.fingerprint().len() > others.len(),
        "there is nothing to drop yet"
    );
    let asked = Instant::now();
    running.signal(Signal::TERM);
    running
        .end(Duration::from_secs(60))
        .ended_with(1)
        .saying(&["the drill was stopped as asked"]);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        asked.elapsed()
    );
    same(&others, &scratch.fingerprint());
}

#[test]
fn asked_to_end_while_the_server_hangs_it_ends_in_time_and_the_next_one_tidies_up() {
    let scratch = Server::standalone();
    let (proxy, site) = behind(&scratch, "insert", Then::Stall);
    let running = site.start(&["drill"]);
    proxy.sprung();
    let mongorestore = running.tool("mongorestore");
    running.signal(Signal::TERM);
    let asked = Instant::now();
    running
        .end(Duration::from_secs(60))
        .ended_with(1)
        .saying(&["the drill was stopped as asked"]);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        asked.elapsed()
    );
    assert!(!is_alive(mongorestore));
    // Stopping is no failure, and what could not be dropped is remembered.
    assert_eq!(
        history(&site).pop().unwrap()["ended"]["outcome"],
        "interrupted"
    );
    assert_eq!(state(&site)["drill"], Value::Null);
    tidies_up(&site, &proxy, &scratch);
}

fn tidies_up(site: &Site, proxy: &Proxy, scratch: &Server) {
    assert_ne!(state(site)["left_over"], Value::Array(vec![]));
    proxy.release();
    site.run(&["drill"])
        .done()
        .saying(&["which an interrupted drill had left", "is proven"]);
    assert!(scratch.is_empty());
    assert_eq!(state(site)["left_over"], Value::Array(vec![]));
}

#[test]
fn killed_it_leaves_scratch_databases_which_the_next_one_drops() {
    let scratch = Server::standalone();
    let (proxy, site) = behind(&scratch, "insert", Then::Stall);
    let running = site.start(&["drill"]);
    proxy.sprung();
    let mongorestore = running.tool("mongorestore");
    running.signal(Signal::KILL);
    drop(running);
    until("mongorestore is gone", SOON, || !is_alive(mongorestore));
    until("something was made", SOON, || !scratch.is_empty());
    tidies_up(&site, &proxy, &scratch);
}

/// Whoever can write our notes must not choose what is dropped.
#[test]
fn notes_that_name_other_databases_drop_none() {
    let scratch = Server::standalone();
    scratch.seed("small");
    let before = scratch.fingerprint();
    let site = Site::new().with("DRILL_URI", scratch.uri());
    site.with_sound_archive();
    site.run(&["drill"]).done();
    let path = site.backups().join(".pantry-keeper/state.json");
    let mut notes = state(&site);
    let hosts = format!("127.0.0.1:{}", scratch.port);
    notes["left_over"] =
        serde_json::json!([{ "hosts": hosts, "databases": ["shop", "blog", "pantry_keeper"] }]);
    std::fs::write(path, notes.to_string()).unwrap();
    site.run(&["drill"]).done();
    same(&before, &scratch.fingerprint());
}

#[test]
fn a_network_that_is_cut_in_the_middle_fails_the_drill() {
    let scratch = Server::standalone();
    let (proxy, site) = behind(&scratch, "insert", Then::Cut);
    let outcome = site
        .run(&["drill"])
        .ended_with(1)
        .within(Duration::from_secs(60));
    proxy.sprung();
    outcome.saying(&["the drill failed"]);
    assert_eq!(
        history(&site).pop().unwrap()["ended"]["outcome"],
        "drill_failed"
    );
    // By another way the server is another one: only the owner can tell that it is the same.
    assert_ne!(state(&site)["left_over"], Value::Array(vec![]));
}

#[test]
fn a_server_that_hangs_fails_the_drill_after_its_time_and_is_tidied_up_once_it_answers() {
    let scratch = Server::standalone();
    let (proxy, site) = behind(&scratch, "insert", Then::Stall);
    let site = site.with("BACKUP_TIMEOUT", "4s");
    let running = site.start(&["drill"]);
    proxy.sprung();
    let mongorestore = running.tool("mongorestore");
    until("it gives up", SOON, || !is_alive(mongorestore));
    proxy.release();
    running
        .end(Duration::from_secs(60))
        .ended_with(1)
        .saying(&["the drill failed", "BACKUP_TIMEOUT"]);
    assert!(scratch.is_empty());
    assert_eq!(state(&site)["left_over"], Value::Array(vec![]));
}

#[test]
fn with_a_wrong_password_nothing_is_made() {
    let scratch = Server::with_password(&[]);
    let uri = scratch
        .owner_uri()
        .replace(PASSWORD_ENCODED, &format!("{PASSWORD_ENCODED}-not"));
    let site = Site::new().with("DRILL_URI", uri);
    site.with_sound_archive();
    let outcome = site.run(&["drill"]).ended_with(1);
    outcome.saying(&[
        "the drill failed",
        "refused the user name or the password",
        "DRILL_URI",
    ]);
    let down = Site::new().with(
        "DRILL_URI",
        "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100",
    );
    down.with_sound_archive();
    down.run(&["drill"])
        .ended_with(1)
        .saying(&["cannot reach MongoDB", "DRILL_URI"]);
    assert!(scratch.is_empty());
    site.with("DRILL_URI", scratch.owner_uri())
        .run(&["drill"])
        .done();
}

#[test]
fn a_second_drill_waits_for_its_turn() {
    let scratch = Server::standalone();
    let (proxy, site) = behind(&scratch, "insert", Then::Stall);
    let first = site.start(&["drill"]);
    proxy.sprung();
    let second = site.run(&["drill"]).ended_with(3);
    second.saying(&["another Pantry Keeper is at work in"]);
    let json = site.run(&["drill", "--json"]).ended_with(3).json();
    assert!(
        json["error"]
            .as_str()
            .unwrap()
            .contains("another Pantry Keeper"),
        "{json}"
    );
    proxy.release();
    first.end(Duration::from_secs(60)).done();
    assert!(scratch.is_empty());
    assert_eq!(history(&site).len(), 1);
}

#[test]
fn a_schedule_needs_a_server_to_drill_on() {
    let site = Site::of(shared()).with("DRILL_SCHEDULE", "@weekly");
    site.run(&["run"])
        .ended_with(2)
        .saying(&["DRILL_URI", "give a scratch server"]);
    site.run(&["list"]).ended_with(2);
    let site = Site::of(shared())
        .with("DRILL_SCHEDULE", "often")
        .with("DRILL_URI", "mongodb://127.0.0.1:1/");
    site.run(&["run"]).ended_with(2).saying(&["DRILL_SCHEDULE"]);
}

/// The first drill of a new stack may be due before its first backup.
#[test]
fn one_that_is_due_before_the_first_archive_is_let_go_and_not_missed() {
    let smtp = crate::support::Smtp::start(&[]);
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "library")
        .with("DRILL_URI", shared().uri())
        .with("DRILL_SCHEDULE", "0 4 * * MON")
        .mailing_through(&smtp)
        .with_clock("2026-05-31T12:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("next drill: Monday 1 June 2026 at 04:00 UTC");
    site.set_clock("2026-06-01T03:59:58Z");
    running.until_it_says("nothing to drill: there are no archives in ");
    running.until_it_says("next drill: Monday 8 June 2026 at 04:00 UTC");
    site.run(&["backup"]).done();
    // Hours after the drill should have been done.
    site.set_clock("2026-06-02T12:00:00Z");
    let health = site.run(&["health"]);
    assert!(!health.stdout.contains("drill"), "{}", health.stdout);
    running.signal(Signal::TERM);
    running.end(Duration::from_secs(120)).done();
    assert_eq!(smtp.mails().len(), 0);
    assert_eq!(state(&site)["drill"], Value::Null);
    assert_eq!(history(&site).len(), 1);
}

#[test]
fn by_itself_it_drills_when_it_is_due_and_mails_when_it_failed() {
    let scratch = Server::standalone();
    let smtp = crate::support::Smtp::start(&[]);
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop,library")
        .with("DRILL_URI", scratch.uri())
        .with("DRILL_SCHEDULE", "0 4 * * MON")
        .mailing_through(&smtp)
        .with_clock("2026-05-30T12:00:00Z");
    site.run(&["backup"]).done();
    let site = site.with_false_mongorestore(&tampering(&scratch));
    let running = site.start(&["run"]);
    running.until_it_says("next backup: Sunday 31 May 2026 at 02:00 UTC");
    running.until_it_says("next drill: Monday 1 June 2026 at 04:00 UTC");
    site.set_clock("2026-05-31T01:59:58Z");
    running.until_it_says("backup complete and verified");
    site.set_clock("2026-06-01T03:59:58Z");
    running.until_it_says("starting a drill: scheduled");
    running.until_it_says("is NOT proven");
    running.until_it_says("shop.products: its index name_1 could not be built");
    running.until_it_says("next drill: Monday 8 June 2026 at 04:00 UTC");
    until("the mail is sent", SOON, || smtp.mails().len() == 1);
    assert!(
        smtp.mails()[0]
            .subject
            .starts_with("jorbites drill FAILED: "),
        "{:?}",
        smtp.mails()
    );
    site.run(&["health"])
        .ended_with(1)
        .printing(&["did not prove"]);

    // A week later, with a mongorestore that does what it should.
    std::fs::remove_file(site.path("bin/mongorestore")).unwrap();
    site.set_clock("2026-06-08T03:59:58Z");
    running.until_it_says("is proven");
    running.until_it_says("next drill: Monday 15 June 2026 at 04:00 UTC");
    until("the mail is sent", SOON, || smtp.mails().len() == 2);
    assert!(
        smtp.mails()[1]
            .subject
            .starts_with("jorbites drill recovered: "),
        "{:?}",
        smtp.mails()
    );
    running.signal(Signal::TERM);
    running.end(Duration::from_secs(120)).done();
    assert!(scratch.is_empty());
    let outcomes: Vec<Value> = history(&site)
        .into_iter()
        .map(|run| run["ended"]["outcome"].clone())
        .collect();
    assert!(
        outcomes.contains(&"drill_failed".into()) && outcomes.contains(&"drilled".into()),
        "{outcomes:?}"
    );
}
