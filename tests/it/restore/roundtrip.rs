//! What goes in comes out again.

use super::{restore, same};
use crate::support::{Before, Server, Site, sent};
use std::time::{Duration, Instant};

/// Odd and long names, views, capped collections, collations, validators, indexes of all kinds, every BSON type, a 16 MB
/// document. Time series, text and hashed indexes are in it where the server is a real mongod: SecantusDB, which stands in
/// for one otherwise, does not bring them through stock tools.
#[test]
fn everything_comes_back_byte_for_byte() {
    let (source, target) = (Server::start(), Server::start());
    source.seed("everything");
    let site = Site::of(&source);
    site.run(&["backup"]).done();
    let (before, archives) = (source.fingerprint(), Before::of(&site.backups()));

    let outcome = restore(&site, &target, &["--json"]).done();
    let json = outcome.json();
    same(&before, &target.fingerprint());
    assert!(before.len() > 40, "the server was not filled");
    archives.still_holds();

    assert_eq!(
        (&json["restored"], &json["dry_run"], &json["problems"]),
        (&true.into(), &false.into(), &[(); 0][..].into())
    );
    let namespaces = json["namespaces"].as_array().unwrap();
    assert_eq!(namespaces.len(), before.len());
    for one in namespaces.iter().filter(|one| one["type"] == "collection") {
        // mongorestore writes names as they are: one that is two lines long is not recognised, and is counted all the same.
        let said = !one["to"]["collection"].as_str().unwrap().contains('\n');
        assert!(!said || one["inserted"] == one["documents"], "{one}");
        assert_eq!(one["on_server"], one["documents"], "{one}");
    }
    let documents: u64 = namespaces
        .iter()
        .map(|one| one["documents"].as_u64().unwrap())
        .sum();
    assert_eq!(json["documents"], documents);
}

/// Several workers of mongorestore's insert a collection that is nearly all there is. They would mix a capped one's order.
#[test]
fn one_collection_has_several_workers_and_a_capped_one_has_one() {
    let source = Server::standalone();
    source.seed("demo");
    let site = Site::of(&source).with("BACKUP_THREADS", 4);
    site.run(&["backup"]).done();
    let said = site.path("said");
    let site = site.with_false_mongorestore(&format!(
        "echo \"$@\" > {}; exec \"$REAL\" \"$@\"",
        said.display()
    ));
    for (collection, workers) in [("comments", 4), ("events", 1)] {
        let target = Server::standalone();
        let chosen = format!("jorbites.{collection}");
        restore(&site, &target, &["--include", &chosen]).done();
        let said = std::fs::read_to_string(&said).unwrap();
        let wanted = format!("--numInsertionWorkersPerCollection={workers}");
        assert!(said.contains(&wanted), "{chosen}: {said}");
    }
}

/// Without `--to` it is the server of `MONGODB_URI`, as on the day a disk has died.
#[test]
fn the_server_of_the_settings_is_the_target() {
    let source = Server::standalone();
    source.seed("small");
    let site = Site::of(&source);
    site.run(&["backup"]).done();
    let before = source.fingerprint();
    let new = Server::standalone();
    let site = site.with("MONGODB_URI", new.backup_uri());
    let archive = site.archive();
    let name = archive.file_name().unwrap().to_str().unwrap();
    let outcome = site.run(&["restore", name, "--yes"]).done();
    outcome.saying(&[
        "restored 663 documents in 8 namespaces",
        "all that the archive holds of them is there",
    ]);
    same(&before, &new.fingerprint());
}

fn many(collections: u32) -> Duration {
    let (source, target) = (Server::standalone(), Server::standalone());
    source.seed_many(collections);
    let site = Site::of(&source);
    let long = Duration::from_secs(1800);
    site.start(&["backup"]).end(long).done();
    let begun = Instant::now();
    // Few open files must do.
    let site = site.started_by(&["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"]);
    site.start(&["restore", "latest", "--yes", "--to", &target.uri()])
        .end(long)
        .done();
    let took = begun.elapsed();
    same(&source.fingerprint(), &target.fingerprint());
    took
}

/// The next collections are begun while one is on its way, and no more of them than the threads that there are: mongorestore
/// takes four at once, and waits forever for the end of one while a fifth begins.
#[test]
fn collections_are_begun_ahead_and_come_back_whatever_the_threads() {
    let source = Server::standalone();
    source.seed("small");
    source.seed_many(12);
    let site = Site::of(&source);
    site.run(&["backup"]).done();
    let stream = site.path("stream");
    let script = format!("tee {} | \"$REAL\" \"$@\"", stream.display());
    let mut site = site.with_false_mongorestore(&script);
    for (threads, at_once) in [(1, 1), (3, 3), (9, 4)] {
        let target = Server::standalone();
        site = site.with("BACKUP_THREADS", threads);
        restore(&site, &target, &[]).done();
        same(&source.fingerprint(), &target.fingerprint());
        assert_eq!(sent(&stream).most_open, at_once, "{threads} threads");
    }
}

#[test]
fn hundreds_of_collections_come_back() {
    many(200);
}

/// Takes minutes, nearly all of them the test server's: `cargo test --test it -- --ignored thousands`.
#[test]
#[ignore = "takes minutes"]
fn thousands_of_collections_come_back() {
    eprintln!("5,000 collections restored in {:?}", many(5000));
}
