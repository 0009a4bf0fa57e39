//! How a round of sending went.

use crate::notify::channels::Delivery;
use crate::report::Problem;

/// How a round of sending went.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    pub sent: usize,
    /// What still waits for this channel.
    pub left: usize,
    /// What went wrong with those that do not wait any more: a recipient may have been refused.
    pub complaints: Vec<Problem>,
    /// The last thing that went wrong with those that wait.
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
    pub(super) fn note(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Delivered { complaint } => {
                self.sent += 1;
                self.complain(complaint.as_ref());
            }
            Delivery::GivenUp(problem) => self.complain(Some(problem)),
            Delivery::Partly {
                reached, problem, ..
            } => {
                self.sent += usize::from(!reached.is_empty());
                self.set_back(problem, true);
            }
            Delivery::Retry(problem)
            | Delivery::PutOff(problem)
            | Delivery::Unanswered(problem) => self.set_back(problem, true),
            Delivery::Rejected { problem, .. } => self.set_back(problem, false),
        }
    }

    /// The same about several is said once.
    fn complain(&mut self, problem: Option<&Problem>) {
        let news = problem.filter(|problem| !self.complaints.contains(problem));
        self.complaints.extend(news.cloned());
    }

    fn set_back(&mut self, problem: &Problem, is_transient: bool) {
        let earlier = self.setback.as_ref();
        self.setback = Some(Setback {
            problem: problem.clone(),
            is_transient: is_transient || earlier.is_some_and(|earlier| earlier.is_transient),
        });
    }
}
