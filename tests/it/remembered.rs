//! What is remembered between runs, when it is damaged, cannot be read, or says that something was told already.

use crate::retention::shrinking;
use crate::support::{Reply, SOON, Site, Smtp, Web, path_with_tools, until};
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;

fn state_of(site: &Site) -> PathBuf {
    site.backups().join(".pantry-keeper/state.json")
}

fn subjects(smtp: &Smtp) -> Vec<String> {
    smtp.mails().into_iter().map(|mail| mail.subject).collect()
}

#[test]
fn a_loss_that_is_forgotten_with_a_damaged_state_keeps_the_older_archives_until_it_is_accepted() {
    let smtp = Smtp::start(&[]);
    let (server, site) = shrinking(&smtp);
    server.change("drop", "shop.orders");
    site.set_clock("2026-05-08T12:00:00Z");
    site.run(&["backup"]).done().saying(&["2 archives kept"]);
    let state = state_of(&site);
    fs::write(&state, r#"{"broken"#).unwrap();
    // Who only looks says so, however often, and leaves it where it is.
    for _ in 0..2 {
        let damaged = "what is remembered of earlier backups is damaged";
        site.run(&["health"])
            .ended_with(1)
            .printing(&[damaged, "prune --accept-shrink"]);
        site.run(&["prune", "--dry-run"])
            .done()
            .printing(&[damaged]);
        site.run(&["doctor"]).ended_with(1).printing(&[damaged]);
    }
    assert!(state.exists());

    site.set_clock("2026-05-11T12:00:00Z");
    site.run(&["backup"]).done().saying(&[
        "is damaged and set aside as",
        "old archives are not removed: what was remembered",
        "3 archives kept",
    ]);
    let mails = smtp.mails();
    assert_eq!(mails.len(), 2);
    let text = mails[1].text.replace('\n', " ");
    for words in ["state.json.damaged", "pantry-keeper prune --accept-shrink"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    site.run(&["prune"])
        .done()
        .printing(&["nothing is removed for now: what was remembered"]);
    assert_eq!(site.archives().len(), 3);
    let health = site.run(&["health"]).ended_with(1);
    assert!(!health.stdout.contains("remembered"), "{}", health.stdout);

    site.run(&["prune", "--accept-shrink"])
        .done()
        .saying(&["accepted that", "state.json.accepted"])
        .printing(&["2 archives removed"]);
    site.run(&["prune", "--accept-shrink"])
        .done()
        .saying(&["nothing had shrunk"]);
}

#[test]
fn a_damaged_state_that_is_moved_away_holds_up_nothing() {
    let smtp = Smtp::start(&[]);
    let (_server, site) = shrinking(&smtp);
    let state = state_of(&site);
    fs::write(&state, "{").unwrap();
    site.set_clock("2026-05-08T12:00:00Z");
    site.run(&["backup"]).done().saying(&["2 archives kept"]);
    fs::remove_file(state.with_extension("json.damaged")).unwrap();
    site.run(&["prune"]).done().printing(&["1 archive removed"]);
}

#[test]
fn each_collection_that_is_lost_is_told_and_again_once_the_loss_was_accepted() {
    let smtp = Smtp::start(&[]);
    let (server, site) = shrinking(&smtp);
    server.change("empty", "shop.orders");
    site.set_clock("2026-05-08T12:00:00Z");
    site.run(&["backup"]).done();
    assert_eq!(smtp.mails().len(), 1);
    server.change("drop", "blog.posts");
    site.set_clock("2026-05-09T12:00:00Z");
    site.run(&["backup"]).done();
    let mails = smtp.mails();
    assert_eq!(mails.len(), 2);
    assert!(
        mails[1].text.contains("blog.posts: gone"),
        "{}",
        mails[1].text
    );
    site.set_clock("2026-05-10T12:00:00Z");
    site.run(&["backup"]).done();
    assert_eq!(smtp.mails().len(), 2);

    site.run(&["prune", "--accept-shrink"]).done();
    server.change("fill", "shop.orders");
    site.set_clock("2026-05-10T13:00:00Z");
    site.run(&["backup"]).done();
    server.change("empty", "shop.orders");
    site.set_clock("2026-05-10T14:00:00Z");
    site.run(&["backup"]).done();
    assert_eq!(smtp.mails().len(), 3, "{:?}", subjects(&smtp));
}

#[test]
fn each_place_whose_copies_are_behind_is_told() {
    let smtp = Smtp::start(&[]);
    let (_server, site) = shrinking(&smtp);
    let [one, other] = ["one", "other"].map(|name| format!("file:///nowhere/{name}"));
    let site = site
        .with("OFFSITE_URL", &one)
        .with("OFFSITE_MAX_LAG", "12h")
        .with("RETENTION_DAYS", 30);
    for (day, mails) in [(3, 1), (4, 1)] {
        site.set_clock(&format!("2026-05-0{day}T12:00:00Z"));
        site.run(&["backup"]);
        assert_eq!(smtp.mails().len(), mails, "{:?}", subjects(&smtp));
    }
    let site = site.with("OFFSITE_URL", format!("{one},{other}"));
    site.set_clock("2026-05-05T12:00:00Z");
    site.run(&["backup"]);
    let mails = smtp.mails();
    assert_eq!(mails.len(), 2, "{:?}", subjects(&smtp));
    assert!(
        mails[1].text.contains("/nowhere/other"),
        "{}",
        mails[1].text
    );
}

#[test]
fn while_the_state_cannot_be_read_a_failure_is_told_once_and_health_says_so() {
    let smtp = Smtp::start(&[]);
    let (_server, site) = shrinking(&smtp);
    let state = state_of(&site);
    let known = fs::read(&state).unwrap();
    fs::remove_file(&state).unwrap();
    // Not even root can read it.
    fs::create_dir(&state).unwrap();
    let site = site
        .with("BACKUP_DATABASES", "nowhere")
        .with("BACKUP_CATCH_UP", "false");
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    for times in 1..3 {
        running.signal(Signal::USR1);
        running.until_it_says_times("the backup failed while", times);
        // It takes the next question when it has said when it will run again.
        running.until_it_says_times("next backup", times + 1);
    }
    until("the mail has come", SOON, || !smtp.mails().is_empty());
    site.run(&["health"]).ended_with(1).printing(&[
        "what is remembered of earlier backups cannot be read",
        "chown",
    ]);
    fs::remove_dir(&state).unwrap();
    fs::write(&state, known).unwrap();
    running.signal(Signal::USR1);
    running.until_it_says_times("the backup failed while", 3);
    until("it is written", SOON, || {
        fs::read_to_string(&state).is_ok_and(|state| state.contains("\"runs\": 3"))
    });
    running.signal(Signal::TERM);
    running.end(SOON * 3).done();
    assert_eq!(subjects(&smtp).len(), 1, "{:?}", subjects(&smtp));
}

#[test]
fn a_start_that_failed_is_followed_by_the_news_that_it_works() {
    let smtp = Smtp::start(&[]);
    let (_server, site) = shrinking(&smtp);
    let web = Web::start(|_| Reply::Is(200, "OK".into()));
    let site = site.with("PING_URL", format!("http://127.0.0.1:{}/ping/x", web.port));
    let without = site
        .with("BACKUP_CATCH_UP", "false")
        .with("PATH", "/nowhere");
    let running = without.start(&["run"]);
    running.until_it_says("1 mail sent");
    web.until_seen(1);
    running.signal(Signal::TERM);
    running.end(SOON * 3);
    let site = without.with("PATH", path_with_tools());
    let running = site.start(&["run"]);
    running.until_it_says("started, after that had failed before");
    running.until_it_says("1 mail sent");
    // The newest backup is as fresh as it should be.
    web.until_seen(2);
    running.signal(Signal::TERM);
    running.end(SOON * 3).done();
    assert_eq!(
        subjects(&smtp),
        [
            "jorbites backup FAILED while starting",
            "jorbites scheduler started again"
        ]
    );
    let pinged: Vec<String> = web.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(pinged, ["/ping/x/fail", "/ping/x"]);
}
