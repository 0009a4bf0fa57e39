//! How a round of sending went.

use crate::notify::channels::Delivery;
use crate::report::Problem;

/// How a round of sending went.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    pub sent: usize,
    /// What still waits for this channel.
    pub left: usize,
    /// The last thing that went wrong, also when all were sent: a recipient may have been refused.
    pub setback: Option<Setback>,
}

/// What went wrong in a round.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setback {
    pub problem: Problem,
    /// Whether it may succeed later with nothing changed.
    pub is_transient: bool,
}

impl Flushed {
    /// Keeps the last problem; the round is worth another attempt soon when any of it is.
    pub(super) fn note(&mut self, delivery: Delivery) {
        let is_transient = matches!(delivery, Delivery::Retry(_) | Delivery::PutOff(_))
            || self
                .setback
                .as_ref()
                .is_some_and(|earlier| earlier.is_transient);
        if let Some(problem) = delivery.problem() {
            self.setback = Some(Setback {
                problem,
                is_transient,
            });
        }
    }
}
