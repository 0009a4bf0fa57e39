//! The operations that happened during the dump.
//!
//! SecantusDB knows no `applyOps`: where it stands in for MongoDB, what is sent is looked at, and that a failure is told.

use super::{restore, restore_of, same};
use crate::support::{
    Craft, Manner, OLDER, Proxy, Sent, Server, Site, Strict, Then, Trap, Version, sent,
};
use mongodb::bson::{Document, Timestamp, doc};
use std::fs;
use std::time::Duration;

/// A mongorestore that keeps what it is sent and how it was called, and says that all went well.
const RECORDER: &str = "echo \"$@\" > arguments; cat > stream; \
    printf 'x\\tfinished restoring then.orders (1 document, 0 failures)\\nx\\tapplied 3 oplog entries\\n' >&2";

fn at(second: u32) -> Timestamp {
    Timestamp {
        time: 1_700_000_000 + second,
        increment: 1,
    }
}

fn entry(second: u32, op: &str, namespace: &str, object: Document) -> Document {
    doc! { "op": op, "ns": namespace, "ts": at(second), "v": 2_i64, "o": object }
}

fn bytes(operations: &[Document]) -> Vec<u8> {
    let entries = operations.iter();
    entries.flat_map(|entry| entry.to_vec().unwrap()).collect()
}

/// A site with a dump folder, packed by hand, of which these are the operations.
fn site(operations: &[Document]) -> Site {
    site_of(&bytes(operations))
}

fn site_of(operations: &[u8]) -> Site {
    let posts = doc! { "_id": 1 }.to_vec().unwrap();
    let dump = Craft::dump()
        .collection("blog", "posts", &posts)
        .file("dump/oplog.bson", operations);
    let site = Site::new();
    site.with_older(dump.packed());
    site
}

fn operations() -> Vec<Document> {
    let insert = |namespace: &str, id: i32| doc! { "op": "i", "ns": namespace, "o": { "_id": id } };
    vec![
        // The last before the dump, which holds it already.
        entry(1, "i", "shop.orders", doc! { "_id": 1, "of": "soup" }),
        entry(2, "n", "", doc! { "msg": "periodic noop" }),
        entry(3, "i", "shop.orders", doc! { "_id": 2 }),
        entry(4, "i", "blog.posts", doc! { "_id": 2 }),
        entry(5, "c", "shop.$cmd", doc! { "create": "new" }),
        entry(
            6,
            "c",
            "admin.$cmd",
            doc! { "applyOps": [insert("blog.posts", 3), insert("shop.new", 3)] },
        ),
        entry(7, "d", "blog.posts", doc! { "_id": 1 }),
    ]
}

fn recorded(site: &Site) -> (String, Sent) {
    (
        fs::read_to_string(site.path("arguments")).unwrap(),
        sent(&site.path("stream")),
    )
}

#[test]
fn operations_on_what_is_chosen_are_sent_last_and_under_their_new_names() {
    let site = site(&operations()).with_false_mongorestore(RECORDER);
    let target = Server::standalone();
    let options = ["--include", "shop.*", "--rename", "shop=then"];
    // What it says is held against the server, where nothing is.
    let outcome = restore(&site, &target, &options);
    outcome.printing(&["then 3 operations of the oplog"]);
    let (arguments, sent) = recorded(&site);
    assert!(arguments.contains("--oplogReplay"), "{arguments}");
    assert!(!arguments.contains("--drop"), "{arguments}");
    let names: Vec<&str> = sent
        .announced
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["then.orders", ".oplog"]);
    assert_eq!(
        sent.ended,
        ["then.orders", ".oplog"],
        "the oplog is not the last"
    );
    assert_eq!(
        sent.documents["then.orders"],
        [doc! { "_id": 1, "of": "soup" }]
    );
    let insert = doc! { "op": "i", "ns": "then.new", "o": { "_id": 3 } };
    assert_eq!(
        sent.documents[".oplog"],
        [
            entry(3, "i", "then.orders", doc! { "_id": 2 }),
            entry(5, "c", "then.$cmd", doc! { "create": "new" }),
            entry(6, "c", "admin.$cmd", doc! { "applyOps": [insert] }),
        ]
    );
}

