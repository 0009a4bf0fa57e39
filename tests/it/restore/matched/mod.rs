//! `restore --match`: single documents come back next to what is there, and nothing else is touched.

mod races;
mod refused;

use super::{Everything, restore, restore_of, same};
use crate::support::{Outcome, Server, Site, command, tool, unpack};
use serde_json::{Value, json};
use std::fs;

/// What it may take beside what verifying the archive takes: batches, in some copies each, one of 1.4 MB among them.
const MOST_MEMORY_KIB: u64 = 24 * 1024;

/// Runs a restore of these documents of a collection.
fn matched(site: &Site, target: &Server, from: &str, query: &Value, options: &[&str]) -> Outcome {
    let query = query.to_string();
    let words = ["--include", from, "--match", &query];
    restore(site, target, &[&words[..], options].concat())
}

/// The largest memory of a run that was measured.
fn peak_kib(outcome: &Outcome) -> u64 {
    let peak = outcome.stderr.rsplit("peak ").next();
    peak.and_then(|peak| peak.trim().parse().ok()).unwrap()
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
    remove(&server, "types.every", std::slice::from_ref(&every));
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
    let site = site.with("BACKUP_COMPRESSION", "zstd");
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
    let stem = saved.trim_end_matches(".tar.zst");
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
    let verified = site.run(&["verify"]).done();
    let outcome = matched(
        &site,
        &server,
        "shop.things",
        &json!({ "even": true }),
        &["--replace", "--json"],
    )
    .done();
    let (verifying, restoring) = (peak_kib(&verified), peak_kib(&outcome));
    let more = restoring.saturating_sub(verifying);
    assert!(more < MOST_MEMORY_KIB, "{restoring} - {verifying} KiB");
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
