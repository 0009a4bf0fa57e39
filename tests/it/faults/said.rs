//! What mongodump says and does is taken for what it means.

use crate::support::{ANSWER_VERSION, Outcome, Server, Site, recorded_stream, shared};
use std::fs;

/// A mongodump that leaves its arguments in the file `calls` and then does one thing the first time, another afterwards.
/// `$STREAM` is what the real one sent.
fn site_of(server: &Server, first: &str, later: &str) -> Site {
    let site = Site::of(server);
    let (calls, stream) = (site.path("calls"), site.path("stream"));
    fs::write(&stream, recorded_stream()).unwrap();
    let script = format!(
        "{ANSWER_VERSION}\nSTREAM={}\necho \"$@\" >> {calls}\nif [ $(wc -l < {calls}) = 1 ]; then\n{first}\nelse\n{later}\nfi",
        stream.display(),
        calls = calls.display(),
    );
    site.with_false_mongodump(&script)
}

fn calls(site: &Site) -> Vec<String> {
    let calls = fs::read_to_string(site.path("calls")).unwrap();
    calls.lines().map(str::to_owned).collect()
}

fn warnings(outcome: &Outcome) -> Vec<String> {
    let report = outcome.json();
    let warnings = report["warnings"].as_array().unwrap().iter();
    warnings
        .map(|one| one.as_str().unwrap().to_owned())
        .collect()
}

const OVERFLOW: &str = "printf 't\\tFailed: oplog overflow: mongodump was unable to capture all new oplog entries during execution\\n' >&2; exit 1";

#[test]
fn a_collection_may_be_called_like_an_error() {
    let cut = "printf 't\\twriting app.UnauthorizedRequests to archive on stdout\\nt\\tFailed: error writing data for collection \
               `app.UnauthorizedRequests` to disk: error reading collection: connection() EOF\\n' >&2; exit 1";
    let site = site_of(shared(), cut, "cat $STREAM").with("BACKUP_RETRIES", "1");
    site.run(&["backup"])
        .done()
        .saying(&["attempt 1 failed: mongodump failed with exit code 1", "EOF"]);
}

/// mongodump says so also when it lost its connection as it looked.
#[test]
fn one_oplog_overflow_is_tried_again_and_the_second_gives_the_oplog_up() {
    let server = Server::start();
    server.seed("small");
    let once = site_of(&server, OVERFLOW, "cat $STREAM").with("BACKUP_RETRIES", "2");
    let outcome = once.run(&["backup", "--json"]).done();
    // The stream is of one database, which is another matter.
    let gave_up = |warning: &String| warning.starts_with("not of one point in time: ");
    let told = warnings(&outcome);
    assert!(!told.iter().any(gave_up), "{told:?}");
    let calls_of_once = calls(&once);
    assert_eq!(calls_of_once.len(), 2);
    assert!(calls_of_once.iter().all(|call| call.contains("--oplog")));

    let without = format!("case \"$*\" in *--oplog*) {OVERFLOW};; esac; cat $STREAM");
    let always = site_of(&server, OVERFLOW, &without).with("BACKUP_RETRIES", "2");
    let outcome = always.run(&["backup", "--json"]).done();
    let told = warnings(&outcome);
    assert!(told[0].starts_with("not of one point in time:"), "{told:?}");
    let with_oplog = |call: &String| call.contains("--oplog");
    let called: Vec<bool> = calls(&always).iter().map(with_oplog).collect();
    assert_eq!(called, [true, true, false]);
}

#[test]
fn where_the_oplog_is_asked_for_the_second_overflow_is_a_failure() {
    let server = Server::start();
    server.seed("small");
    let site = site_of(&server, OVERFLOW, OVERFLOW)
        .with("BACKUP_RETRIES", "5")
        .with("BACKUP_OPLOG", "on");
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["a point-in-time dump was not possible", "oplog overflow"]);
    assert_eq!(calls(&site).len(), 2);
}

/// What the real one sent, as it would be if one collection had been dropped before its indexes were asked for.
fn stream_without_indexes() -> Vec<u8> {
    let mut stream = recorded_stream().to_vec();
    let find = |stream: &[u8], text: &[u8], from: usize| {
        let found = stream[from..]
            .windows(text.len())
            .position(|window| window == text);
        found.map(|at| from + at).unwrap()
    };
    let announced = find(&stream, b"\"collectionName\":\"orders\"", 0);
    let begin = (0..announced)
        .rfind(|at| stream[*at..].starts_with(b"\"indexes\":["))
        .unwrap();
    let inside = begin + b"\"indexes\":[".len();
    let end = find(&stream, b"],\"uuid\"", inside);
    // Of the same length, so that the framing stays right.
    stream[inside..end].fill(b' ');
    stream
}

#[test]
fn a_collection_without_any_index_is_dumped_again_and_then_told() {
    let stream = stream_without_indexes();
    for (later, told) in [("cat $STREAM", 0), ("cat $STREAM.unindexed", 1)] {
        let site = site_of(shared(), "cat $STREAM.unindexed", later)
            .with("BACKUP_OPLOG", "off")
            .with("BACKUP_RETRIES", "0");
        fs::write(site.path("stream.unindexed"), &stream).unwrap();
        let outcome = site.run(&["backup", "--json"]).done().saying(&[
            "a collection was dropped while it was dumped: shop.orders came without an index",
        ]);
        let warnings = warnings(&outcome);
        let about_it = warnings
            .iter()
            .filter(|one| one.contains("no index") && one.contains("shop.orders"));
        assert_eq!(about_it.count(), told, "{warnings:?}");
        assert_eq!(calls(&site).len(), 2);
    }
}

/// mongodump holds back up to 32 MB before it writes: on a slow line that takes minutes.
#[test]
fn a_mongodump_that_reads_and_does_not_write_yet_is_not_stalled() {
    let reads = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do head -c 50000 /dev/zero > /dev/null; sleep 0.5; done; cat $STREAM";
    let site = site_of(shared(), reads, "exit 1")
        .with("BACKUP_STALL_TIMEOUT", "3s")
        .with("BACKUP_RETRIES", "0");
    site.run(&["backup"]).done();
}
