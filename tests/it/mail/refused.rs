//! A test mail that is not accepted: why, and that nothing was said where it should not be.

use super::{signing_in, site};
use crate::support::{PASSWORD, SOON, Site, Smtp};
use rustix::process::Signal;
use std::time::Duration;

fn fails(site: &Site, words: &[&str]) {
    let outcome = site
        .run(&["notify-test"])
        .ended_with(1)
        .within(Duration::from_secs(20));
    assert_eq!(outcome.stdout, "");
    outcome.saying(&["the test was not sent: "]).saying(words);
}

#[test]
fn without_a_mail_server_it_says_how_to_name_one() {
    let outcome = Site::new().run(&["notify-test"]).ended_with(2);
    assert_eq!(outcome.stdout, "");
    outcome.saying(&["SMTP_HOST is not set; set it"]);
    let outcome = Site::new()
        .with("SMTP_HOST", "localhost")
        .run(&["notify-test"])
        .ended_with(2);
    outcome.saying(&["EMAIL_FROM: is not set", "EMAIL_TO: is not set"]);
}

#[test]
fn nobody_there() {
    let mut smtp = Smtp::start(&[]);
    smtp.stop();
    let place = format!(
        "cannot reach the mail server localhost:{}: Connection refused",
        smtp.port
    );
    fails(
        &signing_in(&smtp, "none"),
        &[&place, "check SMTP_HOST and SMTP_PORT"],
    );
}

#[test]
fn a_name_that_nobody_has() {
    let smtp = Smtp::start(&[]);
    let site = signing_in(&smtp, "starttls")
        .with("SMTP_HOST", "nothing.invalid")
        .with("SMTP_PORT", 587);
    fails(
        &site,
        &[
            "cannot look up the mail server nothing.invalid:587",
            "check SMTP_HOST",
        ],
    );
}

#[test]
fn a_wrong_password_is_tried_once_and_explained() {
    let reply = "AUTH=535 5.7.8 Username and Password not accepted. For more go to support.google.com gsmtp";
    let smtp = Smtp::start(&[
        "--security",
        "starttls",
        "--login",
        "pantry",
        "x",
        "--answer",
        reply,
    ]);
    fails(
        &signing_in(&smtp, "starttls"),
        &[
            "rejected the login: 535 5.7.8",
            "app password: https://myaccount.google.com/apppasswords",
        ],
    );
    assert_eq!((smtp.count("AUTH"), smtp.count("MAIL")), (1, 0));
    // Elsewhere it is no matter of Gmail's.
    let smtp = Smtp::start(&["--security", "tls", "--login", "pantry", "another"]);
    let outcome = signing_in(&smtp, "tls").run(&["notify-test"]).ended_with(1);
    assert!(!outcome.stderr.contains("Gmail"), "{}", outcome.stderr);
    outcome.saying(&[
        "rejected the login: 535",
        "check SMTP_USERNAME and SMTP_PASSWORD",
    ]);
    assert_eq!((smtp.count("AUTH"), smtp.count("MAIL")), (1, 0));
}

#[test]
fn a_certificate_that_is_not_to_be_trusted_ends_it_before_a_word() {
    for (certificate, trusted, words) in [
        (
            "other-name",
            true,
            "it is for another name (mail.example.org)",
        ),
        (
            "expired",
            true,
            "it has expired; nothing was sent; check this machine's clock",
        ),
        (
            "self-signed",
            true,
            "it is an authority's (CA), not a server's",
        ),
        ("server", false, "it was not issued by a trusted authority"),
    ] {
        for (security, said) in [
            ("starttls", &["clear EHLO", "clear STARTTLS"][..]),
            ("tls", &[]),
        ] {
            let options = [
                "--security",
                security,
                "--certificate",
                certificate,
                "--login",
                "pantry",
                PASSWORD,
            ];
            let smtp = Smtp::start(&options);
            let mut site = signing_in(&smtp, security);
            if !trusted {
                // Then those that are built in are trusted, and the file is named.
                site = site.with("SSL_CERT_FILE", "/nonexistent/ca.pem");
            }
            fails(
                &site,
                &[
                    "the certificate of the mail server localhost:",
                    words,
                    "nothing was sent",
                ],
            );
            assert_eq!(smtp.seen(), said, "{certificate} {security}");
            if !trusted {
                fails(&site, &["set SSL_CERT_FILE", "/nonexistent/ca.pem"]);
            }
        }
    }
}

#[test]
fn starttls_that_was_taken_away_ends_it_before_a_word() {
    // It would take the password in clear.
    let smtp = Smtp::start(&["--login", "pantry", PASSWORD]);
    fails(
        &signing_in(&smtp, "starttls"),
        &["does not offer STARTTLS", "SMTP_SECURITY=tls"],
    );
    assert_eq!(smtp.seen(), ["clear EHLO"]);
}

#[test]
fn a_plain_server_where_tls_was_asked_for() {
    let smtp = Smtp::start(&["--login", "pantry", PASSWORD]);
    fails(
        &signing_in(&smtp, "tls"),
        &["does not speak TLS there", "SMTP_SECURITY=starttls"],
    );
    assert!(
        smtp.seen().iter().all(|line| !line.contains("AUTH")),
        "{:?}",
        smtp.seen()
    );
}

#[test]
fn what_the_server_refuses_is_said_in_its_words() {
    for (answer, words) in [
        (
            "RCPT=550 5.1.1 unknown",
            "refused every recipient: mira@example.org (550 5.1.1 unknown), jo@example.org",
        ),
        (
            "RCPT=451 4.7.1 greylisted, come back",
            "mira@example.org (451 4.7.1 greylisted, come back)",
        ),
        (
            "MAIL=553 5.7.1 not your address",
            "naming the sender: 553 5.7.1 not your address; check EMAIL_FROM",
        ),
        ("DATA=554 5.6.0 no", "handing over the mail: 554 5.6.0 no"),
        (
            "MAIL=421 4.3.2 closing",
            "cannot take mail now, naming the sender: 421 4.3.2 closing",
        ),
    ] {
        let smtp = Smtp::start(&["--answer", answer]);
        fails(&site(&smtp, "none"), &[words]);
        assert!(smtp.mails().is_empty());
    }
}

/// Takes its 30 seconds.
#[test]
fn a_server_that_says_nothing_more_is_given_up() {
    let smtp = Smtp::start(&["--security", "starttls", "--hang", "banner"]);
    let outcome = signing_in(&smtp, "starttls")
        .run(&["notify-test"])
        .ended_with(1)
        .within(Duration::from_secs(36));
    outcome.saying(&["took longer than 30 s, waiting for its greeting"]);
}

#[test]
fn being_told_to_stop_ends_it_at_once() {
    for (options, signal) in [
        (&["--hang", "accept"][..], Signal::TERM),
        (&["--drip"][..], Signal::INT),
    ] {
        let smtp = Smtp::start(options);
        let running = site(&smtp, "none")
            .with("LOG_LEVEL", "debug")
            .start(&["notify-test"]);
        running.until_it_says("asking localhost:");
        running.signal(signal);
        running
            .end(SOON)
            .ended_with(1)
            .saying(&["stopped as asked"]);
    }
}
