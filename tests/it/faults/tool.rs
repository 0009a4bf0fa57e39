//! mongodump is missing, old, broken or hostile.

use crate::support::{ANSWER_VERSION, Site, is_alive, password_in_shell, recorded_stream, shared};
use rustix::process::Signal;
use std::time::Duration;

fn fails(site: Site, words: &[&str]) {
    let before = site.with_older_files();
    site.run(&["backup"]).ended_with(1).saying(words);
    before.still_holds();
}

#[test]
fn no_mongodump_on_path() {
    let site = Site::of(shared()).with("PATH", "/nowhere");
    fails(
        site,
        &["no mongodump on PATH", "MongoDB Database Tools 100.3"],
    );
}

#[test]
fn a_mongodump_that_may_not_be_executed() {
    let site = Site::of(shared()).with_mongodump_file(b"#!/bin/sh\n", "644");
    let path = site.path("bin").display().to_string();
    fails(site.with("PATH", path), &["mongodump", "Database Tools"]);
}

#[test]
fn a_mongodump_for_another_processor() {
    // The header of a program for a machine that nobody has.
    let elf = [
        b"\x7fELF\x02\x01\x01".as_slice(),
        &[0; 9],
        b"\x02\0\xf0\x99\x01\0\0\0",
        &[0; 64],
    ]
    .concat();
    let site = Site::of(shared()).with_mongodump_file(&elf, "755");
    fails(
        site,
        &["mongodump does not start", "another kind of processor"],
    );
}

/// A script whose interpreter is missing fails just as a program whose loader is.
#[test]
fn a_mongodump_whose_loader_is_missing() {
    let site = Site::of(shared()).with_mongodump_file(b"#!/nowhere/loader\n", "755");
    fails(
        site,
        &["mongodump does not start", "another kind of processor"],
    );
}

#[test]
fn a_mongodump_that_cannot_be_told_secrets_safely() {
    let site = Site::of(shared()).with_false_mongodump("echo 'mongodump version: 100.2.0'");
    fails(
        site,
        &["mongodump has version 100.2.0", "Database Tools 100.3"],
    );
}

#[test]
fn a_program_that_only_has_the_name() {
    fails(
        Site::of(shared()).with_false_mongodump("echo hello"),
        &["does not answer like mongodump"],
    );
    fails(
        Site::of(shared()).with_false_mongodump("exit 3"),
        &["does not answer like mongodump"],
    );
}

#[test]
fn a_flood_of_errors_is_drained_and_capped() {
    let flood = "i=0; while [ $i -lt 3000 ]; do echo 'a line of no use, again and again, and a few bytes more'; \
                 i=$((i+1)); done >&2; head -c 9000000 /dev/zero >&2; echo >&2; echo 'Failed: enough' >&2; exit 1";
    let site = Site::of(shared()).with_false_mongodump(&format!("{ANSWER_VERSION}\n{flood}"));
    let before = site.with_older_files();
    let outcome = site
        .run(&["backup"])
        .ended_with(1)
        .saying(&["mongodump failed with exit code 1: Failed: enough"]);
    assert!(
        outcome.stderr.len() < 20_000,
        "{} bytes of log",
        outcome.stderr.len()
    );
    before.still_holds();
}

#[test]
fn errors_that_never_end_do_not_keep_it_from_ending() {
    // A program started by it, such as sleep, would count as something that it reads.
    let script = format!("{ANSWER_VERSION}\nwhile :; do echo again; done >&2");
    let site = Site::of(shared())
        .with_false_mongodump(&script)
        .with("BACKUP_STALL_TIMEOUT", "2s");
    fails(site, &["BACKUP_STALL_TIMEOUT"]);
}

#[test]
fn lines_of_a_child_cannot_pass_for_lines_of_ours() {
    let script = format!(
        "{ANSWER_VERSION}\nprintf 'Failed: x\\r2026-01-01 INFO backup complete\\033[2J' >&2; exit 1"
    );
    let site = Site::of(shared())
        .with_false_mongodump(&script)
        .with("LOG_LEVEL", "debug");
    let before = site.with_older_files();
    let outcome = site.run(&["backup"]).ended_with(1);
    assert!(
        !outcome.stderr.contains(['\r', '\u{1b}']),
        "{:?}",
        outcome.stderr
    );
    assert!(
        !outcome
            .stderr
            .lines()
            .any(|line| line.starts_with("2026-01-01 INFO")),
        "{}",
        outcome.stderr
    );
    before.still_holds();
}

/// The real one prints the whole connection string when it cannot connect.
#[test]
fn a_password_that_a_child_prints_is_hidden() {
    let script = format!(
        "{ANSWER_VERSION}\ncat \"${{1#--config=}}\" >&2; echo 'Failed: see above' >&2; exit 1"
    );
    let site = Site::of(shared())
        .with_false_mongodump(&script)
        .with("LOG_LEVEL", "trace");
    fails(
        site,
        &[
            "uri: \"mongodb://backup%40er:***@127.0.0.1:",
            "Failed: see above",
        ],
    );
}

