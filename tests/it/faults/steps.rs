//! Every write, sync and rename of a backup fails once, and once we are killed at it.
//!
//! `strace` makes the real system calls fail. Its count is per thread, so that the same call may be met under several
//! numbers; a number that is never reached is a run without a fault, which ends the counting.

use crate::support::{Outcome, Site, needed, shared};
use std::path::Path;

const STEPS: [&str; 4] = ["pwrite64", "fsync", "renameat2", "rename"];

/// One backup in which the step fails; whether it was reached, and how it ended.
fn with_fault(
    site: Site,
    step: &str,
    fault: &str,
    number: u32,
    only: Option<&Path>,
) -> (Site, bool, Outcome) {
    let strace = needed("strace", "install the package strace")
        .display()
        .to_string();
    let log = site.path(&format!("strace-{step}-{number}"));
    let (log_text, inject) = (
        log.display().to_string(),
        format!("inject={step}:{fault}:when={number}"),
    );
    let mut words = vec![strace.as_str(), "-f", "-qq", "-o", &log_text, "-e", &inject];
    let only = only.map(|path| path.display().to_string());
    if let Some(path) = &only {
        words.extend(["-P", path]);
    }
    let site = site.started_by(&words);
    let outcome = site.run(&["backup"]);
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    let reached = log.contains("(INJECTED)") || log.contains("+++ killed by SIGKILL +++");
    (site.started_by(&[]), reached, outcome)
}

fn site() -> Site {
    Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with("BACKUP_STALL_TIMEOUT", "60s")
}

/// Whatever has a final name is sound, and the next run is as if nothing had been.
fn promises_hold(site: &Site, added: &[String]) {
    if added.iter().any(|name| name.ends_with(".tar.gz")) {
        site.run(&["verify"]).done();
    }
    // Another second, another name: the clock is not waited for, the name moves on by itself.
    site.run(&["backup"]).done();
    site.run(&["verify"]).done();
}

#[test]
fn a_step_that_fails_leaves_nothing_or_a_sound_archive() {
    for step in STEPS {
        let mut reached_once = false;
        for number in 1.. {
            let site = site();
            let before = site.with_older_files();
            let (site, reached, outcome) = with_fault(site, step, "error=EIO", number, None);
            if !reached {
                outcome.done();
                break;
            }
            reached_once = true;
            let added = before.added();
            match outcome.code() {
                // What failed came after the archive had its name.
                Some(0) => {
                    let told = [
                        "the archive is safe, but cannot",
                        "could not save state, will retry: cannot",
                    ];
                    let said = |words: &&str| outcome.stderr.contains(*words);
                    assert!(
                        told.iter().any(said),
                        "{step} {number}:\n{}",
                        outcome.stderr
                    );
                }
                code => {
                    assert_eq!(code, Some(1), "{step} {number}");
                    assert_eq!(
                        added,
                        Vec::<String>::new(),
                        "{step} {number}:\n{}",
                        outcome.stderr
                    );
                }
            }
            promises_hold(&site, &added);
        }
        assert!(reached_once, "{step} was never called");
    }
}

#[test]
fn killed_at_any_step_it_leaves_no_archive_or_a_sound_one() {
    for step in STEPS {
        for number in 1.. {
            let site = site();
            let before = site.with_older_files();
            let (site, reached, outcome) = with_fault(site, step, "signal=KILL", number, None);
            if !reached {
                outcome.done();
                break;
            }
            promises_hold(&site, &before.added());
            assert_eq!(
                before
                    .added()
                    .iter()
                    .filter(|name| name.ends_with(".partial"))
                    .count(),
                0,
                "{step} {number}"
            );
        }
    }
}

#[test]
fn a_name_that_cannot_be_made_to_last_is_taken_back() {
    let site = site();
    let before = site.with_older_files();
    let folder = site.backups();
    let (site, reached, outcome) = with_fault(site, "fsync", "error=EIO", 1, Some(&folder));
    assert!(reached);
    outcome.ended_with(1).saying(&["cannot sync"]);
    assert_eq!(before.added(), Vec::<String>::new());
    promises_hold(&site, &[]);
}
