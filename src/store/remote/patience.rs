//! For how long what may pass is tried again.

use std::time::Duration;
use tokio::time::Instant;

/// How long to wait before the first further attempt; before each that follows, twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long an outage may last: a router takes less to start again.
const LONGEST_OUTAGE: Duration = Duration::from_secs(120);
/// How many attempts may send something and get no further than those before them: over a slow line, one may take longer
/// than an outage.
const MOST_IN_VAIN: u32 = 4;

/// Patience with what is sent again from its start.
pub(super) struct Patience {
    /// When it last got further.
    since: Instant,
    wait: Duration,
    /// How far it got, and how much was sent for that.
    reached: (u64, u64),
    in_vain: u32,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Self {
        Patience {
            since: now,
            wait: FIRST_WAIT,
            reached: (0, 0),
            in_vain: 0,
        }
    }

    /// How long to wait before the next attempt; none when it is enough. `reached` is how far it got at most in all
    /// attempts, and how much was sent in all of them.
    pub(super) fn wait(&mut self, now: Instant, reached: (u64, u64)) -> Option<Duration> {
        let (further, sent) = (reached.0 > self.reached.0, reached.1 > self.reached.1);
        self.reached = reached;
        if further {
            *self = Patience {
                reached,
                ..Self::new(now)
            };
        } else {
            self.in_vain += u32::from(sent);
            let outlasted = now.duration_since(self.since) >= LONGEST_OUTAGE;
            if outlasted && (!sent || self.in_vain >= MOST_IN_VAIN) {
                return None;
            }
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(LONGEST_WAIT);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For how long it goes on when each attempt takes so long, and how many attempts that are.
    fn lasts(took: Duration, reached: impl Fn(u64) -> (u64, u64)) -> (Duration, u64) {
        let start = Instant::now();
        let (mut patience, mut now) = (Patience::new(start), start);
        for attempt in 1.. {
            now += took;
            match patience.wait(now, reached(attempt)) {
                Some(wait) => now += wait,
                None => return (now - start, attempt),
            }
        }
        unreachable!("an end is reached first")
    }

    #[test]
    fn an_outage_of_two_minutes_is_waited_for_and_no_longer_one() {
        let seconds = Duration::from_secs;
        // Nobody listens, or a firewall swallows what is sent.
        for took in [Duration::ZERO, seconds(15)] {
            let (lasted, _) = lasts(took, |_| (0, 0));
            assert!(lasted >= seconds(120), "{lasted:?}");
            assert!(lasted < seconds(150), "{lasted:?}");
        }
        // All of it arrives, and the service is too busy each time.
        let (lasted, _) = lasts(seconds(1), |attempt| (100, attempt * 100));
        assert!(
            lasted >= seconds(120) && lasted < seconds(150),
            "{lasted:?}"
        );
    }

    #[test]
    fn over_a_slow_line_the_number_of_attempts_counts() {
        let minute = Duration::from_secs(60);
        let (_, attempts) = lasts(3 * minute, |attempt| (100, attempt * 100));
        assert_eq!(attempts, 5);
        // One that gets further each time is not given up.
        let (lasted, _) = lasts(3 * minute, |attempt| (attempt.min(50), attempt));
        assert!(lasted > 150 * minute, "{lasted:?}");
    }
}
