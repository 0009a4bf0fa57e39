//! A restore that fails at its first collection: what never came is missing, and no time to live took it.

use super::site_with;
use crate::support::{OLDER, Server};

#[test]
fn ttl_note_only_where_mongorestore_had_finished() {
    let site = site_with("ttl-note.tar.gz");
    let target = Server::standalone();
    let uri = target.uri();
    let outcome = site
        .run(&["restore", OLDER, "--to", &uri, "--yes", "--json"])
        .ended_with(1);
    let report = outcome.json();
    let mut unfinished = 0;
    for one in report["namespaces"].as_array().unwrap() {
        let name = one["collection"].as_str().unwrap();
        // mongorestore's own word for it.
        if one["inserted"].is_u64() && one["inserted"] == one["documents"] {
            continue;
        }
        unfinished += 1;
        assert!(!one["problem"].is_null(), "{one}");
        let note = report["warnings"].as_array().unwrap().iter().find(|note| {
            let note = note.as_str().unwrap();
            note.contains(&format!("shop.{name}"))
                && (note.contains("TTL") || note.contains("expired"))
        });
        assert!(note.is_none(), "{note:?}: {one}");
    }
    assert!(
        unfinished > 1,
        "the test needs a collection that did not come: {report}"
    );
}