/// Servers store texts that are not UTF-8, and an oplog has them, too.
#[test]
fn an_operation_with_a_text_that_is_not_utf8_is_no_damage() {
    let mut bytes = bytes(&operations());
    let odd = entry(8, "i", "blog.posts", doc! { "_id": 4, "name": "caf#" });
    let mut odd = odd.to_vec().unwrap();
    let at = odd.windows(4).position(|part| part == b"caf#").unwrap();
    odd[at + 3] = 0xe9;
    bytes.extend(odd);
    let site = site_of(&bytes).with_false_mongorestore(RECORDER);
    let target = Server::standalone();
    restore(&site, &target, &["--include", "shop.*"]);
    assert_eq!(recorded(&site).1.documents[".oplog"].len(), 3);
    let all = restore(&site, &target, &["--dry-run"]).done();
    all.printing(&["operations of the oplog"]);
}

/// `tar -C dump -czf x.tar.gz .` leaves nothing above the databases' folders.
#[test]
fn a_collection_called_oplog_comes_back_from_a_dump_packed_from_within() {
    let document = doc! { "_id": 1, "of": "soup" };
    let bytes = document.to_vec().unwrap();
    let metadata = br#"{"indexes":[],"collectionName":"oplog","type":"collection","options":{}}"#;
    let dump = Craft::default()
        .file("./shop/oplog.bson", &bytes)
        .file("./shop/oplog.metadata.json", metadata);
    let site = Site::new().with_false_mongorestore(RECORDER);
    site.with_older(dump.packed());
    restore(&site, &Server::standalone(), &[]);
    let (arguments, sent) = recorded(&site);
    assert!(!arguments.contains("oplogReplay"), "{arguments}");
    assert_eq!(sent.documents["shop.oplog"], [document]);
}

#[test]
fn without_the_oplog_nothing_of_it_is_sent() {
    let site = site(&operations()).with_false_mongorestore(RECORDER);
    let target = Server::standalone();
    let outcome = restore(&site, &target, &["--no-oplog"]);
    assert!(!outcome.stdout.contains("oplog"), "{}", outcome.stdout);
    let (arguments, sent) = recorded(&site);
    assert!(!arguments.contains("oplogReplay"), "{arguments}");
    assert_eq!(sent.announced.len(), 2);
    assert!(!sent.documents.contains_key(".oplog"));
    // So it is when nothing that was chosen was touched.
    fs::remove_file(site.path("stream")).unwrap();
    let quiet = [
        &operations()[..3],
        &[entry(4, "i", "blog.posts", doc! { "_id": 2 })],
    ]
    .concat();
    let site = self::site(&[&quiet[..2], &quiet[3..]].concat()).with_false_mongorestore(RECORDER);
    restore(&site, &target, &["--include", "shop.*"]);
    assert!(!recorded(&site).0.contains("oplogReplay"));
}

/// The time of a document's insertion is kept in an oplog, and the target may have one of its own of that name by now.
#[test]
fn what_the_archive_does_not_hold_and_the_target_does_is_left_alone() {
    let created = [
        entry(1, "n", "", doc! { "msg": "begin" }),
        entry(2, "i", "shop.products", doc! { "_id": "from the oplog" }),
        entry(3, "i", "shop.fresh", doc! { "_id": 1 }),
    ];
    let site = site(&created).with_false_mongorestore(RECORDER);
    let target = Server::standalone();
    target.seed("small");
    target.change("drop", "shop.orders");
    restore(&site, &target, &["--include", "shop.*"]);
    assert_eq!(recorded(&site).1.documents[".oplog"], [created[2].clone()]);
}

