//! `list`: only archives of ours, and no damage passed over.

use crate::support::{Site, shared};
use std::fs;

#[test]
fn a_missing_or_empty_folder_is_told_apart() {
    let site = Site::new();
    site.run(&["list"])
        .ended_with(1)
        .saying(&["there is no backup folder", "BACKUP_DIR"]);
    fs::create_dir(site.backups()).unwrap();
    site.run(&["list"]).done().printing(&["no archives in "]);
    let json = site.run(&["list", "--json"]).done().json();
    assert_eq!(json["archives"], serde_json::json!([]));
}

#[test]
fn an_archive_is_shown_with_its_figures() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let name = archive.file_name().unwrap().to_str().unwrap();
    site.run(&["list"])
        .done()
        .printing(&[name, "ARCHIVE", "1 archive in "]);
    let json = site.run(&["list", "--json"]).done().json();
    let listed = &json["archives"][0];
    assert_eq!(listed["archive"], name);
    assert_eq!(
        listed["archive_bytes"],
        fs::metadata(&archive).unwrap().len()
    );
    assert_eq!(
        (&listed["documents"], &listed["damage"]),
        (&765.into(), &serde_json::Value::Null)
    );
    assert!(listed["verified_at"].is_string(), "{json}");
    assert_eq!(json["archives_bytes"], listed["archive_bytes"]);
    assert!(json["free_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn a_damaged_archive_is_shown_as_damaged() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    site.with_older("");
    let outcome = site
        .run(&["list"])
        .done()
        .printing(&["DAMAGED: the file is empty", "2 archives"]);
    assert_eq!(
        outcome.stdout.matches("DAMAGED").count(),
        1,
        "{}",
        outcome.stdout
    );
    // In the middle, where a glance does not look; `verify` does, and its finding is kept.
    crate::support::rewrite(&archive, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    site.run(&["verify"]).ended_with(1);
    let outcome = site.run(&["list"]).done();
    assert_eq!(
        outcome.stdout.matches("DAMAGED").count(),
        2,
        "{}",
        outcome.stdout
    );
    let json = site.run(&["list", "--json"]).done().json();
    assert!(
        json["archives"][1]["damage"]
            .as_str()
            .unwrap()
            .contains("bulk.noise"),
        "{json}"
    );
    assert!(json["archives"][1]["verified_at"].is_null(), "{json}");
}

#[test]
fn foreign_files_and_links_are_not_archives() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    for name in [
        "notes.txt",
        "other_backup_20250105_020000.tar.gz",
        "jorbites_backup_20250105.tar.gz",
        "x.tar.gz",
    ] {
        fs::copy(&archive, site.backups().join(name)).unwrap();
    }
    fs::create_dir(
        site.backups()
            .join("jorbites_backup_20250106_020000.tar.gz"),
    )
    .unwrap();
    std::os::unix::fs::symlink(
        &archive,
        site.backups()
            .join("jorbites_backup_20250107_020000.tar.gz"),
    )
    .unwrap();
    let json = site.run(&["list", "--json"]).done().json();
    assert_eq!(json["archives"].as_array().unwrap().len(), 1, "{json}");
    site.run(&["verify", "jorbites_backup_20250107_020000"])
        .ended_with(2);
    let all = site.run(&["verify", "--all", "--json"]).done().json();
    assert_eq!(all["archives"].as_array().unwrap().len(), 1, "{all}");
}

#[test]
fn names_in_a_list_cannot_steer_a_terminal() {
    let site = Site::new().with("BACKUP_PREFIX", "x");
    site.with_sound_archive();
    fs::write(
        site.backups()
            .join("x_backup_20250105_020000\u{1b}[2J.tar.gz"),
        "",
    )
    .unwrap();
    site.run(&["list"]).done().printing(&["no archives in "]);
}

/// The output has nowhere to go.
#[test]
fn what_could_not_be_printed_is_a_failure() {
    let site = Site::new();
    site.with_sound_archive();
    let to_a_full_disk = ["sh", "-c", "exec \"$@\" > /dev/full", "sh"];
    let site = site.started_by(&to_a_full_disk);
    for command in [
        &["list"][..],
        &["list", "--json"],
        &["show", "latest"],
        &["status"],
        &["keygen"],
    ] {
        let outcome = site.run(command).ended_with(1);
        outcome.saying(&["the output could not be written: No space left on device"]);
    }
    site.run(&["--help"]).ended_with(1);
}

/// Nor has what is said about a failure: the exit code and the document still tell it.
#[test]
fn what_could_not_be_said_on_stderr_changes_neither_code_nor_document() {
    let site = Site::new();
    let nowhere = ["sh", "-c", "exec \"$@\" 2> /dev/full", "sh"];
    let site = site.started_by(&nowhere);
    for (command, code) in [
        (&["list"][..], 1),
        (&["verify"], 1),
        (&["health"], 1),
        (&["drill"], 2),
        (&["restore", "nothing"], 2),
    ] {
        let outcome = site.run(&[command, &["--json"]].concat());
        assert!(outcome.ended_with(code).json().is_object(), "{command:?}");
    }
    let key = site.path("key.txt");
    site.run(&["keygen", "--output", key.to_str().unwrap()])
        .ended_with(1)
        .printing(&["age1"]);
    assert!(key.exists(), "a key that was told is not taken back");
    let wrong = site.with("BACKUP_SCHEDULE", "often");
    let json = wrong.run(&["list", "--json"]).ended_with(2).json();
    assert!(json["error"].is_string(), "{json}");
}

/// A key that is made and whose public half could not be printed is not left behind untold.
#[test]
fn a_key_that_was_made_is_told_also_when_it_could_not_be_printed() {
    let site = Site::new().started_by(&["sh", "-c", "exec \"$@\" > /dev/full", "sh"]);
    let key = site.path("key.txt");
    site.run(&["keygen", "--output", key.to_str().unwrap()])
        .ended_with(1)
        .saying(&[
            "the key is made, and is in ",
            "key.txt",
            "No space left on device",
        ]);
}

/// Names are in local time, which is another one now.
#[test]
fn the_newest_is_the_one_made_last_also_where_the_time_zone_was_changed() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let site = site.with("TZ", "Pacific/Auckland");
    site.run(&["backup"]).done();
    let site = site.with("TZ", "America/Los_Angeles");
    site.run(&["backup"]).done();
    let newest = site.archives().remove(0);
    let health = site.run(&["health", "--json"]).json();
    assert_eq!(health["newest_archive"], newest);
    let shown = site.run(&["show", "latest", "--json"]).done().json();
    assert_eq!(shown["archive"], newest);
}
