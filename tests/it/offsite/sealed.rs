//! Sealed while they are sent: what stays is plain, what leaves is not, and only the key opens it.

use super::{copies, names, with_disk, with_key};
use crate::support::{Place, Site, Sshd, shared};
use std::fs;

/// Backup, sealed copy, proof without the key, and all of it back with the key.
fn sealed_there_and_back(site: Site, state: &str) -> Site {
    let (site, key) = with_key(site.with("BACKUP_DATABASES", "shop"));
    site.run(&["backup"])
        .done()
        .saying(&["sealed and copied to"]);
    let archive = site.archive();
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.ends_with(".tar.gz"), "what stays is plain");
    let listed = copies(&site);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["archive"], format!("{name}.age"));
    assert_eq!(listed[0]["state"], state);
    site.run(&["verify", "--offsite", "--all"])
        .done()
        .printing(&["is what its checksum says"]);
    // It is not sealed and sent a second time.
    let again = site.run(&["backup"]).done();
    assert_eq!(again.stderr.matches("copied to").count(), 1);
    // Nothing is left of what was done on the way.
    let left = names(&site.backups().join(".pantry-keeper/sending"));
    assert!(left.is_empty(), "{left:?}");
    let content = fs::read(&archive).unwrap();
    fs::remove_dir_all(site.backups()).unwrap();
    site.run(&["fetch", &name]).done();
    let fetched = site.backups().join(format!("{name}.age"));
    let sealed = fs::read(&fetched).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    let site = site.with("AGE_IDENTITY_FILE", key.display());
    site.run(&["verify", &format!("{name}.age")])
        .done()
        .printing(&["is sound"]);
    assert!(sealed.len() > content.len());
    site
}

#[test]
fn a_folder() {
    let site = Site::of(shared());
    let (site, disk) = with_disk(site);
    let _site = sealed_there_and_back(site, "read");
    let there = names(&disk);
    assert!(
        there.iter().all(|name| name.contains(".tar.gz.age")),
        "{there:?}"
    );
}

#[test]
fn s3() {
    let place = Place::s3();
    sealed_there_and_back(Site::of(shared()).with_place(&place), "confirmed");
}

#[test]
fn webdav_with_a_storm_in_which_it_is_sealed_anew() {
    let place = Place::webdav();
    place.behave(r#"{"method": "PUT", "least": 1000, "do": "503", "times": 1}"#);
    sealed_there_and_back(Site::of(shared()).with_place(&place), "read");
}

#[test]
fn sftp() {
    let Some(sshd) = Sshd::start() else { return };
    sealed_there_and_back(Site::of(shared()).with_sshd(&sshd), "read");
}

#[test]
fn rclone() {
    let Some(site) = Site::of(shared()).with_rclone() else {
        return;
    };
    sealed_there_and_back(site, "read");
}

#[test]
fn an_archive_that_changed_after_it_was_verified_is_not_sent() {
    let site = Site::of(shared());
    let disk = site.path("disk2");
    let site = site.with("OFFSITE_URL", format!("file://{}", disk.display()));
    let (site, _) = with_key(site.with("BACKUP_DATABASES", "shop"));
    site.run(&["backup"]).done();
    let archive = site.archive();
    let mut content = fs::read(&archive).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&archive, content).unwrap();
    fs::create_dir(&disk).unwrap();
    site.run(&["backup"])
        .done()
        .saying(&["it is not what its checksum says"]);
    // The new one alone is there, whole.
    assert_eq!(names(&disk).len(), 2, "{:?}", names(&disk));
}

