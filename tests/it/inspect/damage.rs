//! Damage that is met while documents are read, archives of other hands, and such as only an enemy makes.

use super::lines;
use crate::support::{Craft, OLDER, Site, data_range, rewrite};
use std::fs;

#[test]
fn damage_met_while_reading_is_told_and_nothing_is_called_right() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let range = data_range(&archive, "shop/orders.bson");
    rewrite(&archive, |bytes| {
        let middle = (range.start + range.end) as usize / 2;
        bytes[middle] ^= 0x55;
    });
    let outcome = site.run(&["show", "latest", "shop.orders"]).ended_with(1);
    assert!(!outcome.stderr.contains("checksum is right"));
    outcome.saying(&["is damaged", "pantry-keeper verify"]);
    let file = site.path("orders.bson");
    site.run(&[
        "extract",
        "latest",
        "shop.orders",
        "--output",
        file.to_str().unwrap(),
        "--json",
    ])
    .ended_with(1)
    .saying(&["is damaged"]);
    let left: Vec<_> = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("orders"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    site.run(&["diff", "latest", "latest"]).done();
}

#[test]
fn a_cut_archive_shows_nothing() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    rewrite(&archive, |bytes| bytes.truncate(bytes.len() - 5));
    for arguments in [
        &["show", "latest"][..],
        &["show", "latest", "shop.orders"],
        &["diff", "latest", "latest"],
    ] {
        let outcome = site.run(arguments).ended_with(1).saying(&["is damaged"]);
        assert_eq!(outcome.stdout, "");
    }
}

/// A dump folder that somebody packed.
fn packed(craft: &Craft) -> Site {
    let site = Site::new();
    fs::create_dir_all(site.backups()).unwrap();
    fs::write(
        site.backups().join(format!("{OLDER}.tar.gz")),
        craft.packed(),
    )
    .unwrap();
    site
}

#[test]
fn a_dump_that_another_hand_packed_is_shown_too() {
    let site = packed(&Craft::dump());
    site.run(&["show", "latest"])
        .done()
        .printing(&["not written by Pantry Keeper", "shop.orders"]);
    let outcome = site.run(&["show", "latest", "shop.orders"]).done();
    assert_eq!(
        lines(&outcome),
        [serde_json::json!({ "_id": 1, "of": "soup" })]
    );
}

#[test]
fn hostile_archives_are_refused_before_anything_of_them_is_shown() {
    let deep = {
        // Documents in documents, of which every level would take of the stack.
        let mut inner = vec![5, 0, 0, 0, 0];
        for _ in 0..20_000 {
            let mut outer = ((inner.len() + 8) as u32).to_le_bytes().to_vec();
            outer.extend_from_slice(b"\x03a\0");
            outer.extend_from_slice(&inner);
            outer.push(0);
            inner = outer;
        }
        inner
    };
    for (craft, words) in [
        (
            Craft::dump().collection("shop", "deep", &deep),
            "nested deeper",
        ),
        (
            Craft::dump().collection("shop", "huge", &[0xff, 0xff, 0xff, 0x7f, 0]),
            "which no document has",
        ),
        (
            Craft::dump().file("../../etc/x.bson", b""),
            "points outside",
        ),
        (
            Craft::dump().entry(b'2', "dump/shop/link.bson", "/etc/passwd", b""),
            "is a link",
        ),
    ] {
        let site = packed(&craft);
        for arguments in [
            &["show", "latest", "shop.orders"][..],
            &["extract", "latest", "shop.orders"],
            &["diff", "latest", "latest"],
        ] {
            let outcome = site.run(arguments).ended_with(1).saying(&[words]);
            assert_eq!(outcome.stdout, "");
        }
    }
}
