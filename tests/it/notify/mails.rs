//! Mails that some recipients, or the server, will not take at once.

use super::{failing, mended, site};
use crate::support::{SOON, Site, Smtp, until};
use rustix::process::Signal;
use std::time::Duration;

#[test]
fn a_mail_at_which_the_server_breaks_off_holds_up_none_behind_it() {
    let smtp = Smtp::start(&["--break-at", "Subject: jorbites backup FAILED"]);
    let site = failing(site().mailing_through(&smtp));
    site.run(&["backup"]).ended_with(1).saying(&[
        "1 mail not sent: the mail server",
        "broke off, handing over the mail",
    ]);
    mended(site)
        .run(&["backup"])
        .done()
        .saying(&["1 mail sent through", "1 mail not sent: the mail server"]);
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0].subject.starts_with("jorbites backup recovered"),
        "{}",
        mails[0].subject
    );
}

/// Takes its 35 seconds: the scheduler has the time that nobody at a terminal has.
#[test]
fn the_scheduler_waits_for_a_server_that_takes_its_time() {
    let smtp = Smtp::start(&["--slow", "32"]);
    let site = failing(site().mailing_through(&smtp));
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    until("the mail is sent", Duration::from_secs(50), || {
        running.said().contains("1 mail sent through")
    });
    running.signal(Signal::TERM);
    running.end(SOON * 3).done();
    assert_eq!(smtp.mails().len(), 1);
}

#[test]
fn a_server_that_takes_its_time_does_not_keep_the_scheduler_from_stopping() {
    let smtp = Smtp::start(&["--slow", "600"]);
    let site = failing(site().mailing_through(&smtp));
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    until("it has the mail", SOON, || !smtp.mails().is_empty());
    running.signal(Signal::TERM);
    running.end(SOON).done();
}

fn to_two(smtp: &Smtp) -> Site {
    failing(site().mailing_through(smtp)).with("EMAIL_TO", "mira@example.org, jo@example.org")
}

#[test]
fn a_recipient_that_is_put_off_gets_the_mail_later_and_the_others_get_it_once() {
    let mut smtp = Smtp::start(&["--answer", "RCPT TO:<jo@example.org>=451 4.7.1 greylisted"]);
    let site = to_two(&smtp);
    let outcome = site.run(&["backup"]).ended_with(1);
    outcome.saying(&[
        "1 mail sent through",
        "1 mail not sent: the mail server",
        "takes mail from us, but not now for jo@example.org (451 4.7.1 greylisted); many servers put off",
        "the next run tries again",
    ]);
    // No setting is wrong.
    site.run(&["doctor"]).printing(&[
        "✓ mail",
        "not now for jo@example.org (451 4.7.1 greylisted)",
    ]);
    smtp.come_back_with(&[]);
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["1 mail sent through"]);
    let to: Vec<Vec<String>> = smtp.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, [["mira@example.org"], ["jo@example.org"]]);
}

#[test]
fn a_recipient_that_is_refused_is_said_and_not_tried_again() {
    let smtp = Smtp::start(&["--answer", "RCPT TO:<jo@example.org>=550 5.1.1 unknown"]);
    let site = to_two(&smtp);
    let outcome = site.run(&["backup"]).ended_with(1);
    let outcome = outcome.saying(&[
        "1 mail sent through",
        "a mail may be missing somewhere: the mail server",
        "but not for jo@example.org (550 5.1.1 unknown); check EMAIL_TO",
    ]);
    assert!(!outcome.stderr.contains("not sent"), "{}", outcome.stderr);
    assert!(
        !outcome.stderr.contains("tries again"),
        "{}",
        outcome.stderr
    );
    let outcome = site.run(&["backup"]).ended_with(1);
    assert!(!outcome.stderr.contains("jo@"), "{}", outcome.stderr);
    assert_eq!(smtp.mails().len(), 1);
}