#[test]
fn what_is_sealed_anew_does_not_lie_beside_the_checksum_of_what_is_gone() {
    let site = Site::of(shared());
    let (site, disk) = with_disk(site);
    let (site, _) = with_key(site.with("BACKUP_DATABASES", "shop"));
    site.run(&["backup"]).done();
    // Another copy stays, so that it is the disk it was.
    site.run(&["backup"]).done();
    let name = format!("{}.age", site.archives()[0]);
    fs::remove_file(disk.join(&name)).unwrap();
    let old = fs::read(disk.join(format!("{name}.sha256"))).unwrap();
    site.run(&["backup"]).done();
    assert!(disk.join(&name).exists());
    assert_ne!(fs::read(disk.join(format!("{name}.sha256"))).unwrap(), old);
    site.run(&["verify", "--offsite", "--all"]).done();
    // A checksum that is not that of a copy which is what was sent is what is wrong, not the copy.
    fs::write(disk.join(format!("{name}.sha256")), &old).unwrap();
    let found = site.run(&["verify", "--offsite", &name]);
    assert_eq!(found.code(), Some(1));
    found.printing(&["is what was sent, but its .sha256 is wrong"]);
    let damaged = copies(&site);
    assert!(
        damaged.iter().all(|copy| copy["damage"].is_null()),
        "{damaged:?}"
    );
    fs::remove_file(disk.join(format!("{name}.sha256"))).unwrap();
    site.run(&["backup"]).done();
    site.run(&["verify", "--offsite", "--all"]).done();
    fs::remove_file(site.backups().join(&site.archives()[0])).unwrap();
    site.run(&["fetch", &name]).done();
}

/// Two machines that agree on the name of an archive; the copy of the first is at the place. Where this one is busy, a second
/// may pass between the two, which are made anew then.
fn two_machines(sealed: bool, others: &str) -> (Site, Site) {
    let mut attempts = (0..20).map(|_| two_backups(sealed, others));
    attempts
        .find(|(first, second)| first.archives() == second.archives())
        .unwrap()
}

fn two_backups(sealed: bool, others: &str) -> (Site, Site) {
    let first = Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with_clock("2026-01-01T02:00:00Z");
    let disk = first.path("disk2");
    fs::create_dir(&disk).unwrap();
    let second = Site::of(shared())
        .with("BACKUP_DATABASES", others)
        .with_clock("2026-01-01T02:00:00Z");
    second.run(&["backup"]).done();
    let url = format!("file://{}", disk.display());
    let (mut first, mut second) = (
        first.with("OFFSITE_URL", &url),
        second.with("OFFSITE_URL", &url),
    );
    if sealed {
        (first, second) = (with_key(first).0, with_key(second).0);
    }
    first.run(&["backup"]).done().saying(&["copied to"]);
    (first, second)
}

#[test]
fn the_sealed_copy_of_another_machine_is_not_taken_for_ours() {
    let (_first, second) = two_machines(true, "bulk");
    second
        .run(&["backup"])
        .done()
        .saying(&["is not this archive", "as this archive never has sealed"]);
    assert!(copies(&second)[0]["damage"].is_string());
}

#[test]
fn the_copy_of_another_machine_is_not_proven_by_verify() {
    let (_first, second) = two_machines(false, "blog");
    second.run(&["verify", "--offsite", "--all"]).done();
    second.run(&["backup"]).done().saying(&["bytes instead of"]);
    assert!(copies(&second)[0]["damage"].is_string());
}

#[test]
fn a_sealed_copy_of_which_nothing_is_known_counts_once_a_key_opened_it() {
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with_clock("2026-01-01T02:00:00Z");
    let (site, _) = with_disk(site);
    let (site, key) = with_key(site);
    site.run(&["backup"]).done();
    fs::remove_file(site.backups().join(".pantry-keeper/offsite.json")).unwrap();
    let words = "nothing here tells whether it is this archive";
    site.run(&["backup"]).done().saying(&[words]);
    assert_eq!(copies(&site)[0]["state"], "sent");
    // Proof that it is what its checksum says is no proof of whose it is.
    site.run(&["verify", "--offsite", "--all"]).done();
    site.run(&["backup"]).done().saying(&[words]);
    let site = site.with("AGE_IDENTITY_FILE", key.display());
    let said = site.run(&["backup"]).done();
    assert!(!said.stderr.contains(words), "{}", said.stderr);
    let listed = copies(&site);
    assert!(
        listed
            .iter()
            .all(|copy| copy["state"] == "read" && copy["damage"].is_null()),
        "{listed:?}"
    );
    assert!(
        !listed[0]["kept"].to_string().contains("not verified"),
        "{listed:?}"
    );
}
