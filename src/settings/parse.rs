//! From the text of one setting to its value.

use super::fault::Refusal;
use super::names::NamespacePattern;
use super::suggest;
use crate::mongo::uri::MongoUri;
use crate::schedule::{Schedule, ScheduleError};
use crate::sys::mail_address::MailAddress;
use crate::sys::redact::Secret;
use crate::sys::time_zone::Tz;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Far beyond any use, and far below what clock arithmetic can hold.
const LONGEST_DURATION_SECONDS: u64 = 365 * 86_400;

/// A log file below this would lose what a run has said before it is over.
const SMALLEST_LOG_BYTES: u64 = 10_000;
/// Of a bandwidth, per second.
const SLOWEST_BYTES: u64 = 10_000;

pub(super) fn text(text: &str) -> Result<String, Refusal> {
    Ok(text.to_owned())
}

pub(super) fn path(text: &str) -> Result<PathBuf, Refusal> {
    Ok(PathBuf::from(text))
}

pub(super) fn mongo_uri(text: &str) -> Result<MongoUri, Refusal> {
    MongoUri::parse(text).map_err(|error| Refusal::new(error.to_string(), error.help()))
}

/// `HOST` or `HOST:PORT`, several of them with commas between; comes back without spaces.
pub(super) fn mongo_hosts(text: &str) -> Result<String, Refusal> {
    if text.contains("://") {
        return Err(Refusal::new(
            "is a connection string",
            "put it into MONGODB_URI, or give the host alone",
        ));
    }
    if text.contains(['@', '/', '?']) {
        return Err(Refusal::new(
            "is not a host",
            "write the server as HOST or HOST:PORT, several of them with commas between",
        ));
    }
    let hosts: Vec<&str> = text.split(',').map(str::trim).collect();
    let hosts = hosts.join(",");
    mongo_uri(&format!("mongodb://{hosts}/")).map(|_| hosts)
}

pub(super) fn schedule(text: &str) -> Result<Schedule, Refusal> {
    Schedule::parse(text).map_err(|error| {
        let accepted = match error {
            ScheduleError::Syntax(_) => {
                "use 5 cron fields (minute hour day month weekday), such as 0 2 * * SUN, 6 with seconds first, or \
                 @hourly, @daily, @weekly, @monthly, @yearly"
            }
            ScheduleError::NeverFires => "choose a date that the calendar has",
        };
        Refusal::new(error.to_string(), accepted)
    })
}

pub(super) fn time_zone(text: &str) -> Result<Tz, Refusal> {
    // POSIX writes the name of a zone file with a colon in front.
    let name = text.strip_prefix(':').unwrap_or(text);
    name.parse().map_err(|_| {
        let accepted = match suggest::time_zone(name, Tz::names()) {
            Some(near) => format!("did you mean {near}?"),
            None => "use a name of the IANA list, such as Europe/Madrid".to_owned(),
        };
        Refusal::new("is not a time zone", accepted)
    })
}

pub(super) fn boolean(text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(Refusal::new("is not yes or no", "use true or false")),
    }
}

/// One of a few words; their case does not matter.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Refusal> {
    let chosen = choices
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    chosen.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        Refusal::new(
            "is not one of the choices",
            format!("use {}", alternatives(&names)),
        )
    })
}

fn alternatives(names: &[&str]) -> String {
    match names {
        [head @ .., last] if !head.is_empty() => format!("{} or {last}", head.join(", ")),
        _ => names.concat(),
    }
}

pub(super) fn whole_number<T>(text: &str, range: RangeInclusive<T>) -> Result<T, Refusal>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let accepted = format!("use a number from {} to {}", range.start(), range.end());
        Refusal::new("is not a whole number in range", accepted)
    })
}

/// A number, or a name that stands for one.
pub(super) fn number_or_name<T>(
    text: &str,
    range: RangeInclusive<T>,
    names: &[(&str, T)],
) -> Result<T, Refusal>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    choice(text, names).or_else(|_| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        whole_number(text, range).map_err(|refusal| Refusal {
            accepted: format!("{}, or {}", refusal.accepted, alternatives(&names)),
            ..refusal
        })
    })
}

