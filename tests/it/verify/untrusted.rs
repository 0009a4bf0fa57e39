//! Archives that others packed.

use crate::support::{OLDER, Site, command, pack, rewrite, shared, tool, unpack};
use std::fs;
use std::path::PathBuf;

/// A dump folder, packed by hand with GNU tar.
fn packed_by_hand(site: &Site, options: &[&str]) -> PathBuf {
    let out = site.path("dump");
    let fixed = [
        format!("--uri={}", shared().uri()),
        format!("--out={}", out.display()),
        "--db=shop".into(),
    ];
    command(
        tool("mongodump"),
        fixed
            .iter()
            .map(String::as_str)
            .chain(options.iter().copied()),
    );
    let archive = site.older();
    pack(&site.path(""), "dump", &archive);
    archive
}

#[test]
fn a_dump_folder_packed_by_hand_is_read_to_its_last_element() {
    let site = Site::new();
    packed_by_hand(&site, &[]);
    let outcome = site.run(&["verify", OLDER]).done();
    outcome.printing(&[
        "is sound",
        "512 documents",
        "not checked: whether documents or collections are missing",
    ]);
    let json = site.run(&["verify", "--json", OLDER]).done().json();
    let gaps = json["archives"][0]["not_checked"].as_array().unwrap();
    assert!(
        gaps.iter()
            .any(|gap| gap.as_str().unwrap().contains("no manifest")),
        "{json}"
    );
}

#[test]
fn so_is_one_that_mongodump_compressed() {
    let site = Site::new();
    packed_by_hand(&site, &["--gzip"]);
    site.run(&["verify", OLDER])
        .done()
        .printing(&["512 documents"]);
}

#[test]
fn cut_or_flipped_it_is_damaged() {
    let site = Site::new();
    let archive = packed_by_hand(&site, &[]);
    let whole = fs::read(&archive).unwrap();
    for keep in [1, 10, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        fs::write(&archive, &whole[..keep]).unwrap();
        site.run(&["verify", OLDER])
            .ended_with(1)
            .printing(&["DAMAGED"]);
    }
    for at in [
        whole.len() / 4,
        whole.len() / 2,
        3 * whole.len() / 4,
        whole.len() - 6,
    ] {
        fs::write(&archive, &whole).unwrap();
        rewrite(&archive, |bytes| bytes[at] ^= 4);
        site.run(&["verify", OLDER])
            .ended_with(1)
            .printing(&["DAMAGED"]);
    }
}

#[test]
fn a_document_that_is_not_bson_is_found() {
    let site = Site::new();
    packed_by_hand(&site, &[]);
    rewrite(&site.path("dump/shop/orders.bson"), |bytes| bytes[4] = 0x77);
    let archive = site.older();
    pack(&site.path(""), "dump", &archive);
    site.run(&["verify", OLDER])
        .ended_with(1)
        .printing(&["DAMAGED", "shop.orders: document 1"]);
}

#[test]
fn our_archive_unpacked_and_packed_again_is_held_against_its_manifest() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let name = archive
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .strip_suffix(".tar.gz")
        .unwrap();
    unpack(&archive, &site.path("unpacked"));
    pack(&site.path("unpacked"), name, &archive);
    site.run(&["verify"]).done().printing(&["is sound"]);

    fs::write(
        site.path("unpacked").join(name).join("shop/sessions.bson"),
        "",
    )
    .unwrap();
    pack(&site.path("unpacked"), name, &archive);
    site.run(&["verify"])
        .ended_with(1)
        .printing(&["shop.sessions", "not those of the manifest"]);

    fs::remove_file(site.path("unpacked").join(name).join("shop/sessions.bson")).unwrap();
    fs::remove_file(
        site.path("unpacked")
            .join(name)
            .join("shop/orders.metadata.json"),
    )
    .unwrap();
    pack(&site.path("unpacked"), name, &archive);
    let outcome = site.run(&["verify"]).ended_with(1);
    outcome.printing(&[
        "shop.sessions: its documents are missing",
        "shop.orders: its options and indexes are missing",
    ]);
}

#[test]
fn what_is_no_dump_at_all_is_not_sound() {
    let site = Site::new();
    fs::create_dir_all(site.backups()).unwrap();
    let archive = site.older();
    for content in ["", "not gzip", &"\0".repeat(5000)] {
        fs::write(&archive, content).unwrap();
        site.run(&["verify", OLDER])
            .ended_with(1)
            .printing(&["DAMAGED"]);
    }
    fs::create_dir(site.path("photos")).unwrap();
    fs::write(site.path("photos/cat.jpg"), "meow").unwrap();
    pack(&site.path(""), "photos", &archive);
    site.run(&["verify", OLDER])
        .ended_with(1)
        .printing(&["there is no MongoDB dump in it"]);
}

/// Whoever can put an archive into the folder must not make `verify` follow a path or a link of his.
#[test]
fn links_and_paths_that_lead_outside_are_refused() {
    let site = Site::new();
    let archive = packed_by_hand(&site, &[]);
    std::os::unix::fs::symlink("/etc/passwd", site.path("dump/shop/link.bson")).unwrap();
    pack(&site.path(""), "dump", &archive);
    site.run(&["verify", OLDER])
        .ended_with(1)
        .printing(&["link"]);
    fs::remove_file(site.path("dump/shop/link.bson")).unwrap();
    let path = archive.to_str().unwrap();
    let parent = site.path("dump");
    command(
        "tar",
        [
            "czf",
            path,
            "-C",
            parent.to_str().unwrap(),
            "--transform=s,^,../../,S",
            "-P",
            "shop",
        ],
    );
    site.run(&["verify", OLDER])
        .ended_with(1)
        .printing(&["points outside the archive"]);
}
