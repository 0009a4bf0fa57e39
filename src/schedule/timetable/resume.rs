//! From what was kept to a ledger that holds now: after a restart, a power cut, a change of settings.

use super::{Ledger, MOST_BEGINNINGS, StartedRun, Timetable};
use crate::schedule::Schedule;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

/// No schedule pauses for longer, so looking back this far finds the slot before any instant.
const LONGEST_PAUSE: TimeDelta = TimeDelta::days(8 * 366);

/// A ledger to go on with, and what was found out about the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub ledger: Ledger,
    /// A run that was cut off. Its slot is due again, unless it was given up.
    pub interrupted: Option<StartedRun>,
    /// The interrupted run was begun too often to be tried once more.
    pub gave_up: bool,
    /// The schedule or its zone is another than before.
    pub changed: bool,
}

impl Timetable<'_> {
    /// The ledger to start with: `stored` is what was kept, if anything was, and `newest_archive` when the newest
    /// verified archive was begun. Keep the ledger before the first step.
    pub(crate) fn open(
        &self,
        stored: Option<Ledger>,
        newest_archive: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Opened {
        let Some(mut ledger) = stored else {
            return Opened {
                ledger: self.fresh(newest_archive, now),
                interrupted: None,
                gave_up: false,
                changed: false,
            };
        };
        // The clock may have been set right since.
        ledger.base(now);
        let interrupted = ledger
            .begun
            .clone()
            .filter(|begun| !has_archive(begun, newest_archive, now));
        let gave_up = interrupted
            .as_ref()
            .is_some_and(|begun| begun.times >= MOST_BEGINNINGS);
        if let Some(begun) = ledger.begun.clone()
            && (interrupted.is_none() || gave_up)
        {
            ledger.settle(begun.slot);
        }
        let changed =
            ledger.schedule != self.schedule.text() || ledger.time_zone != self.time_zone.name();
        if changed {
            self.adopt(&mut ledger, now);
        }
        Opened {
            ledger,
            interrupted,
            gave_up,
            changed,
        }
    }

    /// For a first start, or after the ledger was lost: the archives tell what was done.
    fn fresh(&self, newest_archive: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Ledger {
        Ledger {
            schedule: self.schedule.text().to_owned(),
            time_zone: self.time_zone.name().to_owned(),
            since: now,
            handled: newest_archive.filter(|made| *made <= now).unwrap_or(now),
            behind_from: None,
            ahead: newest_archive.filter(|made| *made > now),
            make_up: None,
            already: None,
            begun: None,
            stood_in: None,
        }
    }

    /// Takes over the ledger of another schedule or zone: what that one missed is still due, and from now on this one
    /// holds.
    fn adopt(&self, ledger: &mut Ledger, now: DateTime<Utc>) {
        let base = ledger.base(now);
        let unfinished = ledger
            .begun
            .as_ref()
            .map(|begun| begun.slot)
            .or(ledger.make_up);
        let former = Schedule::parse(&ledger.schedule)
            .ok()
            .zip(ledger.time_zone.parse::<Tz>().ok());
        let missed = former
            .as_ref()
            .and_then(|(schedule, tz)| schedule.last_in(base, now, *tz));
        ledger.make_up = missed.or(unfinished);
        ledger.already = None;
        if now >= ledger.handled {
            ledger.handled = now;
            // A slot to be made up is dealt with in this respect too; one from before the promise is not.
            let last = former.and_then(|(schedule, tz)| {
                let from = base.checked_sub_signed(LONGEST_PAUSE)?;
                Some((schedule.last_in(from, base.max(now), tz)?, schedule, tz))
            });
            if let Some((last, schedule, tz)) = last
                && schedule == *self.schedule
                && last > ledger.since
            {
                let local = |at: DateTime<Utc>, tz: Tz| at.with_timezone(&tz).naive_local();
                ledger.already = self
                    .next_after(now)
                    .filter(|next| local(*next, self.time_zone) == local(last, tz));
            }
        } else if ledger.behind_from.is_some() {
            ledger.behind_from = Some(now);
        }
        ledger.schedule = self.schedule.text().to_owned();
        ledger.time_zone = self.time_zone.name().to_owned();
        ledger.since = now;
    }
}

/// Whether the run had made its archive, and only the note of its end was lost.
fn has_archive(
    begun: &StartedRun,
    newest_archive: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> bool {
    // Names of archives are in whole seconds. One from the future tells nothing, unless the clock was there together
    // with the run.
    newest_archive
        .is_some_and(|made| made >= begun.at.trunc_subsecs(0) && (made <= now || begun.at > now))
}
