//! Mails that some recipients, or the server, will not take at once.

use super::messages::mailing;
use super::{failing, site};
use crate::support::{Site, Smtp};

fn to_two(smtp: &Smtp) -> Site {
    failing(mailing(site(), smtp)).with("EMAIL_TO", "mira@example.org, jo@example.org")
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
