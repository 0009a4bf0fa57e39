//! A bucket of one name at two services: two places, whose copies are not taken for each other.

use super::{copies, with_disk};
use crate::support::{OLDER, Place, Site, shared};
use serde_json::Value;
use std::fs;

/// The copies at each place.
fn at_each(site: &Site) -> Vec<(String, usize)> {
    let listed = site.run(&["list", "--offsite", "--json"]).done().json();
    let places = listed["places"].as_array().unwrap();
    let count = |place: &Value| place["copies"].as_array().unwrap().len();
    let name = |place: &Value| place["place"].as_str().unwrap().to_owned();
    places
        .iter()
        .map(|place| (name(place), count(place)))
        .collect()
}

#[test]
fn each_has_a_record_and_one_that_was_written_under_the_short_name_is_found() {
    let (one, two) = (Place::s3(), Place::s3());
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let site = site.with_place(&one);
    site.run(&["backup"])
        .done()
        .saying(&["copied to s3://pantry/backups/: "]);
    // As it was written when a place was known by its short name alone.
    let path = site.backups().join(".pantry-keeper/offsite.json");
    let written = || -> Value { serde_json::from_slice(&fs::read(&path).unwrap()).unwrap() };
    let mut record = written();
    let places = record["places"].as_object_mut().unwrap();
    let known = std::mem::take(places).into_values().next().unwrap();
    let since = known["since"].clone();
    places.insert("s3://pantry/backups/".into(), known);
    fs::write(&path, record.to_string()).unwrap();
    site.run(&["backup"]).done();
    let read_back = |line: &String| line.starts_with("GET /") && line.contains(".tar.gz");
    assert!(
        !one.seen().iter().any(read_back),
        "what is known is not looked at anew"
    );
    assert_eq!(copies(&site).len(), 2);
    let full = |place: &Place| {
        format!(
            "s3://pantry/backups/?endpoint=http://127.0.0.1:{}",
            place.port
        )
    };
    assert_eq!(written()["places"][full(&one)]["since"], since);
    assert_eq!(written()["places"].as_object().unwrap().len(), 1);

    let site = site.with("OFFSITE_URL", format!("{},{}", one.url(), two.url()));
    two.behave(r#"{"method": "PUT", "do": "deny"}"#);
    let said = site.run(&["backup"]).done().saying(&[
        &format!("copied to {}", full(&one)),
        &format!("{}: ", full(&two)),
    ]);
    assert!(!said.stderr.contains("is gone"), "{}", said.stderr);
    assert_eq!(at_each(&site), [(full(&one), 3), (full(&two), 0)]);
    two.behave_well();
    site.run(&["backup"]).done();
    assert_eq!(at_each(&site), [(full(&one), 4), (full(&two), 4)]);
    site.run(&["verify", "--offsite", "--all"]).done();
}

#[test]
fn another_service_by_aws_endpoint_url_is_another_place() {
    let (one, two) = (Place::s3(), Place::s3());
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with_place(&one)
        .with("OFFSITE_URL", "s3://pantry/backups");
    let at = |place: &Place| format!("http://127.0.0.1:{}", place.port);
    let site = site.with("AWS_ENDPOINT_URL", at(&one));
    site.run(&["backup"]).done().saying(&["copied to"]);
    // As it was written when the service stood in no record.
    let path = site.backups().join(".pantry-keeper/offsite.json");
    let written = || -> Value { serde_json::from_slice(&fs::read(&path).unwrap()).unwrap() };
    let key = |place: &Place| format!("s3://pantry/backups/?endpoint={}", at(place));
    let mut record = written();
    let places = record["places"].as_object_mut().unwrap();
    let known = places.remove(&key(&one)).unwrap();
    places.insert("s3://pantry/backups/".into(), known);
    fs::write(&path, record.to_string()).unwrap();
    let said = site.run(&["backup"]).done();
    let read_back = |line: &String| line.starts_with("GET /") && line.contains(".tar.gz");
    assert!(!one.seen().iter().any(read_back), "{:?}", one.seen());
    assert_eq!(said.stderr.matches("copied to").count(), 1);
    assert_eq!(written()["places"].as_object().unwrap().len(), 1);
    // The bucket of that name at another service has none of them, which is no loss.
    let site = site.with("AWS_ENDPOINT_URL", at(&two));
    let said = site.run(&["backup"]).done();
    assert_eq!(said.stderr.matches("copied to").count(), 3);
    assert!(!said.stderr.contains("gone"), "{}", said.stderr);
    for place in [&one, &two] {
        assert!(written()["places"][key(place)].is_object());
    }
}

#[test]
fn one_place_by_two_names_is_refused() {
    let site = Site::of(shared());
    for (urls, words) in [
        (
            "s3://b/a?endpoint=https://one,s3://b/a/?endpoint=one",
            "names one place twice",
        ),
        (
            "s3://b,s3://b?endpoint=https://one.example.org",
            "AWS_ENDPOINT_URL",
        ),
    ] {
        let site = Site::of(shared())
            .with("OFFSITE_URL", urls)
            .with("AWS_ENDPOINT_URL", "https://one.example.org")
            .with("AWS_ACCESS_KEY_ID", "right-key-id")
            .with("AWS_SECRET_ACCESS_KEY", "right-secret-key");
        let refused = site.run(&["backup"]);
        assert_ne!(refused.code(), Some(0));
        refused.saying(&["OFFSITE_URL", words]);
    }
    assert!(site.archives().is_empty());
}

#[test]
fn what_another_machine_put_there_never_goes() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let (site, disk) = with_disk(site);
    let site = site
        .with("OFFSITE_RETENTION_MIN_KEEP", 1)
        .with("OFFSITE_RETENTION_DAYS", 1)
        .with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"]).done();
    let own = site.archives().remove(0);
    let sidecar = fs::read_to_string(disk.join(format!("{own}.sha256"))).unwrap();
    let theirs = format!("{OLDER}.tar.gz");
    fs::copy(disk.join(&own), disk.join(&theirs)).unwrap();
    let line = sidecar.replace(&own, &theirs);
    fs::write(disk.join(format!("{theirs}.sha256")), line).unwrap();
    // Nothing is known of our own, either, until it is held against the archive here.
    fs::remove_file(site.backups().join(".pantry-keeper/offsite.json")).unwrap();
    site.run(&["verify", "--offsite", "--all"]).done();
    site.set_clock("2026-01-10T02:00:00Z");
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    assert!(disk.join(&theirs).exists(), "it is not ours");
    assert!(!disk.join(&own).exists(), "ours goes when it is due");
}

#[test]
fn copies_under_an_earlier_prefix_are_another_series() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let (site, disk) = with_disk(site);
    let site = site
        .with("OFFSITE_RETENTION_DAYS", "30")
        .with("OFFSITE_RETENTION_MIN_KEEP", "1")
        .with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"]).done();
    let before = super::names(&disk);
    let site = site.with("BACKUP_PREFIX", "another");
    site.set_clock("2026-03-01T02:00:00Z");
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    let after = super::names(&disk);
    assert!(before.is_subset(&after), "{after:?}");
}
