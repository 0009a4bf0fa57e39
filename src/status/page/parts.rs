//! What several pages are made of.

use crate::report::{ArchiveSummary, CopyState, CopySummary};
use crate::sys::humanize;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use std::time::Duration;

/// The head of every page, with the time of what it shows.
pub(super) fn head(as_of: Option<String>) -> Markup {
    html! {
        a.skip href="#content" { "To the content" }
        header {
            h1 { a href="/" { "Pantry Keeper" } }
            @if let Some(as_of) = as_of {
                p.quiet { "as of " (as_of) }
            }
        }
    }
}

/// A command to copy: a field selects all of its text when it is tabbed into, without a script.
pub(super) fn command(label: &str, text: &str) -> Markup {
    html! {
        label.command {
            span { (label) }
            input type="text" readonly value=(text) spellcheck="false";
        }
    }
}

/// A time with its day of the week.
pub(super) fn time(at: DateTime<Utc>, time_zone: Tz) -> String {
    let local = at.with_timezone(&time_zone);
    local.format("%a %-d %b %Y %H:%M").to_string()
}

pub(super) fn date(at: DateTime<Utc>, time_zone: Tz) -> String {
    at.with_timezone(&time_zone).format("%-d %b %Y").to_string()
}

/// `in 3 h`, `2 days ago`.
pub(super) fn distance(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let apart = humanize::duration((at - now).abs().to_std().unwrap_or_default());
    if at < now {
        format!("{apart} ago")
    } else {
        format!("in {apart}")
    }
}

pub(super) fn seconds(seconds: f64) -> String {
    humanize::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// A word with a sign in front, so that it is not told by its colour alone.
pub(super) fn mark(class: &str, sign: &str, word: &str) -> Markup {
    html! { span.mark.(class) { span aria-hidden="true" { (sign) } " " (word) } }
}

/// Whether an archive can be trusted.
pub(super) fn soundness(archive: &ArchiveSummary, time_zone: Tz) -> Markup {
    match (&archive.damage, archive.verified_at) {
        (Some(damage), _) => html! { (mark("bad", "✗", "damaged")) ": " (damage) },
        (None, Some(at)) => html! { (mark("good", "✓", &date(at, time_zone))) },
        (None, None) => mark("warn", "!", "never"),
    }
}

/// Where copies of an archive lie, a line for each place.
pub(super) fn copies(archive: &ArchiveSummary, time_zone: Tz) -> Markup {
    let shown = |copy: &CopySummary| {
        let since = |words: &str| match copy.proven_at {
            Some(at) => format!("{words}, {}", date(at, time_zone)),
            None => words.to_owned(),
        };
        match copy.state {
            CopyState::Absent => mark("none", "…", "not there"),
            CopyState::Sent => mark("warn", "!", &since("sent")),
            CopyState::Confirmed => mark("good", "✓", &since("confirmed")),
            CopyState::Read => mark("good", "✓", &since("read back")),
            CopyState::Damaged => mark("bad", "✗", &since("differs")),
        }
    };
    html! {
        @for copy in &archive.copies {
            span.detail { (shown(copy)) " " code { (copy.place) } }
        }
    }
}

/// Why an archive stays, and until when.
pub(super) fn fate(archive: &ArchiveSummary, time_zone: Tz) -> String {
    match (archive.kept.as_slice(), archive.goes_at) {
        ([], _) => "goes after the next backup".into(),
        (reasons, Some(at)) => format!("{}, until {}", reasons.join(", "), date(at, time_zone)),
        (reasons, None) => reasons.join(", "),
    }
}
