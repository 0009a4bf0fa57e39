//! Faults of places that are met elsewhere with one kind of them: certificates, storms, full stores, clocks, credentials.

use super::refused::backed_up_but;
use super::{copies, names, with_disk};
use crate::support::{Place, Site, needed, python, shared};
use chrono::{TimeDelta, Utc};
use std::fs;

#[test]
fn s3_by_tls_with_a_certificate_that_is_none() {
    let place = Place::start("s3s", "server");
    Site::of(shared())
        .with_place(&place)
        .run(&["backup"])
        .done()
        .saying(&["copied to"]);
    for certificate in ["expired", "other-name", "self-signed"] {
        let place = Place::start("s3s", certificate);
        backed_up_but(&Site::of(shared()).with_place(&place), &["certificate"]);
        assert!(!place.seen().iter().any(|line| line.contains("backups/")));
    }
}

#[test]
fn an_internal_error_passes_and_one_that_stays_is_made_up_for() {
    for place in [Place::s3(), Place::webdav()] {
        let site = Site::of(shared())
            .with_place(&place)
            .with("BACKUP_DATABASES", "shop");
        place.behave(r#"{"method": "PUT", "do": "500", "times": 2}"#);
        site.run(&["backup"]).done().saying(&["copied to"]);
        assert_eq!(copies(&site).len(), 1);
    }
}

#[test]
fn a_webdav_that_is_full_and_one_without_the_folder() {
    let place = Place::webdav();
    let site = Site::of(shared()).with_place(&place);
    place.behave(r#"{"method": "PUT", "do": "full"}"#);
    backed_up_but(&site, &["make room there"]);
    let final_names = || {
        let mut there = names(&place.files());
        there.retain(|name| !name.starts_with('.'));
        there
    };
    assert!(final_names().is_empty());
    place.behave_well();
    let missing = format!("{}nowhere/deeper", place.url());
    backed_up_but(
        &site.with("OFFSITE_URL", missing),
        &["there is no such folder there", "nowhere/deeper"],
    );
    assert!(final_names().is_empty());
    let site = Site::of(shared()).with_place(&place);
    site.run(&["backup"]).done().saying(&["copied to"]);
}

#[test]
fn a_disk_that_is_full() {
    let site = Site::of(shared());
    site.run(&["backup"]).done();
    let first = site.archives().remove(0);
    let (site, disk) = with_disk(site);
    let strace = needed("strace", "run scripts/setup first");
    let (strace, partial) = (
        strace.display().to_string(),
        disk.join(format!(".{first}.partial")),
    );
    let partial = partial.display().to_string();
    let full = "inject=write,pwrite64,copy_file_range:error=ENOSPC";
    let words = ["-f", "-qq", "-o", "/dev/null", "-P", &partial, "-e", full];
    let site = site.started_by(&[&[strace.as_str()][..], &words].concat());
    backed_up_but(&site, &["make room there"]);
    assert!(!names(&disk).contains(&first), "{:?}", names(&disk));
    let site = site.started_by(&[]);
    site.run(&["backup"]).done();
    assert_eq!(copies(&site).len(), 3);
}

#[test]
fn a_clock_that_is_twenty_minutes_off_is_named() {
    let place = Place::s3();
    place.behave(r#"{"do": "clock"}"#);
    let ahead = Utc::now() + TimeDelta::minutes(20);
    let site = Site::of(shared())
        .with_place(&place)
        .with_clock(&ahead.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    backed_up_but(&site, &["RequestTimeTooSkewed", "set this machine's clock"]);
}

#[test]
fn rclone_with_wrong_credentials_and_at_a_full_store() {
    let place = Place::s3();
    let Some(site) = Site::of(shared()).with_rclone() else {
        return;
    };
    let rclone = python().with_file_name("rclone");
    assert!(rclone.exists());
    let config = |key: &str| {
        format!(
            "[far]\ntype = s3\nprovider = Other\nendpoint = http://127.0.0.1:{}\nregion = us-east-1\n\
             access_key_id = {key}\nsecret_access_key = right-secret-key\nno_check_bucket = true\n",
            place.port
        )
    };
    let site = site.with("OFFSITE_URL", "rclone:far:pantry/backups");
    let file = site.path("rclone.conf");
    fs::write(&file, config("wrong-key-id")).unwrap();
    backed_up_but(&site, &["403"]);
    fs::write(&file, config("right-key-id")).unwrap();
    place.behave(r#"{"method": "PUT", "do": "full"}"#);
    backed_up_but(&site, &["507"]);
    place.behave_well();
    site.run(&["backup"]).done();
    assert_eq!(copies(&site).len(), 3);
}
