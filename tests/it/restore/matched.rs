//! `restore --match`: single documents come back next to what is there, and nothing else is touched.

use super::{Everything, restore, restore_of, same};
use crate::support::{Outcome, Server, Site, command, tool, unpack};
use serde_json::{Value, json};
use std::fs;

/// Runs a restore of these documents of a collection.
fn matched(site: &Site, target: &Server, from: &str, query: &Value, options: &[&str]) -> Outcome {
    let query = query.to_string();
    let words = ["--include", from, "--match", &query];
    restore(site, target, &[&words[..], options].concat())
}

fn inserts(documents: impl IntoIterator<Item = Value>) -> Vec<String> {
    let lines = documents.into_iter();
    lines
        .map(|document| json!({ "insert": document }).to_string())
        .collect()
}

fn remove(server: &Server, from: &str, ids: &[Value]) {
    let lines = ids.iter().map(|id| json!({ "remove": id }).to_string());
    server.write(from, &lines.collect::<Vec<_>>());
}

fn replace(server: &Server, of: &str, document: &Value) {
    server.write(of, &[json!({ "replace": document }).to_string()]);
}

/// A server with these sets, a site with an archive of it, and all that it holds.
fn backed_up(sets: &[&str]) -> (Server, Site, Everything) {
    let server = Server::standalone();
    for set in sets {
        server.seed(set);
    }
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    let all = server.fingerprint();
    (server, site, all)
}

fn safety(site: &Site) -> Vec<String> {
    let mut names = site.archives();
    names.retain(|name| name.contains("_before_restore_"));
    names
}

#[test]
fn one_deleted_recipe_comes_back_alone_to_the_last_byte() {
    let (server, site, all) = backed_up(&["small", "types"]);
    remove(&server, "shop.orders", &[json!(17)]);
    let every = json!({ "$oid": "65f0c0ffee65f0c0ffee0001" });
    remove(&server, "types.every", &[every.clone()]);
    // Changed since: it is not what was asked for.
    replace(&server, "shop.orders", &json!({ "_id": 18, "of": "stew" }));
    let shown = matched(
        &site,
        &server,
        "shop.orders",
        &json!({ "_id": 17 }),
        &["--dry-run"],
    )
    .done();
    shown.printing(&[
        "1 of the 200 documents in shop.orders fits",
        "1  not there: inserted",
    ]);
    let missing = json!({ "_id": 17 });
    assert_eq!(
        server.find("shop.orders", &[missing.to_string()]),
        [json!([])]
    );
    matched(&site, &server, "shop.orders", &missing, &[])
        .done()
        .saying(&[
            "1 document of",
            "1 inserted; what was written was read back",
        ]);
    matched(&site, &server, "types.every", &json!({ "_id": every }), &[]).done();
    replace(
        &server,
        "shop.orders",
        &json!({ "_id": 18, "of": 18, "note": "thanks ".repeat(4) }),
    );
    same(&all, &server.fingerprint());
    assert_eq!(site.archives().len(), 1, "nothing was there to be saved");
}

#[test]
fn what_is_there_is_listed_with_its_difference_and_left() {
    let (server, site, _) = backed_up(&["small"]);
    replace(
        &server,
        "shop.products",
        &json!({ "_id": 5, "name": "product 5", "price": 7.5, "new": true }),
    );
    remove(&server, "shop.products", &[json!(6)]);
    let before = server.fingerprint();
    let query = json!({ "_id": { "$in": [5, 6, 7] } });
    let text = "1  not there: inserted\n        1  there, the same as in the archive: left\n        1  there, and different: left";
    let listed = "  ~ 5\n      price: 7.5 → 6.25\n      new: true → (none)\n";
    let shown = matched(&site, &server, "shop.products", &query, &["--dry-run"]).done();
    shown.printing(&[text, listed, "--replace replaces"]);
    same(&before, &server.fingerprint());
    let done = matched(&site, &server, "shop.products", &query, &["--json"])
        .done()
        .json();
    let found = &done["matched"];
    let counts = [
        "absent",
        "same",
        "different",
        "inserted",
        "replaced",
        "left",
    ]
    .map(|name| &found[name]);
    assert_eq!(json!(counts), json!([1, 1, 1, 1, 0, 1]));
    assert_eq!(found["differences"][0]["id"], "5");
    assert_eq!(
        (&done["restored"], &done["documents"]),
        (&json!(true), &json!(3))
    );
    let there = server.find("shop.products", &[json!({ "new": true }).to_string()]);
    assert_eq!(there, [json!([5])]);
    // Once more, and nothing is to be done.
    let again = matched(&site, &server, "shop.products", &query, &["--json"])
        .done()
        .json();
    assert_eq!(
        (&again["matched"]["inserted"], &again["matched"]["same"]),
        (&json!(0), &json!(2))
    );
}

