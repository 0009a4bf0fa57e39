use crate::support::{OLDER, Site};
use std::fs;

#[test]
fn the_latest_archive_is_the_default() {
    let site = Site::new();
    site.with_older_files();
    let archive = site.with_sound_archive();
    let name = archive.file_name().unwrap().to_str().unwrap();
    site.run(&["verify"])
        .done()
        .printing(&[&format!("✓ {name} is sound")]);
    site.run(&["verify", "latest"]).done().printing(&[name]);
}

#[test]
fn a_name_is_taken_with_and_without_its_extension() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let name = archive.file_name().unwrap().to_str().unwrap();
    site.run(&["verify", name]).done().printing(&[name]);
    site.run(&["verify", name.strip_suffix(".tar.gz").unwrap()])
        .done()
        .printing(&[name]);
}

#[test]
fn all_reads_every_archive_and_fails_when_one_of_them_is_damaged() {
    let site = Site::new();
    site.run(&["verify", "--all"])
        .ended_with(1)
        .saying(&["there is no backup folder", "BACKUP_DIR"]);
    let archive = site.with_sound_archive();
    let name = archive.file_name().unwrap().to_str().unwrap();
    site.run(&["verify", "--all"]).done();
    site.with_older("");
    let outcome = site.run(&["verify", "--all"]).ended_with(1);
    outcome.printing(&[
        &format!("✓ {name} is sound"),
        &format!("✗ {OLDER}.tar.gz is DAMAGED"),
        "the file is empty",
    ]);
}

#[test]
fn a_missing_checksum_file_is_mentioned_and_no_damage() {
    let site = Site::new();
    site.with_sound_archive();
    site.run(&["verify"])
        .done()
        .printing(&["is sound", "not checked: the .sha256: there is none"]);
}

#[test]
fn a_checksum_file_that_says_something_else_is_damage() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let name = archive.file_name().unwrap().to_str().unwrap();
    let sidecar = site.backups().join(format!("{name}.sha256"));
    for (content, words) in [
        (format!("{}  {name}\n", "0".repeat(64)), "SHA-256"),
        (
            format!("{}  another.tar.gz\n", "0".repeat(64)),
            ".sha256 is that of another file",
        ),
        (String::new(), ".sha256 is not"),
    ] {
        fs::write(&sidecar, content).unwrap();
        site.run(&["verify"])
            .ended_with(1)
            .printing(&["DAMAGED", words]);
    }
}

#[test]
fn nothing_depends_on_our_own_folder() {
    let site = Site::new();
    site.with_sound_archive();
    site.run(&["verify"]).done();
    assert!(site.backups().join(".pantry-keeper").is_dir());
    fs::remove_dir_all(site.backups().join(".pantry-keeper")).unwrap();
    site.run(&["verify"]).done();
    fs::write(
        site.backups().join(".pantry-keeper/verified.json"),
        "{ damaged",
    )
    .unwrap();
    site.run(&["verify"]).done();
    site.run(&["list"]).done();
}

#[test]
fn a_folder_that_only_may_be_read_is_enough() {
    let site = Site::new();
    site.with_sound_archive();
    let read_only = "mount --bind \"$BACKUP_DIR\" \"$BACKUP_DIR\" && mount -o remount,ro,bind \"$BACKUP_DIR\" && exec \"$@\"";
    let site = site.started_by(&["unshare", "-rm", "sh", "-c", read_only, "sh"]);
    site.run(&["verify"]).done().printing(&["is sound"]);
    site.run(&["list"]).done();
}

#[test]
fn a_path_is_not_a_name() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let name = archive.file_name().unwrap().to_str().unwrap();
    for path in [
        format!("./{name}"),
        archive.display().to_string(),
        "../x".into(),
        String::new(),
    ] {
        site.run(&["verify", &path])
            .ended_with(2)
            .saying(&["is not an archive's name", "not a path"]);
    }
}

#[test]
fn a_name_that_is_not_there_is_an_error_of_the_arguments() {
    let site = Site::new();
    site.with_sound_archive();
    site.run(&["verify", OLDER])
        .ended_with(2)
        .saying(&[&format!("there is no {OLDER}.tar.gz in ")]);
    site.run(&["verify", "--all", OLDER]).ended_with(2);
}

#[test]
fn json_tells_everything_in_one_document() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let json = site.run(&["verify", "--json"]).done().json();
    assert_eq!(json["sound"], true);
    let report = &json["archives"][0];
    assert_eq!(
        report["archive"],
        archive.file_name().unwrap().to_str().unwrap()
    );
    assert_eq!(report["sound"], true);
    assert_eq!(
        report["archive_bytes"],
        fs::metadata(&archive).unwrap().len()
    );
    assert_eq!(report["damage"], serde_json::json!([]));
    assert_eq!(report["sha256"].as_str().unwrap().len(), 64);
    let namespaces = report["namespaces"].as_array().unwrap();
    let products = namespaces
        .iter()
        .find(|checked| checked["collection"] == "products")
        .unwrap();
    assert_eq!(
        (&products["database"], &products["type"]),
        (&"shop".into(), &"collection".into())
    );
    assert_eq!(
        (&products["documents"], &products["damage"]),
        (&300.into(), &serde_json::Value::Null)
    );

    let json = site.run(&["verify", "--json", "../x"]).ended_with(2).json();
    assert!(
        json["error"].as_str().unwrap().contains("not a path"),
        "{json}"
    );
}
