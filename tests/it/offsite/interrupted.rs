//! Cut, killed and stopped in the middle of an upload in parts: nothing half is there, nothing is left over, and what is
//! missing is made up for.

use super::copies;
use crate::support::{Place, SOON, Server, Site, until};
use rustix::process::Signal;
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
