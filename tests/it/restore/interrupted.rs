//! Ended, killed or left alone in the middle: the archive stays what it was, and somebody is told what to do.

use super::{only, restore, same};
use crate::support::{
    Before, Craft, OLDER, Proxy, Running, SOON, Server, Site, Then, Trap, is_alive, shared, until,
};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Docker kills what has not ended ten seconds after it was asked to.
const GRACE: Duration = Duration::from_secs(10);
/// Words that are sent when mongorestore connects, and with the last documents.
const MOMENTS: [&str; 2] = ["mongorestore", "zlast"];

/// A restore that is stuck at one moment.
struct Stuck {
    site: Site,
    target: Server,
    proxy: Proxy,
    before: Before,
    running: Running,
    mongorestore: u32,
}

impl Stuck {
    fn at(moment: &'static str) -> Self {
        Self::of(Site::new(), moment)
    }

    fn of(site: Site, moment: &'static str) -> Self {
        let target = Server::standalone();
        let proxy = Proxy::to(target.port, Trap::Sent(moment), Then::Stall);
        site.with_sound_archive();
        let before = Before::of(&site.backups());
        let uri = target.backup_uri_by(proxy.port);
        let running = site.start(&[
            "restore",
            "latest",
            "--to",
            &uri,
            "--yes",
            "--exclude",
            "bulk.noise",
        ]);
        proxy.sprung();
        let mongorestore = running.tool("mongorestore");
        Stuck {
            site,
            target,
            proxy,
            before,
            running,
            mongorestore,
        }
    }

    /// All of it comes back at the next try.
    fn comes_back(site: &Site, target: &Server, before: &Before) {
        before.still_holds();
        site.run(&["verify"]).done();
        restore(site, target, &["--drop", "--exclude", "bulk.noise"]).done();
        let mut expected = shared().fingerprint();
        expected.remove("bulk.noise");
        same(&expected, &target.fingerprint());
    }
}

#[test]
fn asked_to_end_it_ends_in_time_and_says_what_to_do() {
    for (moment, signal) in MOMENTS.into_iter().zip([Signal::INT, Signal::TERM]) {
        let Stuck {
            site,
            target,
            proxy,
            before,
            running,
            mongorestore,
        } = Stuck::at(moment);
        let asked = Instant::now();
        running.signal(signal);
        let outcome = running.end(Duration::from_secs(60)).ended_with(1);
        assert!(
            asked.elapsed() < GRACE,
            "{moment}: it took {:?}",
            asked.elapsed()
        );
        outcome.saying(&[
            "was NOT restored completely",
            "stopped as asked",
            "The archive is as it was; run it again with --drop",
        ]);
        assert!(!is_alive(mongorestore), "{moment}");
        proxy.release();
        if moment == "zlast" {
            Stuck::comes_back(&site, &target, &before);
        }
        before.added();
    }
}

/// It would hold half of everything, and be the latest.
#[test]
fn no_backup_is_made_while_the_server_that_is_backed_up_is_restored_into() {
    let target = Server::standalone();
    let proxy = Proxy::to(target.port, Trap::Sent("mongorestore"), Then::Stall);
    let site = Site::new().with("MONGODB_URI", target.backup_uri_by(proxy.port));
    site.with_sound_archive();
    let running = site.start(&["restore", "latest", "--yes", "--exclude", "bulk.noise"]);
    proxy.sprung();
    running.until_it_says(&format!("and with {} for its name", site.archives()[0]));
    site.run(&["backup"])
        .ended_with(3)
        .saying(&["another Pantry Keeper is at work in"]);
    proxy.release();
    running.end(Duration::from_secs(60)).done();
}

/// mongorestore would wait for ever: it asks a majority of a replica set, without a limit.
#[test]
fn a_server_that_does_not_confirm_the_last_documents_is_given_up() {
    let site = Site::new().with("BACKUP_STALL_TIMEOUT", "3s");
    let Stuck {
        target,
        site,
        proxy,
        before,
        running,
        mongorestore,
    } = Stuck::of(site, "zlast");
    until("mongorestore is stopped", SOON, || !is_alive(mongorestore));
    proxy.release();
    running.end(Duration::from_secs(60)).ended_with(1).saying(&[
        "the server did not confirm the last documents for 3",
        "BACKUP_STALL_TIMEOUT",
    ]);
    Stuck::comes_back(&site, &target, &before);
}

#[test]
fn asked_to_end_while_it_looks_it_ends() {
    let target = Server::standalone();
    let proxy = Proxy::to(target.port, Trap::Bytes(0), Then::Stall);
    let site = Site::new().with_mongorestore_traced();
    site.with_sound_archive();
    let uri = target.backup_uri_by(proxy.port);
    let running = site.start(&["restore", "latest", "--to", &uri, "--yes"]);
    proxy.sprung();
    let asked = Instant::now();
    running.signal(Signal::TERM);
    running
        .end(Duration::from_secs(60))
        .ended_with(1)
        .saying(&["nothing was restored: stopped as asked"]);
    assert!(asked.elapsed() < GRACE);
    assert!(!site.mongorestore_was_started());
}

#[test]
fn killed_it_takes_mongorestore_along_and_leaves_the_archive_as_it_was() {
    for moment in MOMENTS {
        let Stuck {
            site,
            target,
            proxy,
            before,
            running,
            mongorestore,
        } = Stuck::at(moment);
        running.signal(Signal::KILL);
        // What to do was said when it began.
        assert!(
            running
                .said()
                .contains("run the same command again with --drop"),
            "{}",
            running.said()
        );
        drop(running);
        until("mongorestore is gone", SOON, || !is_alive(mongorestore));
        proxy.release();
        before.still_holds();
        if moment == "zlast" {
            Stuck::comes_back(&site, &target, &before);
        }
    }
}

