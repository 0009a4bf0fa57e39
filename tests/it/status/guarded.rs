//! Who may read the page.

use super::client::Answer;
use super::{pantry, serve, site};
use crate::service::stop;
use crate::support::PASSWORD;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

#[test]
fn a_password_is_asked_for_everywhere_and_is_shown_nowhere() {
    let site = site().with("STATUS_PASSWORD", PASSWORD);
    pantry::fill(&site, 1, 24);
    let (running, page) = serve(&site);
    let with = |path: &str, credentials: &str| -> Answer {
        page.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {}\r\n\r\n",
            STANDARD.encode(credentials)
        ))
    };
    for path in [
        "/",
        "/metrics",
        "/health",
        "/api/status",
        "/api/archives",
        "/nothing",
        "/icon.svg",
    ] {
        let asked = page.get(path).with_status(401);
        assert!(
            asked.head.contains("www-authenticate: basic realm="),
            "{}",
            asked.head
        );
        let given = with(path, &format!("me:{PASSWORD}"));
        assert!(given.status == 200 || path == "/nothing" && given.status == 404);
        assert!(!given.body.contains("s3ntinel"));
    }
    let wrong = with("/", "me:guess").with_status(401);
    assert!(
        wrong.took >= Duration::from_secs(1),
        "guesses are answered late"
    );
    stop(running);
}

#[test]
fn names_are_told_in_settings() {
    let site = site().with("STATUS_HOSTS", "pi.local, Backups.Example.org");
    let (running, page) = serve(&site);
    let status = |host: &str| {
        page.ask(&format!("GET /icon.svg HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .status
    };
    assert_eq!(
        ["pi.local:8080", "backups.example.org", "pi"].map(status),
        [200; 3]
    );
    assert_eq!(["other.example.org", "example.org"].map(status), [421; 2]);
    stop(running);
}

#[test]
fn what_is_wrong_with_the_settings_is_said() {
    site()
        .with("STATUS_LISTEN", "8080")
        .with("STATUS_HOSTS", "http://pi")
        .with("STATUS_PORT", "1")
        .run(&["run"])
        .ended_with(2)
        .saying(&[
            "STATUS_LISTEN: \"8080\" is not an address with a port; use 127.0.0.1:8080",
            "STATUS_HOSTS: \"http://pi\" is not a host name",
            "STATUS_PORT: is not a setting",
        ]);
}
