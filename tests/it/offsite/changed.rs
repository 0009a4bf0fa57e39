//! What is changed elsewhere while it is sent, between sending and proof, or afterwards: it is never taken for the archive, an
//! alarm, and never repaired.

use super::{copies, names, with_disk};
use crate::support::{Elsewhere, Place, Site, shared};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

fn flip(path: &Path) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 0).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 0).unwrap();
}

/// Runs a backup, and changes the first byte of everything that is on its way to the place.
fn damaged_on_its_way(kind: &str) -> Option<(Elsewhere, Site)> {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "bulk");
    let (place, site) = Elsewhere::start(kind, site)?;
    let site = site.with("OFFSITE_BANDWIDTH", "2MB");
    let over = AtomicBool::new(false);
    let (outcome, damaged) = thread::scope(|scope| {
        let damaging = scope.spawn(|| {
            let mut damaged = Vec::new();
            while !over.load(Ordering::Relaxed) {
                for path in place.unfinished() {
                    let found = fs::metadata(&path).map(|file| (file.ino(), file.len()));
                    if let Ok((file, 1..)) = found
                        && !path.display().to_string().contains(".sha256")
                        && !damaged.contains(&file)
                    {
                        flip(&path);
                        damaged.push(file);
                    }
                }
                thread::sleep(Duration::from_millis(2));
            }
            damaged.len()
        });
        let outcome = site.run(&["backup"]);
        over.store(true, Ordering::Relaxed);
        (outcome, damaging.join().unwrap())
    });
    let outcome = outcome.done();
    assert!(damaged > 0, "nothing was on its way: {}", outcome.stderr);
    assert!(!outcome.stderr.contains("copied to"), "{}", outcome.stderr);
    Some((place, site))
}

fn damaged_and_made_up_for(kind: &str) {
    let Some((place, site)) = damaged_on_its_way(kind) else {
        return;
    };
    assert_eq!(place.nothing_half(&site), 0);
    assert_ne!(site.run(&["verify", "--offsite"]).code(), Some(0));
    site.run(&["verify"]).done();
    let site = site.with("OFFSITE_BANDWIDTH", "");
    site.run(&["backup"]).done();
    assert_eq!(place.nothing_half(&site), 4, "all is made up for");
}

#[test]
fn file_damaged_on_its_way() {
    damaged_and_made_up_for("file");
}

#[test]
fn sftp_damaged_on_its_way() {
    damaged_and_made_up_for("sftp");
}

#[test]
fn rclone_damaged_on_its_way() {
    // rclone has given it its name by then: it is read back, and stays without a .sha256.
    let Some((place, site)) = damaged_on_its_way("rclone") else {
        return;
    };
    let there = names(&place.files);
    assert_eq!(there.len(), 1, "{there:?}");
    let damaged = copies(&site).remove(0);
    assert!(
        damaged["damage"]
            .as_str()
            .unwrap()
            .contains("its SHA-256 differs")
    );
    let site = site.with("OFFSITE_BANDWIDTH", "");
    let said = site
        .run(&["backup"])
        .done()
        .saying(&["its SHA-256 differs"]);
    assert_eq!(said.stderr.matches("copied to").count(), 1);
    assert_eq!(names(&place.files).len(), 3, "it is not repaired");
}