#[test]
fn what_is_replaced_is_safe_first_and_comes_back_from_there() {
    let (server, site, all) = backed_up(&["small"]);
    replace(
        &server,
        "shop.products",
        &json!({ "_id": 5, "name": "other", "price": { "$numberLong": "5" } }),
    );
    replace(
        &server,
        "shop.products",
        &json!({ "_id": 8, "x": [1, { "$numberDouble": "2.0" }] }),
    );
    let changed = server.fingerprint();
    let query = json!({ "_id": { "$lt": 20 } });
    let outcome = matched(&site, &server, "shop.products", &query, &["--replace"]).done();
    let saved = safety(&site).remove(0);
    outcome
        .printing(&["2  there, and different: saved, and replaced"])
        .saying(&[
            "2 replaced, 18 there already",
            &format!("what was replaced is in {saved}"),
        ]);
    same(&all, &server.fingerprint());

    // An archive like any other, of these two alone; stock tools read it.
    site.run(&["verify", &saved])
        .done()
        .printing(&["is sound", "2 documents"]);
    let folder = site.path("unpacked");
    unpack(&site.backups().join(&saved), &folder);
    let stem = saved.trim_end_matches(".tar.gz");
    let bson = folder.join(stem).join("shop/products.bson");
    let shown = command(tool("bsondump"), [bson.display().to_string()]);
    assert_eq!(String::from_utf8(shown.stdout).unwrap().lines().count(), 2);
    restore_of(&site, &saved, &server, &["--match", "{}", "--replace"])
        .done()
        .saying(&["2 replaced"]);
    same(&changed, &server.fingerprint());
    assert_eq!(
        safety(&site).len(),
        2,
        "what was replaced again is safe, too"
    );
}

#[test]
fn where_archives_are_sealed_so_is_what_is_saved() {
    let (server, site, _) = backed_up(&["small"]);
    let key = site.path("key.txt");
    let key = key.to_str().unwrap();
    let made = site.run(&["keygen", "--output", key]).done();
    let site = site
        .with("ENCRYPT_TO", made.stdout.trim())
        .with("ENCRYPT_LOCAL", "true");
    replace(
        &server,
        "shop.products",
        &json!({ "_id": 5, "secret": "sauce" }),
    );
    matched(
        &site,
        &server,
        "shop.products",
        &json!({ "_id": 5 }),
        &["--replace"],
    )
    .done()
    .saying(&["sealed for 1 key", ".age; remove it"]);
    assert!(safety(&site).is_empty(), "a plain copy stayed");
    let names = fs::read_dir(site.backups())
        .unwrap()
        .map(|one| one.unwrap().file_name().into_string().unwrap());
    let saved: Vec<String> = names.filter(|name| name.ends_with(".age")).collect();
    assert!(saved[0].contains("_before_restore_"), "{saved:?}");
    // And a sealed archive is restored from.
    let site = site.with("AGE_IDENTITY_FILE", key);
    restore_of(&site, &saved[0], &server, &["--match", "{}", "--replace"]).done();
    assert_eq!(
        server.find("shop.products", &[json!({ "secret": "sauce" }).to_string()]),
        [json!([5])]
    );
}

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
fn thousands_come_back_small_and_large() {
    let server = Server::standalone();
    let small = (0..3000)
        .map(|id| json!({ "_id": id, "name": format!("thing {id}"), "even": id % 2 == 0 }));
    server.write("shop.things", &inserts(small));
    let large = (0..4).map(
        |id| json!({ "_id": format!("large {id}"), "even": true, "text": "ñ".repeat(700_000) }),
    );
    server.write("shop.things", &inserts(large));
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    let all = server.fingerprint();
    server.change("empty", "shop.things");
    server.write(
        "shop.things",
        &inserts(
            (0..3000)
                .filter(|id| id % 2 == 1)
                .map(|id| json!({ "_id": id, "name": format!("thing {id}"), "even": false })),
        ),
    );
    // Some are there, too: changed ones, and equal ones.
    server.write(
        "shop.things",
        &inserts(
            (0..400)
                .step_by(2)
                .map(|id| json!({ "_id": id, "other": "x" })),
        ),
    );
    let site = site.measured();
    let outcome = matched(
        &site,
        &server,
        "shop.things",
        &json!({ "even": true }),
        &["--replace", "--json"],
    )
    .done();
    let found = outcome.json()["matched"].clone();
    let counts =
        ["inserted", "replaced", "same", "left", "documents_read"].map(|name| &found[name]);
    assert_eq!(json!(counts), json!([1304, 200, 0, 0, 3004]));
    assert_eq!(found["differences_left_out"], 100);
    same(&all, &server.fingerprint());
}

#[test]
fn a_collection_that_is_gone_is_made_as_it_was_and_may_have_another_name() {
    let (server, site, all) = backed_up(&["small", "options"]);
    let options = ["--rename", "options.collated=then.words"];
    let query = json!({ "_id": "ñ" });
    matched(&site, &server, "options.collated", &query, &options)
        .done()
        .printing(&["as then.words", "1  not there"])
        .saying(&["then.words is not there: it is created with the options of the archive"]);
    let now = server.fingerprint();
    assert_eq!(
        now["then.words"]["options"],
        all["options.collated"]["options"]
    );
    assert_eq!(now["then.words"]["documents"].as_array().unwrap().len(), 1);
    // Said before, since it is so afterwards.
    server.change("drop", "shop.products");
    matched(
        &site,
        &server,
        "shop.products",
        &json!({ "_id": 1 }),
        &["--dry-run"],
    )
    .done()
    .saying(&["without the index that the archive has for it"]);
    matched(
        &site,
        &server,
        "options.indexed",
        &json!({ "_id": 1 }),
        &["--dry-run"],
    )
    .done()
    .saying(&["documents of options.indexed expire"]);
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
