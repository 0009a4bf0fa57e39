//! Messages by NOTIFY_URLS.

use super::{TOKEN, failing, mended, site};
use crate::support::{Reply, SOON, Site, Smtp, Web, empty_port};
use rustix::process::Signal;
use std::time::Duration;

fn ntfy(web: &Web) -> String {
    format!("ntfy://{TOKEN}@127.0.0.1:{}/alerts", web.port)
}

#[test]
fn a_channel_that_is_down_holds_up_no_other_and_gets_everything_later() {
    let web = Web::start(|_| Reply::ok());
    let mut smtp = Smtp::start(&[]);
    smtp.stop();
    let site = failing(site().mailing_through(&smtp)).with("NOTIFY_URLS", ntfy(&web));
    site.run(&["backup"]).ended_with(1).saying(&[
        "1 message sent through 127.0.0.1",
        "1 mail not sent: cannot reach the mail server",
    ]);
    let seen = web.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].has(&format!("authorization: Bearer {TOKEN}")));
    let json = seen[0].json();
    assert_eq!(
        json["title"],
        "jorbites backup FAILED while asking the server"
    );
    let message = json["message"].as_str().unwrap();
    assert!(
        message.contains("there is no database named \"shopp\"") && message.contains("What to do")
    );

    smtp.come_back();
    let site = mended(site);
    site.run(&["backup"])
        .done()
        .saying(&["2 mails sent", "1 message sent"]);
    let subjects: Vec<String> = smtp.mails().into_iter().map(|mail| mail.subject).collect();
    assert_eq!(
        subjects[0],
        "jorbites backup FAILED while asking the server"
    );
    assert!(
        subjects[1].starts_with("jorbites backup recovered"),
        "{subjects:?}"
    );
    assert_eq!(web.seen().len(), 2);
}

