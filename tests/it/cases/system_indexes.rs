//! Dumps of MongoDB 2.x and 3.x: the indexes lie in `system.indexes.bson`, later in metadata files as well.

use super::{collection, index_names, site_with};
use crate::support::{OLDER, Outcome, Server, Site, pack, unpack};
use std::fs;

fn comes_back(site: Site) {
    let verified = site
        .run(&["verify", OLDER])
        .done()
        .printing(&["is sound", "3 documents in 1 namespace"]);
    assert!(
        !verified.stdout.contains("shop.system.indexes:"),
        "{}",
        verified.stdout
    );
    let target = Server::standalone();
    let uri = target.uri();
    let preview = json(site.run(&["restore", OLDER, "--to", &uri, "--dry-run", "--json"]));
    assert_eq!(
        preview["namespaces"].as_array().unwrap().len(),
        1,
        "{preview}"
    );
    let report = json(site.run(&["restore", OLDER, "--to", &uri, "--yes", "--json"]));
    assert_eq!(
        (&report["restored"], &report["documents"]),
        (&true.into(), &3.into()),
        "{report}"
    );
    assert_eq!(collection(&target, "shop.orders").0, 3);
    assert_eq!(index_names(&target, "shop.orders"), ["_id_", "n_1"]);
    assert_eq!(target.fingerprint().len(), 1);
    let scratch = Server::standalone();
    let drill = json(
        site.with("DRILL_URI", scratch.uri())
            .run(&["drill", OLDER, "--json"]),
    );
    assert_eq!(
        (&drill["proven"], &drill["documents"], &drill["indexes"]),
        (&true.into(), &3.into(), &2.into()),
        "{drill}"
    );
}

fn json(outcome: Outcome) -> serde_json::Value {
    outcome.done().json()
}

#[test]
fn system_indexes_are_not_documents_that_are_lost() {
    comes_back(site_with("system-indexes.tar.gz"));
}

/// MongoDB 2.x wrote no metadata files for some dumps.
#[test]
fn system_indexes_are_where_indexes_come_from_when_there_is_no_metadata() {
    let site = site_with("system-indexes.tar.gz");
    let archive = site.older();
    unpack(&archive, &site.path("unpacked"));
    fs::remove_file(site.path("unpacked/dump/shop/orders.metadata.json")).unwrap();
    pack(&site.path("unpacked"), "dump", &archive);
    comes_back(site);
}
