//! A folder that is empty, broken or huge, and the terminal.

use super::{pantry, serve, site};
use crate::service::stop;
use crate::support::{Site, rewrite, shared, until};
use chrono::{Datelike, TimeDelta, Utc};
use serde_json::json;
use std::fs;
use std::time::Duration;

#[test]
fn before_the_first_backup() {
    let site = site();
    let (running, page) = serve(&site);
    let overview = page.get("/").with_status(200).showing(&[
        "No backup yet. The first is due",
        "None yet",
        "It shows from the second backup on.",
        "pantry-keeper backup",
    ]);
    // Without any archive there is no pace.
    assert!(!overview.body.contains("at this pace"));
    page.get("/health").with_status(200);
    stop(running);
}

/// 500 backups are looked ahead, which is less than a year where they are frequent.
#[test]
fn no_more_is_said_of_the_disk_than_was_looked_at() {
    let site = site().with("BACKUP_SCHEDULE", "* * 1 1 *");
    pantry::fill(&site, 3, 24);
    let (running, page) = serve(&site);
    let year = (Utc::now() + TimeDelta::days(365)).year();
    let overview = page.get("/").with_status(200).showing(&[
        &format!("enough until 1 Jan {year} at least, at this pace"),
        &format!(
            "At this pace the disk is not full before 1 Jan {year}; further ahead is not looked at."
        ),
    ]);
    assert!(!overview.body.contains("a year"));
    stop(running);
}

#[test]
fn a_disk_that_is_gone_is_named_and_not_what_would_be_on_it() {
    let site = site().with("BACKUP_REQUIRE_MOUNT", "true");
    pantry::fill(&site, 2, 24);
    let (running, page) = serve(&site);
    fs::rename(site.backups(), site.path("unplugged")).unwrap();
    fs::create_dir(site.backups()).unwrap();
    let health = site.run(&["health", "--json"]).ended_with(1).json();
    let problem = health["problems"][0].as_str().unwrap();
    assert!(problem.contains("is not the disk it was"), "{problem}");
    assert!(problem.contains("mount the right disk"), "{problem}");
    assert_eq!(health["problems"].as_array().unwrap().len(), 1);
    // The page looks again every few seconds.
    until("the page says the same", Duration::from_secs(30), || {
        page.get("/health").json() == health
    });
    page.get("/health").with_status(503);
    let overview = page.get("/").showing(&["is not the disk it was"]);
    for words in ["No backup yet", "no scheduler"] {
        assert!(!overview.body.contains(words), "{words}");
    }
    stop(running);
}

#[test]
fn what_is_wrong_is_said_first() {
    let site = site();
    let names = pantry::fill(&site, 4, 24);
    pantry::remember(&site, &names, &[pantry::failed(1)]);
    rewrite(&site.backups().join(&names[3]), |bytes| {
        let end = bytes.len() - 1300;
        bytes[end] ^= 1;
    });
    fs::write(
        site.backups()
            .join("jorbites_backup_20240101_000000.tar.gz"),
        "no archive",
    )
    .unwrap();
    let failing = json!({ "alarm": { "failing": { "since": "2026-05-03T00:00:00Z", "runs": 3, "mailed_on": null },
        "first_failures": null, "concerns": {} } });
    fs::write(
        site.backups().join(".pantry-keeper/state.json"),
        failing.to_string(),
    )
    .unwrap();
    let (running, page) = serve(&site);
    let overview = page.get("/").with_status(200).showing(&[
        "1 thing is wrong; the newest backup is 26 h",
        "backups have been failing since 3 May 2026",
        "is damaged",
        "nothing is removed for now",
        "cannot reach MongoDB",
    ]);
    assert!(
        overview
            .body
            .contains("<title>Pantry Keeper: something is wrong</title>")
    );
    page.get(&format!("/archives/{}", names[3]))
        .with_status(200)
        .showing(&["no manifest that can be read", "damaged"]);
    page.get("/archives/jorbites_backup_20240101_000000.tar.gz")
        .with_status(200);
    let health = page.get("/health").with_status(503);
    assert_eq!(health.json()["healthy"], false);
    stop(running);
}

