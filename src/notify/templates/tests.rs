//! Notifications as their readers see them.

use super::*;
use crate::notify::notification::{Facts, LastGood, Origin, Severity};
use crate::notify::notifier::Stall;
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
        unanswered: Default::default(),
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

fn drilled(event: Event) -> Notification {
    let facts = Facts {
        archive: Some("jorbites_backup_20260602_020000.tar.gz".into()),
        documents: Some(41_203),
        bytes: Some(99_000_000),
        namespaces: Some(7),
        indexes: Some(12),
        elapsed_seconds: Some(95.0),
        compare_seconds: Some(30.0),
        ..Facts::default()
    };
    notification(event, facts)
}

fn drill_failed(day: u32) -> Notification {
    let event = if day > 1 {
        Event::DrillStillFailing
    } else {
        Event::DrillFailed
    };
    let facts = Facts {
        archive: Some("jorbites_backup_20260602_020000.tar.gz".into()),
        problems: vec![
            "shop.recipes: 2 of 3 documents came back of them: missing _id 5, 7".into(),
            "shop.users: its index email_1 was not built".into(),
        ],
        failing_since: Some(at(5, 31, 12)),
        day: Some(day),
        ..Facts::default()
    };
    notification(event, facts)
}

/// Its scratch server is away.
fn drill_not_carried_out() -> Notification {
    let away = "cannot reach MongoDB at scratch:27017: Connection refused";
    let drill = drill_failed(1);
    let facts = Facts {
        error: Some(away.into()),
        problems: vec![away.into()],
        ..drill.facts
    };
    notification(drill.event, facts)
}

fn stalled(event: Event) -> Notification {
    let since = at(6, 1, 0);
    let stall = Stall {
        since,
        waits_for_disk: true,
    };
    let facts = Facts {
        error: (event == Event::Stalled).then(|| stall.words(at(6, 2, 41))),
        failing_since: Some(since),
        ..Facts::default()
    };
    Notification {
        help: vec!["See to the disk.".into()],
        ..notification(event, facts)
    }
}

#[test]
fn a_copy_that_differs_is_said_with_its_place_and_what_to_do() {
    let problem = "the copy of jorbites_backup_20260602_020000.tar.gz at s3://pantry/ has 3 bytes instead of 4";
    let facts = Facts {
        archive: Some("jorbites_backup_20260602_020000.tar.gz".into()),
        problems: vec![problem.into()],
        ..Facts::default()
    };
    let mut alarm = notification(Event::CopyDiffers, facts);
    alarm.help = vec!["Read it back once more.".into()];
    let said = mail(&alarm);
    assert_eq!(
        said.subject,
        "jorbites copy elsewhere DIFFERS: jorbites_backup_20260602_020000.tar.gz"
    );
    for words in [
        problem,
        "The archives here are as they were.",
        "Read it back once more.",
    ] {
        let flat = said.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{}", said.text);
    }
}

/// Each notification as a mail, its subject first.
#[test]
fn every_mail() {
    let recovered = |event, of: fn(Event) -> Notification| {
        let mut recovered = of(event);
        recovered.facts.failing_since = Some(at(5, 31, 12));
        recovered.facts.failed_runs = Some(3);
        recovered
    };
    let mut warned = made(Event::Warning);
    warned.facts.concerns = vec![
        "shop.recipes: 41,203 → 12 documents\nAccept it with …".to_owned(),
        "the disk of /backups will be full in 20 days".to_owned(),
    ];
    assert_eq!(render(&warned).severity, Severity::Attention);
    let mut receipt = made(Event::Receipt);
    receipt.facts.removed = vec!["jorbites_backup_20260401_020000.tar.gz".into()];
    let settings = [("SMTP_HOST", "smtp.example.org"), ("NOTIFY_ON", "failure")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let test = Facts {
        settings: settings.into(),
        ..Facts::default()
    };
    let all = [
        failed(1),
        failed(3),
        recovered(Event::Recovered, made),
        warned,
        receipt,
        drill_failed(1),
        drill_failed(3),
        drill_not_carried_out(),
        recovered(Event::DrillRecovered, drilled),
        drilled(Event::DrillReceipt),
        stalled(Event::Stalled),
        stalled(Event::Resumed),
        notification(Event::Test, test),
    ];
    let shown: Vec<String> = all
        .iter()
        .map(|one| {
            let mail = mail(one);
            format!("{:?}: {}\n\n{}", one.event, mail.subject, mail.text)
        })
        .collect();
    as_before("mails", &shown.join("\n\n"));
    as_before("mail-as-html", &mail(&failed(3)).html);
}

fn as_before(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(&regex_of(env!("CARGO_PKG_VERSION")), "VERSION");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A version's dots stand for themselves.
fn regex_of(version: &str) -> String {
    version.replace('.', r"\.")
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
