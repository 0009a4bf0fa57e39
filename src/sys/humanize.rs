//! Numbers as people read them.

use std::time::Duration;

/// `12.3 MB`: decimal units, as disks are sold and `ls --si` counts.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = count as f64;
    let mut unit = 0;
    // 999.95 would be printed as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 index`, `12 indexes`.
pub(crate) fn indexes(number: u64) -> String {
    match number {
        1 => "1 index".into(),
        many => format!("{} indexes", count(many)),
    }
}

/// `1 document`, `2,000 documents`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 days`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => match (seconds / 60, seconds % 60) {
            (minutes, 0) => format!("{minutes} min"),
            (minutes, rest) => format!("{minutes} min {rest} s"),
        },
        3600..172_800 => match (seconds / 3600, seconds % 3600 / 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, rest) => format!("{hours} h {rest} min"),
        },
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `a, b and 7 more`: the first `most` of them, and how many there are beyond.
pub(crate) fn first_and_more(names: &[String], most: usize) -> String {
    let first = names[..names.len().min(most)].join(", ");
    match names.len().saturating_sub(most) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_never_show_four_digits_before_the_point() {
        let shown = [0, 999, 1000, 999_949, 999_950, 12_345_678, u64::MAX].map(bytes);
        assert_eq!(
            shown,
            [
                "0 B",
                "999 B",
                "1.0 kB",
                "999.9 kB",
                "1.0 MB",
                "12.3 MB",
                "18446.7 PB"
            ]
        );
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(counted(1, "document"), "1 document");
    }

    #[test]
    fn durations_are_as_exact_as_a_person_cares_for() {
        let shown = [0.43, 9.96, 59.9, 60.0, 200.0, 7500.0, 259_200.0]
            .map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(
            shown,
            [
                "0.4 s",
                "10.0 s",
                "59 s",
                "1 min",
                "3 min 20 s",
                "2 h 5 min",
                "3 days"
            ]
        );
    }
}
