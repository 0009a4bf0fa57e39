//! Bare `.bson` files, without a folder that says of which database they are.

use super::site_with;
use crate::support::{OLDER, Server};

/// Refused by both with what to do, or read by both under a database that is named; never sound with nothing in it.
#[test]
fn flat_files_are_the_same_to_verify_and_restore() {
    let site = site_with("flat.tar.gz");
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
    assert!(
        !verified.stdout.contains("0 documents"),
        "{}",
        verified.stdout
    );
    if verified.code() == Some(0) {
        assert_eq!(target.fingerprint().len(), 1);
        return;
    }
    let verified = verified
        .ended_with(1)
        .printing(&["orders.bson", "database", "mongorestore"]);
    let restored = restored
        .ended_with(1)
        .saying(&["orders.bson", "database", "mongorestore"]);
    for said in [verified.stdout, restored.stderr] {
        assert!(
            !said.contains("DAMAGED") && !said.contains("older archive"),
            "{said}"
        );
    }
    assert!(target.is_empty());
}
