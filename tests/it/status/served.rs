//! What is served, and that it is what the commands print.

use super::{pantry, serve, site};
use crate::service::stop;
use crate::support::{SOON, is_alive, until};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;

#[test]
fn the_page_and_what_is_beside_it() {
    let site = site();
    let names = pantry::fill(&site, 3, 24);
    pantry::remember(&site, &names, &[pantry::failed(50)]);
    let (running, page) = serve(&site);
    let newest = &names[2];
    let overview = page.get("/").with_status(200).showing(&[
        "All is well: the newest backup is 2 h",
        newest,
        "restore latest",
        "dump 8.4 s",
        // What an error says is text, whatever is in it.
        "&lt;b&gt;mongodb&lt;/b&gt;",
    ]);
    assert!(!overview.body.contains("<script") && !overview.body.contains(" style="));
    for header in [
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "content-type: text/html; charset=utf-8",
    ] {
        assert!(
            overview.head.contains(header),
            "no {header} in {}",
            overview.head
        );
    }
    let archive = page.get(&format!("/archives/{newest}")).with_status(200);
    archive.showing(&[
        "shop.orders",
        "grown",
        &format!("restore {newest}"),
        "tar xzf",
        "mongodb:27017",
    ]);
    let first = page
        .get(&format!("/archives/{}", names[0]))
        .with_status(200);
    first.showing(&["There is no archive before it"]);
    page.get("/icon.svg").with_status(200).showing(&["<svg"]);
    let health = page.get("/health").with_status(200);
    assert_eq!(health.json()["healthy"], true);
    assert_eq!(health.json(), site.run(&["health", "--json"]).done().json());
    // Other tests write to the same disk.
    let timeless = |mut document: Value| {
        document["as_of_at"].take();
        document["free_bytes"].take();
        document
    };
    let printed = site.run(&["list", "--json"]).done().json();
    assert_eq!(
        timeless(page.get("/api/archives").json()),
        timeless(printed)
    );
    let printed = site.run(&["status", "--json"]).done().json();
    assert_eq!(timeless(page.get("/api/status").json()), timeless(printed));
    stop(running);
}

#[test]
fn nothing_can_be_changed_and_nothing_else_is_there() {
    let site = site();
    pantry::fill(&site, 1, 24);
    let (running, page) = serve(&site);
    let ask =
        |line: &str, host: &str| page.ask(&format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PURGE"] {
        let refused = ask(&format!("{method} /"), "localhost").with_status(405);
        assert!(refused.head.contains("allow: get, head"));
    }
    let head = ask("HEAD /", "localhost").with_status(200);
    assert!(head.body.is_empty() && head.head.contains("content-length: "));
    for path in [
        "/nothing",
        "/archives/",
        "/archives/../../../../etc/passwd",
        "/archives/..%2f..%2fetc%2fpasswd",
        "/?page=0",
        "/?page=2",
        "/?page=99999999999999999999999",
        "//",
    ] {
        ask(&format!("GET {path}"), "localhost").with_status(404);
    }
    // A name of a stranger's that was made to point here.
    ask("GET /api/status", "evil.example:8080")
        .with_status(421)
        .showing(&["STATUS_HOSTS"]);
    page.ask("GET / HTTP/1.1\r\n\r\n").with_status(421);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    page.ask(&long).with_status(431);
    let many = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        "X: x\r\n".repeat(100)
    );
    page.ask(&many).with_status(431);
    stop(running);
}

/// It has a process of its own, which gets no password, and whose end ends nothing else.
#[test]
fn its_process_holds_no_secret_comes_back_when_it_dies_and_goes_with_the_scheduler() {
    let site = site().with("SMTP_PASSWORD", "Pa@n/t:r%79-s3ntinel");
    let (running, page) = serve(&site);
    let child = running.child();
    let environment = fs::read(format!("/proc/{child}/environ")).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    assert!(environment.contains("BACKUP_DIR=") && !environment.contains("MONGODB_URI"));
    assert!(!environment.contains("s3ntinel"), "{environment}");
    page.get("/").with_status(200).showing(&["No backup yet"]);
    kill_process(Pid::from_raw(child as i32).unwrap(), Signal::KILL).unwrap();
    running.until_it_says(
        "the status page ended with signal: 9 (SIGKILL); starting it again in 1.0 s",
    );
    running.until_it_says_times("the status page is at", 2);
    super::client::Page::last_of(&running)
        .get("/")
        .with_status(200);
    let child = running.child();
    running.signal(Signal::KILL);
    until("the page goes with the scheduler", SOON, || {
        !is_alive(child)
    });
}

/// Somebody else has the port; that is no reason to make no backups.
#[test]
fn a_port_that_is_taken_is_said_and_backups_go_on() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = site()
        .with("STATUS_LISTEN", address)
        .with("BACKUP_ON_START", "true");
    let running = site.start(&["run"]);
    running.until_it_says(&format!(
        "the status page cannot listen at {address} (STATUS_LISTEN)"
    ));
    running.until_it_says("backup complete and verified");
    stop(running);
}

#[test]
fn where_copies_lie_is_shown_by_a_process_without_their_keys() {
    let site = site()
        .with("OFFSITE_URL", "s3://far/backups,sftp://me@nas/backups")
        .with("AWS_ACCESS_KEY_ID", "an-id")
        .with("AWS_SECRET_ACCESS_KEY", "a-secret-key")
        .with("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .with("OFFSITE_MAX_LAG", "1d");
    let names = pantry::fill(&site, 2, 48);
    let copy = |sha256: &str| json!({ "made_at": null, "bytes": 1, "sha256": sha256, "proof": "confirmed", "at": "2026-03-01T02:00:00Z" });
    let record = json!({ "places": {
        "s3://far/backups/?endpoint=http://127.0.0.1:1": { "since": "2026-01-01T00:00:00Z", "problem": "nobody answers",
            "copies": { &names[0]: copy("00") } },
        "sftp://me@nas/backups": { "copies": { format!("{}.age", names[0]): copy("11") } },
    } });
    let own = site.backups().join(".pantry-keeper");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("offsite.json"), record.to_string()).unwrap();
    // Whoever holds it may change the record; the scheduler's own round would.
    let lock = fs::File::create(own.join("offsite.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let (running, page) = serve(&site);
    let overview = page.get("/").showing(&[
        "Copies",
        "confirmed, 1 Mar 2026",
        "not there",
        "s3://far/backups",
    ]);
    assert_eq!(overview.body.matches("confirmed, 1 Mar").count(), 2);
    page.get(&format!("/archives/{}", names[0]))
        .with_status(200)
        .showing(&["Copies", "sftp://me@nas/backups"]);
    let health = page.get("/health").json();
    assert_eq!(health, site.run(&["health", "--json"]).json());
    assert!(
        health.to_string().contains("behind: nobody answers"),
        "{health}"
    );
    let environment = fs::read(format!("/proc/{}/environ", running.child())).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("a-secret-key"));
    stop(running);
}
