//! The owner learns of everything that matters, and is not flooded.

use super::{site, stop};
use crate::support::{
    Mail, PASSWORD, Proxy, SOON, Site, Smtp, Then, Trap, is_alive, shared, until,
};
use rustix::process::Signal;
use std::fs;

/// A place that mails, and whose backups fail quickly until [`mended`].
fn failing(smtp: &Smtp) -> Site {
    mailing(site(), smtp).with("BACKUP_DATABASES", "shopp")
}

fn mended(site: Site) -> Site {
    site.with("BACKUP_DATABASES", "shop")
}

fn mailing(site: Site, smtp: &Smtp) -> Site {
    site.with("SMTP_HOST", "127.0.0.1")
        .with("SMTP_PORT", smtp.port)
        .with("SMTP_SECURITY", "none")
        .with("SMTP_USERNAME", "pantry@example.org")
        .with("SMTP_PASSWORD", PASSWORD)
        .with("EMAIL_TO", "mira@example.org")
}

fn server() -> Smtp {
    Smtp::start(&["--login", "pantry@example.org", PASSWORD])
}

fn only_mail(smtp: &Smtp) -> Mail {
    let mut mails = smtp.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    mails.remove(0)
}

fn subjects(smtp: &Smtp) -> Vec<String> {
    smtp.mails().into_iter().map(|mail| mail.subject).collect()
}

#[test]
fn a_failure_is_told_with_all_that_its_owner_needs() {
    let smtp = server();
    mended(failing(&smtp)).run(&["backup"]).done();
    let site = failing(&smtp);
    let good = mended(site.with("NOTIFY_ON", "failure"));
    good.run(&["backup"]).done();
    let archive = good.archives().remove(0);
    let site = good.with("BACKUP_DATABASES", "shopp");
    assert_eq!(subjects(&smtp), [""; 0]);
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["the backup failed while asking the server", "1 mail sent"]);
    let mail = only_mail(&smtp);
    assert_eq!(
        mail.subject,
        "jorbites backup FAILED while asking the server"
    );
    for words in [
        "there is no database named \"shopp\"",
        "there is \"shop\"",
        "Failing since:",
        &archive,
        "What to do",
        "pantry-keeper doctor",
        "The end of the log",
        "ERROR the backup failed while asking the server",
        "Nothing was removed",
    ] {
        assert!(mail.text.contains(words), "{words}:\n{}", mail.text);
        let shown = words.replace('"', "&quot;");
        assert!(
            mail.html.contains(shown.trim_end_matches(':')),
            "{words}:\n{}",
            mail.html
        );
    }
    assert_eq!(mail.to, ["mira@example.org"]);
}

#[test]
fn of_a_disk_that_is_gone_nothing_is_claimed() {
    let smtp = server();
    let site = mended(failing(&smtp)).with("BACKUP_REQUIRE_MOUNT", "true");
    fs::create_dir(site.backups()).unwrap();
    site.run(&["backup"]).ended_with(1);
    let mail = only_mail(&smtp);
    for words in [
        "is not the disk it was",
        "unknown: the backup folder cannot be read",
    ] {
        assert!(mail.text.contains(words), "{}", mail.text);
    }
}

#[test]
fn failing_then_recovered_over_restarts() {
    let smtp = server();
    let site = failing(&smtp).with_clock("2026-05-31T10:00:00Z");
    site.run(&["backup"]).ended_with(1);
    site.run(&["backup"]).ended_with(1);
    site.set_clock("2026-06-02T10:00:00Z");
    site.run(&["backup"]).ended_with(1);
    let site = mended(site);
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    let mails = smtp.mails();
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    assert_eq!(
        subjects[..2],
        [
            "jorbites backup FAILED while asking the server",
            "jorbites backup still failing, day 3"
        ]
    );
    assert!(
        subjects[2].starts_with("jorbites backup recovered: jorbites_backup_20260602_"),
        "{subjects:?}"
    );
    assert_eq!(subjects.len(), 3);
    assert!(
        mails[2].text.contains("3 failed runs, for 2 days"),
        "{}",
        mails[2].text
    );
}

#[test]
fn a_hundred_failures_are_few_mails() {
    let smtp = server();
    let site = failing(&smtp).with_clock("2026-05-31T10:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    for number in 1..=100 {
        // Ten a day.
        if number % 10 == 0 {
            site.set_clock(&format!("2026-06-{:02}T10:00:00Z", number / 10));
        }
        running.signal(Signal::USR1);
        running.until_it_says_times("the backup failed while", number);
        // It takes the next question when it has said when it will run again.
        let ready =
            |said: String| said.rfind("next backup") > said.rfind("the backup failed while");
        until("it is idle again", SOON, || ready(running.said()));
    }
    until("the last mail arrives", SOON, || smtp.mails().len() >= 11);
    stop(running);
    let subjects = subjects(&smtp);
    assert_eq!(subjects.len(), 11, "{subjects:?}");
    assert_eq!(subjects[10], "jorbites backup still failing, day 11");
}

#[test]
fn a_mail_that_cannot_be_sent_is_kept_over_restarts_and_fails_nothing() {
    let mut smtp = server();
    smtp.stop();
    let site = failing(&smtp);
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["1 mail not sent", "cannot reach the mail server"]);
    // The failure stands for itself, and so does a success.
    let site = mended(site);
    site.run(&["backup"]).done().saying(&["2 mails not sent"]);
    let outbox = site.backups().join(".pantry-keeper/outbox");
    assert_eq!(fs::read_dir(&outbox).unwrap().count(), 2);
    let running = site.start(&["run"]);
    running.until_it_says("2 mails not sent yet");
    stop(running);

    smtp.come_back();
    let running = site.start(&["run"]);
    running.until_it_says("2 mails sent");
    stop(running);
    let subjects = subjects(&smtp);
    assert_eq!(
        subjects[0],
        "jorbites backup FAILED while asking the server"
    );
    assert!(
        subjects[1].starts_with("jorbites backup recovered"),
        "{subjects:?}"
    );
    assert_eq!(fs::read_dir(&outbox).unwrap().count(), 0);
    // Sent once and for all.
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    stop(running);
    assert_eq!(smtp.mails().len(), 2);
}

