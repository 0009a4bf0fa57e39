//! Sends the mails beside everything else: nothing ever waits for a mail server.

use super::channels::mail::LONGEST_TALK;
use super::notifier::QueuedMail;
use super::outbox::Outbox;
use crate::context::Context;
use crate::notify::templates::Notification;
use crate::settings::{MailSettings, Settings};
use crate::sys::cancel::Cancel;
use crate::sys::humanize;
use crate::sys::logging::SCHEDULER;
use crate::sys::redact::Redactor;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long putting the rest away may take at the end.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// Waits between attempts; the last one is repeated.
const WAITS: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(4 * 60 * 60),
];
/// How often he looks for letters that others have left in the outbox.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// Takes letters; what becomes of them is not its customers' concern.
pub(crate) struct MailSender {
    notifications: Option<mpsc::UnboundedSender<Vec<Notification>>>,
    round: Option<JoinHandle<()>>,
}

impl MailSender {
    /// Lets him put away what he has not sent.
    pub(crate) async fn finish(self) {
        drop(self.notifications);
        if let Some(round) = self.round {
            let _ = tokio::time::timeout(LAST_WRITES, round).await;
        }
    }

    /// Starts with what was left unsent.
    pub(crate) fn start(settings: &Settings, ctx: &Context, outbox: Outbox) -> Self {
        let Some(mail) = settings.mail.clone() else {
            tracing::info!(target: SCHEDULER, "mail is off: SMTP_HOST is not set");
            return MailSender {
                notifications: None,
                round: None,
            };
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let round = Round {
            mail,
            outbox,
            redactor: ctx.redactor.clone(),
            stop: ctx.stop.clone(),
        };
        let round = tokio::spawn(round.walk(receiver));
        MailSender {
            notifications: Some(sender),
            round: Some(round),
        }
    }

    /// Sends what was written, if anything was: it is in the outbox, or else in `posted`.
    pub(crate) fn post(&self, queued: QueuedMail) {
        if let Some(sender) = self.notifications.as_ref().filter(|_| queued.wrote) {
            // He only goes when we do.
            let _ = sender.send(queued.unkept);
        }
    }
}

struct Round {
    mail: MailSettings,
    outbox: Outbox,
    redactor: Redactor,
    stop: Cancel,
}

impl Round {
    async fn walk(self, mut notifications: mpsc::UnboundedReceiver<Vec<Notification>>) {
        let mut failures = 0;
        loop {
            let outcome = if self.outbox.waiting().is_empty() {
                Delivery::Done
            } else {
                self.deliver().await
            };
            let wait = match outcome {
                Delivery::Done => {
                    failures = 0;
                    LOOK
                }
                Delivery::MayPass => {
                    failures += 1;
                    WAITS[usize::min(failures - 1, WAITS.len() - 1)]
                }
                Delivery::Refused => WAITS[WAITS.len() - 1],
            };
            tokio::select! {
                biased;
                _ = self.stop.requested() => {
                    while let Some(notifications) = notifications.recv().await {
                        self.keep(notifications);
                    }
                    return;
                }
                queued = notifications.recv() => {
                    let Some(queued) = queued else { return };
                    self.keep(queued);
                    while let Ok(queued) = notifications.try_recv() {
                        self.keep(queued);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn keep(&self, notifications: Vec<Notification>) {
        for notification in notifications {
            if let Some(error) = self.outbox.keep(notification) {
                tracing::debug!(target: SCHEDULER, "an unsent mail is kept in memory only: {error}");
            }
        }
    }

    async fn deliver(&self) -> Delivery {
        let flushed = self
            .outbox
            .flush(&self.mail, &self.redactor, LONGEST_TALK, &self.stop)
            .await;
        if flushed.sent > 0 {
            tracing::info!(target: SCHEDULER, "{} sent", humanize::counted(flushed.sent as u64, "mail"));
        }
        let kept = humanize::counted(flushed.left as u64, "mail");
        match flushed.error {
            // Whoever else sends them may not get through.
            None if flushed.left > 0 => Delivery::MayPass,
            None => Delivery::Done,
            Some(error) if error.may_pass() => {
                tracing::warn!(target: SCHEDULER, "{kept} not sent yet: {error}");
                Delivery::MayPass
            }
            Some(error) => {
                tracing::error!(target: SCHEDULER, "{kept} not sent: {error}");
                Delivery::Refused
            }
        }
    }
}

/// How a round of sending ended.
enum Delivery {
    Done,
    /// Worth another attempt soon.
    MayPass,
    /// Worth another attempt when somebody may have done something about it, or the clock is right.
    Refused,
}
