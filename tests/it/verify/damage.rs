//! Damage to archives of ours. There is no checksum file beside them: what is found is found inside.

use crate::support::{Site, data_range, rewrite, stored_files};
use std::fs;

#[test]
fn a_flipped_bit_names_the_collection_it_hit_and_no_other() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let range = data_range(&archive, "bulk/noise.bson");
    rewrite(&archive, |bytes| {
        bytes[(range.start + range.end) as usize / 2] ^= 0x10;
    });
    let outcome = site
        .run(&["verify"])
        .ended_with(1)
        .printing(&["DAMAGED", "bulk.noise: "]);
    assert!(
        !outcome.stdout.contains("shop.products"),
        "{}",
        outcome.stdout
    );
    let json = site.run(&["verify", "--json"]).ended_with(1).json();
    assert_eq!(json["sound"], false);
    let damaged = |checked: &&serde_json::Value| !checked["damage"].is_null();
    let namespaces = json["archives"][0]["namespaces"].as_array().unwrap();
    let names: Vec<_> = namespaces
        .iter()
        .filter(damaged)
        .map(|checked| &checked["collection"])
        .collect();
    assert_eq!(names, ["noise"], "{json}");
}

#[test]
fn a_cut_archive_names_the_collection_it_was_cut_in() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let range = data_range(&archive, "bulk/noise.bson");
    rewrite(&archive, |bytes| {
        bytes.truncate((range.start + range.end) as usize / 2);
    });
    site.run(&["verify"])
        .ended_with(1)
        .printing(&["DAMAGED", "bulk.noise: "]);
}

#[test]
fn no_cut_is_missed() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let whole = fs::read(&archive).unwrap();
    let last = whole.len();
    for keep in (0..40).map(|part| part * last / 40).chain([
        1,
        18,
        512,
        last - 512,
        last - 20,
        last - 8,
        last - 1,
    ]) {
        fs::write(&archive, &whole[..keep]).unwrap();
        site.run(&["verify"]).ended_with(1);
    }
    fs::write(&archive, [whole.as_slice(), b"\0"].concat()).unwrap();
    site.run(&["verify"]).ended_with(1);
}

#[test]
fn no_flipped_bit_is_missed() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let whole = fs::read(&archive).unwrap();
    let last = whole.len();
    // All of both ends, where the headers are; and steps through the rest that fall on every bit.
    let places = (0..60)
        .chain((0..60).map(|part| 60 + part * (last - 120) / 60))
        .chain(last - 60..last);
    for (number, at) in places.enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (number % 8);
        fs::write(&archive, &bytes).unwrap();
        let outcome = site.run(&["verify"]);
        assert!(
            outcome.stdout.contains("DAMAGED"),
            "byte {at} of {last}:\n{}{}",
            outcome.stdout,
            outcome.stderr
        );
        outcome.ended_with(1);
    }
}

#[test]
fn an_archive_of_another_name_is_sound_and_says_so() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let copy = site
        .backups()
        .join("jorbites_backup_20250606_060606.tar.gz");
    fs::rename(&archive, copy).unwrap();
    site.run(&["verify"])
        .done()
        .printing(&["not checked: its name: it was written as jorbites_backup_"]);
}

#[test]
fn the_manifest_says_what_is_inside() {
    let site = Site::new();
    let files = stored_files(&site.with_sound_archive());
    let (path, manifest) = files
        .iter()
        .find(|(path, _)| path.ends_with("manifest.json"))
        .unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    assert_eq!(manifest["pantry_keeper_format"], 1);
    assert_eq!(manifest["archive"], path.split('/').next().unwrap());
    assert!(
        manifest["server"]["hosts"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:"),
        "{manifest}"
    );
    let all = manifest.to_string();
    assert!(
        !all.contains("s3ntinel") && !all.contains("backup@er") && !all.contains("mongodb://"),
        "{all}"
    );
}
