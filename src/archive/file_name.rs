//! Archive names: `{prefix}_backup_YYYYMMDD_HHMMSS.tar.gz`, in local time.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

pub(crate) const EXTENSION: &str = ".tar.gz";
pub(crate) const SIDECAR_EXTENSION: &str = ".tar.gz.sha256";
const MIDDLE: &str = "_backup_";
const STAMP: &str = "%Y%m%d_%H%M%S";

/// What the names of archives start with that hold what a restore replaced.
pub(crate) fn safety_prefix(prefix: &str) -> String {
    format!("{prefix}_before_restore")
}

/// An archive's name without `.tar.gz`.
pub(crate) fn stem(prefix: &str, at: DateTime<Utc>, time_zone: Tz) -> String {
    format!(
        "{prefix}{MIDDLE}{}",
        at.with_timezone(&time_zone).format(STAMP)
    )
}

/// The file name of the archive with this stem.
pub(crate) fn archive(stem: &str) -> String {
    format!("{stem}{EXTENSION}")
}

/// The first name from `at` on that is not `taken`: a clock that was set back, or an hour that comes twice in autumn,
/// must not bring two archives to one name.
pub(crate) fn free_stem(
    prefix: &str,
    at: DateTime<Utc>,
    time_zone: Tz,
    taken: impl Fn(&str) -> bool,
) -> String {
    let mut second = at;
    loop {
        let stem = stem(prefix, second, time_zone);
        if !taken(&stem) {
            return stem;
        }
        second += TimeDelta::seconds(1);
    }
}

/// The local time in a stem of ours; none when the name is not one.
pub(crate) fn time_of(prefix: &str, stem: &str) -> Option<NaiveDateTime> {
    let stamp = stem.strip_prefix(prefix)?.strip_prefix(MIDDLE)?;
    let digits = stamp.len() == 15
        && stamp
            .bytes()
            .enumerate()
            .all(|(at, byte)| (at == 8) == (byte == b'_') && (at == 8 || byte.is_ascii_digit()));
    if digits {
        NaiveDateTime::parse_from_str(stamp, STAMP).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn names_are_in_local_time_and_read_back() {
        let at = Utc.with_ymd_and_hms(2025, 5, 31, 11, 41, 8).unwrap();
        let stem = stem("jorbites", at, chrono_tz::Europe::Madrid);
        assert_eq!(stem, "jorbites_backup_20250531_134108");
        assert_eq!(
            time_of("jorbites", &stem).unwrap().to_string(),
            "2025-05-31 13:41:08"
        );
    }

    #[test]
    fn foreign_names_are_not_ours() {
        for name in [
            "other_backup_20250531_134108",
            "jorbites_backup_20250531_13410",
            "jorbites_backup_20250531-134108",
            "jorbites_backup_20251331_134108",
            "jorbites_backup_20250531_134108_copy",
            "jorbites_backup_+0250531_134108",
            "jorbites",
        ] {
            assert_eq!(time_of("jorbites", name), None, "{name}");
        }
    }

    #[test]
    fn a_taken_name_moves_on_by_seconds() {
        let at = Utc.with_ymd_and_hms(2025, 12, 31, 23, 59, 59).unwrap();
        let name = free_stem("p", at, chrono_tz::UTC, |stem| {
            stem < "p_backup_20260101_000001"
        });
        assert_eq!(name, "p_backup_20260101_000001");
    }
}
