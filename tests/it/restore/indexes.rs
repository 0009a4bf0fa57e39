//! Indexes after a restore: all there, or each that is not named, with the command that makes it.

use super::restore_of;
use crate::support::{Craft, Manner, OLDER, Proxy, Server, Site, Strict, Then, Trap, Version};
use mongodb::bson::{DateTime, Document, Timestamp, doc};
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Docker kills what has not ended ten seconds after it was asked to.
const GRACE: Duration = Duration::from_secs(10);
/// An index that the documents of [`twins`] do not allow, between two that they do.
const INDEXES: &str = r#"{"v":2,"key":{"a":1},"name":"a_1"},{"v":2,"key":{"n":1},"name":"n_1","unique":true},
    {"v":2,"key":{"b":-1},"name":"b_-1"}"#;

fn site(craft: Craft) -> Site {
    let site = Site::new();
    site.with_older(craft.packed());
    site
}

/// Two collections with the same indexes; the first has documents that a unique one does not allow.
fn twins() -> Site {
    let twice = [doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 1 }];
    let once = [doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 2 }];
    let craft = Craft::default().indexed("shop", "first", &twice, INDEXES);
    site(craft.indexed("shop", "second", &once, INDEXES))
}

/// The indexes of a collection by name.
fn indexes(server: &Server, namespace: &str) -> Vec<(String, Value)> {
    let everything = server.fingerprint();
    let indexes = everything[namespace]["indexes"].as_array().unwrap();
    let mut named: Vec<(String, Value)> = indexes
        .iter()
        .map(|index| {
            let pairs: Value = serde_json::from_str(index.as_str().unwrap()).unwrap();
            let pairs = pairs.as_array().unwrap().iter();
            let index: serde_json::Map<String, Value> = pairs
                .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone()))
                .collect();
            (index["name"].as_str().unwrap().to_owned(), index.into())
        })
        .collect();
    named.sort_by(|one, other| one.0.cmp(&other.0));
    named
}

fn names(server: &Server, namespace: &str) -> Vec<String> {
    let indexes = indexes(server, namespace).into_iter();
    indexes.map(|(name, _)| name).collect()
}

#[test]
fn an_index_that_the_documents_do_not_allow_costs_no_other_one() {
    let (site, target) = (twins(), Server::standalone());
    let outcome = restore_of(&site, OLDER, &target, &[]).ended_with(1);
    outcome.printing(&["then 6 indexes built"]).saying(&[
        "was NOT restored completely",
        "shop.first: its index n_1 could not be built: ",
        "E11000",
        "in mongosh:\n",
        "db.getSiblingDB(\"shop\").runCommand({createIndexes: \"first\", indexes: [{\"key\": {\"n\": 1}, \"name\": \"n_1\", \
         \"unique\": true}]})",
    ]);
    assert_eq!(names(&target, "shop.first"), ["_id_", "a_1", "b_-1"]);
    assert_eq!(
        names(&target, "shop.second"),
        ["_id_", "a_1", "b_-1", "n_1"]
    );

    let json = restore_of(&site, OLDER, &target, &["--rename", "shop=again", "--json"]);
    let json = json.ended_with(1).json();
    assert_eq!(
        (&json["restored"], &json["indexes"]["policy"]),
        (&false.into(), &"all".into())
    );
    assert_eq!(
        (&json["indexes"]["archived"], &json["indexes"]["built"]),
        (&6.into(), &5.into()),
        "{json}"
    );
    let problem = &json["indexes"]["problems"][0];
    assert_eq!(
        (
            &problem["database"],
            &problem["collection"],
            &problem["name"]
        ),
        (&"again".into(), &"first".into(), &"n_1".into()),
        "{json}"
    );
    assert_eq!(problem["refused"], true);
}

#[test]
fn those_that_are_possible_are_built_and_the_others_reported() {
    let (site, target) = (twins(), Server::standalone());
    let outcome = restore_of(&site, OLDER, &target, &["--indexes", "possible"]).done();
    outcome.saying(&[
        "all that the archive holds of them is there, but for 1 index that the server refused",
        "shop.first: its index n_1 could not be built",
        "createIndexes",
    ]);
    assert_eq!(names(&target, "shop.first"), ["_id_", "a_1", "b_-1"]);
    let none = ["--indexes", "none", "--rename", "shop=bare"];
    restore_of(&site, OLDER, &target, &none)
        .done()
        .printing(&["6 indexes not built, as asked"])
        .saying(&["--indexes none"]);
    assert_eq!(names(&target, "bare.second"), ["_id_"]);
    restore_of(&site, OLDER, &target, &["--indexes", "some"]).ended_with(2);
}