#[test]
fn webdav_that_keeps_half_of_it_and_says_that_all_is_well() {
    let place = Place::webdav();
    let site = Site::of(shared()).with_place(&place);
    let site = site.with("BACKUP_DATABASES", "shop");
    place.behave(r#"{"method": "PUT", "least": 1000, "do": "truncate"}"#);
    let said = site
        .run(&["backup"])
        .done()
        .saying(&["did not arrive as it was sent"]);
    assert!(!said.stderr.contains("copied to"), "{}", said.stderr);
    let there = names(&place.files());
    assert!(there.iter().all(|name| name.starts_with('.')), "{there:?}");
    place.behave_well();
    site.run(&["backup"]).done();
    assert_eq!(names(&place.files()).len(), 4, "all is made up for");
    site.run(&["verify", "--offsite", "--all"]).done();
}

#[test]
fn webdav_that_says_a_wrong_size() {
    let place = Place::webdav();
    let site = Site::of(shared()).with_place(&place);
    let site = site.with("BACKUP_DATABASES", "shop");
    site.run(&["backup"]).done().saying(&["copied to"]);
    place.behave(r#"{"method": "PROPFIND", "do": "lie"}"#);
    site.run(&["backup"]).done().saying(&["bytes instead of"]);
    place.behave_well();
    let listed = copies(&site);
    let damaged = listed.iter().filter(|copy| copy["damage"].is_string());
    assert_eq!(damaged.count(), 1, "{listed:?}");
}

#[test]
fn rclone_a_file_that_was_changed_there_is_an_alarm_and_stays() {
    let Some(site) = Site::of(shared()).with_rclone() else {
        return;
    };
    let site = site.with("BACKUP_DATABASES", "shop");
    site.run(&["backup"]).done();
    let (first, far) = (site.archives().remove(0), site.path("far"));
    // Of the same size: reading it back shows it.
    flip(&far.join(&first));
    let changed = fs::read(far.join(&first)).unwrap();
    let found = site.run(&["verify", "--offsite"]);
    assert_eq!(found.code(), Some(1));
    found.printing(&["is damaged"]);
    site.run(&["backup"])
        .done()
        .saying(&["is damaged", "it is neither used nor replaced"]);
    assert_eq!(fs::read(far.join(&first)).unwrap(), changed);
    // Of another size: the next backup's look shows it.
    let second = site
        .archives()
        .into_iter()
        .find(|name| *name != first)
        .unwrap();
    fs::write(far.join(&second), "something else").unwrap();
    site.run(&["backup"])
        .done()
        .saying(&["has 14 bytes instead of"]);
    assert_eq!(
        fs::read_to_string(far.join(&second)).unwrap(),
        "something else"
    );
    let listed = copies(&site);
    let damaged = listed.iter().filter(|copy| copy["damage"].is_string());
    assert_eq!((damaged.count(), listed.len()), (2, 3), "{listed:?}");
}

/// Two backups whose copies are on a disk; the first archive is gone here. The clock stands: only its copy's name keeps the
/// next archive from being called like it.
fn with_one_gone_here() -> (Site, std::path::PathBuf, String) {
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with_clock("2026-01-01T02:00:00Z");
    let (site, disk) = with_disk(site);
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    let first = site.archives().remove(0);
    fs::remove_file(site.backups().join(&first)).unwrap();
    fs::remove_file(site.backups().join(format!("{first}.sha256"))).unwrap();
    (site, disk, first)
}

#[test]
fn another_size_is_an_alarm_also_where_the_archive_is_gone_here() {
    let (site, disk, first) = with_one_gone_here();
    fs::write(disk.join(&first), "something else").unwrap();
    site.run(&["backup"])
        .done()
        .saying(&["has 14 bytes instead of"]);
    let listed = copies(&site);
    let damage = listed[0]["damage"].as_str().unwrap();
    assert!(damage.contains("has 14 bytes instead of"), "{damage}");
    assert_eq!(site.run(&["health"]).code(), Some(1));
    let kept = fs::read_to_string(disk.join(&first)).unwrap();
    assert_eq!(kept, "something else");
}

#[test]
fn a_checksum_that_is_gone_is_written_anew_also_where_the_archive_is_gone_here() {
    let (site, disk, first) = with_one_gone_here();
    let sidecar = disk.join(format!("{first}.sha256"));
    let before = fs::read(&sidecar).unwrap();
    fs::remove_file(&sidecar).unwrap();
    site.run(&["backup"]).done().saying(&["is there again"]);
    assert_eq!(fs::read(&sidecar).unwrap(), before);
    assert!(!site.archives().contains(&first));
    site.run(&["verify", "--offsite", "--all"]).done();
}

#[test]
fn copies_that_are_all_gone_at_once_are_told_of_for_a_week() {
    let place = Place::webdav();
    let site = Site::of(shared())
        .with_place(&place)
        .with("BACKUP_DATABASES", "shop")
        .with("OFFSITE_MAX_LAG", "30d")
        .with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    for name in names(&place.files()) {
        fs::remove_file(place.files().join(name)).unwrap();
    }
    site.run(&["backup"]).done();
    assert_eq!(names(&place.files()).len(), 6, "all are sent again");
    let words = "all 2 copies at webdavs://localhost";
    let told = || site.run(&["list"]).done().stdout.contains(words);
    assert!(told());
    site.run(&["backup"])
        .done()
        .saying(&[words, "were gone on 1 January 2026"]);
    site.set_clock("2026-01-09T02:00:00Z");
    assert!(!told());
}

#[test]
fn copies_that_were_out_of_sight_once_are_ours_again() {
    let place = Place::webdav();
    let site = Site::of(shared())
        .with_place(&place)
        .with("BACKUP_DATABASES", "shop");
    site.run(&["backup"]).done();
    let first = site.archives().remove(0);
    let sidecar = format!("{first}.sha256");
    let moved = |from: &Path, to: &Path| {
        for name in [&first, &sidecar] {
            fs::rename(from.join(name), to.join(name)).unwrap();
        }
    };
    for name in [&first, &sidecar] {
        fs::remove_file(site.backups().join(name)).unwrap();
    }
    // As where a volume is not mounted.
    let (there, aside) = (place.files(), site.path("aside"));
    fs::create_dir(&aside).unwrap();
    moved(&there, &aside);
    site.run(&["backup"])
        .done()
        .saying(&["is gone, and nobody"]);
    assert_eq!(copies(&site).len(), 1);
    moved(&aside, &there);
    site.run(&["backup"]).done().saying(&["is there again"]);
    let kept = || copies(&site)[0]["kept"].to_string();
    assert!(kept().contains("not verified"), "{}", kept());
    site.run(&["verify", "--offsite", "--all"]).done();
    assert!(!kept().contains("not verified"), "{}", kept());
}
