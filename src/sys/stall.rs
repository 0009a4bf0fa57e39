//! Notices when a child moves nothing any more.

use crate::sys::child_lines::Counted;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Bytes that a second must bring on the average for a child to be taken to move something, where its stream stands still.
///
/// A tool of MongoDB that only waits is not silent: its driver asks every member of a replica set how it is, twice in ten
/// seconds, which makes 200 bytes a second and member. So this is more than seven members, the most that vote, make of it; and
/// less than any line over which a backup comes to an end.
const LEAST_PER_SECOND: u64 = 2048;

/// How far a child is, in what only ever grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// What passed through the pipe between it and us.
    pub stream_bytes: u64,
    /// Lines of it that said something new.
    pub new_lines: u64,
    /// All that it read and wrote but its stderr, where the system tells: mongodump holds 32 MB back before it writes, and
    /// mongorestore sends 48 MB at once, which takes minutes on a slow line.
    pub traffic_bytes: u64,
}

/// Watches a child from outside.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    counted: Arc<Counted>,
    /// None where the system does not tell.
    traffic: Option<PathBuf>,
}

impl Activity {
    pub(super) fn new(id: Option<u32>, counted: Arc<Counted>) -> Self {
        Activity {
            counted,
            traffic: id.map(|id| format!("/proc/{id}/io").into()),
        }
    }

    /// How far the child is, with what passed through the pipe to it or from it.
    pub(crate) fn with_stream(&self, stream_bytes: u64) -> Moved {
        let said = self.counted.bytes.load(Ordering::Relaxed);
        let read = |path| std::fs::read_to_string(path).ok();
        let traffic = self.traffic.as_ref().and_then(read);
        Moved {
            stream_bytes,
            new_lines: self.counted.new_lines.load(Ordering::Relaxed),
            traffic_bytes: traffic.map_or(0, |text| traffic_of(&text).saturating_sub(said)),
        }
    }
}

/// What a process read and wrote, files, pipes and sockets alike, by its `/proc/PID/io`.
fn traffic_of(text: &str) -> u64 {
    let counts = text.lines().filter_map(|line| {
        let (name, count) = line.split_once(": ")?;
        matches!(name, "rchar" | "wchar").then(|| count.trim().parse::<u64>().ok())?
    });
    counts.fold(0, u64::saturating_add)
}

/// Due once a child has stood still for long.
pub(crate) struct Stall {
    limit: Duration,
    seen: Moved,
    since: Instant,
}

impl Stall {
    pub(crate) fn after(limit: Duration, seen: Moved, now: Instant) -> Self {
        Stall {
            limit,
            seen,
            since: now,
        }
    }

    /// Whether it is due. To be asked a few times a second.
    pub(crate) fn is_due(&mut self, moved: Moved, now: Instant) -> bool {
        let least = (self.limit.as_secs_f64() * LEAST_PER_SECOND as f64) as u64;
        let traffic = moved.traffic_bytes.saturating_sub(self.seen.traffic_bytes);
        let moves = moved.stream_bytes != self.seen.stream_bytes
            || moved.new_lines != self.seen.new_lines
            || traffic >= least.max(1);
        if moves {
            (self.seen, self.since) = (moved, now);
        }
        now.duration_since(self.since) >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(300);

    /// After how many seconds a child is given up that moves so much in each.
    fn given_up_after(per_second: u64) -> Option<u64> {
        let begun = Instant::now();
        let mut moved = Moved::default();
        let mut stall = Stall::after(LIMIT, moved, begun);
        (1..=4 * LIMIT.as_secs()).find(|second| {
            moved.traffic_bytes += per_second;
            stall.is_due(moved, begun + Duration::from_secs(*second))
        })
    }

    #[test]
    fn heartbeats_are_no_movement_and_a_slow_line_is() {
        assert_eq!(given_up_after(0), Some(300));
        assert_eq!(given_up_after(1400), Some(300));
        assert_eq!(given_up_after(LEAST_PER_SECOND), None);
        assert_eq!(given_up_after(5000), None);
    }

    #[test]
    fn a_byte_through_the_pipe_and_a_new_line_are_movement() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut moved = Moved::default();
        let mut stall = Stall::after(LIMIT, moved, begun);
        moved.stream_bytes = 1;
        assert!(!stall.is_due(moved, at(299)));
        assert!(!stall.is_due(moved, at(598)));
        moved.new_lines = 1;
        assert!(!stall.is_due(moved, at(598)));
        assert!(!stall.is_due(moved, at(897)));
        assert!(stall.is_due(moved, at(898)));
    }

    #[test]
    fn a_process_counts_what_it_reads_and_writes() {
        let text = "rchar: 6976\nwchar: 24\nsyscr: 10\nsyscw: 7\nread_bytes: 5\nwrite_bytes: 9\n";
        assert_eq!(traffic_of(text), 7000);
        assert_eq!(traffic_of("nonsense"), 0);
        let own = Activity::new(Some(std::process::id()), Arc::default());
        #[cfg(target_os = "linux")]
        assert!(own.with_stream(0).traffic_bytes > 0);
    }
}
