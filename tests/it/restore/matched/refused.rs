//! What does not come back, and what is refused before anything happens.

use super::{backed_up, inserts, matched, remove, replace, safety};
use crate::restore::{restore, restore_of, same};
use crate::support::{Craft, Manner, OLDER, Server, Site, Strict, Version, data_range, rewrite};
use mongodb::bson::{Timestamp, doc};
use serde_json::json;

#[test]
fn a_value_that_another_document_has_by_now_is_told_and_the_others_come_back() {
    let (server, site, _) = backed_up(&["small"]);
    remove(&server, "shop.products", &[json!(3), json!(4)]);
    server.write(
        "shop.products",
        &inserts([json!({ "_id": "x", "name": "product 3" })]),
    );
    let query = json!({ "_id": { "$in": [3, 4] } });
    let outcome = matched(&site, &server, "shop.products", &query, &["--json"]).ended_with(1);
    let done = outcome.json();
    assert_eq!(
        (&done["restored"], &done["matched"]["inserted"]),
        (&json!(false), &json!(1))
    );
    let failure = &done["matched"]["failures"][0];
    assert_eq!(failure["id"], "3");
    let problem = failure["problem"].as_str().unwrap();
    assert!(
        problem.contains("refused") && problem.contains("E11000"),
        "{problem}"
    );
    assert_eq!(
        server.find("shop.products", &[query.to_string()]),
        [json!([4])]
    );
    // The same of one that is replaced.
    replace(
        &server,
        "shop.products",
        &json!({ "_id": 5, "name": "moved" }),
    );
    server.write(
        "shop.products",
        &inserts([json!({ "_id": "y", "name": "product 5" })]),
    );
    let before = server.fingerprint();
    matched(
        &site,
        &server,
        "shop.products",
        &json!({ "_id": 5 }),
        &["--replace"],
    )
    .ended_with(1)
    .saying(&["not all documents", "_id 5: the server refused it"]);
    same(&before, &server.fingerprint());
}

#[test]
fn numbers_of_other_types_are_the_same_document_to_a_server() {
    let server = Server::standalone();
    let ids = [
        json!({ "$numberLong": "1" }),
        json!({ "$numberDouble": "2.0" }),
        json!({ "$numberInt": "3" }),
    ];
    server.write(
        "shop.things",
        &inserts(ids.iter().map(|id| json!({ "_id": id, "a": 1 }))),
    );
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    remove(&server, "shop.things", &ids);
    let others = [json!({ "$numberInt": "1" }), json!({ "$numberLong": "2" })];
    server.write(
        "shop.things",
        &inserts(others.iter().map(|id| json!({ "_id": id, "a": 1 }))),
    );
    let shown = matched(&site, &server, "shop.things", &json!({}), &["--dry-run"]).done();
    shown.printing(&[
        "1  not there",
        "2  there, and different",
        "_id: {\"$numberInt\":\"1\"} → {\"$numberLong\":\"1\"}",
    ]);
    matched(
        &site,
        &server,
        "shop.things",
        &json!({}),
        &["--dry-run", "--replace"],
    )
    .ended_with(1)
    .printing(&["what cannot be restored:", "_id is of another type there"]);
    let done = matched(
        &site,
        &server,
        "shop.things",
        &json!({}),
        &["--replace", "--json"],
    )
    .ended_with(1)
    .json();
    assert_eq!(
        (&done["matched"]["inserted"], &done["matched"]["left"]),
        (&json!(1), &json!(2))
    );
    assert!(done["safety_archive"].is_null() && safety(&site).is_empty());
}

#[test]
fn other_kinds_of_collections_and_slips_are_refused() {
    let (server, site, all) = backed_up(&["small", "options"]);
    let query = json!({ "_id": 1 });
    let fits = query.to_string();
    for (options, words) in [
        (
            &["--match", "{\"$where\": \"1\"}", "--include", "shop.orders"][..],
            "$where",
        ),
        (&["--match", "{", "--include", "shop.orders"], "--match:"),
        (
            &["--match", &fits],
            "--match takes documents of one collection",
        ),
        (&["--match", &fits, "--include", "shop.*"], "shop.orders"),
        (
            &["--match", &fits, "--include", "options.view"],
            "is a view",
        ),
        (
            &["--match", &fits, "--include", "shop.orders", "--drop"],
            "--drop",
        ),
        (
            &[
                "--match",
                &fits,
                "--include",
                "shop.orders",
                "--indexes",
                "none",
            ],
            "--indexes",
        ),
        (&["--include", "shop.orders", "--replace"], "--match"),
        (
            &["--match", "{\"_id\": 4000}", "--include", "shop.orders"],
            "no document of shop.orders in",
        ),
    ] {
        restore(&site, &server, options)
            .ended_with(2)
            .saying(&[words]);
    }
    for (options, words) in [
        (
            [
                "--include",
                "options.capped",
                "--rename",
                "options.capped=x.y",
            ],
            "x.y is capped",
        ),
        (
            [
                "--include",
                "shop.orders",
                "--rename",
                "shop.orders=options.capped",
            ],
            "options.capped is capped",
        ),
        (
            [
                "--include",
                "shop.orders",
                "--rename",
                "shop.orders=options.view",
            ],
            "is a view on",
        ),
    ] {
        restore(
            &site,
            &server,
            &[&["--match", &fits][..], &options].concat(),
        )
        .ended_with(1)
        .saying(&["nothing was restored", words]);
    }
    same(&all, &server.fingerprint());
    let uri = server.uri();
    site.run(&[
        "restore",
        "latest",
        "--to",
        &uri,
        "--include",
        "shop.orders",
        "--match",
        &fits,
    ])
    .ended_with(2)
    .saying(&["there is no terminal to ask on", "--yes"]);
}