#[test]
fn mongorestore_killed_is_a_restore_that_failed() {
    let Stuck {
        site,
        target,
        proxy,
        before,
        running,
        mongorestore,
    } = Stuck::at("insert");
    kill_process(Pid::from_raw(mongorestore as i32).unwrap(), Signal::KILL).unwrap();
    proxy.release();
    let outcome = running.end(Duration::from_secs(60)).ended_with(1);
    outcome.saying(&["was NOT restored completely", "signal 9"]);
    Stuck::comes_back(&site, &target, &before);
}

#[test]
fn a_server_that_dies_is_a_restore_that_failed() {
    let Stuck {
        site,
        target,
        proxy,
        before,
        running,
        mongorestore,
    } = Stuck::at("insert");
    // The answer arrives, and nobody is there for the next question: mongorestore waits for as long as the connection
    // string says. When it reads that string itself, it waits a thousand times as long.
    proxy.holds_an_answer();
    target.signal(Signal::KILL);
    proxy.release();
    let outcome = running.end(Duration::from_secs(60)).ended_with(1);
    outcome.saying(&[
        "was NOT restored completely",
        "mongorestore failed with exit code 1",
    ]);
    assert!(!is_alive(mongorestore));
    before.still_holds();
    drop(target);
    let target = Server::standalone();
    Stuck::comes_back(&site, &target, &before);
}

/// Its exit code proves nothing.
#[test]
fn a_mongorestore_that_is_content_and_has_done_nothing() {
    let target = Server::standalone();
    let site = Site::new().with_false_mongorestore("cat > /dev/null");
    site.with_sound_archive();
    let outcome = restore(&site, &target, &["--include", "shop.orders,blog.*"]).ended_with(1);
    outcome.saying(&[
        "was NOT restored completely",
        "shop.orders: the server holds 0 of 200 documents",
        "blog.sessions",
    ]);

    // Nor do its words.
    let words = "cat > /dev/null; printf 'x\\tfinished restoring shop.orders (200 documents, 0 failures)\\n' >&2";
    let site = site.with_false_mongorestore(words);
    let outcome = restore(&site, &target, &["--include", "shop.orders"]).ended_with(1);
    outcome.saying(&["shop.orders: the server holds 0 of 200 documents"]);
    // What is empty is missed as well.
    let empty = Server::standalone();
    empty.seed("options");
    let other = Site::of(&empty).with("BACKUP_EXCLUDE", "options.indexed,options.view");
    other.run(&["backup"]).done();
    let other = other.with_false_mongorestore("cat > /dev/null");
    restore(&other, &target, &["--include", "options.empty"])
        .ended_with(1)
        .saying(&["options.empty: it is not there"]);
    // What does not say that it is done is not believed where the server cannot be asked.
    let site = site.with_false_mongorestore("cat > /dev/null");
    let proxy = Proxy::to(target.port, Trap::Sent("library"), Then::Cut);
    let uri = target.backup_uri_by(proxy.port);
    let outcome = site
        .run(&[
            "restore",
            "latest",
            "--to",
            &uri,
            "--yes",
            "--include",
            "library.*",
        ])
        .ended_with(1);
    outcome.saying(&["was NOT restored completely", "library.books"]);
    assert!(target.is_empty());
}

#[test]
fn a_mongorestore_that_stops_reading_or_is_missing() {
    let target = Server::standalone();
    let site = Site::new();
    site.with_sound_archive();
    let site = site
        .with_false_mongorestore("head -c 100000 > /dev/null; echo 'Failed: no more' >&2; exit 3");
    restore(&site, &target, &[])
        .ended_with(1)
        .saying(&["mongorestore failed with exit code 3: no more"]);
    let site = site
        .with_false_mongorestore("exec sleep 600")
        .with("BACKUP_STALL_TIMEOUT", "2s");
    let outcome = restore(&site, &target, &[])
        .ended_with(1)
        .within(Duration::from_secs(30));
    outcome.saying(&["mongorestore took nothing for 2.0 s (BACKUP_STALL_TIMEOUT)"]);
    let site = site.with("PATH", "/nowhere");
    restore(&site, &target, &[])
        .ended_with(1)
        .saying(&["nothing was restored: there is no mongorestore on PATH"]);
    assert!(target.is_empty());
    same(&only(&shared().fingerprint(), &[]), &target.fingerprint());
}

/// mongorestore is content once the server has taken the last batch. Whether it kept it, nobody has seen.
#[test]
fn a_server_that_is_gone_behind_the_last_document_is_told_and_no_success() {
    let target = Server::standalone();
    let site = Site::new();
    site.with_older(Craft::dump().packed());
    let gone = format!(
        "\"$REAL\" \"$@\"; code=$?; kill -KILL {}; exit $code",
        target.pid()
    );
    let site = site.with_false_mongorestore(&gone);
    let uri = format!(
        "mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=500",
        target.port
    );
    let outcome = site.run(&["restore", OLDER, "--to", &uri, "--yes", "--json"]);
    let json = outcome.ended_with(1).json();
    assert_eq!(json["restored"], false, "{json}");
    let problems = json["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{json}");
    let problem = problems[0].as_str().unwrap();
    assert!(problem.contains("does not answer any more"), "{problem}");
}