/// What the oplog does to indexes during a dump is not mongorestore's to do either.
#[test]
fn indexes_made_changed_and_dropped_during_the_dump_are_as_they_were_in_the_end() {
    let entry = |second: u32, object: Document| {
        let ts = Timestamp {
            time: 1_700_000_000 + second,
            increment: 1,
        };
        doc! { "op": "c", "ns": "shop.$cmd", "ts": ts, "v": 2_i64, "o": object }
    };
    let operations = [
        // The last one before the dump.
        doc! { "op": "n", "ns": "", "o": {} },
        entry(
            1,
            doc! { "createIndexes": "orders", "v": 2, "key": { "x": 1 }, "name": "x_1" },
        ),
        entry(
            2,
            doc! { "commitIndexBuild": "orders", "indexes": [{ "v": 2, "key": { "y": 1 }, "name": "y_1" }] },
        ),
        entry(3, doc! { "dropIndexes": "orders", "index": "n_1" }),
        entry(
            4,
            doc! { "collMod": "orders", "index": { "name": "y_1", "expireAfterSeconds": 9_i64 } },
        ),
    ];
    let bytes: Vec<u8> = operations
        .iter()
        .flat_map(|one| one.to_vec().unwrap())
        .collect();
    let craft = Craft::default().indexed("shop", "orders", &[doc! { "_id": 1 }], INDEXES);
    let site = site(craft.file("dump/oplog.bson", &bytes));
    let target = Server::standalone();
    // SecantusDB knows no applyOps, and none is needed.
    restore_of(&site, OLDER, &target, &[])
        .done()
        .printing(&["then 4 operations of the oplog"]);
    assert_eq!(
        names(&target, "shop.orders"),
        ["_id_", "a_1", "b_-1", "x_1", "y_1"]
    );
    let (_, changed) = indexes(&target, "shop.orders").pop().unwrap();
    assert!(
        changed["expireAfterSeconds"].to_string().contains('9'),
        "{changed}"
    );
    restore_of(&site, OLDER, &target, &["--no-oplog", "--drop"]).done();
    assert_eq!(
        names(&target, "shop.orders"),
        ["_id_", "a_1", "b_-1", "n_1"]
    );
}

/// Stuck or cut off while indexes are built: the documents are there, and the rest is a few commands away.
/// The oplog that comes with the dump begins with it.
#[test]
fn an_index_made_right_before_the_dump_is_one_index() {
    let source = Server::start();
    source.change("fill", "shop.orders");
    source.change("index", "shop.orders");
    let site = Site::of(&source);
    site.run(&["backup"]).done();
    let target = Server::standalone();
    restore_of(&site, "latest", &target, &[]).done();
    assert_eq!(names(&target, "shop.orders"), ["_id_", "late_1"]);
}

#[test]
fn ended_while_indexes_are_built_it_names_those_that_are_missing() {
    let site = twins();
    for then in [Then::Stall, Then::Cut] {
        let target = Server::standalone();
        let proxy = Proxy::to(target.port, Trap::Sent("createIndexes"), then);
        let uri = target.backup_uri_by(proxy.port);
        let running = site.start(&["restore", OLDER, "--to", &uri, "--yes"]);
        proxy.sprung();
        let asked = Instant::now();
        if then == Then::Stall {
            running.signal(Signal::TERM);
        }
        let outcome = running.end(Duration::from_secs(60)).ended_with(1);
        assert!(asked.elapsed() < GRACE, "it took {:?}", asked.elapsed());
        let why = match then {
            Then::Stall | Then::Hold => {
                "stopped as asked, while indexes were built: the documents are there"
            }
            Then::Cut => "the documents are there, but not all indexes could be built: ",
        };
        outcome.saying(&[
            "was NOT restored completely",
            why,
            "shop.second: its index n_1 was not built; in mongosh:",
            "createIndexes: \"second\"",
        ]);
        let everything = target.fingerprint();
        let documents = everything["shop.second"]["documents"].as_array().unwrap();
        assert_eq!(documents.len(), 2);
    }
}

