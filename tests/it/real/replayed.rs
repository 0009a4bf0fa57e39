//! The recorded operations, filtered and renamed by us, replayed, and held against what stock mongorestore made of them.

use super::{LARGE, after_replay, hashes, on, recorded, site};
use crate::support::{Manner, Outcome, Sent, Server, Site, Strict, Version, sent};
use mongodb::bson::{Bson, Document};

/// Restores `bank` without what is only large.
fn restore(site: &Site, target: &Server, options: &[&str]) -> Outcome {
    let strict = Strict::before(target.port, Manner::of(Version::V4_4));
    let fixed = [
        "restore",
        "latest",
        "--to",
        &strict.uri(),
        "--yes",
        "--include",
        "bank.*",
    ];
    site.run(&[&fixed[..], &["--exclude", LARGE], options].concat())
}

/// Each collection of `bank`, under the name of a database, is what it was after the replay.
fn is_as_after_the_replay(target: &Server, database: &str) {
    let after = after_replay();
    let (there, mut compared) = (target.fingerprint(), 0);
    for (name, documents) in after.documents.iter().filter(|(name, _)| *name != LARGE) {
        let collection = name.strip_prefix("bank.").unwrap();
        assert_eq!(
            on(&there, &format!("{database}.{collection}")),
            hashes(documents),
            "{name}"
        );
        compared += 1;
    }
    assert_eq!(compared, 10);
    assert!(
        there
            .keys()
            .all(|name| name.starts_with(&format!("{database}."))),
        "{there:?}"
    );
}

#[test]
fn a_replay_comes_to_what_stock_mongorestore_came_to() {
    let (site, target) = (site(), Server::start());
    restore(&site, &target, &[]).done();
    is_as_after_the_replay(&target, "bank");
}

#[test]
fn under_another_name_it_comes_to_the_same() {
    let (site, target) = (site(), Server::start());
    restore(&site, &target, &["--rename", "bank=bank2"]).done();
    is_as_after_the_replay(&target, "bank2");
}

/// Without the operations it is not, so that the two tests above can fail.
#[test]
fn without_its_operations_it_is_what_the_dump_holds() {
    let (site, target) = (site(), Server::start());
    restore(&site, &target, &["--no-oplog"]).done();
    let there = target.fingerprint();
    assert_eq!(
        on(&there, "bank.acc"),
        hashes(&recorded().documents["bank.acc"])
    );
    assert_ne!(
        on(&there, "bank.acc"),
        hashes(&after_replay().documents["bank.acc"])
    );
}

/// Every name that an operation has, also those inside of transactions.
fn names(operations: &[Document]) -> Vec<String> {
    let mut names = Vec::new();
    for operation in operations {
        names.push(operation.get_str("ns").unwrap().to_owned());
        let inner = operation
            .get_document("o")
            .ok()
            .and_then(|object| object.get_array("applyOps").ok());
        let inner: Vec<Document> = inner
            .into_iter()
            .flatten()
            .filter_map(Bson::as_document)
            .cloned()
            .collect();
        names.extend(self::names(&inner));
    }
    names
}

/// What mongorestore is sent: all operations, and none under its old name.
#[test]
fn every_recorded_operation_is_sent_under_its_new_name() {
    const RECORDER: &str = "cat > stream; exit 1";
    let (site, target) = (site().with_false_mongorestore(RECORDER), Server::start());
    restore(&site, &target, &["--rename", "bank=bank2"]).ended_with(1);
    let sent: Sent = sent(&site.path("stream"));
    let (before, after) = (&recorded().documents[".oplog"], &sent.documents[".oplog"]);
    let old = names(before);
    let renamed: Vec<String> = old
        .iter()
        .map(|name| name.replace("bank.", "bank2."))
        .collect();
    // One that the dump holds already may be left out: the first.
    let new = names(after);
    assert!(
        renamed.ends_with(&new) && new.len() + 4 >= renamed.len(),
        "{} of {}",
        new.len(),
        old.len()
    );
    assert!(
        new.iter()
            .all(|name| name.starts_with("bank2.") || name == "admin.$cmd")
    );
    // Nothing but the names has changed.
    let plain = |operation: &Document| operation.to_string().replace("bank2.", "bank.");
    let (before, after): (Vec<_>, Vec<_>) = (
        before.iter().map(plain).collect(),
        after.iter().map(plain).collect(),
    );
    assert!(before.ends_with(&after));
}