/// Runs of digits, each with the letters after it.
fn quantities(text: &str) -> Option<Vec<(u64, &str)>> {
    let mut rest = text;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(unit_at);
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        parts.push((number.parse().ok()?, unit));
        rest = next;
    }
    Some(parts).filter(|parts| !parts.is_empty())
}

pub(super) fn duration(text: &str) -> Result<Duration, Refusal> {
    let refuse = |problem| {
        Refusal::new(
            problem,
            "use a number with s, m, h or d, such as 90s, 5m, 6h",
        )
    };
    let malformed = || refuse("is not a duration");
    let mut total_seconds: u64 = 0;
    let mut last_unit_seconds = u64::MAX;
    for (number, unit) in quantities(text).ok_or_else(malformed)? {
        let unit_seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(malformed()),
        };
        // 1m30m or 30m1h is more likely a slip than a sum.
        if unit_seconds >= last_unit_seconds {
            return Err(malformed());
        }
        last_unit_seconds = unit_seconds;
        total_seconds = total_seconds.saturating_add(number.saturating_mul(unit_seconds));
    }
    match total_seconds {
        0 => Err(refuse("is no time at all")),
        1..=LONGEST_DURATION_SECONDS => Ok(Duration::from_secs(total_seconds)),
        _ => Err(refuse("is longer than a year")),
    }
}

/// A size in bytes: KB, MB and GB count in thousands, KiB, MiB and GiB in 1024s.
pub(super) fn size_bytes(text: &str) -> Result<u64, Refusal> {
    let refuse = |problem| {
        Refusal::new(
            problem,
            "use a number with KB, MB or GB, such as 512KB, 10MB",
        )
    };
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let unit_bytes: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(refuse("is not a size")),
    };
    let number: u64 = number.parse().map_err(|_| refuse("is not a size"))?;
    match number.checked_mul(unit_bytes) {
        Some(0) => Err(refuse("is no size at all")),
        Some(bytes) => Ok(bytes),
        None => Err(refuse("is too large")),
    }
}

/// The size of a log file; one so small that hardly a run fits into it is refused.
pub(super) fn log_size(text: &str) -> Result<u64, Refusal> {
    let refusal = Refusal::new("is too small for a log", "use at least 10KB, such as 10MB");
    at_least(SMALLEST_LOG_BYTES, size_bytes(text)?, refusal)
}

/// Bytes per second, as a size with or without `/s`; so few that nothing would ever arrive are refused.
pub(super) fn bandwidth(text: &str) -> Result<u64, Refusal> {
    let bytes = size_bytes(text.strip_suffix("/s").unwrap_or(text))?;
    let refusal = Refusal::new(
        "is too slow to be meant",
        "use at least 10KB, which is per second",
    );
    at_least(SLOWEST_BYTES, bytes, refusal)
}

fn at_least(least: u64, bytes: u64, refusal: Refusal) -> Result<u64, Refusal> {
    if bytes < least {
        Err(refusal)
    } else {
        Ok(bytes)
    }
}

/// The items of a comma list; a comma too many at either end or in between is forgiven.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

pub(super) fn databases(text: &str) -> Result<Vec<String>, Refusal> {
    let mut found: Vec<String> = Vec::new();
    for name in items(text) {
        if name == "local" {
            return Err(Refusal::of(
                name,
                "is the server's own database, which cannot be restored elsewhere",
                "leave it out",
            ));
        }
        if !crate::archive::namespace::is_database(name) {
            return Err(Refusal::of(
                name,
                "is not a database name",
                "use names of at most 63 bytes without / \\ . \" $ or spaces, with commas between",
            ));
        }
        // A server never holds two databases whose names differ by case alone.
        if found.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(Refusal::of(name, "is listed twice", "list it once"));
        }
        found.push(name.to_owned());
    }
    Ok(found)
}

pub(super) fn exclude(text: &str) -> Result<Vec<NamespacePattern>, Refusal> {
    items(text).map(NamespacePattern::parse).collect()
}