#[test]
fn what_cannot_be_replayed_is_told_before_anything_is_done() {
    let target = Server::standalone();
    let renamed = doc! { "renameCollection": "shop.orders", "to": "shop.old" };
    let rename = [
        entry(1, "n", "", doc! {}),
        entry(2, "c", "shop.$cmd", renamed.clone()),
    ];
    let renaming = site(&rename).with_mongorestore_traced();
    let outcome = restore(&renaming, &target, &["--include", "shop.*"]).ended_with(1);
    outcome.saying(&["nothing was restored", "cannot be replayed", "--no-oplog"]);
    assert!(!renaming.mongorestore_was_started());
    let (host, port) = ("127.0.0.1", target.port);
    let to = format!("mongodb://{host}:{port}/?directConnection=true");
    let drill = site(&rename).with("DRILL_URI", to);
    let drilled = drill.run(&["drill"]).done();
    drilled.saying(&["cannot be replayed", "restore it with --no-oplog"]);

    // The last one before the dump, with which its oplog begins, is in the dump.
    let before = [entry(1, "c", "shop.$cmd", renamed)];
    let renamed_before = site(&before).with_false_mongorestore(RECORDER);
    let options = ["--include", "shop.*", "--dry-run"];
    restore(&renamed_before, &target, &options).done();
    let site = site(&[
        entry(1, "n", "", doc! {}),
        doc! { "op": "i" },
        doc! { "no": "operation" },
    ])
    .with_mongorestore_traced();
    restore(&site, &target, &[])
        .ended_with(1)
        .saying(&["nothing was restored"]);
    assert!(target.is_empty());
}

/// `applyOps` is refused to a user with `backup` and `restore` alone, which must not show in the middle of a restore.
#[test]
fn a_user_who_may_not_replay_learns_it_before_anything_is_written() {
    let target = Server::start();
    let site = site(&operations()).with_mongorestore_traced();
    let to = |roles: &[&str], options: &[&str]| {
        let manner = Manner::of(Version::V4_4).with_roles(roles);
        let uri = Strict::before(target.port, manner);
        let to = uri.uri();
        site.run(&[&["restore", OLDER, "--to", &to, "--yes"], options].concat())
    };
    to(&["backup", "restore"], &[]).ended_with(1).saying(&[
        "nothing was restored: the user in --to may not replay the oplog",
        "--no-oplog",
        "actions: [\"anyAction\"]",
        "grantRolesToUser",
    ]);
    assert!(!site.mongorestore_was_started());
    to(&["backup", "restore"], &["--no-oplog", "--dry-run"]).done();
    to(&["backup", "restore", "anything"], &["--dry-run"]).done();
    assert!(target.is_empty());
}

/// With the real parts: a write while the dump is made.
#[test]
fn a_write_during_the_dump_is_replayed_or_it_is_said_that_it_was_not() {
    let (source, target) = (Server::start(), Server::start());
    source.seed("small");
    source.seed("bulk");
    let proxy = Proxy::to(source.port, Trap::Bytes(1_000_000), Then::Stall);
    let site = Site::new().with("MONGODB_URI", source.backup_uri_by(proxy.port));
    let running = site.start(&["backup"]);
    proxy.sprung();
    let before = source.fingerprint();
    source.change("fill", "bulk.during");
    proxy.release();
    running.end(Duration::from_secs(60)).done();

    let options = ["--exclude", "bulk.noise"];
    let json = restore(
        &site,
        &target,
        &[&options[..], &["--dry-run", "--json"]].concat(),
    )
    .done()
    .json();
    assert!(json["oplog_entries"].as_u64().unwrap() >= 200, "{json}");
    let outcome = restore(&site, &target, &options);
    if target.is_mongod() {
        outcome.done();
        assert_eq!(
            target.fingerprint()["bulk.during"],
            source.fingerprint()["bulk.during"]
        );
    } else {
        outcome
            .ended_with(1)
            .saying(&["was NOT restored completely", "oplog"]);
    }
    let plain = Server::standalone();
    restore_of(
        &site,
        "latest",
        &plain,
        &[&options[..], &["--no-oplog"]].concat(),
    )
    .done();
    let mut expected = before;
    expected.remove("bulk.noise");
    same(&expected, &plain.fingerprint());
}