/// Seen until the end: before its indexes are asked for, and, being the last of more than are asked for at once, before it is
/// asked for at all.
#[test]
fn a_collection_that_is_dropped_while_definitions_are_compared_is_not_said_to_be_restored() {
    let mut craft = Craft::default();
    for number in 0..=200 {
        craft = craft.collection("shop", &format!("c{number:03}"), &[]);
    }
    let (site, target) = (site(craft), Server::standalone());
    let proxy = Proxy::to(target.port, Trap::Sent("listIndexes"), Then::Hold);
    let uri = target.backup_uri_by(proxy.port);
    let running = site.start(&["restore", OLDER, "--to", &uri, "--yes"]);
    proxy.sprung();
    for lost in ["c007", "c200"] {
        target.change("drop", &format!("shop.{lost}"));
    }
    proxy.release();
    let outcome = running.end(Duration::from_secs(60)).ended_with(1);
    let outcome = outcome.saying(&[
        "was NOT restored completely",
        "shop.c007: it is no longer there",
        "shop.c200: it is no longer there",
    ]);
    assert!(!outcome.stderr.contains("shop.c008"), "{}", outcome.stderr);
}

/// A long build is no stall, and a server that answers nothing else either is gone.
#[test]
fn a_server_that_hangs_while_it_builds_is_not_waited_for() {
    let (site, target) = (twins(), Server::standalone());
    let site = site.with("BACKUP_STALL_TIMEOUT", "2s");
    let proxy = Proxy::to(target.port, Trap::Sent("createIndexes"), Then::Stall);
    let uri = target.backup_uri_by(proxy.port);
    let outcome = site.run(&["restore", OLDER, "--to", &uri, "--yes"]);
    outcome
        .ended_with(1)
        .within(Duration::from_secs(30))
        .saying(&[
            "not all indexes could be built: cannot reach MongoDB",
            "did not answer within 2.0 s",
        ]);
}

/// What has expired long ago, with a time to live that MongoDB takes, and one that only newer servers take.
fn expired(seconds: &str) -> Site {
    let old = DateTime::from_millis(1_000_000_000_000);
    let documents: Vec<Document> = (0..50).map(|n| doc! { "_id": n, "at": old }).collect();
    let index =
        format!(r#"{{"v":2,"key":{{"at":1}},"name":"at_1","expireAfterSeconds":{seconds}}}"#);
    site(Craft::default().indexed("shop", "sessions", &documents, &index))
}

#[test]
fn a_drill_proves_a_time_to_live_on_every_server_and_nothing_vanishes_meanwhile() {
    for version in Version::ALL {
        let scratch = Server::standalone();
        let strict = Strict::before(scratch.port, Manner::of(version));
        let site = expired("1").with("DRILL_URI", strict.uri());
        let json = site.run(&["drill", OLDER, "--json"]).done().json();
        assert_eq!(
            (&json["proven"], &json["documents"], &json["indexes"]),
            (&true.into(), &50.into(), &2.into()),
            "{json}"
        );
        assert!(strict.refused().is_empty(), "{:?}", strict.refused());
        assert!(scratch.is_empty());
    }
    // What such a server does not take is not proven there, and it is said why.
    let scratch = Server::standalone();
    let strict = Strict::before(scratch.port, Manner::of(Version::V4_4));
    let site = expired("2147483647").with("DRILL_URI", strict.uri());
    site.run(&["drill", OLDER]).ended_with(1).saying(&[
        "shop.sessions: its index at_1 could not be built: ",
        "must be within an acceptable range",
    ]);
}

/// The value itself is compared: another one is another index.
#[test]
fn a_drill_finds_another_time_to_live() {
    let scratch = Server::standalone();
    let change = format!(
        "\"$REAL\" \"$@\" && {} {} expire '{}'",
        crate::support::python().display(),
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/support/mongo.py")
            .display(),
        scratch.uri()
    );
    let site = expired("3600").with("DRILL_URI", scratch.uri());
    let site = site.with_false_mongorestore(&change);
    site.run(&["drill", OLDER])
        .ended_with(1)
        .saying(&["is NOT proven", "shop.sessions: its index at_1 "]);
    assert!(scratch.is_empty());
}