#[test]
fn always_sends_a_receipt_and_never_sends_nothing() {
    let smtp = server();
    let site = mended(failing(&smtp)).with("NOTIFY_ON", "always");
    site.run(&["backup"]).done();
    assert!(
        subjects(&smtp)[0].starts_with("jorbites backup made: "),
        "{:?}",
        subjects(&smtp)
    );
    let site = site
        .with("NOTIFY_ON", "never")
        .with("BACKUP_DATABASES", "shopp");
    site.run(&["backup"]).ended_with(1);
    mended(site).run(&["backup"]).done();
    assert_eq!(smtp.mails().len(), 1);
}

#[test]
fn a_password_that_is_refused_is_not_tried_again_and_again() {
    let smtp = Smtp::start(&["--login", "pantry@example.org", "another"]);
    let site = failing(&smtp);
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    running.until_it_says("rejected the login");
    running.until_it_says_times("next backup", 2);
    stop(running);
    assert_eq!(smtp.count("AUTH"), 1);
}

#[test]
fn what_keeps_it_from_starting_is_mailed_once_and_it_starts_when_that_is_mended() {
    let smtp = server();
    let site = mended(failing(&smtp));
    fs::write(site.backups(), "a file where the folder should be").unwrap();
    let running = site.start(&["run"]);
    running.until_it_says("cannot start");
    running.until_it_says("1 mail sent");
    let mail = only_mail(&smtp);
    assert_eq!(mail.subject, "jorbites backup FAILED while starting");
    stop(running);
}

#[test]
fn a_folder_that_can_no_longer_be_written_to_is_told_by_mail_all_the_same() {
    let smtp = server();
    let site = mended(failing(&smtp));
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    // As when a failing disk is mounted anew for reading only: nothing in it can be changed any more.
    fs::rename(site.backups(), site.path("away")).unwrap();
    fs::write(site.backups(), "no folder").unwrap();
    running.signal(Signal::USR1);
    running.until_it_says("the backup failed while preparing the backup folder");
    running.until_it_says("1 mail sent");
    stop(running);
    assert_eq!(
        subjects(&smtp),
        ["jorbites backup FAILED while preparing the backup folder"]
    );
}

#[test]
fn settings_that_are_no_longer_right_are_told_by_mail_all_the_same() {
    let smtp = server();
    let site = mailing(site(), &smtp);
    let file = site.path("password");
    fs::write(&file, PASSWORD).unwrap();
    let site = site
        .with("SMTP_PASSWORD", "")
        .with("SMTP_PASSWORD_FILE", file.display());
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    // Neither a backup nor the sending has a process of its own now.
    fs::remove_file(&file).unwrap();
    running.signal(Signal::USR1);
    running.until_it_says("the backup's process ended with exit code 2");
    running.until_it_says("1 mail sent");
    stop(running);
    let mail = only_mail(&smtp);
    assert_eq!(mail.subject, "jorbites backup FAILED while running");
}

#[test]
fn a_run_that_is_killed_as_when_memory_runs_out_is_told_by_the_scheduler_which_lives_on() {
    let smtp = server();
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let site = mailing(
        Site::new().with("MONGODB_URI", shared().backup_uri_by(proxy.port)),
        &smtp,
    );
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    proxy.sprung();
    let mongodump = running.mongodump();
    running.tell_child(Signal::KILL);
    running.until_it_says(
        "the backup's process ended with signal 9 (killed, perhaps because memory ran out)",
    );
    running.until_it_says("1 mail sent");
    until("mongodump is gone", SOON, || !is_alive(mongodump));
    let mail = only_mail(&smtp);
    assert_eq!(mail.subject, "jorbites backup FAILED while running");
    assert!(
        mail.text.contains("perhaps because memory ran out"),
        "{}",
        mail.text
    );
    proxy.release();
    running.signal(Signal::USR1);
    running.until_it_says("backup complete and verified");
    until("it is told", SOON, || smtp.mails().len() == 2);
    stop(running);
    assert!(smtp.mails()[1].subject.contains("recovered"));
}

#[test]
fn a_failure_while_mail_was_off_is_told_when_it_is_on() {
    let smtp = server();
    let site = site().with("BACKUP_DATABASES", "shopp");
    site.run(&["backup"]).ended_with(1);
    let site = mailing(site, &smtp);
    let running = site.start(&["run"]);
    running.until_it_says("1 mail sent");
    stop(running);
    let mail = only_mail(&smtp);
    assert_eq!(
        mail.subject,
        "jorbites backup FAILED while asking the server"
    );
    assert!(
        mail.text.contains("there is no database named"),
        "{}",
        mail.text
    );
}

#[test]
fn a_run_that_was_missed_for_good_is_told() {
    let smtp = server();
    let site = mailing(site(), &smtp)
        .with("BACKUP_CATCH_UP", "false")
        .with_clock("2026-05-30T12:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    stop(running);
    site.set_clock("2026-06-01T08:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("1 mail sent");
    stop(running);
    let mail = only_mail(&smtp);
    assert_eq!(
        mail.subject,
        "jorbites backup FAILED while the machine was off"
    );
    assert!(
        mail.text
            .contains("1 run missed, the last of Sunday 31 May 2026 at 02:00 CEST"),
        "{}",
        mail.text
    );
}
