//! Several places: which copy is brought home, and which are read back.

use super::{names, with_disk};
use crate::support::{SOON, Site, shared, until};
use sha2::Digest;
use std::fs;
use std::path::{Path, PathBuf};

/// Two disks as places.
fn with_two_disks(site: Site) -> (Site, [PathBuf; 2]) {
    let disks = ["disk2", "disk3"].map(|name| site.path(name));
    let urls = disks.clone().map(|disk| {
        fs::create_dir(&disk).unwrap();
        format!("file://{}", disk.display())
    });
    let site = site
        .with("OFFSITE_URL", urls.join(","))
        .with("BACKUP_DATABASES", "shop");
    (site, disks)
}

fn flip(path: &Path) {
    let mut content = fs::read(path).unwrap();
    content[0] ^= 1;
    fs::write(path, content).unwrap();
}

#[test]
fn a_copy_is_fetched_from_wherever_it_can_be() {
    let (site, [first, second]) = with_two_disks(Site::of(shared()));
    site.run(&["backup"]).done();
    let archive = site.archive();
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    let fetch = |words: &[&str]| {
        fs::remove_file(&archive).unwrap();
        let said = site.run(&["fetch", "latest"]).done().saying(words);
        assert!(said.stdout.contains("disk3"), "{}", said.stdout);
    };
    // The disk is not there, though all that was on it is known.
    let unplugged = site.path("unplugged");
    fs::rename(&first, &unplugged).unwrap();
    fetch(&["could not look at", "there is no folder"]);
    fs::rename(&unplugged, &first).unwrap();
    // It is damaged there, which nobody knew.
    flip(&first.join(&name));
    fetch(&["is not what its .sha256 says", "trying the next copy"]);
    // It is not whole there.
    flip(&first.join(&name));
    fs::remove_file(first.join(format!("{name}.sha256"))).unwrap();
    fetch(&[]);
    // Nowhere is it good any more.
    flip(&second.join(&name));
    fs::remove_file(&archive).unwrap();
    site.run(&["fetch", "latest"])
        .ended_with(1)
        .saying(&["is not what its .sha256 says"]);
    fs::remove_file(second.join(format!("{name}.sha256"))).unwrap();
    site.run(&["fetch", "latest"])
        .ended_with(1)
        .saying(&["is not whole: it has no .sha256"]);
}

#[test]
fn verify_reads_the_newest_at_each_place_and_says_where_there_is_none() {
    let (site, [first, second]) = with_two_disks(Site::of(shared()));
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    let [older, newer] = site.archives().try_into().unwrap();
    for file in [newer.clone(), format!("{newer}.sha256")] {
        fs::remove_file(second.join(file)).unwrap();
    }
    let verified = site.run(&["verify", "--offsite"]).done();
    for (name, disk) in [(&newer, &first), (&older, &second)] {
        let words = format!("the copy of {name} at file://{} is what", disk.display());
        assert!(verified.stdout.contains(&words), "{}", verified.stdout);
    }
    flip(&second.join(&older));
    let verified = site.run(&["verify", "--offsite"]).ended_with(1);
    assert!(
        verified.stdout.contains("is damaged"),
        "{}",
        verified.stdout
    );
    site.run(&["verify", "--offsite", &newer])
        .ended_with(1)
        .saying(&["disk3: there is no copy of"]);
    for name in names(&second) {
        fs::remove_file(second.join(name)).unwrap();
    }
    for arguments in [
        ["verify", "--offsite"].as_slice(),
        &["verify", "--offsite", "--all"],
    ] {
        site.run(arguments)
            .ended_with(1)
            .saying(&["disk3: there is no copy there"]);
    }
    fs::rename(&second, site.path("unplugged")).unwrap();
    site.run(&["verify", "--offsite"])
        .ended_with(1)
        .saying(&["disk3: there is no folder"]);
}

