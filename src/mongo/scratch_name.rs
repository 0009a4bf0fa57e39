//! The names of the databases that a drill makes: they are in no backup, and nothing else is dropped by a drill.

use chrono::{DateTime, Utc};

/// Atlas takes names of at most 38 bytes on its small clusters.
const PREFIX: &str = "pk_drill_";
const TIME_DIGITS: usize = 12;
/// Of earlier versions.
const OLD_PREFIX: &str = "pantry_keeper_drill_";
const OLD_TIME_DIGITS: usize = 14;
const RANDOM_DIGITS: usize = 8;

/// What the names of one drill's databases have in common; a number follows.
pub(crate) fn stem(now: DateTime<Utc>, random: u32) -> String {
    format!("{PREFIX}{}_{random:08x}", now.format("%y%m%d%H%M%S"))
}

/// Whether a database is one that a drill made.
pub(crate) fn is_scratch(database: &str) -> bool {
    let forms = [(PREFIX, TIME_DIGITS), (OLD_PREFIX, OLD_TIME_DIGITS)];
    forms.iter().any(|(prefix, time_digits)| {
        let parts: Vec<&str> = match database.strip_prefix(prefix) {
            Some(rest) => rest.split('_').collect(),
            None => return false,
        };
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        matches!(parts[..], [time, random, number]
            if time.len() == *time_digits && digits(time)
                && random.len() == RANDOM_DIGITS && random.bytes().all(hex)
                && digits(number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_forms_are_known_and_fit_a_small_cluster() {
        let now = "2026-05-31T02:00:00Z".parse().unwrap();
        let name = format!("{}_{}", stem(now, 0xbeef), 9_999_999);
        assert_eq!(name, "pk_drill_260531020000_0000beef_9999999");
        assert!(name.len() <= 38 && is_scratch(&name));
        assert!(is_scratch("pantry_keeper_drill_20260531020000_0000beef_0"));
        for other in [
            "shop",
            "pk_drill_",
            "pk_drill_notes",
            "pk_drill_260531020000_0000beef",
            "pk_drill_260531020000_0000BEEF_0",
            "pk_drill_260531020000_0000beef_0_1",
            "pk_drill_20260531020000_0000beef_0",
            "pantry_keeper_drill_260531020000_0000beef_0",
            "my_pk_drill_260531020000_0000beef_0",
        ] {
            assert!(!is_scratch(other), "{other}");
        }
    }
}