/// Of a dump that somebody packed: documents that no server takes as they are, and one `_id` twice.
#[test]
fn documents_that_no_server_would_have_are_named_and_the_others_come_back() {
    let documents = [
        doc! { "_id": 1, "a": 1 },
        doc! { "a": "no _id" },
        doc! { "_id": [1] },
        doc! { "_id": { "$gt": 1 } },
        doc! { "a": "not the first field", "_id": 5 },
        doc! { "_id": 1, "a": "twice" },
        doc! { "_id": 2 },
    ];
    let bytes: Vec<u8> = documents
        .iter()
        .flat_map(|one| one.to_vec().unwrap())
        .collect();
    let site = Site::new();
    site.with_older(Craft::dump().collection("shop", "odd", &bytes).packed());
    let target = Server::standalone();
    let options = ["--include", "shop.odd", "--match", "{}", "--json"];
    let done = restore_of(&site, OLDER, &target, &options).ended_with(1);
    let found = done.json()["matched"].clone();
    let counts = ["inserted", "left", "documents_read"].map(|name| &found[name]);
    assert_eq!(json!(counts), json!([2, 1, 7]));
    assert_eq!(found["differences"][0]["fields"][0]["to"], "\"twice\"");
    let failures = found["failures"].to_string();
    for words in [
        "no _id by which",
        "of a type that no server takes",
        "begins with $",
        "not its first field",
    ] {
        assert!(failures.contains(words), "{words}: {failures}");
    }
    let there = target.find("shop.odd", &["{}".to_owned()]);
    assert_eq!(there, [json!([1, 2])]);
}

#[test]
fn operations_during_the_dump_are_not_replayed_and_that_is_said() {
    let at = |second: u32| Timestamp {
        time: 1_700_000_000 + second,
        increment: 1,
    };
    let entry = |second, namespace: &str, id| {
        doc! { "op": "i", "ns": namespace, "ts": at(second), "v": 2_i64, "o": { "_id": id } }
    };
    let operations = [
        entry(1, "shop.orders", 1),
        entry(2, "shop.orders", 2),
        entry(3, "blog.posts", 3),
    ];
    let bytes: Vec<u8> = operations
        .iter()
        .flat_map(|one| one.to_vec().unwrap())
        .collect();
    let site = Site::new();
    site.with_older(Craft::dump().file("dump/oplog.bson", &bytes).packed());
    let target = Server::standalone();
    let run = |options: &[&str]| {
        let words = ["--include", "shop.orders", "--match", "{}", "--dry-run"];
        restore_of(&site, OLDER, &target, &[&words[..], options].concat()).done()
    };
    let words = "1 operation of the oplog";
    run(&[]).saying(&[words, "are not replayed"]);
    assert!(!run(&["--no-oplog"]).stderr.contains(words));
    assert!(target.is_empty());
}

#[test]
fn a_damaged_collection_gives_nothing_and_another_one_does() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let range = data_range(&archive, "shop/orders.bson");
    rewrite(&archive, |bytes| {
        bytes[(range.start + range.end) as usize / 2] ^= 0x55;
    });
    let target = Server::standalone();
    let one = json!({ "_id": 1 });
    matched(&site, &target, "shop.orders", &one, &[])
        .ended_with(1)
        .saying(&["is damaged, and nothing of it was restored"]);
    assert!(target.is_empty());
    matched(&site, &target, "shop.products", &one, &[]).done();
}

/// On every version that is supported, and by a user who may only write into that database.
#[test]
fn nothing_is_sent_that_mongodb_refuses() {
    let (server, site, all) = backed_up(&["small"]);
    for version in Version::ALL {
        remove(&server, "shop.products", &[json!(3)]);
        replace(&server, "shop.products", &json!({ "_id": 5, "name": "x" }));
        let manner = Manner::of(version).with_roles(&["readWrite@shop"]);
        let strict = Strict::before(server.port, manner);
        let uri = strict.uri();
        let words = ["restore", "latest", "--to", &uri, "--yes", "--replace"];
        let only = ["--include", "shop.products", "--match", "{}"];
        site.run(&[&words[..], &only].concat())
            .done()
            .saying(&["1 inserted, 1 replaced, 298 there already"]);
        assert!(strict.refused().is_empty(), "{:?}", strict.refused());
        same(&all, &server.fingerprint());
    }
}
