//! What an archive holds, and the documents in it.

use super::{ids, lines, site_of};
use crate::support::{Craft, OLDER, Server, Site, tool, unpack};
use mongodb::bson::{cstr, rawdoc};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

#[test]
fn an_archive_is_shown_with_its_collections_and_what_they_have_grown_by() {
    let site = Site::new();
    site.with_sound_archive();
    site.run(&["show", "latest"]).done().printing(&[
        "COLLECTION",
        "shop.orders",
        "shop.products",
        "documents of",
    ]);
    let shown = site.run(&["show", "latest", "--json"]).done().json();
    let listed = site.run(&["list", "--json"]).done().json();
    for field in ["archive", "archive_bytes", "documents", "made_at"] {
        assert_eq!(shown[field], listed["archives"][0][field], "{field}");
    }
    let collections = shown["collections"].as_array().unwrap();
    let products = collections
        .iter()
        .find(|one| one["collection"] == "products")
        .unwrap();
    assert_eq!(
        products["indexes"][0]["definition"]["key"],
        json!({ "_id": 1 })
    );
    assert_eq!(products["documents_before"], Value::Null);
    assert_eq!(shown["before"], Value::Null);
}

#[test]
fn growth_is_since_the_archive_before() {
    let server = Server::standalone();
    let site = site_of(&server, &[json!({ "_id": 1 }), json!({ "_id": 2 })]);
    let first = site.archives().remove(0);
    server.write("shop.things", &super::inserts(&[json!({ "_id": 3 })]));
    server.write("shop.new", &super::inserts(&[json!({ "_id": 3 })]));
    site.run(&["backup"]).done();
    let shown = site.run(&["show", "latest", "--json"]).done().json();
    assert_eq!(shown["before"], first);
    let grown: Vec<[&Value; 3]> = shown["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            [
                &one["collection"],
                &one["documents"],
                &one["documents_before"],
            ]
        })
        .collect();
    assert_eq!(
        grown,
        [
            [&json!("new"), &json!(1), &Value::Null],
            [&json!("things"), &json!(3), &json!(2)]
        ]
    );
    site.run(&["show", "latest"]).done().printing(&[
        "+1 documents, +14 B",
        "new",
        "the one before is",
    ]);
}

#[test]
fn documents_are_shown_one_a_line_some_or_all() {
    let server = Server::standalone();
    let documents: Vec<Value> = (0..20)
        .map(|id| json!({ "_id": id, "name": format!("thing {id}"), "many": { "$numberLong": "5" } }))
        .collect();
    let site = site_of(&server, &documents);
    let all = site.run(&["show", "latest", "shop.things"]).done();
    assert_eq!(ids(&all), (0..20).collect::<Vec<_>>());
    assert_eq!(
        lines(&all)[0],
        json!({ "_id": 0, "name": "thing 0", "many": 5 })
    );
    all.saying(&["all of its 20 documents were read, and their checksum is right"]);
    let some = site
        .run(&[
            "show",
            "latest",
            "shop.things",
            "--skip",
            "5",
            "--limit",
            "3",
        ])
        .done();
    assert_eq!(ids(&some), [5, 6, 7]);
    some.saying(&["checksum was not compared"]);
    let exact = site
        .run(&[
            "show",
            "latest",
            "shop.things",
            "--canonical",
            "--match",
            r#"{"name": "thing 7"}"#,
        ])
        .done();
    assert_eq!(
        lines(&exact),
        [
            json!({ "_id": { "$numberInt": "7" }, "name": "thing 7", "many": { "$numberLong": "5" } })
        ]
    );
}

#[test]
fn slips_are_refused_with_what_there_is() {
    let site = Site::new();
    site.with_sound_archive();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["show", "latest", "shop.order"], 2, "shop.orders"),
        (&["show", "latest", "shop"], 2, "it holds"),
        (&["show", "nothing"], 2, "there is no nothing.tar.gz"),
        (&["show", "../x", "a.b"], 2, "not an archive's name"),
        (
            &["show", "latest", "--match", "{}"],
            2,
            "--match needs a collection",
        ),
        (
            &[
                "show",
                "latest",
                "shop.orders",
                "--match",
                r#"{"a": {"$near": 5}}"#,
            ],
            2,
            "$near is not understood here",
        ),
        (
            &["show", "latest", "shop.orders", "--match", "{a: 1}"],
            2,
            "it is not Extended JSON",
        ),
        (&["extract", "latest", "shop.order"], 2, "shop.orders"),
    ];
    for (arguments, code, words) in cases {
        let outcome = site.run(arguments).ended_with(code).saying(&[words]);
        assert_eq!(outcome.stdout, "");
    }
    let refused = site
        .run(&["show", "nothing", "--json"])
        .ended_with(2)
        .json();
    assert!(refused["error"].is_string());
}