/// A state that cannot be read stays as it is: the page only reads.
/// There is nothing that could try it again.
#[test]
fn a_failed_drill_is_history_once_drills_are_no_longer_set_up() {
    let site = site();
    let names = pantry::fill(&site, 1, 24);
    pantry::remember(&site, &names, &[]);
    let drill =
        json!({ "at": "2026-05-03T00:00:00Z", "archive": names[0], "problem": "one is missing" });
    fs::write(
        site.backups().join(".pantry-keeper/state.json"),
        json!({ "drill": drill }).to_string(),
    )
    .unwrap();
    let of = |site: &Site, code: i32, status: u16| {
        let (running, page) = serve(site);
        site.run(&["health"]).ended_with(code);
        let health = page.get("/health").with_status(status);
        let metrics = page.get("/metrics").with_status(200);
        stop(running);
        let proven = metrics.body.lines();
        let proven = proven.filter(|line| line.starts_with("pantry_keeper_last_drill_proven"));
        let proven: Vec<String> = proven.map(str::to_owned).collect();
        (health.body.contains("one is missing"), proven)
    };
    let site = site.with("DRILL_URI", shared().uri());
    assert_eq!(
        of(&site, 1, 503),
        (true, vec!["pantry_keeper_last_drill_proven 0".to_owned()])
    );
    assert_eq!(of(&site.with("DRILL_URI", ""), 0, 200), (false, Vec::new()));
}

#[test]
fn a_damaged_state_is_left_alone() {
    let site = site();
    pantry::fill(&site, 2, 24);
    let own = site.backups().join(".pantry-keeper");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("state.json"), "{").unwrap();
    fs::write(own.join("history.json"), "[").unwrap();
    let before: Vec<_> = names(&own);
    site.run(&["status"])
        .done()
        .printing(&["nothing is removed for now: what is remembered"]);
    assert_eq!(names(&own), before);
}

fn names(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    names
}

/// The folder cannot be used, and the scheduler waits for it: that is to be seen.
#[test]
fn a_folder_that_is_none_is_shown_as_such() {
    let site = site();
    fs::write(site.backups(), "a file").unwrap();
    site.run(&["status"]).done().printing(&["✗", "cannot read"]);
}

/// `PANTRY_ARCHIVES=2000` makes it as many; few of them take long enough where nothing is optimised.
#[test]
fn thousands_of_archives_come_page_by_page() {
    let count = std::env::var("PANTRY_ARCHIVES").map_or(450, |text| text.parse().unwrap());
    let site = site();
    let names = pantry::crowd(&site, count);
    pantry::remember(&site, &names[count - 300..], &[]);
    let (running, page) = serve(&site);
    // To read all of their ends for the first time takes a while.
    until("they are read", Duration::from_secs(80), || {
        page.get("/").status == 200
    });
    let pages = count.div_ceil(200);
    let (newest, of) = (&names[count - 1], format!("page 1 of {pages}"));
    let first =
        page.get("/")
            .with_status(200)
            .showing(&[newest, &names[count - 200], &of, "older →"]);
    assert!(!first.body.contains(&names[count - 201]));
    println!(
        "{count} archives: {} kB in {:?}",
        first.body.len() / 1000,
        first.took
    );
    assert!(first.body.len() < 300_000, "{} bytes", first.body.len());
    page.get(&format!("/?page={pages}"))
        .with_status(200)
        .showing(&[&names[0], "← newer"]);
    page.get(&format!("/?page={}", pages + 1)).with_status(404);
    let listed = page.get("/api/archives").json();
    assert_eq!(listed["archives"].as_array().unwrap().len(), count);
    stop(running);
}

#[test]
fn the_terminal_shows_the_first_screen() {
    let site = Site::new()
        .with("TZ", "UTC")
        .with("BACKUP_SCHEDULE", "0 2 * * *");
    let names = pantry::fill(&site, 30, 24);
    pantry::remember(&site, &names, &[pantry::failed(1)]);
    let shown = site.run(&["status"]).done().printing(&[
        "✗ 1 thing is wrong; the newest backup is 2 h",
        "no scheduler is at work in this folder",
        "newest backup  ",
        "30 archives",
        "■ ■",
        "✗ backup failed: in 31 s, while asking the server",
        "✓ backup: ",
        "(dump 8.4 s, verify 3.1 s)",
    ]);
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() < 130),
        "{}",
        shown.stdout
    );
}