pub(super) fn prefix(text: &str) -> Result<String, Refusal> {
    let mut chars = text.chars();
    let good = chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && text.len() <= 64
        && !text.contains("..");
    if good {
        Ok(text.to_owned())
    } else {
        Err(Refusal::new(
            "is not a prefix for file names",
            "use at most 64 letters, digits, and . _ - after the first, without two dots in a row",
        ))
    }
}

pub(super) fn mail_host(text: &str) -> Result<String, Refusal> {
    let is_ipv6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/@:,".contains(c);
    if text.contains(odd) && !is_ipv6 {
        return Err(Refusal::new(
            "is not a host name",
            "give the name alone, such as smtp.gmail.com; the port goes into SMTP_PORT",
        ));
    }
    Ok(text.to_owned())
}

/// An address and a port to listen at.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Refusal> {
    let local = text
        .strip_prefix("localhost:")
        .and_then(|port| port.parse().ok());
    let local = local.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    local.or_else(|| text.parse().ok()).ok_or_else(|| {
        Refusal::new(
            "is not an address with a port",
            "use 127.0.0.1:8080 for this machine alone, or 0.0.0.0:8080 for all that reach it",
        )
    })
}

/// Names of hosts, in lower case, or `*` for all of them.
pub(super) fn hosts(text: &str) -> Result<Vec<String>, Refusal> {
    let host = |name: &str| {
        let good = name == "*"
            || name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let refused = || {
            Refusal::of(
                name,
                "is not a host name",
                "give names alone, such as backups.example.org, with commas between, or * for any",
            )
        };
        good.then(|| name.to_ascii_lowercase()).ok_or_else(refused)
    };
    items(text).map(host).collect()
}

pub(super) fn password(text: &str) -> Result<Secret, Refusal> {
    if text.contains(char::is_control) {
        return Err(Refusal::new(
            "has a line break or another control character",
            "give the password alone, on one line",
        ));
    }
    Ok(Secret::new(text))
}

const ADDRESSES: &str =
    "use me@example.org, Name <me@example.org> or \"Last, First\" <me@example.org>";

/// `me@example.org`, or that in angle brackets after a name, which may be in quotes.
pub(super) fn address(text: &str) -> Result<String, Refusal> {
    let (name, bare) = match text.strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
        Some((name, bare)) => (name.trim(), bare),
        None => ("", text),
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c);
    let good = !text.contains(char::is_control)
        && is_display_name(name)
        // What cannot be sent to is told now, and not in place of each mail.
        && MailAddress::parse(text).is_ok()
        && bare.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !bare.contains(odd)
        });
    if good {
        Ok(text.to_owned())
    } else {
        Err(Refusal::of(text, "is not a mail address", ADDRESSES))
    }
}

/// Whether it is one name: a comma or a semicolon that is not in quotes stands between two addresses.
fn is_display_name(name: &str) -> bool {
    list_items(name).is_some_and(|items| items.len() == 1)
}

/// The addresses of a list, with commas or semicolons between.
pub(super) fn addresses(text: &str) -> Result<Vec<String>, Refusal> {
    let unclosed = || Refusal::new("has a quote that does not end", ADDRESSES);
    let listed = list_items(text).ok_or_else(unclosed)?;
    let listed = listed.into_iter().map(str::trim);
    let found: Result<Vec<String>, Refusal> = listed
        .filter(|item| !item.is_empty())
        .map(address)
        .collect();
    found.and_then(|found| {
        if found.is_empty() {
            Err(Refusal::new("holds no address", "use me@example.org"))
        } else {
            Ok(found)
        }
    })
}

/// Splits at commas and semicolons outside of double quotes; nothing if a quote does not end.
fn list_items(text: &str) -> Option<Vec<&str>> {
    let (mut in_quotes, mut escaped) = (false, false);
    let items = text.split(|c: char| {
        let is_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if in_quotes && !is_escaped => escaped = true,
            '"' if !is_escaped => in_quotes = !in_quotes,
            _ => {}
        }
        !in_quotes && ",;".contains(c)
    });
    let items = items.collect();
    (!in_quotes).then_some(items)
}
