//! The mails as their readers see them.

use super::*;
use crate::report::BackupReport;
use chrono::TimeZone;
use chrono_tz::Tz;

fn sender() -> MailContext<'static> {
    MailContext {
        prefix: "jorbites",
        hosts: "db:27017",
        folder: "/backups".into(),
        time_zone: Tz::Europe__Madrid,
        now: Utc.with_ymd_and_hms(2026, 6, 2, 0, 0, 41).unwrap(),
        next_run: Some("Sunday 7 June 2026 at 02:00 CEST, in 4 days 22 h".into()),
    }
}

fn report() -> BackupReport {
    BackupReport {
        archive: "jorbites_backup_20260602_020000.tar.gz".into(),
        path: "/backups/jorbites_backup_20260602_020000.tar.gz".into(),
        started_at: sender().now,
        archive_bytes: 12_345_678,
        documents: 41_203,
        bytes: 99_000_000,
        namespaces: 7,
        sha256: "0".repeat(64),
        point_in_time: true,
        server_version: "8.0.4".into(),
        mongodump_version: "100.12.2".into(),
        attempts: 1,
        dump_seconds: 30.0,
        verify_seconds: 11.0,
        elapsed_seconds: 41.0,
        warnings: Vec::new(),
    }
}

fn trouble(day: u32) -> FailureMail<'static> {
    FailureMail {
        stage: "asking the server",
        error: "cannot reach MongoDB at db:27017: Connection refused; check that it runs".into(),
        advice: vec![
            "See whether MongoDB runs.".into(),
            "Run `pantry-keeper doctor`.".into(),
        ],
        since: Utc.with_ymd_and_hms(2026, 5, 31, 0, 0, 12).unwrap(),
        runs: day,
        day,
        last_good: Some(LastGood {
            archive: "jorbites_backup_20260524_020000.tar.gz".into(),
            made_at: Utc.with_ymd_and_hms(2026, 5, 24, 0, 0, 0).unwrap(),
            archive_bytes: 12_000_000,
            documents: 41_000,
        }),
        folder_read: true,
        log: vec!["2026-06-02 02:00:41 CEST ERROR <b>the backup failed</b>".into()],
    }
}

fn ending(report: &BackupReport) -> Ending<'_> {
    Ending {
        report,
        removed: Vec::new(),
        concerns: Vec::new(),
    }
}

#[test]
fn a_failure_says_what_where_since_when_what_is_left_and_what_to_do() {
    let notification = failed(&sender(), &trouble(3));
    assert_eq!(
        (notification.kind, notification.subject.as_str()),
        (Kind::StillFailing, "jorbites backup still failing, day 3")
    );
    let expected = "\
The backup of db:27017 is still failing, day 3: while asking the server.

cannot reach MongoDB at db:27017: Connection refused; check that it runs

Nothing was removed, and older archives are as they were.

Failing since:     Sunday 31 May 2026 at 02:00 CEST (3 failed runs in a row)
Last good archive: jorbites_backup_20260524_020000.tar.gz
                   of Sunday 24 May 2026 at 02:00 CEST, 41,000 documents, 12.0 MB
Server:            db:27017
Folder:            /backups
Next run:          Sunday 7 June 2026 at 02:00 CEST, in 4 days 22 h

What to do
  1. See whether MongoDB runs.
  2. Run `pantry-keeper doctor`.

The end of the log
  2026-06-02 02:00:41 CEST ERROR <b>the backup failed</b>

-- 
Pantry Keeper 0.1.0, Tuesday 2 June 2026 at 02:00 CEST. NOTIFY_ON chooses which mails come.
";
    assert_eq!(
        notification.text,
        expected.replace("0.1.0", env!("CARGO_PKG_VERSION"))
    );
    let first = failed(&sender(), &trouble(1));
    assert_eq!(
        (first.kind, first.subject.as_str()),
        (
            Kind::Failed,
            "jorbites backup FAILED while asking the server"
        )
    );
}

#[test]
fn html_says_the_same_and_nothing_in_it_becomes_markup() {
    let notification = failed(&sender(), &trouble(1));
    for words in [
        "Connection refused",
        "Last good archive",
        "jorbites_backup_20260524",
        "What to do",
        "Next run",
    ] {
        assert!(
            notification.html.contains(words),
            "{words}:\n{}",
            notification.html
        );
    }
    assert!(notification.html.contains("&lt;b&gt;the backup failed"));
    assert!(!notification.html.contains("<b>"));
}

#[test]
fn a_recovery_says_how_long_it_had_failed() {
    let report = report();
    let notification = recovered(&sender(), trouble(3).since, 3, &ending(&report));
    assert_eq!(
        notification.subject,
        "jorbites backup recovered: jorbites_backup_20260602_020000.tar.gz made"
    );
    assert!(
        notification
            .text
            .contains("failing since Sunday 31 May 2026 at 02:00 CEST (3 failed runs, for 2 days)"),
        "{}",
        notification.text
    );
}

#[test]
fn a_receipt_is_short_and_a_warning_says_what_to_look_at() {
    let report = report();
    let notification = receipt(&sender(), &ending(&report));
    assert_eq!(
        notification.subject,
        "jorbites backup made: 41,203 documents, 12.3 MB"
    );
    assert!(
        notification.text.lines().count() < 16,
        "{}",
        notification.text
    );
    let concerns = vec![
        "shop.recipes: 41,203 → 12 documents\nAccept it with …".to_owned(),
        "the disk".to_owned(),
    ];
    let notification = warning(
        &sender(),
        &Ending {
            concerns,
            ..ending(&report)
        },
    );
    assert_eq!(
        notification.subject,
        "jorbites backup made, but look: shop.recipes: 41,203 → 12 documents"
    );
    assert!(
        notification
            .text
            .contains("What to look at\n  1. shop.recipes: 41,203 → 12 documents\n  Accept it with …\n  2. the disk\n")
    );
}

#[test]
fn a_subject_is_one_line_of_sane_length_whatever_it_quotes() {
    let report = report();
    let concerns = vec![format!("a\u{7}b{}", "x".repeat(500))];
    let notification = warning(
        &sender(),
        &Ending {
            concerns,
            ..ending(&report)
        },
    );
    assert_eq!(notification.subject.chars().count(), 120);
    assert!(
        !notification.subject.chars().any(char::is_control),
        "{}",
        notification.subject
    );
}
