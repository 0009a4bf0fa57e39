//! A disk that hangs holds the scheduler, and its owner learns of it all the same.

use super::site;
use crate::support::{Hang, Reply, Request, Web};
use rustix::process::Signal;
use std::fs;
use std::time::Duration;

#[test]
fn while_it_waits_for_its_next_run() {
    let web = Web::start(|_| Reply::ok());
    let site = site()
        .with("NOTIFY_URLS", format!("json://127.0.0.1:{}/news", web.port))
        .with("PING_URL", format!("http://127.0.0.1:{}/ping", web.port));
    // Its sign of life, every five minutes.
    let lock = site.backups().join(".pantry-keeper/scheduler.lock");
    let site = site.hanging(&Hang {
        path: lock,
        call: "utimensat",
        from: 2,
    });
    let running = site.start(&["run"]);
    let seen = web.until_seen(3);
    let mut told: Vec<_> = seen.iter().map(|request| request.path.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["/news", "/news", "/ping/fail"]);
    let news = seen.iter().filter(|request| request.path == "/news");
    let news: Vec<_> = news.map(Request::json).collect();
    assert_eq!(news[0]["event"], "stalled");
    assert_eq!(
        news[0]["title"],
        "jorbites scheduler STANDS STILL: no backup is made"
    );
    let text = news[0]["text"].as_str().unwrap();
    for words in [
        "no sign of life for 16 min",
        "Standing still since",
        "1. See to the disk",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(news[1]["event"], "resumed");
    assert_ne!(news[0]["id"], news[1]["id"]);
    assert_eq!(
        news[0]["facts"]["failing_since"],
        news[1]["facts"]["failing_since"]
    );
    running.until_it_says("1 message sent");
    running.tell_child(Signal::TERM);
    let ended = running.end(Duration::from_secs(60)).done();
    ended.saying(&[
        "no sign of life for 16 min",
        "the scheduler goes on, after it stood still for ",
    ]);
    let log = fs::read_to_string(site.path("logs/scheduler.log")).unwrap();
    assert_eq!(log.matches("no sign of life").count(), 1, "{log}");
}

#[test]
fn while_it_opens_its_logs() {
    let web = Web::start(|_| Reply::ok());
    let site = site().with("NOTIFY_URLS", format!("json://127.0.0.1:{}/", web.port));
    let hang = Hang::of_the_log(&site);
    let site = site.hanging(&hang);
    let running = site.start(&["run"]);
    let seen = web.until_seen(2);
    let events: Vec<_> = seen
        .iter()
        .map(|request| request.json()["event"].clone())
        .collect();
    assert_eq!(events, ["stalled", "resumed"]);
    running.tell_child(Signal::TERM);
    running.end(Duration::from_secs(60)).done();
}
