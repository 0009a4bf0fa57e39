//! Pings: of healthchecks.io (<https://healthchecks.io/docs/http_api/>) and of Uptime Kuma's push monitors.

use super::{failing, mended, site};
use crate::support::{ANSWER_VERSION, Reply, SOON, Site, Web, shared, until};
use rustix::process::Signal;
use std::sync::{Arc, Mutex};

/// Both are secrets by themselves.
const UUID: &str = "5f3e9c1a-0b7d-s3ntinel-9d55-1a2b3c4d5e6f";

fn ok() -> Reply {
    Reply::Is(200, "OK".into())
}

fn healthchecks(site: Site, name: &str, web: &Web) -> Site {
    site.with(name, format!("http://127.0.0.1:{}/ping/{UUID}", web.port))
}

/// The path without the query, and the id of the run.
fn parts(path: &str) -> (&str, &str) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    (path, query.strip_prefix("rid=").unwrap_or_default())
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[test]
fn a_backup_is_begun_and_ended_and_success_means_that_the_archive_is_there() {
    let folder = Arc::new(Mutex::new(None));
    let looked = Arc::clone(&folder);
    let there_at = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&there_at);
    let web = Web::start(move |_| {
        let folder: Option<std::path::PathBuf> = looked.lock().unwrap().clone();
        let names = std::fs::read_dir(folder.unwrap())
            .into_iter()
            .flatten()
            .flatten();
        let sums =
            names.filter(|entry| entry.path().extension().is_some_and(|end| end == "sha256"));
        noted.lock().unwrap().push(sums.count());
        ok()
    });
    let site = healthchecks(site(), "PING_URL", &web);
    *folder.lock().unwrap() = Some(site.backups());
    site.run(&["backup"])
        .done()
        .saying(&["1 ping sent through 127.0.0.1"]);
    let seen = web.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    let (start, end) = (parts(&seen[0].path), parts(&seen[1].path));
    assert_eq!(start.0, format!("/ping/{UUID}/start"));
    assert_eq!(end.0, format!("/ping/{UUID}"));
    assert!(is_uuid(start.1) && start.1 == end.1, "{seen:?}");
    assert!(
        seen[1].body.contains("was made and verified."),
        "{}",
        seen[1].body
    );
    assert!(
        seen[1].body.contains("INFO backup complete and verified"),
        "{}",
        seen[1].body
    );
    assert_eq!(*there_at.lock().unwrap(), [0, 1]);
    // Another run is another run.
    site.run(&["backup"]).done();
    assert_ne!(parts(&web.seen()[2].path).1, start.1);
}

#[test]
fn every_failure_is_told_with_what_went_wrong() {
    let web = Web::start(|_| ok());
    // Whatever people want to read.
    let site = failing(healthchecks(site(), "PING_URL", &web)).with("NOTIFY_ON", "never");
    for _ in 0..2 {
        site.run(&["backup"]).ended_with(1);
    }
    let seen = web.seen();
    let paths: Vec<&str> = seen.iter().map(|request| parts(&request.path).0).collect();
    let (start, fail) = (format!("/ping/{UUID}/start"), format!("/ping/{UUID}/fail"));
    assert_eq!(paths, [&start, &fail, &start, &fail]);
    assert_eq!(parts(&seen[0].path).1, parts(&seen[1].path).1);
    for words in [
        "there is no database named \"shopp\"",
        "ERROR the backup failed while",
    ] {
        assert!(seen[1].body.contains(words), "{words}: {}", seen[1].body);
    }
}

#[test]
fn what_cannot_be_told_now_is_told_later_and_only_the_last_of_it() {
    let down = Web::start(|_| Reply::Is(503, String::new()));
    let site = failing(healthchecks(site(), "PING_URL", &down));
    site.run(&["backup"]).ended_with(1);
    let site = mended(site);
    site.run(&["backup"])
        .done()
        .saying(&["1 ping not sent", "cannot take the ping now: 503"]);
    let port = down.port;
    drop(down);
    let web = Web::on(port, |_| ok());
    let running = site.start(&["run"]);
    running.until_it_says("1 ping sent");
    running.signal(Signal::TERM);
    running.end(SOON).done();
    let seen = web.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(parts(&seen[0].path).0, format!("/ping/{UUID}"));
}

