//! It ends soon after it is asked to, whatever it is doing: Docker waits ten seconds.

use super::site;
use crate::support::{Proxy, Running, Site, Smtp, Then, Trap, is_alive, shared};
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(10);

fn ends_in_time(running: Running) {
    let asked = Instant::now();
    running.signal(Signal::TERM);
    running
        .end(Duration::from_secs(60))
        .done()
        .saying(&["stopping"]);
    assert!(asked.elapsed() < GRACE, "it took {:?}", asked.elapsed());
}

fn at_work(trap: Trap) -> (Proxy, Site, Running) {
    let proxy = Proxy::to(shared().port, trap, Then::Stall);
    let site = Site::new()
        .with("MONGODB_URI", shared().backup_uri_by(proxy.port))
        .with("BACKUP_ON_START", "true");
    let running = site.start(&["run"]);
    proxy.sprung();
    (proxy, site, running)
}

/// Stopped is not failed: nothing is mailed, and the next start carries on.
fn left_nothing(site: &Site) {
    assert_eq!(site.archives(), [""; 0]);
    let names = fs::read_dir(site.backups())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), [".pantry-keeper"]);
    let history = fs::read_to_string(site.backups().join(".pantry-keeper/history.json")).unwrap();
    assert!(
        history.contains("interrupted") && !history.contains("failed"),
        "{history}"
    );
}

#[test]
fn while_idle() {
    for signal in [Signal::TERM, Signal::INT] {
        let running = site().start(&["run"]);
        running.until_it_says("next backup");
        let asked = Instant::now();
        running.signal(signal);
        running.end(Duration::from_secs(60)).done();
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "it took {:?}",
            asked.elapsed()
        );
    }
}

/// The run's process may not be able to listen yet: that it dies of the signal is no failure.
#[test]
fn while_a_run_is_being_started() {
    for _ in 0..5 {
        let site = site().with("BACKUP_ON_START", "true");
        let running = site.start(&["run"]);
        running.until_it_says("starting a backup: at start");
        running.signal(Signal::TERM);
        let outcome = running.end(Duration::from_secs(60)).done();
        assert!(!outcome.stderr.contains("ERROR"), "{}", outcome.stderr);
        let state = fs::read_to_string(site.backups().join(".pantry-keeper/state.json")).unwrap();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        assert!(state["alarm"]["failing"].is_null(), "{state}");
    }
}

#[test]
fn while_it_connects() {
    let (_proxy, site, running) = at_work(Trap::Bytes(0));
    ends_in_time(running);
    left_nothing(&site);
}

#[test]
fn while_mongodump_connects() {
    let (_proxy, site, running) = at_work(Trap::Sent("mongodump"));
    let mongodump = running.mongodump();
    ends_in_time(running);
    assert!(!is_alive(mongodump));
    left_nothing(&site);
}

#[test]
fn while_it_dumps() {
    let (_proxy, site, running) = at_work(Trap::Bytes(1_000_000));
    let mongodump = running.mongodump();
    ends_in_time(running);
    assert!(!is_alive(mongodump));
    left_nothing(&site);
}

#[test]
fn while_it_reads_the_archive_back() {
    // A disk that answers slowly: each read of the archive takes half a second. Its name depends on when it is begun.
    let strace = crate::support::needed("strace", "run scripts/setup first")
        .display()
        .to_string();
    let site = site()
        .with("BACKUP_ON_START", "true")
        .with("TZ", "UTC")
        .with_clock("2026-05-27T12:00:00Z");
    let partial = |second| {
        site.backups().join(format!(
            ".jorbites_backup_20260527_1200{second:02}.tar.gz.partial"
        ))
    };
    let mut words = vec![strace];
    words.extend(
        [
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=read,pread64:delay_enter=500000",
        ]
        .map(str::to_owned),
    );
    for second in 0..60 {
        words.extend(["-P".to_owned(), partial(second).display().to_string()]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let site = site.started_by(&words);
    let running = site.start(&["run"]);
    running.until_it_says("dumped");
    let asked = Instant::now();
    running.tell_child(Signal::TERM);
    running
        .end(Duration::from_secs(60))
        .done()
        .saying(&["stopping"]);
    assert!(asked.elapsed() < GRACE, "it took {:?}", asked.elapsed());
    left_nothing(&site);
}

#[test]
fn while_it_mails() {
    for options in [
        &["--hang", "accept"][..],
        &["--hang", "banner"],
        &["--drip"],
    ] {
        let smtp = Smtp::start(options);
        let site = site()
            .with("BACKUP_DATABASES", "shopp")
            .mailing_through(&smtp);
        let running = site.start(&["run"]);
        running.until_it_says("next backup");
        running.signal(Signal::USR1);
        // The mail holds nobody up.
        running.until_it_says_times("next backup", 2);
        let asked = Instant::now();
        running.signal(Signal::TERM);
        running.end(Duration::from_secs(60)).done();
        assert!(
            asked.elapsed() < Duration::from_secs(3),
            "it took {:?}",
            asked.elapsed()
        );
        // Not sent, and not lost.
        let outbox = site.backups().join(".pantry-keeper/outbox");
        assert_eq!(fs::read_dir(outbox).unwrap().count(), 1);
    }
}
