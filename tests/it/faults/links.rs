//! Names that are taken, and links where files should be.

use crate::support::{Server, Site};
use chrono::{TimeDelta, Utc};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::OnceLock;

fn small() -> &'static Server {
    static SMALL: OnceLock<Server> = OnceLock::new();
    SMALL.get_or_init(|| {
        let server = Server::standalone();
        server.seed("small");
        server
    })
}

/// The names without extension that an archive may get in the next minutes.
fn coming_stems() -> Vec<String> {
    let name = |second| {
        (Utc::now() + TimeDelta::seconds(second))
            .format("jorbites_backup_%Y%m%d_%H%M%S")
            .to_string()
    };
    (0..90).map(name).collect()
}

fn site_with_victim() -> Site {
    let site = Site::of(small());
    fs::create_dir_all(site.backups()).unwrap();
    fs::write(site.path("victim"), "untouched").unwrap();
    site
}

fn untouched(site: &Site) {
    assert_eq!(
        fs::read_to_string(site.path("victim")).unwrap(),
        "untouched"
    );
}

#[test]
fn a_clock_that_was_set_back_never_overwrites_an_archive() {
    let site = site_with_victim();
    let stems = coming_stems();
    for stem in &stems {
        fs::write(site.backups().join(format!("{stem}.tar.gz")), "an archive").unwrap();
    }
    let json = site.run(&["backup", "--json"]).done().json();
    let stem = json["archive"]
        .as_str()
        .unwrap()
        .strip_suffix(".tar.gz")
        .unwrap()
        .to_owned();
    assert!(stem > *stems.last().unwrap(), "{stem}");
    for stem in &stems {
        assert_eq!(
            fs::read_to_string(site.backups().join(format!("{stem}.tar.gz"))).unwrap(),
            "an archive"
        );
    }
    site.run(&["verify", &stem]).done();
}

#[test]
fn a_link_in_place_of_the_archive_is_not_followed() {
    let site = site_with_victim();
    let stems = coming_stems();
    for stem in &stems {
        symlink(
            site.path("victim"),
            site.backups().join(format!("{stem}.tar.gz")),
        )
        .unwrap();
    }
    let json = site.run(&["backup", "--json"]).done().json();
    let archive = site.backups().join(json["archive"].as_str().unwrap());
    assert!(fs::symlink_metadata(&archive).unwrap().is_file());
    untouched(&site);
    assert!(
        stems
            .iter()
            .all(|stem| site.backups().join(format!("{stem}.tar.gz")).is_symlink())
    );
}

#[test]
fn a_link_in_place_of_the_unfinished_archive_is_not_followed() {
    let site = site_with_victim();
    for stem in coming_stems() {
        symlink(
            site.path("victim"),
            site.backups().join(format!(".{stem}.tar.gz.partial")),
        )
        .unwrap();
    }
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["cannot create", ".tar.gz.partial"]);
    untouched(&site);
    let archives = fs::read_dir(site.backups())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(
        archives
            .filter(|name| name.to_string_lossy().ends_with(".tar.gz"))
            .count(),
        0
    );
}

#[test]
fn a_link_in_place_of_the_checksum_is_replaced_and_not_followed() {
    let site = site_with_victim();
    for stem in coming_stems() {
        symlink(
            site.path("victim"),
            site.backups().join(format!("{stem}.tar.gz.sha256")),
        )
        .unwrap();
        symlink(
            site.path("victim"),
            site.backups()
                .join(format!(".{stem}.tar.gz.sha256.partial")),
        )
        .unwrap();
    }
    site.run(&["backup"]).done();
    untouched(&site);
    let sidecar = site
        .backups()
        .join(format!("{}.sha256", site.archive().display()));
    assert!(fs::symlink_metadata(&sidecar).unwrap().is_file());
}

#[test]
fn a_link_in_place_of_the_lock_is_refused() {
    let site = site_with_victim();
    fs::create_dir(site.backups().join(".pantry-keeper")).unwrap();
    symlink(
        site.path("victim"),
        site.backups().join(".pantry-keeper/lock"),
    )
    .unwrap();
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["cannot open", ".pantry-keeper/lock"]);
    untouched(&site);
}

#[test]
fn only_leftovers_of_ours_are_swept() {
    let site = Site::of(small());
    let before = site.with_older_files();
    let ours = [
        ".jorbites_backup_20250105_020000.tar.gz.partial",
        ".jorbites_backup_20250105_020000.tar.gz.sha256.partial",
    ];
    for name in ours {
        fs::write(site.backups().join(name), "left behind").unwrap();
    }
    let others = [
        ".other_backup_20250105_020000.tar.gz.partial",
        "jorbites_backup_20250105_020000.tar.gz.partial",
        ".jorbites_backup_20250105.tar.gz.partial",
        ".jorbites_backup_20250105_020000.partial",
    ];
    for name in others {
        fs::write(site.backups().join(name), "not ours").unwrap();
    }
    fs::create_dir(
        site.backups()
            .join(".jorbites_backup_20250106_020000.tar.gz.partial"),
    )
    .unwrap();
    symlink(
        "/etc/passwd",
        site.backups()
            .join(".jorbites_backup_20250107_020000.tar.gz.partial"),
    )
    .unwrap();
    site.run(&["backup"])
        .done()
        .saying(&["removed 2 leftover files"]);
    let left = before.added();
    assert_eq!(
        left.iter()
            .filter(|name| name.ends_with(".partial"))
            .count(),
        6,
        "{left:?}"
    );
    assert!(
        ours.iter().all(|name| !left.contains(&(*name).to_owned())),
        "{left:?}"
    );
}
