//! Whether anyone is told when a backup fails.

use super::findings::{Findings, problem_of};
use crate::notify::channels::mail;
use crate::settings::{NotifyOn, Settings};
use crate::sys::redact::Redactor;

pub(super) async fn mail(findings: &mut Findings, settings: &Settings, redactor: &Redactor) {
    let Some(mail) = &settings.mail else {
        return findings.advice(
            "mail",
            "off: nobody is told when a backup fails",
            "set SMTP_HOST, EMAIL_FROM and EMAIL_TO",
        );
    };
    match mail::probe(mail, redactor, mail::LONGEST_TALK).await {
        Ok(()) if settings.notify_on == NotifyOn::Never => findings.advice(
            "mail",
            "works, but NOTIFY_ON is never: nobody is told when a backup fails",
            "",
        ),
        Ok(()) => {
            let (host, port, from, to) = (&mail.host, mail.port, &mail.from, mail.to.join(", "));
            findings.fine(
                "mail",
                format!("{host}:{port} takes mail from {from} for {to}"),
            );
        }
        Err(error) => findings.problem("mail", problem_of(&error)),
    }
}
