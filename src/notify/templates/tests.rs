//! Notifications as their readers see them.

use super::*;
use crate::notify::notification::{Facts, LastGood, Origin, Severity};
use chrono::TimeZone;

fn at(month: u32, day: u32, second: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, month, day, 0, 0, second)
        .unwrap()
}

fn notification(event: Event, facts: Facts) -> Notification {
    Notification {
        id: "jorbites.1".into(),
        event,
        severity: Severity::Bad,
        written_at: at(6, 2, 41),
        origin: Origin {
            prefix: "jorbites".into(),
            hosts: "db:27017".into(),
            folder: "/backups".into(),
            time_zone: "Europe/Madrid".into(),
        },
        facts: Facts {
            next_run_at: Some(at(6, 7, 0)),
            ..facts
        },
        help: Vec::new(),
        delivered_to: Default::default(),
        mail: None,
    }
}

fn made(event: Event) -> Notification {
    let facts = Facts {
        archive: Some("jorbites_backup_20260602_020000.tar.gz".into()),
        archive_bytes: Some(12_345_678),
        documents: Some(41_203),
        bytes: Some(99_000_000),
        namespaces: Some(7),
        point_in_time: Some(true),
        elapsed_seconds: Some(41.0),
        ..Facts::default()
    };
    notification(event, facts)
}

fn failed(day: u32) -> Notification {
    let event = if day > 1 {
        Event::StillFailing
    } else {
        Event::Failed
    };
    let facts = Facts {
        stage: Some("asking the server".into()),
        error: Some("cannot reach MongoDB at db:27017: Connection refused".into()),
        failing_since: Some(at(5, 31, 12)),
        failed_runs: Some(day),
        day: Some(day),
        last_good: Some(LastGood {
            archive: "jorbites_backup_20260524_020000.tar.gz".into(),
            made_at: at(5, 24, 0),
            archive_bytes: 12_000_000,
            documents: 41_000,
        }),
        folder_readable: Some(true),
        log: vec!["2026-06-02 02:00:41 CEST ERROR <b>the backup failed</b>".into()],
        ..Facts::default()
    };
    Notification {
        help: vec![
            "See whether MongoDB runs.".into(),
            "Run `pantry-keeper doctor`.".into(),
        ],
        ..notification(event, facts)
    }
}

