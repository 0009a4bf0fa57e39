//! Archives that earlier versions wrote: what they promised has to hold for as long as anybody has one.

use super::{only, restore_of, same};
use crate::support::{Server, Site, shared};
use std::fs;
use std::path::Path;

/// Never changed, only added to: one of each format and of each release that wrote it differently. They hold what
/// `seed small` makes.
#[test]
fn archives_of_every_format_are_sound_and_come_back() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/archives");
    let mut names = Vec::new();
    let site = Site::new();
    fs::create_dir(site.backups()).unwrap();
    for entry in fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        fs::copy(&path, site.backups().join(path.file_name().unwrap())).unwrap();
    }
    assert!(!names.is_empty());
    let expected = only(&shared().fingerprint(), &["shop", "blog", "library"]);
    for name in names {
        site.run(&["verify", &name]).done();
        let target = Server::standalone();
        restore_of(&site, &name, &target, &[]).done();
        same(&expected, &target.fingerprint());
    }
}
