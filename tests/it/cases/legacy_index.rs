//! One collection of eight has an index that servers of today refuse: it must not cost the others theirs.

use super::{collection, index_names, site_with};
use crate::support::{Craft, Manner, OLDER, Server, Site, Strict, Version};
use mongodb::bson::doc;
use std::fs;

const OTHERS: [&str; 7] = ["b", "c", "d", "e", "f", "g", "h"];
const ALL_INDEXES: [&str; 4] = ["_id_", "n_1", "x_1", "y_1"];

/// All documents, every index of the other collections, and those of the first that can be.
fn the_rest_is_there(target: &Server) {
    for name in OTHERS {
        let namespace = format!("shop.{name}");
        assert_eq!(collection(target, &namespace).0, 3, "{namespace}");
        assert_eq!(index_names(target, &namespace), ALL_INDEXES, "{namespace}");
        let indexes = serde_json::to_string(&collection(target, &namespace).1).unwrap();
        assert!(
            indexes.contains(r#"["unique",true]"#),
            "the unique index of {namespace}: {indexes}"
        );
    }
    assert_eq!(collection(target, "shop.a").0, 3);
    let names = index_names(target, "shop.a");
    assert!(
        ["_id_", "x_1", "y_1"]
            .iter()
            .all(|name| names.iter().any(|there| there == name)),
        "{names:?}"
    );
}

fn behind(target: &Server, version: Version) -> (Strict, String) {
    let strict = Strict::before(target.port, Manner::of(version));
    let uri = strict.uri();
    (strict, uri)
}

/// `safe` says nothing about an index; without it the server takes it.
#[test]
fn legacy_index_options_cost_no_other_index() {
    for version in [Version::V4_4, Version::V8_0] {
        let site = site_with("legacy-index.tar.gz");
        let target = Server::standalone();
        let (_strict, uri) = behind(&target, version);
        let outcome = site.run(&["restore", OLDER, "--to", &uri, "--yes"]);
        the_rest_is_there(&target);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(
            said.contains("shop.a") && said.contains("n_1"),
            "the index is not named: {said}"
        );
        // It is there, without what no server needs, or that it is not there is a failure.
        match index_names(&target, "shop.a") == ALL_INDEXES {
            true => assert!(
                said.contains("safe"),
                "what was left out is not said: {said}"
            ),
            false => assert!(
                outcome.code() == Some(1) && said.contains("createIndexes"),
                "{said}"
            ),
        }
    }
}

#[test]
fn legacy_index_options_are_left_out_with_indexes_possible() {
    let site = site_with("legacy-index.tar.gz");
    let target = Server::standalone();
    let (_strict, uri) = behind(&target, Version::V4_4);
    let outcome = site.run(&[
        "restore",
        OLDER,
        "--to",
        &uri,
        "--yes",
        "--indexes",
        "possible",
    ]);
    let outcome = outcome.done().saying(&["shop.a", "n_1", "safe"]);
    the_rest_is_there(&target);
    assert_eq!(
        index_names(&target, "shop.a"),
        ALL_INDEXES,
        "{}",
        outcome.stderr
    );
}

#[test]
fn legacy_index_with_indexes_none_is_documents_alone() {
    let site = site_with("legacy-index.tar.gz");
    let target = Server::standalone();
    let (_strict, uri) = behind(&target, Version::V4_4);
    site.run(&["restore", OLDER, "--to", &uri, "--yes", "--indexes", "none"]);
    for name in ["a", "b", "h"] {
        assert_eq!(collection(&target, &format!("shop.{name}")).0, 3);
        assert_eq!(index_names(&target, &format!("shop.{name}")), ["_id_"]);
    }
}

/// An archive with these indexes in `shop.orders`, as JSON, beside a sound collection.
fn site_with_indexes(indexes: &str) -> Site {
    let document = doc! { "_id": 1, "n": 1 }.to_vec().unwrap();
    let id = r#"{"v":2,"key":{"_id":1},"name":"_id_"}"#;
    let metadata = |name: &str, indexes: &str| {
        format!(
            r#"{{"indexes":[{id},{indexes}],"collectionName":"{name}","type":"collection","options":{{}}}}"#
        )
    };
    let good = r#"{"v":2,"key":{"n":1},"name":"n_1","unique":true}"#;
    let craft = Craft::default()
        .file("dump/shop/orders.bson", &document)
        .file(
            "dump/shop/orders.metadata.json",
            metadata("orders", &format!("{indexes},{good}")).as_bytes(),
        )
        .file("dump/shop/parts.bson", &document)
        .file(
            "dump/shop/parts.metadata.json",
            metadata("parts", good).as_bytes(),
        );
    let site = Site::new();
    site.with_older(craft.packed());
    site
}

/// `v: 0`, a key of `true` or 0, geoHaystack: no server of today makes them. Each is named, with the command that would
/// make it, and the restore is not complete.
#[test]
fn legacy_index_kinds_that_no_server_makes_are_each_named() {
    const REFUSED: [&str; 4] = [
        r#"{"v":0,"key":{"a":1},"name":"old_format"}"#,
        r#"{"v":2,"key":{"b":true},"name":"yes"}"#,
        r#"{"v":2,"key":{"c":0},"name":"zero"}"#,
        r#"{"v":2,"key":{"pos":"geoHaystack","t":1},"name":"haystack","bucketSize":1}"#,
    ];
    let site = site_with_indexes(&REFUSED.join(","));
    for way in [&[][..], &["--indexes", "possible"]] {
        let target = Server::standalone();
        let (_strict, uri) = behind(&target, Version::V7_0);
        let outcome = site.run(&[&["restore", OLDER, "--to", &uri, "--yes"], way].concat());
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        for name in ["old_format", "yes", "zero", "haystack", "createIndexes"] {
            assert!(said.contains(name), "{name} is not named: {said}");
        }
        if way.is_empty() {
            outcome.ended_with(1);
        }
        for namespace in ["shop.orders", "shop.parts"] {
            assert_eq!(collection(&target, namespace).0, 1);
            let names = index_names(&target, namespace);
            assert!(
                names.iter().any(|name| name == "n_1"),
                "{namespace}: {names:?}"
            );
        }
    }
}

#[test]
fn legacy_index_in_a_drill_costs_no_other_index() {
    let site = site_with("legacy-index.tar.gz");
    let scratch = Server::standalone();
    let (_strict, uri) = behind(&scratch, Version::V4_4);
    let outcome = site.with("DRILL_URI", uri).run(&["drill", OLDER]);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!said.contains("the drill failed"), "{said}");
    assert!(
        said.contains("shop.a") && (said.contains("safe") || said.contains("n_1")),
        "{said}"
    );
    for name in OTHERS {
        assert!(!said.contains(&format!("shop.{name}: ")), "{said}");
    }
    assert!(scratch.is_empty());
}

/// What `mongodump --archive` wrote, under the name of a tar.gz: recognised, and told which stock command reads it; or read.
#[test]
fn legacy_index_as_a_mongodump_archive_is_recognised() {
    let site = site_with("legacy-index.archive");
    for content in [fs::read(super::fixture("legacy-index.archive")).unwrap(), {
        crate::support::gzip(&fs::read(super::fixture("legacy-index.archive")).unwrap())
    }] {
        site.with_older(content);
        let target = Server::standalone();
        let uri = target.uri();
        let verified = site.run(&["verify", OLDER]);
        let restored = site.run(&["restore", OLDER, "--to", &uri, "--yes"]);
        assert_eq!(
            verified.code(),
            restored.code(),
            "{}\n{}",
            verified.stdout,
            restored.stderr
        );
        if verified.code() != Some(0) {
            verified.printing(&["mongorestore", "--archive"]);
            restored.saying(&["mongorestore", "--archive"]);
            assert!(target.is_empty());
        }
    }
}
