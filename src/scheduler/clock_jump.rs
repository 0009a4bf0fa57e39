//! Notices when the wall's clock does not go as time does: it was set, or the machine slept.

use crate::sys::humanize;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// A difference between the wall's clock and our own that is no drift.
const JUMP: TimeDelta = TimeDelta::seconds(60);

/// What the clocks said when they were last asked.
pub(super) struct Clock {
    wall: DateTime<Utc>,
    own: Instant,
}

impl Clock {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Clock {
            wall: now,
            own: Instant::now(),
        }
    }

    /// In words, by how much the wall's clock jumped since it was last asked; none when it did not.
    pub(super) fn jump(&mut self, now: DateTime<Utc>) -> Option<String> {
        let own = Instant::now();
        let passed = TimeDelta::from_std(own - self.own).unwrap_or_default();
        let jump = (now - self.wall) - passed;
        (self.wall, self.own) = (now, own);
        let (way, by) = if jump > TimeDelta::zero() {
            ("ahead", jump)
        } else {
            ("back", -jump)
        };
        let by_words = humanize::duration(by.to_std().unwrap_or_default());
        (by > JUMP).then(|| {
            format!("the clock jumped {way} by {by_words}: it was set, or the machine slept")
        })
    }
}
