//! A dump folder that was packed on a Mac: beside each file lies a `._` file, which is none of MongoDB's.

use super::{collection, site_with};
use crate::support::{OLDER, Server};

#[test]
fn appledouble_files_are_skipped_and_said() {
    let site = site_with("appledouble.tar.gz");
    let verified = site.run(&["verify", OLDER]).done();
    verified.printing(&["is sound", "3 documents in 1 namespace", "._"]);
    let target = Server::standalone();
    let uri = target.uri();
    let restored = site.run(&["restore", OLDER, "--to", &uri, "--yes"]).done();
    restored.saying(&["._", "all that the archive holds of them is there"]);
    assert_eq!(collection(&target, "shop.orders").0, 3);
    assert_eq!(target.fingerprint().len(), 1, "{:?}", target.fingerprint());
}
