//! What goes wrong elsewhere: the local backup is as ever, nothing half lies there under a final name, the owner is told,
//! and what is missing is made up for.

use super::{copies, names, with_disk};
use crate::support::{Place, SOON, Site, Sshd, shared, until};
use rustix::process::Signal;
use std::fs;
use std::net::TcpListener;

/// The backup succeeds and says what is wrong with its copy; no secret is said.
pub(super) fn backed_up_but(site: &Site, words: &[&str]) {
    let outcome = site.run(&["backup"]).done().saying(words);
    for secret in [
        "right-secret-key",
        "wrong-secret-key",
        "right-password",
        "wrong-password",
    ] {
        assert!(!outcome.stderr.contains(secret), "{}", outcome.stderr);
        let kept = fs::read_to_string(site.backups().join(".pantry-keeper/offsite.json"));
        assert!(!kept.unwrap().contains(secret));
    }
    site.run(&["verify"]).done();
}

#[test]
fn s3_wrong_credentials_a_missing_bucket_and_nobody_there() {
    let place = Place::s3();
    let site = Site::of(shared()).with_place(&place);
    let site = site
        .with("AWS_ACCESS_KEY_ID", "wrong-key-id")
        .with("AWS_SECRET_ACCESS_KEY", "wrong-secret-key");
    backed_up_but(&site, &["InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID"]);
    let site = site.with_place(&place).with(
        "OFFSITE_URL",
        place.url().replace("s3://pantry/", "s3://larder/"),
    );
    backed_up_but(&site, &["NoSuchBucket", "create the bucket"]);
    let site = site.with(
        "OFFSITE_URL",
        format!(
            "s3://pantry/?endpoint=http://127.0.0.1:{}",
            crate::support::empty_port()
        ),
    );
    backed_up_but(&site, &["cannot connect to 127.0.0.1"]);
    // Once it can be reached, what waits is sent, the newest first.
    let site = site.with_place(&place);
    let said = site.run(&["backup"]).done();
    assert_eq!(said.stderr.matches("copied to").count(), 4);
    assert_eq!(copies(&site).len(), 4);
}

