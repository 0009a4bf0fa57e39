//! The recorded dump in an archive of ours.

use super::{LARGE, after_replay, hashes, on, recorded, site};
use crate::support::{Manner, Server, Strict, Version, stored_files};
use mongodb::bson::Document;
use serde_json::Value;

/// Every document, byte for byte and in its order; users and roles too.
#[test]
fn all_that_was_recorded_is_in_the_archive_and_verified() {
    let (site, recorded) = (site(), recorded());
    let all: usize = recorded.documents.values().map(Vec::len).sum();
    assert_eq!(recorded.documents["admin.system.users"].len(), 5);
    assert_eq!(recorded.documents["admin.system.roles"].len(), 1);
    assert_eq!(recorded.documents[".oplog"].len(), 112);
    assert_eq!(recorded.announced.len(), 38);

    let verified = site.run(&["verify", "--json"]).done().json();
    let archive = &verified["archives"][0];
    // Operations are no documents of the owner's, nor are users, roles and the version that the server keeps of itself.
    let of_admin = recorded
        .documents
        .iter()
        .filter(|(name, _)| name.starts_with("admin."));
    let of_admin: usize = of_admin.map(|(_, documents)| documents.len()).sum();
    assert_eq!(of_admin, 8);
    assert_eq!(
        archive["documents"],
        (all - 112 - of_admin) as u64,
        "{verified}"
    );
    let listed = site.run(&["list", "--json"]).done().json();
    let listed = &listed["archives"][0];
    assert_eq!(listed["documents"], archive["documents"], "{listed}");
    assert_eq!(
        (&listed["namespaces"], &listed["point_in_time"]),
        (&38.into(), &true.into())
    );

    let files = stored_files(&site.archive());
    let (_, manifest) = files
        .iter()
        .find(|(name, _)| name.ends_with("/manifest.json"))
        .unwrap();
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    assert!(
        manifest["server"]["version"]
            .as_str()
            .unwrap()
            .starts_with("4.4"),
        "{manifest}"
    );
    let entries = manifest["namespaces"].as_array().unwrap();
    assert_eq!(entries.len(), recorded.announced.len());
    let root = site.archives().remove(0).replace(".tar.gz", "");
    for entry in entries {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        let name = match text("type") {
            "oplog" => ".oplog".to_owned(),
            _ => format!("{}.{}", text("database"), text("collection")),
        };
        let expected = recorded.documents.get(&name).map_or(&[][..], Vec::as_slice);
        if let Some(path) = entry["data"]["path"].as_str() {
            let stored = files
                .get(path)
                .or_else(|| files.get(&format!("{root}/{path}")));
            let bytes: Vec<u8> = expected
                .iter()
                .flat_map(|document| document.to_vec().unwrap())
                .collect();
            assert_eq!(stored, Some(&bytes), "{name}: {path}");
        } else {
            assert!(expected.is_empty(), "{name}");
        }
        if let Some(path) = entry["metadata"]["path"].as_str() {
            let stored = files
                .get(path)
                .or_else(|| files.get(&format!("{root}/{path}")));
            let (_, metadata) = recorded
                .announced
                .iter()
                .find(|(one, _)| *one == name)
                .unwrap();
            assert_eq!(
                stored.map(Vec::as_slice),
                Some(metadata.as_bytes()),
                "{name}: {path}"
            );
        }
    }
}

/// What the stand-in can hold: odd names, every type, a view, a capped collection, a validator, a collation.
#[test]
fn it_comes_back_from_there_as_it_was() {
    const CHOSEN: &str =
        "odd-Ünï.*,types.all,types.capped,types.coll,types.empty,types.ids,types.val,types.view";
    let (site, target) = (site(), Server::start());
    let strict = Strict::before(target.port, Manner::of(Version::V4_4));
    let options = ["--include", CHOSEN, "--no-oplog"];
    let restore = ["restore", "latest", "--to", &strict.uri(), "--yes"];
    site.run(&[&restore[..], &options].concat()).done();
    let chosen = |name: &String| name.starts_with("odd-Ünï.") || name.starts_with("types.");
    let (there, mut compared) = (target.fingerprint(), 0);
    for (name, documents) in recorded().documents.iter().filter(|(name, _)| chosen(name)) {
        if ["types.ix", "types.view"].contains(&name.as_str()) {
            continue;
        }
        assert_eq!(on(&there, name), hashes(documents), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 23);
    assert_eq!(there["types.view"]["type"], "view");
}

/// The recordings themselves: what the other tests hold our work against.
#[test]
fn the_recorded_bank_adds_up() {
    let after = after_replay();
    let number = |document: &Document, field: &str| document.get_i32(field).unwrap();
    let (accounts, log) = (&after.documents["bank.acc"], &after.documents["bank.log"]);
    assert_eq!(
        accounts
            .iter()
            .map(|account| number(account, "n"))
            .sum::<i32>(),
        300_000
    );
    for account in accounts {
        let id = number(account, "_id");
        let of = |field: &str| {
            log.iter()
                .filter(|entry| number(entry, field) == id)
                .count() as i32
        };
        assert_eq!(
            number(account, "n"),
            1000 - of("from") + of("to"),
            "account {id}"
        );
    }
    let before: i32 = recorded().documents["bank.acc"]
        .iter()
        .map(|account| number(account, "n"))
        .sum();
    let log_before = recorded().documents["bank.log"].len();
    assert!(
        before != 300_000 || log_before < log.len(),
        "nothing was to be replayed"
    );
    assert_eq!(after.documents[LARGE].len(), 20_000);
}
