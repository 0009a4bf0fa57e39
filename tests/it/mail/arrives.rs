//! A test mail that is accepted, over every kind of connection.

use super::{signing_in, site};
use crate::support::{PASSWORD, Site, Smtp};

fn sent(site: &Site, smtp: &Smtp) {
    let outcome = site.run(&["notify-test"]).done();
    let line = format!(
        "accepted by localhost:{} for mira@example.org, Jo Ñandú <jo@example.org>\n",
        smtp.port
    );
    assert_eq!(outcome.stdout, line);
    assert_eq!(smtp.mails().len(), 1);
}

#[test]
fn over_starttls_nothing_but_that_is_said_in_clear() {
    let smtp = Smtp::start(&["--security", "starttls", "--login", "pantry", PASSWORD]);
    sent(&signing_in(&smtp, "starttls"), &smtp);
    let seen = smtp.seen();
    assert_eq!(
        seen[..4],
        ["clear EHLO", "clear STARTTLS", "tls EHLO", "tls AUTH"]
    );
    assert!(
        seen[2..].iter().all(|line| line.starts_with("tls ")),
        "{seen:?}"
    );
    assert_eq!(smtp.count("QUIT"), 1);
}

#[test]
fn over_tls_nothing_is_said_in_clear() {
    let smtp = Smtp::start(&["--security", "tls", "--login", "pantry", PASSWORD]);
    sent(&signing_in(&smtp, "tls"), &smtp);
    assert!(
        smtp.seen().iter().all(|line| line.starts_with("tls ")),
        "{:?}",
        smtp.seen()
    );
    // An address is a name, too.
    signing_in(&smtp, "tls")
        .with("SMTP_HOST", "127.0.0.1")
        .run(&["notify-test"])
        .done();
}

#[test]
fn in_clear_when_that_is_asked_for() {
    let smtp = Smtp::start(&[]);
    sent(&site(&smtp, "none"), &smtp);
    assert_eq!(smtp.count("AUTH"), 0);
    let smtp = Smtp::start(&["--login", "pantry", PASSWORD]);
    sent(&signing_in(&smtp, "none"), &smtp);
}

#[test]
fn the_mail_is_what_it_should_be() {
    let smtp = Smtp::start(&[]);
    // Not even never is in the way of a test.
    let site = site(&smtp, "none")
        .with("BACKUP_PREFIX", "kitchen")
        .with("NOTIFY_ON", "never");
    let site = site.with(
        "MONGODB_URI",
        format!("mongodb://u:{}@db/", crate::support::PASSWORD_ENCODED),
    );
    sent(&site, &smtp);
    let mails = smtp.mails();
    let mail = &mails[0];
    assert_eq!(mail.subject, "kitchen: test from Pantry Keeper");
    assert_eq!(
        (mail.from.as_str(), &mail.to[..]),
        (
            "pantry@example.org",
            &["mira@example.org", "jo@example.org"].map(String::from)[..]
        )
    );
    assert_eq!(mail.header("From"), "Pantry <pantry@example.org>");
    assert_eq!(
        mail.header("To"),
        "mira@example.org, Jo Ñandú <jo@example.org>"
    );
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    let id = mail.header("Message-ID");
    assert!(
        id.starts_with("<kitchen.") && id.ends_with("@example.org>"),
        "{id}"
    );
    assert!(
        mail.header("Date").ends_with(" +0000"),
        "{}",
        mail.header("Date")
    );
    for body in [&mail.text, &mail.html] {
        for words in [
            "Pantry Keeper",
            "notify-test",
            "EMAIL_TO",
            "never (nothing will come but tests)",
        ] {
            assert!(body.contains(words), "{words}: {body}");
        }
        assert!(
            !body.contains("mongodb") && !body.contains("s3ntinel"),
            "{body}"
        );
    }
    assert!(
        mail.text.contains("Jo Ñandú <jo@example.org>")
            && mail.html.contains("Jo Ñandú &lt;jo@example.org&gt;")
    );
}

#[test]
fn a_password_goes_exactly_as_it_was_given() {
    for password in [
        " abcd efgh ijkl mnop",
        "contraseña ☂ пароль",
        "\"quoted\\ ='",
    ] {
        let smtp = Smtp::start(&["--security", "starttls", "--login", "señora", password]);
        let site = site(&smtp, "starttls")
            .with("SMTP_USERNAME", "señora")
            .with("SMTP_PASSWORD", password);
        sent(&site, &smtp);
    }
}

#[test]
fn whoever_can_be_reached_gets_it_and_the_other_is_named() {
    let smtp = Smtp::start(&["--answer", "RCPT TO:<mira@=550 5.1.1 no such user"]);
    let outcome = site(&smtp, "none").run(&["notify-test"]).ended_with(1);
    outcome.saying(&[
        "not for mira@example.org (550 5.1.1 no such user)",
        "check EMAIL_TO",
    ]);
    assert_eq!(smtp.mails()[0].to, ["jo@example.org"]);
}

#[test]
fn a_server_that_was_down_takes_mail_once_it_is_back() {
    let mut smtp = Smtp::start(&[]);
    let site = site(&smtp, "none");
    smtp.stop();
    site.run(&["notify-test"])
        .ended_with(1)
        .saying(&["cannot reach the mail server localhost:"]);
    smtp.come_back();
    sent(&site, &smtp);
}