#[test]
fn a_password_over_the_place_where_a_line_is_cut_is_hidden() {
    for before in [2035, 2047, 2060] {
        let script = format!(
            "{ANSWER_VERSION}\nname={}\n{{ printf 'Failed: '; head -c {before} /dev/zero | tr '\\0' -; \
             printf '%s and so on' \"$name\"; head -c 100000 /dev/zero | tr '\\0' -; echo; }} >&2; exit 1",
            password_in_shell()
        );
        let site = Site::of(shared())
            .with_false_mongodump(&script)
            .with("LOG_LEVEL", "trace");
        fails(site, &["Failed: -----"]);
    }
}

/// As part of a name it hides nothing of what the line means.
#[test]
fn a_password_in_a_name_that_a_child_prints_is_hidden() {
    for (line, told) in [
        (
            "t\tthe collection NAME.x appears to have been dropped",
            "a collection was dropped while it was dumped: t\tthe collection ***.x",
        ),
        (
            "t\tFailed: error reading NAME.x: (Unauthorized) not authorized on NAME",
            "may not read everything: t\tFailed: error reading ***.x",
        ),
        (
            "t\tFailed: error dumping oplog: cannot dump with oplog while renames of NAME occur",
            "a point-in-time dump was not possible",
        ),
    ] {
        let line = line.replace("NAME", "$name");
        let script = format!(
            "{ANSWER_VERSION}\nname={}\ncat >&2 << END\n{line}\nEND\nexit 1",
            password_in_shell()
        );
        let site = Site::of(shared())
            .with_false_mongodump(&script)
            .with("BACKUP_OPLOG", "off")
            .with("LOG_LEVEL", "trace");
        fails(site, &[told]);
    }
}

#[test]
fn a_mongodump_that_ignores_sigterm_is_killed_within_the_grace_period() {
    let script = format!("{ANSWER_VERSION}\ntrap '' TERM\nwhile :; do sleep 1; done");
    let site = Site::of(shared()).with_false_mongodump(&script);
    let before = site.with_older_files();
    let running = site.start(&["backup"]);
    let mongodump = running.mongodump();
    let asked = std::time::Instant::now();
    running.signal(Signal::TERM);
    running
        .end(Duration::from_secs(60))
        .ended_with(1)
        .saying(&["stopped as asked"]);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    assert!(!is_alive(mongodump));
    before.still_holds();
}

#[test]
fn a_mongodump_killed_by_the_system_is_named_with_its_signal() {
    let site = Site::of(shared()).with_false_mongodump(&format!("{ANSWER_VERSION}\nkill -9 $$"));
    fails(site, &["mongodump failed with signal 9", "memory"]);
}

#[test]
fn a_stream_that_ends_early_is_a_failure_whatever_the_exit_code() {
    let stream = recorded_stream();
    let last = stream.len();
    for keep in [
        0,
        3,
        4,
        60,
        last / 4,
        last / 2,
        last - 100,
        last - 5,
        last - 1,
    ] {
        let site = Site::of(shared()).with_mongodump_sending(&stream[..keep]);
        let before = site.with_older_files();
        let outcome = site.run(&["backup"]);
        assert!(
            outcome.stderr.contains("mongodump"),
            "{keep} of {last} bytes: {}",
            outcome.stderr
        );
        outcome.ended_with(1).saying(&["the backup failed"]);
        before.still_holds();
    }
}

#[test]
fn a_mongodump_that_has_sent_everything_but_does_not_end_is_ended_and_not_believed() {
    let site = Site::of(shared());
    std::fs::write(site.path("stream"), recorded_stream()).unwrap();
    let script = format!(
        "{ANSWER_VERSION}\ncat {}; exec >&-; sleep 60",
        site.path("stream").display()
    );
    let site = site.with_false_mongodump(&script);
    let before = site.with_older_files();
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["mongodump failed with signal 15"])
        .within(Duration::from_secs(20));
    before.still_holds();
}

#[test]
fn a_stream_that_was_changed_on_the_way_is_a_failure_that_names_the_collection() {
    let mut stream = recorded_stream().to_vec();
    let text = b"product 7";
    let at = stream
        .windows(text.len())
        .position(|window| window == text)
        .unwrap();
    stream[at] ^= 0x20;
    fails(
        Site::of(shared()).with_mongodump_sending(&stream),
        &["shop.products", "checksum"],
    );
}

#[test]
fn a_stream_that_is_none_is_a_failure() {
    fails(
        Site::of(shared()).with_mongodump_sending(b"<html>502 Bad Gateway</html>"),
        &["not an archive stream"],
    );
}

/// It was stopped by us then, and that is not the reason.
#[test]
fn a_stream_that_is_refused_while_mongodump_goes_on_is_the_reason_of_the_failure() {
    let script = format!("{ANSWER_VERSION}\necho '<html>502 Bad Gateway</html>'; exec sleep 60");
    fails(
        Site::of(shared()).with_false_mongodump(&script),
        &["not an archive stream"],
    );
}

/// Names from a server become paths on the day of the restore.
#[test]
fn a_database_name_that_climbs_out_of_its_folder_is_refused() {
    let mut stream = recorded_stream().to_vec();
    // Of the same length, so that the framing stays right.
    while let Some(at) = stream.windows(5).position(|window| window == b"shop\0") {
        stream[at..at + 4].copy_from_slice(b"../x");
    }
    let site = Site::of(shared()).with_mongodump_sending(&stream);
    fails(site, &["../x"]);
}
