//! Archive names: `{prefix}_backup_YYYYMMDD_HHMMSS`, in local time, and `.tar.gz` or `.tar.zst`.
//!
//! A sealed archive has `.age` behind that.
//!
//! What is called a *stem* names one archive in short: its file name without `.tar.gz`, or all of it when it ends with
//! anything else. So two archives of one name but for that end are two, and what is remembered of archives keeps its keys.

use crate::archive::compression::Compression;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

pub(crate) const SEALED_EXTENSION: &str = ".age";
const SIDECAR_EXTENSION: &str = ".sha256";
const MIDDLE: &str = "_backup_";
const STAMP: &str = "%Y%m%d_%H%M%S";

/// What the names of archives start with that hold what a restore replaced.
pub(crate) fn safety_prefix(prefix: &str) -> String {
    format!("{prefix}_before_restore")
}

/// An archive's name without its extension.
fn bare_at(prefix: &str, at: DateTime<Utc>, time_zone: Tz) -> String {
    format!(
        "{prefix}{MIDDLE}{}",
        at.with_timezone(&time_zone).format(STAMP)
    )
}

/// The file name of the archive with this stem.
pub(crate) fn archive(stem: &str) -> String {
    if is_sealed(stem) {
        return stem.to_owned();
    }
    match Compression::of_name(stem) {
        Compression::Gzip => format!("{stem}{}", Compression::Gzip.extension()),
        Compression::Zstd => stem.to_owned(),
    }
}

/// The file name of its checksum.
pub(crate) fn sidecar(stem: &str) -> String {
    format!("{}{SIDECAR_EXTENSION}", archive(stem))
}

/// Whether a stem or a file name is that of a sealed archive.
pub(crate) fn is_sealed(name: &str) -> bool {
    name.ends_with(SEALED_EXTENSION)
}

/// The stem that an archive gets when it is sealed.
pub(crate) fn sealed(stem: &str) -> String {
    format!("{}{SEALED_EXTENSION}", archive(stem))
}

/// The name without what a sealed archive has behind it.
pub(crate) fn unsealed(name: &str) -> &str {
    name.strip_suffix(SEALED_EXTENSION).unwrap_or(name)
}

/// The stem of an archive called `bare` but for its extension.
pub(crate) fn stem(bare: &str, compression: Compression) -> String {
    match compression {
        Compression::Gzip => bare.to_owned(),
        Compression::Zstd => format!("{bare}{}", compression.extension()),
    }
}

/// The stem of the archive with this file name; none when it has no extension of an archive.
pub(crate) fn stem_of(file_name: &str) -> Option<&str> {
    if is_sealed(file_name) {
        return stem_of(unsealed(file_name)).map(|_| file_name);
    }
    match Compression::of_name(file_name) {
        Compression::Gzip => file_name.strip_suffix(Compression::Gzip.extension()),
        Compression::Zstd => Some(file_name),
    }
}

/// The stem of the archive whose file name, or whose checksum's, this is.
pub(crate) fn stem_of_either(file_name: &str) -> Option<&str> {
    stem_of(
        file_name
            .strip_suffix(SIDECAR_EXTENSION)
            .unwrap_or(file_name),
    )
}

/// A file name or a stem without its extension: what the folder inside the archive is called.
pub(crate) fn bare(name: &str) -> &str {
    let name = unsealed(name);
    let mut extensions = Compression::ALL.into_iter();
    extensions
        .find_map(|compression| name.strip_suffix(compression.extension()))
        .unwrap_or(name)
}

/// The first name from `at` on that is not `taken`: a clock that was set back, or an hour that comes twice in autumn,
/// must not bring two archives to one name.
pub(crate) fn free_name(
    prefix: &str,
    at: DateTime<Utc>,
    time_zone: Tz,
    taken: impl Fn(&str) -> bool,
) -> String {
    let mut second = at;
    loop {
        let name = bare_at(prefix, second, time_zone);
        if !taken(&name) {
            return name;
        }
        second += TimeDelta::seconds(1);
    }
}

/// The local time in a stem of ours; none when the name is not one.
pub(crate) fn time_of(prefix: &str, stem: &str) -> Option<NaiveDateTime> {
    let unpacked = match is_sealed(stem) {
        true => bare(stem),
        false => stem
            .strip_suffix(Compression::Zstd.extension())
            .unwrap_or(stem),
    };
    let stamp = unpacked.strip_prefix(prefix)?.strip_prefix(MIDDLE)?;
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

/// What the name of an archive begins with, whosever it is; none when it is not one.
pub(crate) fn prefix_of(file_name: &str) -> Option<String> {
    let (prefix, _) = bare(stem_of(file_name)?).rsplit_once(MIDDLE)?;
    time_of(prefix, stem_of(file_name)?).map(|_| prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::zone;
    use chrono::TimeZone;

    #[test]
    fn names_are_in_local_time_and_read_back() {
        let at = Utc.with_ymd_and_hms(2025, 5, 31, 11, 41, 8).unwrap();
        let stem = bare_at("jorbites", at, zone("Europe/Madrid"));
        assert_eq!(stem, "jorbites_backup_20250531_134108");
        assert_eq!(
            time_of("jorbites", &stem).unwrap().to_string(),
            "2025-05-31 13:41:08"
        );
    }

    #[test]
    fn stems_and_file_names_lead_to_each_other() {
        let bare = "jorbites_backup_20250531_134108";
        for compression in Compression::ALL {
            let stem = stem(bare, compression);
            let name = archive(&stem);
            assert_eq!(name, format!("{bare}{}", compression.extension()));
            assert_eq!(stem_of(&name), Some(stem.as_str()));
            assert_eq!(stem_of_either(&sidecar(&stem)), Some(stem.as_str()));
            assert_eq!(prefix_of(&name).as_deref(), Some("jorbites"));
            assert_eq!(prefix_of(&sidecar(&stem)), None);
            assert_eq!((self::bare(&name), self::bare(&stem)), (bare, bare));
            assert_eq!(time_of("jorbites", &stem), time_of("jorbites", bare));
            let sealed = sealed(&stem);
            assert_eq!(sealed, format!("{name}.age"));
            assert_eq!(archive(&sealed), sealed);
            assert_eq!(stem_of(&sealed), Some(sealed.as_str()));
            assert_eq!(self::bare(&sealed), bare);
            assert_eq!(time_of("jorbites", &sealed), time_of("jorbites", bare));
            assert_eq!(Compression::of_name(&sealed), compression);
        }
        assert_eq!(stem_of("jorbites_backup_20250531_134108.tar.xz"), None);
        assert_eq!(
            time_of("jorbites", "jorbites_backup_20250531_134108.tar.gz"),
            None
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
        let name = free_name("p", at, Tz::UTC, |stem| stem < "p_backup_20260101_000001");
        assert_eq!(name, "p_backup_20260101_000001");
    }
}