#[test]
fn what_waits_for_a_channel_that_was_taken_away_waits_no_more() {
    let smtp = Smtp::start(&[]);
    let gone = format!("json://127.0.0.1:{}/x", empty_port());
    let waiting =
        |site: &Site| site.run(&["status", "--json"]).json()["notifications_waiting"].clone();
    let with_it = failing(site().mailing_through(&smtp)).with("NOTIFY_URLS", gone);
    with_it.run(&["backup"]).ended_with(1);
    assert_eq!(waiting(&with_it), 1);
    let outbox = with_it.backups().join(".pantry-keeper/outbox");
    std::fs::write(outbox.join("foreign.json"), "{").unwrap();
    assert_eq!(waiting(&with_it), 1);
    let without = with_it.with("NOTIFY_URLS", "");
    assert_eq!(waiting(&without), 0);
    let site = mended(without);
    site.run(&["backup"]).done();
    let left: Vec<_> = std::fs::read_dir(outbox).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn one_that_hangs_delays_no_other_nor_the_end() {
    let (hanging, web) = (Web::start(|_| Reply::Hang), Web::start(|_| Reply::ok()));
    let urls = format!("json://127.0.0.1:{}/x, {}", hanging.port, ntfy(&web));
    let site = failing(site()).with("NOTIFY_URLS", urls);
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    running.until_it_says("1 message sent");
    hanging.until_seen(1);
    running.signal(Signal::TERM);
    running.end(SOON * 3).done();
    // It is kept for the one that did not answer, and for that one alone.
    let outbox = site.backups().join(".pantry-keeper/outbox");
    let files: Vec<_> = std::fs::read_dir(outbox).unwrap().flatten().collect();
    assert_eq!(files.len(), 1);
    let kept = std::fs::read_to_string(files[0].path()).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let has_it = kept["delivered_to"].as_array().unwrap();
    assert_eq!(has_it.len(), 1);
    assert!(
        has_it[0].as_str().unwrap().starts_with("ntfy-"),
        "{has_it:?}"
    );
}

#[test]
fn a_start_that_fails_is_told_and_waited_out_without_mail_too() {
    let web = Web::start(|_| Reply::ok());
    let site = site().with("NOTIFY_URLS", ntfy(&web));
    std::fs::write(site.backups(), "a file where the folder should be").unwrap();
    let running = site.start(&["run"]);
    running.until_it_says("trying again every");
    let seen = web.until_seen(1);
    let json = seen[0].json();
    assert_eq!(json["title"], "jorbites backup FAILED while starting");
    running.signal(Signal::TERM);
    running.end(SOON).done();
}

#[test]
fn a_start_that_fails_and_is_told_to_nobody_ends() {
    let web = Web::start(|_| Reply::ok());
    let drills = format!("http://127.0.0.1:{}/ping/x", web.port);
    for site in [
        site()
            .with("NOTIFY_URLS", ntfy(&web))
            .with("NOTIFY_ON", "never"),
        site().with("DRILL_PING_URL", drills),
    ] {
        std::fs::write(site.backups(), "a file where the folder should be").unwrap();
        let outcome = site.run(&["run"]).ended_with(1);
        let outcome = outcome.saying(&["cannot start: "]);
        assert!(
            !outcome.stderr.contains("trying again"),
            "{}",
            outcome.stderr
        );
    }
    assert!(web.seen().is_empty());
}

#[test]
fn advice_names_what_exists_where_it_runs() {
    for (variable, words) in [
        (
            "INVOCATION_ID",
            "be told what to do: sudo pantry-keeper-as-service doctor",
        ),
        (
            "container",
            "docker compose exec pantry-keeper pantry-keeper doctor",
        ),
    ] {
        let web = Web::start(|_| Reply::ok());
        let site = failing(site())
            .with("NOTIFY_URLS", ntfy(&web))
            .with(variable, "1");
        site.run(&["backup"]).ended_with(1);
        let json = web.seen()[0].json();
        let message = json["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_test_tries_each_and_says_what_each_answered() {
    let taking = Web::start(|_| Reply::ok());
    let refusing = Web::start(|_| {
        let body = r#"{"error":"Unauthorized","errorDescription":"you need to provide a valid access token"}"#;
        Reply::Is(401, body.into())
    });
    let redirecting = Web::start(|_| Reply::Is(301, String::new()));
    let portal = Web::start(|_| Reply::Is(200, "<html>Welcome</html>".into()));
    let hanging = Web::start(|_| Reply::Hang);
    let urls = format!(
        "{},{},gotify://127.0.0.1:{}/{TOKEN},json://127.0.0.1:{}/x",
        ntfy(&taking),
        ntfy(&portal),
        refusing.port,
        redirecting.port
    );
    let site = Site::new().with("NOTIFY_URLS", &urls);
    let outcome = site.run(&["notify-test"]).ended_with(1);
    outcome
        .printing(&[&format!("accepted by 127.0.0.1:{} (ntfy)\n", taking.port)])
        .saying(&[
            "(gotify) did not take it: 401 you need to provide a valid access token; check the token",
            "redirects to http://127.0.0.1 (301), which is not followed",
            "(ntfy) answered 200, but not as ntfy does; is that its address?",
        ]);
    assert_eq!(
        taking.seen()[0].json()["title"],
        "jorbites: test from Pantry Keeper"
    );
    // One that never answers ends when the owner has seen enough.
    let site = site.with(
        "NOTIFY_URLS",
        format!("json://127.0.0.1:{}/x", hanging.port),
    );
    let running = site.start(&["notify-test"]);
    hanging.until_seen(1);
    running.signal(Signal::INT);
    running
        .end(SOON)
        .ended_with(1)
        .saying(&["stopped as asked"]);
}

#[test]
fn doctor_looks_at_each_without_sending_anything() {
    let web = Web::start(|_| Reply::ok());
    let urls = format!("{},gotify://127.0.0.1:{}/{TOKEN}", ntfy(&web), empty_port());
    let outcome = site()
        .with("NOTIFY_URLS", urls)
        .run(&["doctor"])
        .ended_with(1);
    outcome.printing(&[
        "✓ ntfy",
        "ntfy is healthy",
        "✗ gotify",
        "cannot connect to 127.0.0.1",
    ]);
    let seen = web.seen();
    assert_eq!((seen.len(), seen[0].path.as_str()), (1, "/v1/health"));
}

#[test]
fn five_megabytes_for_an_answer_do_no_harm() {
    let web = Web::start(|_| Reply::Is(500, "y".repeat(5_000_000)));
    let site = failing(site()).with("NOTIFY_URLS", ntfy(&web));
    let outcome = site
        .run(&["backup"])
        .ended_with(1)
        .within(Duration::from_secs(60));
    outcome.saying(&[
        "1 message not sent: 127.0.0.1",
        "cannot take it now: 500 yyyy",
    ]);
}

#[test]
fn names_of_other_programs_are_answered_with_ours() {
    for (name, ours) in [
        ("HEALTHCHECKS_URL", "PING_URL"),
        ("UPTIME_KUMA_URL", "PING_URL"),
        ("NOTIFICATION_URLS", "NOTIFY_URLS"),
        ("NOTIFICATION_URLS_FILE", "NOTIFY_URLS_FILE"),
        ("NOTIFY_URL", "NOTIFY_URLS"),
        ("PING_URI", "PING_URL"),
    ] {
        let site = site().with(name, "https://example.org/");
        let words = format!("{name}: is not a setting; did you mean {ours}?");
        site.run(&["backup"]).ended_with(2).saying(&[&words]);
    }
}

#[test]
fn urls_come_from_a_file_too_and_a_faulty_one_is_not_shown() {
    let web = Web::start(|_| Reply::ok());
    let site = Site::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("urls");
    std::fs::write(&file, format!("{}\n", ntfy(&web))).unwrap();
    let site = site.with("NOTIFY_URLS_FILE", file.display());
    site.run(&["notify-test"]).done();
    assert_eq!(web.seen().len(), 1);
    let faulty = Site::new().with("NOTIFY_URLS", format!("gotify://{TOKEN}"));
    faulty.run(&["notify-test"]).ended_with(2).saying(&[
        "NOTIFY_URLS: \"***\"",
        "URL 1 (gotify://…): the token is missing",
    ]);
}
