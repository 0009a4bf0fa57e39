//! Half a year as squares, a column a week.

use crate::report::{Day, DayOutcome};
use crate::sys::humanize;
use chrono::Datelike;
use maud::{Markup, html};

/// The side of a square with the gap after it.
const PITCH: usize = 13;
const SIDE: usize = 11;
const LEFT: usize = 30;
const TOP: usize = 16;

pub(super) fn section(days: &[Day]) -> Markup {
    let count = |wanted| days.iter().filter(|day| day.outcome == wanted).count() as u64;
    let [good, warned, failed] =
        [DayOutcome::Good, DayOutcome::Warned, DayOutcome::Failed].map(count);
    let words = format!(
        "{} with a good backup, {} with warnings, {} failed.",
        humanize::counted(good, "day"),
        humanize::count(warned),
        humanize::count(failed)
    );
    html! {
        section.card aria-labelledby="days" {
            h2 #days { "The last 26 weeks" }
            (squares(days, &words))
            p.legend {
                (key(DayOutcome::Good)) " good "
                (key(DayOutcome::Warned)) " with warnings "
                (key(DayOutcome::Failed)) " failed "
                (key(DayOutcome::None)) " no backup"
            }
            p.quiet { (words) }
        }
    }
}

fn key(outcome: DayOutcome) -> Markup {
    html! {
        svg.key viewBox="0 0 11 11" width="11" height="11" aria-hidden="true" { (square(0, 0, outcome, None)) }
    }
}

fn squares(days: &[Day], words: &str) -> Markup {
    let weeks = days.len().div_ceil(7).max(1);
    let (width, height) = (LEFT + weeks * PITCH, TOP + 7 * PITCH);
    html! {
        svg.calendar viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(words) {
            @for (row, name) in [(0, "Mon"), (2, "Wed"), (4, "Fri")] {
                text x="0" y=(TOP + row * PITCH + 9) { (name) }
            }
            @for (at, day) in days.iter().enumerate() {
                @let (x, y) = (LEFT + at / 7 * PITCH, TOP + at % 7 * PITCH);
                // The month stands above the first whole week of it.
                @if at % 7 == 0 && day.date.day() <= 7 {
                    text x=(x) y="10" { (day.date.format("%b")) }
                }
                (square(x, y, day.outcome, Some(day)))
            }
        }
    }
}

/// Told apart by a sign in it as well as by its colour.
fn square(x: usize, y: usize, outcome: DayOutcome, day: Option<&Day>) -> Markup {
    let (class, word) = match outcome {
        DayOutcome::None => ("none", "no backup"),
        DayOutcome::Good => ("good", "good"),
        DayOutcome::Warned => ("warn", "with warnings"),
        DayOutcome::Failed => ("bad", "failed"),
    };
    let (left, right, top, bottom) = (x + 3, x + SIDE - 3, y + 3, y + SIDE - 3);
    let middle = (x as f64) + SIDE as f64 / 2.0;
    let sign = match outcome {
        DayOutcome::Failed => Some(format!(
            "M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}"
        )),
        DayOutcome::Warned => Some(format!(
            "M{middle} {}V{}M{middle} {}v1",
            y + 2,
            y + 6,
            y + 8
        )),
        DayOutcome::None | DayOutcome::Good => None,
    };
    html! {
        rect.(class) x=(x) y=(y) width=(SIDE) height=(SIDE) rx="2" {
            @if let Some(day) = day { title { (day.date.format("%-d %b %Y")) ": " (word) } }
        }
        @if let Some(sign) = sign { path.sign d=(sign) {} }
    }
}
