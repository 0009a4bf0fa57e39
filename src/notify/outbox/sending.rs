//! Sending what waits, and noting what became of it.

use super::{Flushed, Outbox};
use crate::notify::channels::{Channel, Delivery};
use crate::notify::notification::Notification;
use crate::report::Problem;
use crate::sys::cancel::Cancel;
use crate::sys::lock::LockError;
use chrono::TimeDelta;

/// Mail servers, too, give up what is put off for so long.
const LONGEST_PUT_OFF: TimeDelta = TimeDelta::days(5);
/// After so many in a row without an answer, it is the other side that is ill, and not one notification.
const MOST_UNANSWERED_IN_A_ROW: usize = 3;

impl Outbox {
    /// Sends what waits for a channel, the oldest first, until something goes wrong that would go wrong with the next one
    /// too. One that is put off does not keep the others.
    ///
    /// Does nothing while another process does it. Returns at once when it is to stop; what was not sent stays.
    pub(crate) async fn flush(&self, channel: &dyn Channel, stop: &Cancel) -> Flushed {
        let mut flushed = Flushed::default();
        self.remove_needless();
        if self.waiting_for(channel).is_empty() {
            return flushed;
        }
        self.write_what_memory_holds();
        let (_lock, notifications) = match self.lock_channel(channel) {
            Ok(lock) => (Some(lock), self.waiting_for(channel)),
            Err(LockError::Held(_)) => {
                flushed.left = self.waiting_for(channel).len();
                return flushed;
            }
            // Without a lock only those are ours for certain that no other process can see.
            Err(LockError::File(_)) => {
                let mut ours = self.waiting_for(channel);
                let memory = self.memory();
                ours.retain(|one| memory.notifications.iter().any(|held| held.id == one.id));
                (None, ours)
            }
        };
        let mut unanswered_in_a_row = 0;
        for mut notification in notifications {
            if self.is_rejected(&notification, channel) {
                continue;
            }
            let Ok(delivery) = stop.or(channel.send(&notification)).await else {
                break;
            };
            unanswered_in_a_row = match &delivery {
                Delivery::Unanswered(_) => unanswered_in_a_row + 1,
                _ => 0,
            };
            let delivery = self.in_time(&notification, delivery);
            let delivery = delivery.counted(&mut notification, channel.id());
            self.note(&notification, channel, &delivery);
            flushed.note(&delivery);
            if holds_up_others(&delivery) || unanswered_in_a_row == MOST_UNANSWERED_IN_A_ROW {
                break;
            }
        }
        flushed.left = self.waiting_for(channel).len();
        flushed
    }

    fn is_rejected(&self, notification: &Notification, channel: &dyn Channel) -> bool {
        let key = (notification.id.clone(), channel.id().to_owned());
        self.memory().rejected.contains(&key)
    }

    /// Who is put off for days is given up: the others have it.
    fn in_time(&self, notification: &Notification, delivery: Delivery) -> Delivery {
        match delivery {
            Delivery::Partly {
                reached, problem, ..
            } if (self.now)() - notification.written_at > LONGEST_PUT_OFF => {
                let days = LONGEST_PUT_OFF.num_days();
                let summary = format!(
                    "{}; this has gone on for {days} days, and it is not tried again",
                    problem.summary
                );
                let problem = Problem::new(summary, "");
                match reached.is_empty() {
                    true => Delivery::GivenUp(problem),
                    false => Delivery::Delivered {
                        complaint: Some(problem),
                    },
                }
            }
            delivery => delivery,
        }
    }

    /// Notes what became of one.
    fn note(&self, notification: &Notification, channel: &dyn Channel, delivery: &Delivery) {
        let id = &notification.id;
        let key = || (id.clone(), channel.id().to_owned());
        match delivery {
            Delivery::Unanswered(_) => {
                let counts = &notification.unanswered;
                let count = counts.get(channel.id()).copied().unwrap_or_default();
                self.memory().unanswered.insert(key(), count);
                // Where the disk does not take the note, this process has it.
                let _ = self.change(id, |one| {
                    one.unanswered.insert(channel.id().to_owned(), count);
                });
            }
            Delivery::Rejected {
                only_this_one: true,
                ..
            } => {
                self.memory().rejected.insert(key());
            }
            _ => {}
        }
        let settled = delivery.settled(channel.id());
        let errors = settled.iter().filter_map(|key| self.delivered(id, key));
        if let Some(error) = errors.last() {
            let unit = channel.unit();
            tracing::warn!("a {unit} was sent, but is still in the outbox: {error}");
        }
    }
}

/// Whether the next one would meet with the same.
fn holds_up_others(delivery: &Delivery) -> bool {
    match delivery {
        Delivery::Retry(_) => true,
        Delivery::Rejected { only_this_one, .. } => !only_this_one,
        Delivery::Delivered { .. }
        | Delivery::Partly { .. }
        | Delivery::GivenUp(_)
        | Delivery::Unanswered(_)
        | Delivery::PutOff(_) => false,
    }
}