#[test]
fn a_failure_says_what_where_since_when_what_is_left_and_what_to_do() {
    let mail = mail(&failed(3));
    assert_eq!(mail.subject, "jorbites backup still failing, day 3");
    let expected = "\
The backup of db:27017 is still failing, day 3: while asking the server.

cannot reach MongoDB at db:27017: Connection refused

Nothing was removed, and older archives are as they were.

Failing since:     Sunday 31 May 2026 at 02:00 CEST (3 failed runs in a row)
Last good archive: jorbites_backup_20260524_020000.tar.gz
                   of Sunday 24 May 2026 at 02:00 CEST, 41,000 documents, 12.0 MB
Server:            db:27017
Folder:            /backups
Next run:          Sunday 7 June 2026 at 02:00 CEST, in 5 days

What to do
  1. See whether MongoDB runs.
  2. Run `pantry-keeper doctor`.

The end of the log
  2026-06-02 02:00:41 CEST ERROR <b>the backup failed</b>

-- 
Pantry Keeper 0.1.0, Tuesday 2 June 2026 at 02:00 CEST. NOTIFY_ON chooses what is sent.
";
    assert_eq!(
        mail.text,
        expected.replace("0.1.0", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        render(&failed(1)).subject,
        "jorbites backup FAILED while asking the server"
    );
}

#[test]
fn html_says_the_same_and_nothing_in_it_becomes_markup() {
    let html = mail(&failed(1)).html;
    for words in [
        "Connection refused",
        "Last good archive",
        "jorbites_backup_20260524",
        "What to do",
        "Next run",
    ] {
        assert!(html.contains(words), "{words}:\n{html}");
    }
    assert!(html.contains("&lt;b&gt;the backup failed") && !html.contains("<b>"));
}

#[test]
fn a_phone_gets_neither_log_nor_foot_and_never_too_much() {
    let message = render(&failed(3));
    let brief = message.brief(1_000);
    assert!(brief.starts_with("The backup of db:27017 is still failing"));
    assert!(brief.ends_with("2. Run `pantry-keeper doctor`."), "{brief}");
    assert!(!brief.contains("ERROR") && !brief.contains("NOTIFY_ON"));
    let short = message.brief(20);
    assert_eq!(short.chars().count(), 20);
    assert!(short.ends_with('…'));
}

#[test]
fn a_recovery_says_how_long_it_had_failed() {
    let made = made(Event::Recovered);
    let facts = Facts {
        failing_since: Some(at(5, 31, 12)),
        failed_runs: Some(3),
        ..made.facts.clone()
    };
    let mail = mail(&Notification { facts, ..made });
    assert_eq!(
        mail.subject,
        "jorbites backup recovered: jorbites_backup_20260602_020000.tar.gz made"
    );
    assert!(
        mail.text
            .contains("failing since Sunday 31 May 2026 at 02:00 CEST (3 failed runs, for 2 days)"),
        "{}",
        mail.text
    );
}

#[test]
fn a_receipt_is_short_and_a_warning_says_what_to_look_at() {
    let receipt = mail(&made(Event::Receipt));
    assert_eq!(
        receipt.subject,
        "jorbites backup made: 41,203 documents, 12.3 MB"
    );
    assert!(receipt.text.lines().count() < 16, "{}", receipt.text);
    let mut warned = made(Event::Warning);
    warned.facts.concerns = vec![
        "shop.recipes: 41,203 → 12 documents\nAccept it with …".to_owned(),
        "the disk".to_owned(),
    ];
    let message = render(&warned);
    assert_eq!(
        message.subject,
        "jorbites backup made, but look: shop.recipes: 41,203 → 12 documents"
    );
    assert_eq!(message.severity, Severity::Attention);
    assert!(message.text().contains(
        "What to look at\n  1. shop.recipes: 41,203 → 12 documents\n  Accept it with …\n  2. the disk\n"
    ));
}

#[test]
fn a_drill_that_goes_on_failing_says_the_day() {
    let facts = |day| Facts {
        archive: Some("a.tar.gz".into()),
        problems: vec!["shop.recipes: 2 documents missing".into()],
        failing_since: Some(at(5, 31, 12)),
        day: Some(day),
        ..Facts::default()
    };
    let first = render(&notification(Event::DrillFailed, facts(1)));
    assert_eq!(
        first.subject,
        "jorbites drill FAILED: a.tar.gz is not proven"
    );
    assert!(first.text().contains("2 documents missing"));
    let third = render(&notification(Event::DrillStillFailing, facts(3)));
    assert_eq!(third.subject, "jorbites drill still failing, day 3");
}

#[test]
fn a_subject_is_one_line_of_sane_length_whatever_it_quotes() {
    let mut warned = made(Event::Warning);
    warned.facts.concerns = vec![format!("a\u{7}b{}", "x".repeat(500))];
    let subject = render(&warned).subject;
    assert_eq!(subject.chars().count(), 120);
    assert!(!subject.chars().any(char::is_control), "{subject}");
}

#[test]
fn of_a_mail_of_an_earlier_version_other_channels_get_what_it_says() {
    let old = crate::notify::channels::mail::session_tests::finished(
        "jorbites backup FAILED",
        "The backup failed.\n\nIt is broken.\n\n-- \nfoot\n",
        "<p>",
    );
    let message = render(&old);
    assert_eq!(message.brief(100), "The backup failed.\n\nIt is broken.");
    assert_eq!(mail(&old).html, "<p>");
}
