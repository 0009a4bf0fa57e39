//! In which order copies are sent: the newest first, to every place before older ones go to any, also when it was made in the
//! middle of a round.

use super::{names, with_disk};
use crate::support::{SOON, Site, shared, until};
use std::fs;

/// The archives and the places of all copies, in the order in which they were sent.
fn sent(said: &str) -> Vec<(String, bool)> {
    let lines = said.lines().filter(|line| line.contains(" copied to "));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words.iter().position(|word| *word == "copied").unwrap();
            (words[at - 1].to_owned(), words[at + 2].contains("disk3"))
        })
        .collect()
}

#[test]
fn the_newest_goes_to_every_place_before_older_ones_go_to_any() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    let urls = ["disk2", "disk3"].map(|name| {
        let disk = site.path(name);
        fs::create_dir(&disk).unwrap();
        format!("file://{}", disk.display())
    });
    let site = site.with("OFFSITE_URL", urls.join(","));
    let said = site.run(&["backup"]).done().stderr;
    let mut archives = site.archives();
    archives.reverse();
    let [newest, older, oldest] = archives.try_into().unwrap();
    let in_order = [
        (newest.clone(), false),
        (newest, true),
        (older.clone(), false),
        (oldest.clone(), false),
        (older, true),
        (oldest, true),
    ];
    assert_eq!(sent(&said), in_order);
    // What is complete is looked at, and nothing more.
    let said = site.run(&["backup"]).done().stderr;
    assert_eq!(sent(&said).len(), 2);
}

#[test]
fn an_archive_that_is_made_in_the_middle_of_a_round_goes_before_what_is_left() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "bulk");
    for _ in 0..2 {
        site.run(&["backup"]).done();
    }
    let (site, disk) = with_disk(site);
    let site = site.with("OFFSITE_BANDWIDTH", "1MB");
    let running = site.start(&["backup"]);
    until("the newest is there", SOON, || {
        names(&disk).iter().any(|name| name.ends_with(".sha256"))
    });
    // While the older ones are on their way, another is made; its own round finds that one at work.
    let site = site.with("BACKUP_DATABASES", "shop");
    site.run(&["backup"]).done();
    let said = running.end(SOON * 3).done().stderr;
    let order: Vec<String> = sent(&said).into_iter().map(|(name, _)| name).collect();
    let archives = site.archives();
    assert_eq!(order.len(), 4, "{said}");
    assert_eq!(order[0], archives[2]);
    assert!(order[1..3].contains(&archives[3]), "{order:?}");
    assert_eq!(order[3], archives[0]);
}

#[test]
fn nothing_goes_while_nothing_new_is_taken() {
    let place = crate::support::Place::s3();
    let site = Site::of(shared())
        .with_place(&place)
        .with("BACKUP_DATABASES", "shop")
        .with("OFFSITE_RETENTION_DAYS", "30")
        .with("OFFSITE_RETENTION_MIN_KEEP", "1")
        .with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    site.set_clock("2026-03-01T02:00:00Z");
    place.behave(r#"{"method": "PUT", "do": "deny"}"#);
    site.run(&["backup"]).done().saying(&["AccessDenied"]);
    assert_eq!(super::copies(&site).len(), 2);
    place.behave_well();
    site.run(&["backup"]).done();
    let left = super::copies(&site);
    assert!(
        left.iter()
            .all(|copy| copy["made_at"].as_str() > Some("2026-02")),
        "{left:?}"
    );
}