#[test]
fn damage_that_is_found_while_copies_are_on_their_way_is_kept() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let (site, disk) = with_disk(site);
    site.run(&["backup"]).done();
    let [name] = site.archives().try_into().unwrap();
    flip(&disk.join(&name));
    let site = site
        .with("BACKUP_DATABASES", "bulk")
        .with("OFFSITE_BANDWIDTH", "1MB");
    let running = site.start(&["backup"]);
    until("the next is on its way", SOON, || {
        names(&disk).iter().any(|name| name.starts_with('.'))
    });
    let found = site.run(&["verify", "--offsite", &name]).ended_with(1);
    assert!(found.stdout.contains("is damaged"), "{}", found.stdout);
    let damage = || {
        site.run(&["list"])
            .done()
            .stdout
            .contains("is damaged: its SHA-256")
    };
    assert!(damage(), "it is known at once");
    let ended = running.end(SOON * 3).done();
    assert!(ended.stderr.contains("copied to"), "{}", ended.stderr);
    assert!(damage(), "it is known for good");
    let left = names(&site.backups().join(".pantry-keeper/offsite-found"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn backups_do_not_wait_for_a_fetch_and_one_that_was_killed_leaves_nothing() {
    let (site, _disks) = with_two_disks(Site::of(shared()));
    site.run(&["backup"]).done();
    let archive = site.archive();
    fs::remove_file(&archive).unwrap();
    let own = site.backups().join(".pantry-keeper");
    let fetching = own.join("fetching");
    // As a backup that is at work: what was fetched waits for its name alone.
    let lock = fs::File::open(own.join("lock")).unwrap();
    lock.lock().unwrap();
    let running = site.start(&["fetch", "latest"]);
    running.until_it_says("waits for its end");
    assert_eq!(names(&fetching).len(), 1);
    assert!(!archive.exists());
    site.run(&["fetch", "latest"])
        .ended_with(3)
        .saying(&["it brings a copy home"]);
    lock.unlock().unwrap();
    running.end(SOON).done().printing(&["is sound"]);
    assert!(archive.exists());
    fs::write(fetching.join(".left.partial"), "half").unwrap();
    site.run(&["backup"]).done();
    assert!(names(&fetching).is_empty());
}

#[test]
fn an_archive_that_was_sealed_on_its_way_is_found_by_the_name_it_had_here() {
    let (site, _) = with_two_disks(Site::of(shared()));
    let (site, key) = super::with_key(site);
    site.run(&["backup"]).done();
    let name = site.archives().remove(0);
    fs::remove_dir_all(site.backups()).unwrap();
    let site = site.with("AGE_IDENTITY_FILE", key.display());
    let sealed = format!("{name}.age");
    site.run(&["show", &name])
        .done()
        .saying(&["reading", &sealed]);
}

#[test]
fn what_the_disk_has_no_room_for_is_not_fetched() {
    let (site, [disk, _]) = with_two_disks(Site::of(shared()));
    let site = site.with("OFFSITE_URL", format!("file://{}", disk.display()));
    site.run(&["backup"]).done();
    let name = site.archives().remove(0);
    fs::remove_file(site.archive()).unwrap();
    // It takes no room itself: nothing was written in it.
    let copy = fs::OpenOptions::new().write(true).open(disk.join(&name));
    copy.unwrap().set_len(8 << 40).unwrap();
    // As on a new machine, which does not know its size.
    fs::remove_file(site.backups().join(".pantry-keeper/offsite.json")).unwrap();
    site.run(&["fetch", &name])
        .ended_with(1)
        .saying(&["has no room for it"]);
}

/// Changes a copy, and its `.sha256` with it.
fn replace(disk: &Path, name: &str) {
    let path = disk.join(name);
    let mut content = fs::read(&path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    let sha256 = hex::encode(sha2::Sha256::digest(&content));
    fs::write(&path, content).unwrap();
    fs::write(
        disk.join(format!("{name}.sha256")),
        format!("{sha256}  {name}\n"),
    )
    .unwrap();
}

#[test]
fn a_copy_that_was_replaced_together_with_its_checksum_is_the_last_choice_and_never_fetched() {
    let (site, [first, second]) = with_two_disks(Site::of(shared()));
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    let [older, newer] = site.archives().try_into().unwrap();
    for name in [&older, &newer] {
        fs::remove_file(site.backups().join(name)).unwrap();
    }
    let show = |name: &str| site.run(&["show", name, "--json", "--from", "offsite"]);
    let shown = |name: &str| {
        let shown = show(name).done().json();
        [&shown["archive"], &shown["place"]].map(|value| value.as_str().unwrap().to_owned())
    };
    let at = |disk: &Path| format!("file://{}", disk.display());
    replace(&first, &newer);
    for name in ["latest", &newer] {
        assert_eq!(shown(name), [newer.clone(), at(&second)]);
    }
    replace(&second, &newer);
    assert_eq!(shown("latest"), [older.clone(), at(&first)]);
    show(&newer).saying(&["is not what was sent; there is no better one"]);
    site.run(&["fetch", &newer])
        .ended_with(1)
        .saying(&["is not what was sent", "trying the next copy"]);
    assert!(site.archives().is_empty());
    // Of another size, it is seen before anything is read.
    fs::write(second.join(&newer), "something else").unwrap();
    fs::rename(first.join(&newer), site.path("aside")).unwrap();
    show(&newer).saying(&["has 14 bytes instead of", "there is no better one"]);
    site.run(&["fetch", &newer])
        .ended_with(1)
        .saying(&["is not what was sent"]);
    site.run(&["fetch", &older]).done();
}

#[test]
fn fetch_says_when_the_next_backup_removes_it_again() {
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with("RETENTION_DAYS", "1")
        .with("RETENTION_MIN_KEEP", "1")
        .with("OFFSITE_RETENTION_DAYS", "99")
        .with_clock("2026-01-01T02:00:00Z");
    let (site, _disk) = with_disk(site);
    site.run(&["backup"]).done();
    let old = site.archives().remove(0);
    let fetch = || {
        for name in [old.clone(), format!("{old}.sha256")] {
            let _ = fs::remove_file(site.backups().join(name));
        }
        site.run(&["fetch", &old]).done().stderr
    };
    let words = "the next backup removes it again";
    assert!(!fetch().contains(words));
    site.set_clock("2026-01-02T12:00:00Z");
    site.run(&["backup"]).done();
    let said = fetch();
    assert!(said.contains(words), "{said}");
    site.run(&["backup"]).done();
    assert!(!site.archives().contains(&old));
}