#[test]
fn a_ping_that_hangs_delays_no_backup() {
    let web = Web::start(|_| Reply::Hang);
    let site = healthchecks(site(), "PING_URL", &web);
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    running.until_it_says("backup complete and verified");
    running.signal(Signal::TERM);
    running.end(SOON * 2).done();
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn uptime_kuma_is_told_up_or_down() {
    let web = Web::start(|_| Reply::Is(200, r#"{"ok":true}"#.into()));
    let url = format!(
        "http://127.0.0.1:{}/api/push/{UUID}?status=up&msg=OK&ping=",
        web.port
    );
    let site = site().with("PING_URL", url);
    site.run(&["backup"]).done();
    failing(site).run(&["backup"]).ended_with(1);
    let seen = web.seen();
    // It knows no beginning.
    assert_eq!(seen.len(), 2, "{seen:?}");
    let start = format!("/api/push/{UUID}?status=up&msg=jorbites%20backup%20made%3A%20");
    assert!(
        seen[0].method == "GET" && seen[0].path.starts_with(&start),
        "{seen:?}"
    );
    let ping = seen[0].path.rsplit("&ping=").next().unwrap();
    assert!(ping.parse::<u64>().unwrap() > 0, "{ping}");
    assert!(
        seen[1]
            .path
            .contains("?status=down&msg=jorbites%20backup%20FAILED")
    );
    assert!(
        seen[1].path.contains("there%20is%20no%20database"),
        "{seen:?}"
    );
}

#[test]
fn an_address_that_is_unknown_there_is_said() {
    for (path, status, body) in [
        (format!("/ping/{UUID}"), 404, "not found"),
        (format!("/ping/{UUID}"), 200, "OK (not found)"),
        (
            format!("/api/push/{UUID}"),
            404,
            r#"{"ok":false,"msg":"Monitor not found or not active."}"#,
        ),
    ] {
        let web = Web::start(move |_| Reply::Is(status, body.into()));
        let url = format!("http://127.0.0.1:{}{path}", web.port);
        let site = site().with("PING_URL", url);
        let outcome = site.run(&["backup"]).done();
        outcome.saying(&[
            "1 ping not sent: 127.0.0.1",
            "not found",
            "copy the address again into PING_URL",
        ]);
    }
}

#[test]
fn a_ping_that_healthchecks_passes_over_is_sent_again() {
    let limited = Arc::new(Mutex::new(true));
    let is_limited = Arc::clone(&limited);
    let web = Web::start(move |_| match *is_limited.lock().unwrap() {
        true => Reply::Is(200, "OK (rate limited)".into()),
        false => ok(),
    });
    let site = failing(healthchecks(site(), "PING_URL", &web));
    site.run(&["backup"]).ended_with(1).saying(&[
        "1 ping not sent: 127.0.0.1",
        "cannot take the ping now: 200 OK (rate limited)",
    ]);
    *limited.lock().unwrap() = false;
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["1 ping sent through"]);
    let last = web.seen().pop().unwrap();
    assert!(last.path.contains("/fail"), "{last:?}");
}

#[test]
fn drills_have_a_ping_of_their_own() {
    let (backups, drills) = (Web::start(|_| ok()), Web::start(|_| ok()));
    let site = healthchecks(site(), "PING_URL", &backups);
    let site = healthchecks(site, "DRILL_PING_URL", &drills);
    site.run(&["backup"]).done();
    assert!(drills.seen().is_empty());
    let site = site.with("DRILL_URI", shared().uri());
    site.run(&["drill"]).done();
    let site = site.with_false_mongorestore("cat > /dev/null; echo x >&2; exit 1");
    site.run(&["drill"]).ended_with(1);
    let seen = drills.seen();
    let paths: Vec<&str> = seen.iter().map(|request| parts(&request.path).0).collect();
    let (start, fail) = (format!("/ping/{UUID}/start"), format!("/ping/{UUID}/fail"));
    assert_eq!(paths, [&start, &format!("/ping/{UUID}"), &start, &fail]);
    assert!(
        seen[1]
            .body
            .contains("was restored into scratch databases and is equal")
    );
    assert_eq!(backups.seen().len(), 2);
    // What is not there is not tried.
    site.run(&["drill", "jorbites_backup_20000101_000000"])
        .ended_with(2);
    assert_eq!(drills.seen().len(), 4);
}

#[test]
fn a_test_counts_as_no_backup() {
    let (checks, kuma) = (Web::start(|_| ok()), Web::start(|_| ok()));
    let site = healthchecks(Site::new(), "PING_URL", &checks).with(
        "DRILL_PING_URL",
        format!("http://127.0.0.1:{}/api/push/{UUID}", kuma.port),
    );
    site.run(&["notify-test"]).done().printing(&[
        "(PING_URL) has taken it as a log entry",
        "(DRILL_PING_URL); nothing was sent",
    ]);
    let paths: Vec<String> = checks
        .seen()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, [format!("/ping/{UUID}/log")]);
    assert!(kuma.seen().is_empty());
}

#[test]
fn a_run_that_is_killed_is_told_by_the_scheduler() {
    let web = Web::start(|_| ok());
    let site = healthchecks(site(), "PING_URL", &web)
        .with_false_mongodump(&format!("{ANSWER_VERSION}; sleep 60"));
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    running.mongodump();
    running.tell_child(Signal::KILL);
    until("it is told", SOON, || {
        let seen = web.seen();
        seen.iter().any(|request| {
            request.path.contains("/fail")
                && request
                    .body
                    .contains("killed, perhaps because memory ran out")
        })
    });
    running.signal(Signal::TERM);
    running.end(SOON).done();
}
