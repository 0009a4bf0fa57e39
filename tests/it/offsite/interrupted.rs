//! Cut, killed and stopped in the middle of an upload in parts: nothing half is there, nothing is left over, and what is
//! missing is made up for.

use super::copies;
use crate::support::{
    Elsewhere, Place, Proxy, SOON, Server, Site, Then, Trap, nowhere_in_arguments, shared, until,
};
use rustix::process::Signal;
use std::fs;
use std::time::Duration;

/// A site whose archives have some 12 MB.
fn large(place: &Place) -> (Server, Site) {
    let server = Server::standalone();
    server.seed("parts");
    let site = Site::of(&server).with_place(place);
    (server, site)
}

fn parts(place: &Place) -> usize {
    let seen = place.seen();
    seen.iter()
        .filter(|line| line.contains("partNumber="))
        .count()
}

#[test]
fn s3_killed_or_stopped_in_mid_upload() {
    let place = Place::s3();
    let (_server, mut site) = large(&place);
    for (signal, limit) in [
        (Signal::KILL, SOON),
        (Signal::TERM, Duration::from_secs(10)),
    ] {
        let before = parts(&place);
        site = site.with("OFFSITE_BANDWIDTH", "1MB");
        let running = site.start(&["backup"]);
        until("a part was sent", SOON, || parts(&place) > before);
        nowhere_in_arguments(&running, &["right-secret-key".to_owned()]);
        let told = std::time::Instant::now();
        running.signal(signal);
        running.end(told.elapsed() + SOON + SOON);
        assert!(told.elapsed() < limit);
        assert!(copies(&site).is_empty(), "nothing half is there");
    }
    let site = site.with("OFFSITE_BANDWIDTH", "");
    site.run(&["backup"]).done();
    let archives = site.archives().len();
    assert_eq!((archives, copies(&site).len()), (3, 3));
    let aborted = place.seen();
    let aborted = aborted
        .iter()
        .filter(|line| line.starts_with("DELETE") && line.contains("uploadId="));
    assert!(aborted.count() >= 1, "what the killed one began is aborted");
    site.run(&["verify", "--offsite", "--all"]).done();
}

#[test]
fn s3_cut_at_every_tenth_of_a_part() {
    let place = Place::s3();
    let (_server, site) = large(&place);
    for tenth in 0..10 {
        place.behave_well();
        // Any request makes it count anew.
        site.run(&["list", "--offsite"]).done();
        place.behave(&format!(
            r#"{{"method": "PUT", "least": 1000000, "do": "cut", "tenth": {tenth}, "times": 1}}"#
        ));
        site.run(&["backup"]).done().saying(&["copied to"]);
    }
    place.behave_well();
    site.run(&["verify", "--offsite", "--all"]).done();
    assert_eq!(copies(&site).len(), 10);
}

#[test]
fn s3_cut_at_every_tenth_of_an_upload_in_parts_which_then_fails() {
    const PART: u64 = 8 * 1024 * 1024;
    let place = Place::s3();
    let (server, site) = large(&place);
    server.seed("small");
    let site = site.with("OFFSITE_URL", "");
    site.run(&["backup"]).done();
    let (large, bytes) = (site.archive(), site.archive().metadata().unwrap().len());
    let large = large.file_name().unwrap().to_str().unwrap();
    // Those that follow are small, and go first.
    let site = site.with_place(&place).with("BACKUP_DATABASES", "shop");
    for tenth in 0..10 {
        let at = bytes * tenth / 10;
        let (after, tenth) = match at.checked_sub(PART) {
            None => (0, at * 10 / PART),
            Some(beyond) => (1, beyond * 10 / (bytes - PART)),
        };
        place.behave(&format!(
            r#"{{"method": "PUT", "least": 1000000, "do": "cut", "after": {after}, "tenth": {tenth}, "times": 1, "then": "deny"}}"#
        ));
        site.run(&["backup"]).done().saying(&["AccessDenied"]);
        let there = copies(&site);
        assert!(
            !there.iter().any(|copy| copy["archive"] == large),
            "{there:?}"
        );
    }
    place.behave_well();
    site.run(&["backup"]).done();
    assert_eq!(copies(&site).len(), 12);
    site.run(&["verify", "--offsite", "--all"]).done();
}

#[test]
fn sftp_cut_at_every_tenth() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "bulk");
    let Some((place, site)) = Elsewhere::start("sftp", site) else {
        return;
    };
    let Some(sshd) = place.sshd() else { return };
    // By whichever port it is reached.
    let key = fs::read_to_string(sshd.file("host.pub")).unwrap();
    fs::write(sshd.file("known"), format!("* {key}")).unwrap();
    let url = |port: u16| format!("sftp://127.0.0.1:{port}{}", place.files.display());
    let whole = Proxy::to(sshd.port, Trap::SentBytes(u64::MAX), Then::Cut);
    let by = |proxy: &Proxy| url(proxy.port);
    let mut site = site.with("OFFSITE_URL", by(&whole));
    site.run(&["backup"]).done().saying(&["copied to"]);
    for tenth in 0..10 {
        let cut = Proxy::to(
            sshd.port,
            Trap::SentBytes(whole.sent() * tenth / 10),
            Then::Cut,
        );
        site = site.with("OFFSITE_URL", by(&cut));
        let said = site.run(&["backup"]).done();
        assert!(
            !said.stderr.contains("copied to"),
            "{tenth}: {}",
            said.stderr
        );
        place.nothing_half(&site);
    }
    let site = site.with("OFFSITE_URL", sshd.url());
    site.run(&["backup"]).done();
    assert_eq!(place.nothing_half(&site), 24);
    assert!(place.unfinished().is_empty());
    site.run(&["verify", "--offsite", "--all"]).done();
}

/// Killed while the archive is on its way: nothing half is there, and the next run makes up for it.
fn killed_in_mid_upload(kind: &str) {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "bulk");
    let Some((place, site)) = Elsewhere::start(kind, site) else {
        return;
    };
    let site = site.with("OFFSITE_BANDWIDTH", "1MB");
    let running = site.start(&["backup"]);
    until("a part of it was sent", SOON, || place.is_being_sent());
    place.nowhere_in_arguments(&running);
    running.signal(Signal::KILL);
    let outcome = running.end(SOON + SOON);
    assert_eq!(outcome.code(), None, "it was still at it");
    assert!(!outcome.stderr.contains("copied to"), "{}", outcome.stderr);
    place.nowhere_told(&site, &outcome);
    assert_eq!(place.nothing_half(&site), 0);
    site.run(&["verify"]).done();
    let site = site.with("OFFSITE_BANDWIDTH", "");
    let outcome = site.run(&["backup"]).done();
    assert_eq!(outcome.stderr.matches("copied to").count(), 2);
    place.nowhere_told(&site, &outcome);
    assert_eq!(place.nothing_half(&site), 4);
    assert!(place.unfinished().is_empty(), "nothing is left over");
    let outcome = site.run(&["verify", "--offsite", "--all"]).done();
    place.nowhere_told(&site, &outcome);
    assert_eq!(copies(&site).len(), 2);
}

#[test]
fn file_killed_in_mid_upload() {
    killed_in_mid_upload("file");
}

#[test]
fn webdav_killed_in_mid_upload() {
    killed_in_mid_upload("webdav");
}

#[test]
fn sftp_killed_in_mid_upload() {
    killed_in_mid_upload("sftp");
}

#[test]
fn rclone_killed_in_mid_upload() {
    killed_in_mid_upload("rclone");
}