#[test]
fn s3_a_storm_passes_a_denial_does_not_and_a_full_store_is_named() {
    let place = Place::s3();
    let site = Site::of(shared()).with_place(&place);
    place.behave(r#"{"method": "PUT", "do": "503", "times": 2}"#);
    site.run(&["backup"]).done().saying(&["copied to"]);
    place.behave(r#"{"method": "PUT", "do": "deny"}"#);
    backed_up_but(&site, &["AccessDenied", "what this key may do"]);
    place.behave(r#"{"method": "PUT", "do": "full"}"#);
    backed_up_but(&site, &["make room there"]);
    place.behave_well();
    site.run(&["backup"]).done();
    assert_eq!(copies(&site).len(), 4);
}

#[test]
fn s3_what_arrives_damaged_is_noticed_and_stays_an_alarm() {
    let place = Place::s3();
    let site = Site::of(shared())
        .with_place(&place)
        .with("OFFSITE_MAX_LAG", "1s");
    // moto checks no checksums: a service that lies.
    place.behave(r#"{"method": "PUT", "least": 1000, "do": "damage"}"#);
    backed_up_but(&site, &["its SHA-256 differs"]);
    place.behave_well();
    let listed = copies(&site);
    assert!(listed[0]["damage"].as_str().unwrap().contains("differs"));
    assert_eq!(site.run(&["verify", "--offsite"]).code(), Some(1));
    // The next backup tells it, and does not replace it.
    site.run(&["backup"]).done().saying(&["differs"]);
    assert!(copies(&site)[0]["damage"].is_string());
    site.run(&["list"]).done().printing(&["the copy of"]);
}

#[test]
fn s3_copies_stay_where_nothing_may_be_removed() {
    let place = Place::s3();
    let site = Site::of(shared())
        .with_place(&place)
        .with("OFFSITE_RETENTION_MIN_KEEP", 1)
        .with("OFFSITE_RETENTION_DAYS", 1);
    place.behave(r#"{"method": "DELETE", "do": "deny"}"#);
    let site = site.with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"]).done();
    site.set_clock("2026-01-10T02:00:00Z");
    let said = site.run(&["backup"]).done();
    assert_eq!(
        said.stderr.matches("nothing can be removed there").count(),
        1
    );
    let said = site.run(&["backup"]).done();
    assert!(!said.stderr.contains("nothing can be removed there"));
    assert_eq!(copies(&site).len(), 3);
}

#[test]
fn s3_that_is_full_is_made_room_at_by_what_is_due_to_go() {
    let place = Place::s3();
    let site = Site::of(shared())
        .with_place(&place)
        .with("BACKUP_DATABASES", "shop")
        .with("OFFSITE_RETENTION_MIN_KEEP", 1)
        .with("OFFSITE_RETENTION_DAYS", 1);
    let site = site.with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"]).done();
    site.set_clock("2026-01-02T01:00:00Z");
    site.run(&["backup"]).done();
    assert_eq!(copies(&site).len(), 2);
    // It stays full: what is due goes nevertheless, the newest that is there does not.
    site.set_clock("2026-01-10T02:00:00Z");
    place.behave(r#"{"method": "PUT", "do": "full"}"#);
    backed_up_but(&site, &["make room there", "nothing keeps it"]);
    let there = copies(&site);
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(there[0]["archive"], site.archives()[1]);
    // There is room once something went: it is sent in the same round.
    place.behave_well();
    site.run(&["backup"]).done();
    site.set_clock("2026-01-20T02:00:00Z");
    place.behave(r#"{"method": "PUT", "do": "full", "times": 1}"#);
    let said = site.run(&["backup"]).done();
    assert!(!said.stderr.contains("make room"), "{}", said.stderr);
    assert_eq!(
        copies(&site)[0]["archive"],
        *site.archives().last().unwrap()
    );
}

#[test]
fn webdav_cut_at_every_tenth_leaves_nothing_half_under_a_final_name() {
    let place = Place::webdav();
    let site = Site::of(shared()).with_place(&place);
    let site = site.with("BACKUP_DATABASES", "shop");
    for tenth in 0..10 {
        place.behave(&format!(
            r#"{{"method": "PUT", "least": 1000, "do": "cut", "tenth": {tenth}, "times": 1, "then": "deny"}}"#
        ));
        site.run(&["backup"]).done().saying(&["403"]);
        let there = names(&place.files());
        assert!(
            !there.iter().any(|name| !name.starts_with('.')),
            "{tenth}: {there:?}"
        );
    }
    place.behave_well();
    site.run(&["backup"]).done();
    let there = names(&place.files());
    assert!(there.iter().all(|name| !name.starts_with('.')), "{there:?}");
    assert!(copies(&site).len() > 1);
}

#[test]
fn webdav_wrong_password_and_certificates() {
    let place = Place::webdav();
    let site = Site::of(shared())
        .with_place(&place)
        .with("WEBDAV_PASSWORD", "wrong-password");
    backed_up_but(&site, &["401", "check WEBDAV_USERNAME"]);
    for certificate in ["expired", "other-name", "self-signed"] {
        let place = Place::start("webdav", certificate);
        let site = Site::of(shared()).with_place(&place);
        backed_up_but(&site, &["certificate"]);
        assert!(names(&place.files()).is_empty());
    }
}

#[test]
fn sftp_another_host_key_another_user_key_and_a_missing_folder() {
    let Some(sshd) = Sshd::start() else { return };
    let site = Site::of(shared()).with_sshd(&sshd);
    sshd.known_by("other");
    backed_up_but(&site, &["someone may be in between"]);
    sshd.known_by("host");
    let site = site.with("SSH_IDENTITY_FILE", sshd.file("other").display());
    backed_up_but(&site, &["Permission denied", "check SSH_IDENTITY_FILE"]);
    let site = site.with_sshd(&sshd);
    let site = site.with("OFFSITE_URL", format!("{}/nowhere", sshd.url()));
    backed_up_but(&site, &["there is no folder"]);
    assert!(names(&sshd.files()).is_empty());
}

#[test]
fn a_disk_that_is_not_there_is_not_made_up_and_one_that_was_changed_is_not_filled() {
    let site = Site::of(shared());
    let disk = site.path("disk2");
    let site = site.with("OFFSITE_URL", format!("file://{}", disk.display()));
    backed_up_but(&site, &["there is no folder", "mount the disk"]);
    assert!(!disk.exists());
    fs::create_dir(&disk).unwrap();
    site.run(&["backup"]).done();
    assert_eq!(names(&disk).len(), 4);
    fs::rename(&disk, site.path("unplugged")).unwrap();
    fs::create_dir(&disk).unwrap();
    let mark = disk.join(".pantry-keeper-new");
    let words = format!("touch {}", mark.display());
    backed_up_but(&site, &["not the disk it was", &words]);
    assert!(names(&disk).is_empty());
    // It is a new one, which is said for this place alone.
    fs::write(&mark, "").unwrap();
    site.run(&["backup"]).done().saying(&["it is a new disk"]);
    assert_eq!(names(&disk).len(), 8);
    assert!(!mark.exists());
}

#[test]
fn a_disk_whose_only_copy_was_damaged_and_removed_by_hand_is_the_disk_it_was() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let (site, disk) = with_disk(site);
    site.run(&["backup"]).done();
    let name = site.archives().remove(0);
    fs::write(disk.join(&name), "something else").unwrap();
    let first = site.run(&["verify", "--offsite"]);
    assert_eq!(first.code(), Some(1));
    for file in names(&disk) {
        fs::remove_file(disk.join(file)).unwrap();
    }
    let said = site.run(&["backup"]).done();
    assert_eq!(
        said.stderr.matches("copied to").count(),
        2,
        "{}",
        said.stderr
    );
}

#[test]
fn a_file_that_is_not_the_archive_is_an_alarm_and_stays() {
    let site = Site::of(shared());
    let disk = site.path("disk2");
    let site = site.with("OFFSITE_URL", format!("file://{}", disk.display()));
    site.run(&["backup"]).done();
    fs::create_dir(&disk).unwrap();
    let name = site.archives().remove(0);
    fs::write(disk.join(&name), "something else").unwrap();
    backed_up_but(&site, &["bytes instead of"]);
    assert_eq!(
        fs::read_to_string(disk.join(&name)).unwrap(),
        "something else"
    );
}

#[test]
fn copies_that_are_behind_make_health_unhealthy_and_are_told_with_the_next_backup() {
    let site = Site::of(shared());
    let disk = site.path("disk2");
    let site = site
        .with("OFFSITE_URL", format!("file://{}", disk.display()))
        .with("OFFSITE_MAX_LAG", "2d");
    let site = site.with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"]).done();
    site.set_clock("2026-01-10T12:00:00Z");
    let health = site.run(&["health"]);
    assert_eq!(health.code(), Some(1));
    assert!(health.stdout.contains("9 days behind"), "{}", health.stdout);
    site.run(&["backup"]).done().saying(&["9 days behind"]);
}

/// It is connected to, and says nothing.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (
        listener,
        format!("s3://pantry/backups?endpoint=http://127.0.0.1:{port}"),
    )
}

fn with_silent(site: Site, url: String) -> Site {
    site.with("OFFSITE_URL", url)
        .with("AWS_ACCESS_KEY_ID", "right-key-id")
        .with("AWS_SECRET_ACCESS_KEY", "right-secret-key")
        .with("BACKUP_DATABASES", "shop")
        .with("OFFSITE_MAX_LAG", "2d")
}

#[test]
fn a_place_that_never_answered_is_told_of_even_if_the_first_round_was_killed() {
    let (_listener, url) = silent();
    let site = with_silent(Site::of(shared()), url);
    let site = site.with_clock("2026-01-01T02:00:00Z");
    let running = site.start(&["backup"]);
    let record = site.backups().join(".pantry-keeper/offsite.json");
    until("the round has begun", SOON, || record.exists());
    running.signal(Signal::KILL);
    running.end(SOON + SOON);
    site.set_clock("2026-01-04T12:00:00Z");
    let health = site.run(&["health"]);
    assert_eq!(health.code(), Some(1));
    assert!(health.stdout.contains("3 days behind"), "{}", health.stdout);
}

#[test]
fn a_place_that_was_never_tried_is_told_of_once_archives_have_waited_for_long() {
    let (_listener, url) = silent();
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let site = site.with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"]).done();
    let site = with_silent(site, url);
    site.set_clock("2026-01-02T12:00:00Z");
    let health = site.run(&["health"]);
    assert!(!health.stdout.contains("no copy"), "{}", health.stdout);
    site.set_clock("2026-01-04T12:00:00Z");
    let health = site.run(&["health"]);
    assert_eq!(health.code(), Some(1));
    let words = "no copy has ever been sent to s3://pantry/backups/";
    assert!(health.stdout.contains(words), "{}", health.stdout);
}

#[test]
fn a_place_that_says_nothing_does_not_keep_a_round_for_ever() {
    let (_listener, url) = silent();
    let site = with_silent(Site::of(shared()), url).with("BACKUP_STALL_TIMEOUT", "2s");
    let said = site
        .run(&["backup"])
        .done()
        .saying(&["no answer within 2 s"]);
    assert!(said.took < SOON, "{:?}", said.took);
}

/// There, retention for copies would remove the archives.
#[test]
fn the_backup_folder_is_no_place_for_copies() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let backups = site.backups();
    let site = site.with(
        "OFFSITE_URL",
        format!("file://{}/copies/", backups.display()),
    );
    let outcome = site.run(&["backup"]).ended_with(2);
    outcome.saying(&["OFFSITE_URL", "names BACKUP_DIR, or a folder in it"]);

    let other_name = site.path("disk2");
    std::os::unix::fs::symlink(&backups, &other_name).unwrap();
    let site = site.with("OFFSITE_URL", format!("file://{}", other_name.display()));
    backed_up_but(&site, &["it is BACKUP_DIR itself, by another name"]);
    site.run(&["doctor"]).printing(&["it is BACKUP_DIR itself"]);

    // Nor is the same disk a good one.
    fs::remove_file(&other_name).unwrap();
    fs::create_dir(&other_name).unwrap();
    let site = site.with("OFFSITE_URL", format!("file://{}//", other_name.display()));
    let words = format!("file://{} is on the same disk", other_name.display());
    site.run(&["doctor"]).done().printing(&[&words]);
}
