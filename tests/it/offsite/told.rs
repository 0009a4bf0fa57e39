//! Who is told what about copies, and when.

use super::names;
use crate::support::{PASSWORD, Place, Reply, Site, Smtp, Web, shared};
use std::fs;
use std::sync::{Arc, Mutex};

fn with_disk(site: Site) -> (Site, std::path::PathBuf) {
    let disk = site.path("disk2");
    let site = site.with("OFFSITE_URL", format!("file://{}", disk.display()));
    (site.with("BACKUP_DATABASES", "shop"), disk)
}

#[test]
fn success_is_pinged_once_the_copy_is_there_and_not_before() {
    let (site, disk) = with_disk(Site::of(shared()));
    let there_at = Arc::new(Mutex::new(Vec::new()));
    let (noted, looked) = (Arc::clone(&there_at), disk.clone());
    let web = Web::start(move |request| {
        let there =
            looked.is_dir() && names(&looked).len().is_multiple_of(2) && !names(&looked).is_empty();
        let what = if request.path.contains("/start") {
            "start"
        } else {
            "success"
        };
        noted.lock().unwrap().push((what, there));
        Reply::Is(200, "OK".into())
    });
    let site = site.with(
        "PING_URL",
        format!("http://127.0.0.1:{}/ping/uuid", web.port),
    );
    site.run(&["backup"]).done();
    assert_eq!(
        *there_at.lock().unwrap(),
        [("start", false)],
        "its copy is nowhere"
    );
    fs::create_dir(&disk).unwrap();
    there_at.lock().unwrap().clear();
    site.run(&["backup"]).done();
    assert_eq!(
        *there_at.lock().unwrap(),
        [("start", false), ("success", true)]
    );
}

#[test]
fn a_success_that_waited_is_not_pinged_after_a_failure() {
    let (site, disk) = with_disk(Site::of(shared()));
    let web = Web::start(|_| Reply::Is(200, "OK".into()));
    let site = site.with(
        "PING_URL",
        format!("http://127.0.0.1:{}/ping/uuid", web.port),
    );
    site.run(&["backup"]).done();
    let held = site.backups().join(".pantry-keeper/held-ping.json");
    assert!(held.exists());
    fs::create_dir(&disk).unwrap();
    let nowhere = format!(
        "mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=100",
        crate::support::empty_port()
    );
    let site = site.with("MONGODB_URI", nowhere);
    site.run(&["backup"]).ended_with(1);
    assert!(!held.exists());
    let last = web.seen().pop().unwrap();
    assert!(last.path.contains("/fail"), "{}", last.path);
}

#[test]
fn a_copy_that_differs_is_an_alarm_that_is_told_at_once_and_once() {
    let place = Place::s3();
    let web = Web::start(|_| Reply::Is(200, "OK".into()));
    let site = Site::of(shared())
        .with_place(&place)
        .with("BACKUP_DATABASES", "shop")
        .with("NOTIFY_URLS", format!("json://127.0.0.1:{}/told", web.port));
    place.behave(r#"{"method": "PUT", "least": 1000, "do": "damage", "times": 1}"#);
    site.run(&["backup"]).done();
    let seen = web.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    let told = seen[0].json();
    assert_eq!(
        (&told["event"], &told["severity"]),
        (&"copy_differs".into(), &"bad".into())
    );
    assert!(told.to_string().contains("its SHA-256 differs"), "{told}");
    assert!(
        told.to_string().contains("pantry-keeper verify --offsite"),
        "{told}"
    );
    assert!(!told.to_string().contains("right-secret-key"));
    site.run(&["backup"]).done();
    let alarms = web.seen();
    let alarms = alarms
        .iter()
        .filter(|one| one.json()["event"] == "copy_differs");
    assert_eq!(alarms.count(), 1);
}

#[test]
fn a_clock_that_is_off_is_named() {
    let place = Place::s3();
    place.behave(r#"{"do": "clock"}"#);
    let site = Site::of(shared())
        .with_place(&place)
        .with("BACKUP_DATABASES", "shop");
    site.run(&["backup"]).done().saying(&["copied to"]);
    let site = site.with_clock("2026-01-01T02:00:00Z");
    site.run(&["backup"])
        .done()
        .saying(&["RequestTimeTooSkewed", "set this machine's clock"]);
}

#[test]
fn copies_that_are_behind_are_mailed_once_and_so_is_that_they_have_caught_up() {
    let smtp = Smtp::start(&["--login", "pantry@example.org", PASSWORD]);
    let place = Place::s3();
    let site = Site::of(shared())
        .with_place(&place)
        .with("BACKUP_DATABASES", "shop")
        .with("SMTP_HOST", "127.0.0.1")
        .with("SMTP_PORT", smtp.port)
        .with("SMTP_SECURITY", "none")
        .with("SMTP_USERNAME", "pantry@example.org")
        .with("SMTP_PASSWORD", PASSWORD)
        .with("EMAIL_TO", "mira@example.org")
        .with_clock("2026-01-01T02:00:00Z");
    place.behave(r#"{"method": "PUT", "do": "deny"}"#);
    site.run(&["backup"]).done();
    assert!(smtp.mails().is_empty(), "it has just been made");
    for day in [10, 11] {
        site.set_clock(&format!("2026-01-{day}T12:00:00Z"));
        site.run(&["backup"]).done();
        let mails = smtp.mails();
        assert_eq!(mails.len(), 1, "{mails:?}");
        let words = "the copy at s3://pantry/backups/ is 9 days behind";
        assert!(mails[0].subject.contains(words), "{}", mails[0].subject);
        for words in [words, "AccessDenied"] {
            assert!(mails[0].text.contains(words), "{}", mails[0].text);
        }
    }
    place.behave_well();
    for day in [12, 13] {
        site.set_clock(&format!("2026-01-{day}T12:00:00Z"));
        site.run(&["backup"]).done();
        let mails = smtp.mails();
        assert_eq!(mails.len(), 2, "{mails:?}");
        assert!(
            mails[1]
                .subject
                .ends_with("copies elsewhere are complete again")
        );
    }
    for mail in smtp.mails() {
        let all = [mail.subject, mail.text, mail.html].concat();
        assert!(!all.contains("right-secret-key"), "{all}");
    }
}

#[test]
fn a_copy_that_differs_is_pinged_as_a_failure() {
    let place = Place::s3();
    let web = Web::start(|_| Reply::Is(200, "OK".into()));
    let url = format!("http://127.0.0.1:{}/ping/uuid", web.port);
    let site = Site::of(shared())
        .with_place(&place)
        .with("BACKUP_DATABASES", "shop")
        .with("PING_URL", url)
        .with("NOTIFY_ON", "never");
    place.behave(r#"{"method": "PUT", "least": 1000, "do": "damage", "times": 1}"#);
    site.run(&["backup"]).done();
    let seen = web.seen();
    let paths: Vec<&str> = seen
        .iter()
        .map(|one| one.path.split('?').next().unwrap())
        .collect();
    assert_eq!(paths, ["/ping/uuid/start", "/ping/uuid/fail"]);
    for words in [
        "A copy elsewhere is not what was sent",
        "its SHA-256 differs",
    ] {
        assert!(seen[1].body.contains(words), "{}", seen[1].body);
    }
    assert!(!seen[1].body.contains("right-secret-key"));
}
