//! There and back: a backup, its copy, the proof, what retention takes, and an archive brought home.

use super::{copies, names, with_disk};
use crate::support::{Place, Server, Site, Sshd, Versity, shared};
use std::fs;

/// Everything that a place must be able to do; its copies end in `state`.
fn there_and_back(site: &Site, state: &str) {
    site.run(&["backup"]).done().saying(&["copied to"]);
    let archive = site.archive();
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    let content = fs::read(&archive).unwrap();
    let listed = copies(site);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["archive"], name);
    assert_eq!(listed[0]["state"], state);
    assert_eq!(listed[0]["archive_bytes"], content.len());
    site.run(&["verify", "--offsite", "--all"])
        .done()
        .printing(&["is what its checksum says"]);
    assert_eq!(copies(site)[0]["state"], "read");
    // Nothing is sent twice.
    let again = site.run(&["backup"]).done();
    assert_eq!(again.stderr.matches("copied to").count(), 1);
    assert_eq!(copies(site).len(), 2);
    // The house burned down.
    fs::remove_dir_all(site.backups()).unwrap();
    site.run(&["fetch", &name]).done().printing(&["is sound"]);
    assert_eq!(fs::read(&archive).unwrap(), content);
    site.run(&["verify", &name]).done();
    site.run(&["fetch", &name])
        .ended_with(1)
        .saying(&["is here already"]);
    site.run(&["fetch", "latest"]).done();
    assert_eq!(site.archives().len(), 2);
}

#[test]
fn a_folder() {
    let site = Site::of(shared());
    let (site, disk) = with_disk(site);
    there_and_back(&site, "read");
    assert_eq!(names(&disk).len(), 4);
}

#[test]
fn s3() {
    let place = Place::s3();
    there_and_back(&Site::of(shared()).with_place(&place), "confirmed");
}

#[test]
fn s3_read_back_when_that_is_asked_for() {
    let place = Place::s3();
    let site = Site::of(shared())
        .with_place(&place)
        .with("OFFSITE_VERIFY", "read");
    there_and_back(&site, "read");
}

#[test]
fn s3_by_another_implementation_in_one_piece_and_in_parts() {
    let Some(versity) = Versity::start() else {
        return;
    };
    let with_access = |site: Site| {
        site.with("OFFSITE_URL", versity.url())
            .with("AWS_ACCESS_KEY_ID", "right-key-id")
            .with("AWS_SECRET_ACCESS_KEY", "right-secret-key")
    };
    there_and_back(&with_access(Site::of(shared())), "confirmed");
    assert_eq!(names(&versity.files()).len(), 4);
    let server = Server::standalone();
    server.seed("parts");
    let large = with_access(Site::of(&server).with("BACKUP_PREFIX", "large"));
    there_and_back(&large, "confirmed");
    assert_eq!(names(&versity.files()).len(), 8);
    let site = large.with("AWS_SECRET_ACCESS_KEY", "wrong-secret-key");
    site.run(&["backup"])
        .done()
        .saying(&["SignatureDoesNotMatch"]);
}

#[test]
fn webdav() {
    let place = Place::webdav();
    there_and_back(&Site::of(shared()).with_place(&place), "read");
    assert_eq!(names(&place.files()).len(), 4);
}

#[test]
fn sftp() {
    let Some(sshd) = Sshd::start() else { return };
    there_and_back(&Site::of(shared()).with_sshd(&sshd), "read");
    assert_eq!(names(&sshd.files()).len(), 4);
}

#[test]
fn rclone() {
    let Some(site) = Site::of(shared()).with_rclone() else {
        return;
    };
    there_and_back(&site, "read");
    assert_eq!(names(&site.path("far")).len(), 4);
}

#[test]
fn retention_there_is_its_own_and_removes_what_is_proven_alone() {
    let site = Site::of(shared());
    let disk = site.path("disk2");
    fs::create_dir(&disk).unwrap();
    fs::write(disk.join("notes.txt"), "not ours").unwrap();
    let site = site
        .with("OFFSITE_URL", format!("file://{}", disk.display()))
        .with("OFFSITE_RETENTION_MIN_KEEP", 1)
        .with("OFFSITE_RETENTION_DAYS", 30);
    let site = site.with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"]).done();
    for day in ["2026-01-20", "2026-02-20"] {
        site.set_clock(&format!("{day}T02:00:00Z"));
        site.run(&["backup"]).done();
    }
    assert_eq!(site.archives().len(), 3, "RETENTION_MIN_KEEP is 3 here");
    let there = names(&disk);
    assert!(there.contains("notes.txt"));
    let there: Vec<&String> = there.iter().filter(|name| name.ends_with(".gz")).collect();
    assert!(
        there.len() == 1 && there[0].contains("20260220"),
        "{there:?}"
    );
}
