//! When the clock cannot be trusted, so that nothing may go by its age.

use super::archive::{Archive, Dated};
use chrono::{DateTime, TimeDelta, Utc};
use std::fmt;

/// What to do about an archive of a time that is yet to come.
pub(crate) const ARCHIVE_OR_CLOCK: &str =
    "set the clock right; if it is right, that archive's time is wrong: move it to another folder";

/// A shorter time without backups is plausible.
const LONGEST_PLAUSIBLE_GAP: TimeDelta = TimeDelta::days(180);
/// A gap may be this many times as long as the longest other one.
const PLAUSIBLE_FACTOR: i32 = 3;
/// So many archives made after a leap show that the time really went by.
const ENOUGH_AFTER_LEAP: usize = 3;

/// Why nothing goes at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RetentionHold {
    /// An archive was made later than now.
    ClockBehind {
        newest: String,
        made_at: DateTime<Utc>,
        now: DateTime<Utc>,
    },
    /// There is an implausibly long time without archives, and hardly any since.
    ClockLeap {
        before: String,
        before_at: DateTime<Utc>,
        /// The first archive after the leap; `None` if that is now.
        after: Option<String>,
        after_at: DateTime<Utc>,
    },
    /// Something else, in words.
    Other {
        reason: String,
        help: Option<String>,
    },
}

impl RetentionHold {
    /// Whether setting the clock right would end it.
    pub(crate) fn is_about_the_clock(&self) -> bool {
        !matches!(self, RetentionHold::Other { .. })
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> Option<&str> {
        match self {
            RetentionHold::ClockBehind { .. } => Some(ARCHIVE_OR_CLOCK),
            RetentionHold::ClockLeap { .. } => Some(
                "if the clock is right there is nothing to do: they go again after a few more backups; if not, set it right",
            ),
            RetentionHold::Other { help, .. } => help.as_deref(),
        }
    }

    /// Whether an archive, verified or not, is later than `now`.
    pub(super) fn behind(archives: &[Archive], now: DateTime<Utc>) -> Option<Self> {
        let dated = archives
            .iter()
            .filter_map(|archive| Some((archive.made_at?, &archive.name)));
        let (made_at, newest) = dated.max()?;
        (now < made_at).then(|| RetentionHold::ClockBehind {
            newest: newest.clone(),
            made_at,
            now,
        })
    }
}

/// Where in `dated`, oldest first and none later than `now`, the last archive before an implausible leap is. The `newest`
/// always stay.
pub(super) fn leap(dated: &[Dated], newest: usize, now: DateTime<Utc>) -> Option<usize> {
    let ends = dated.iter().skip(1).map(|dated| dated.made_at).chain([now]);
    let gaps = dated
        .iter()
        .zip(ends)
        .map(|(start, end)| end - start.made_at)
        .enumerate();
    let mut longest = (0, TimeDelta::zero());
    let mut longest_other = TimeDelta::zero();
    for (index, gap) in gaps {
        if gap > longest.1 {
            longest_other = longest.1;
            longest = (index, gap);
        } else {
            longest_other = longest_other.max(gap);
        }
    }
    let (last_before, gap) = longest;
    let implausible = gap > LONGEST_PLAUSIBLE_GAP.max(longest_other * PLAUSIBLE_FACTOR);
    let after = dated.len().saturating_sub(last_before + 1);
    (implausible && after < newest.max(ENOUGH_AFTER_LEAP)).then_some(last_before)
}

impl fmt::Display for RetentionHold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |at: &DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC").to_string();
        match self {
            RetentionHold::Other { reason, .. } => out.write_str(reason),
            RetentionHold::ClockBehind {
                newest,
                made_at,
                now,
            } => write!(
                out,
                "the clock is behind: it shows {}, but {newest} was made at {}",
                shown(now),
                shown(made_at)
            ),
            RetentionHold::ClockLeap {
                before,
                before_at,
                after,
                after_at,
            } => {
                let after = after.as_deref().unwrap_or("now");
                write!(
                    out,
                    "the clock may be ahead: there is no verified archive between \
                     {before} ({}) and {after} ({})",
                    shown(before_at),
                    shown(after_at)
                )
            }
        }
    }
}
