//! Whether anyone is told when a backup fails.

use super::findings::Findings;
use crate::notify::channels;
use crate::notify::notification::Interest;
use crate::settings::{NotifyOn, Settings};
use crate::sys::redact::Redactor;
use futures_util::future::join_all;

pub(super) async fn notifications(
    findings: &mut Findings,
    settings: &Settings,
    redactor: &Redactor,
) {
    let channels = channels::of(settings, redactor);
    let has_readers = channels
        .iter()
        .any(|channel| channel.interest() == Interest::News);
    if !has_readers {
        findings.advice(
            "mail",
            "off: nobody is told when a backup fails",
            "set SMTP_HOST, EMAIL_FROM and EMAIL_TO, or NOTIFY_URLS",
        );
    } else if settings.notify_on == NotifyOn::Never {
        findings.advice(
            "notifications",
            "NOTIFY_ON is never: nobody is told when a backup fails",
            "set NOTIFY_ON=failure",
        );
    }
    let probes = join_all(channels.iter().map(|channel| channel.probe())).await;
    for (channel, probe) in channels.iter().zip(probes) {
        match probe {
            Ok(seen) => findings.fine(channel.kind(), seen),
            Err(problem) => findings.problem(channel.kind(), problem),
        }
    }
}
