//! What is told of every run to those who watch: that it began, and how it ended.

use super::{Failure, Notifier};
use crate::context::Context;
use crate::notify::notification::{Event, Facts, Interest, Notification, Severity};
use crate::state::alerts::AlertHistory;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Tells those who watch that a run has begun.
pub(crate) struct Beginning(Vec<JoinHandle<()>>);

impl Beginning {
    /// Waits until they know, or cannot be told: they must not learn of the end first.
    pub(crate) async fn finish(self, ctx: &Context) {
        for task in self.0 {
            let abort = task.abort_handle();
            if ctx.cancel.or(task).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Notifier<'_> {
    /// Begins a backup or a drill, beside which those who watch are told.
    pub(crate) fn begin(&self, interest: Interest) -> Beginning {
        let id = self.run_id.get_or_init(|| self.new_run_id());
        let channels = self.channels.iter();
        let watching = channels.filter(|channel| channel.interest() == interest);
        let tasks = watching.map(|channel| {
            let (channel, id) = (Arc::clone(channel), id.clone());
            tokio::spawn(async move { channel.begin(&id).await })
        });
        Beginning(tasks.collect())
    }

    /// A UUID that no other run has.
    fn new_run_id(&self) -> String {
        let now = (self.ctx.now)().to_rfc3339();
        let process = std::process::id();
        let text = format!(
            "{} {} {now} {process}",
            self.settings.prefix,
            self.uri.hosts()
        );
        let mut digest = Sha256::digest(text);
        // Version 8, which leaves to everybody how it is made.
        digest[6] = digest[6] & 0x0f | 0x80;
        digest[8] = digest[8] & 0x3f | 0x80;
        let hex = hex::encode(&digest[..16]);
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        parts.join("-")
    }

    pub(super) fn failure_ping(
        &self,
        alerts: &AlertHistory,
        failure: &Failure,
    ) -> Option<Notification> {
        if !self.outbox.has_recipient(Interest::EveryBackup) {
            return None;
        }
        let failed = self.failed(alerts, None, failure);
        self.ping(
            Event::BackupNotDone,
            Severity::Bad,
            failed.facts,
            failed.help,
        )
    }

    /// How a run ended, for those who watch, if anybody does.
    pub(super) fn ping(
        &self,
        event: Event,
        severity: Severity,
        facts: Facts,
        help: Vec<String>,
    ) -> Option<Notification> {
        if !self.outbox.has_recipient(event.interest()) {
            return None;
        }
        let facts = Facts {
            run_id: self.run_id.get().cloned(),
            log: self.ctx.tail.lines(),
            ..facts
        };
        let mut ping = self.notification(event, severity, facts, help);
        ping.id.push_str(".ping");
        Some(ping)
    }
}