#[test]
fn what_is_extracted_is_what_was_dumped() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    unpack(&archive, &site.path("unpacked"));
    let name = archive.file_name().unwrap().to_str().unwrap();
    let folder = site
        .path("unpacked")
        .join(name.strip_suffix(".tar.gz").unwrap());
    let dumped = fs::read(folder.join("shop/orders.bson")).unwrap();
    let file = site.path("orders.bson");
    let target = file.to_str().unwrap();
    let report = site
        .run(&[
            "extract",
            "latest",
            "shop.orders",
            "--output",
            target,
            "--json",
        ])
        .done()
        .json();
    assert_eq!(fs::read(&file).unwrap(), dumped);
    assert_eq!(report["documents"], report["documents_read"]);
    assert_eq!(report["file_bytes"], dumped.len());
    site.run(&["extract", "latest", "shop.orders", "--output", target])
        .ended_with(2)
        .saying(&["is there already, and is not replaced"]);
    // Bytes, which `Outcome` does not keep.
    let piped = Command::new(env!("CARGO_BIN_EXE_pantry-keeper"))
        .args(["extract", "latest", "shop.orders"])
        .env("BACKUP_DIR", site.backups())
        .output()
        .unwrap();
    assert!(piped.status.success() && piped.stdout == dumped);
    let read = Command::new(tool("bsondump")).arg(&file).output().unwrap();
    assert!(read.status.success());
    let json = site
        .run(&[
            "extract",
            "latest",
            "shop.orders",
            "--format",
            "jsonl",
            "--match",
            r#"{"_id": {"$lt": 3}}"#,
        ])
        .done();
    assert_eq!(lines(&json).len(), 3);
    assert_eq!(lines(&json)[0]["_id"], json!({ "$numberInt": "0" }));
}

#[test]
fn one_document_is_put_back_by_stock_mongorestore() {
    let documents: Vec<Value> = (0..20).map(|id| json!({ "_id": id, "n": 1 })).collect();
    let server = Server::standalone();
    let site = site_of(&server, &documents);
    let lost = [
        json!({ "remove": 17 }),
        json!({ "replace": { "_id": 18, "n": 2 } }),
    ];
    server.write("shop.things", &lost.map(|line| line.to_string()));
    let file = site.path("thing.bson").display().to_string();
    let query = r#"{"_id": {"$in": [17, 18]}}"#;
    site.run(&[
        "extract",
        "latest",
        "shop.things",
        "--match",
        query,
        "--output",
        &file,
    ])
    .done()
    .saying(&["2 documents of shop.things; all of its 20 documents were read"]);
    let uri = format!("--uri={}", server.uri());
    let restored = Command::new(tool("mongorestore"))
        .args([&uri, "--db=shop", "--collection=things", &file])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&restored.stderr);
    assert!(restored.status.success(), "{said}");
    let queries = [r#"{"n": 1}"#, r#"{"n": 2}"#].map(str::to_owned);
    let there = server.find("shop.things", &queries);
    let mut others: Vec<i64> = (0..20).collect();
    others.remove(18);
    assert_eq!(there, [json!(others), json!([18])]);
}

#[test]
fn names_of_every_kind_are_found_and_all_types_are_shown() {
    let server = Server::standalone();
    for set in ["names", "types"] {
        server.seed(set);
    }
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    let shown = site.run(&["show", "latest", "--json"]).done().json();
    for one in shown["collections"].as_array().unwrap() {
        let (database, collection) = (
            one["database"].as_str().unwrap(),
            one["collection"].as_str().unwrap(),
        );
        let name = format!("{database}.{collection}");
        if one["type"] == "view" {
            site.run(&["show", "latest", &name])
                .ended_with(2)
                .saying(&["is a view"]);
            continue;
        }
        for style in [&["--canonical"][..], &[]] {
            let outcome = site
                .run(&[&["show", "latest", &name], style].concat())
                .done();
            assert_eq!(
                lines(&outcome).len() as u64,
                one["documents"].as_u64().unwrap(),
                "{name:?}"
            );
        }
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let site = Site::new();
    site.with_sound_archive();
    let (success, said) = unread(&site, &["show", "latest", "shop.orders"]);
    assert!(success && !said.contains("checksum is right"), "{said}");
}

/// `extract … | ssh nas 'cat > orders.bson'`, and the line breaks: half a file must not pass for all of it.
#[test]
fn a_reader_of_an_extract_that_goes_away_is_a_failure() {
    let site = Site::new();
    site.with_sound_archive();
    for format in ["bson", "jsonl"] {
        let words = ["extract", "latest", "shop.orders", "--format", format];
        let (success, said) = unread(&site, &words);
        assert!(!success && said.lines().count() == 1, "{said}");
        assert!(said.contains("what came there is not whole"), "{said}");
    }
}

/// Whether it succeeds with a stdout that nobody reads, and what it says.
fn unread(site: &Site, arguments: &[&str]) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pantry-keeper"))
        .args(arguments)
        .env("BACKUP_DIR", site.backups())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    (ended.status.success(), said)
}

#[test]
fn a_key_that_is_there_twice_is_shown_as_queries_see_it_and_told() {
    let mut twice = rawdoc! { "_id": 1, "a": 1 };
    twice.append(cstr!("a"), 2);
    let site = Site::new();
    let documents = [twice.as_bytes(), rawdoc! { "_id": 2, "a": 1 }.as_bytes()].concat();
    site.with_older(
        Craft::default()
            .collection("shop", "odd", &documents)
            .packed(),
    );
    let fits = ["--match", r#"{"a": 1}"#];
    let shown = site.run(&[&["show", OLDER, "shop.odd"][..], &fits].concat());
    let shown = shown.done().saying(&[
        "1 document with something that JSON cannot hold",
        "a key that is there twice",
    ]);
    let wanted = [json!({ "_id": 1, "a": 1 }), json!({ "_id": 2, "a": 1 })];
    assert_eq!(lines(&shown), wanted);
}
