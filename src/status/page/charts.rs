//! Growth over time, drawn by hand: two lines and their axes need no crate, and take their colours from the page.

use super::Site;
use super::parts::date;
use crate::report::ArchiveSummary;
use crate::state::Ended;
use crate::status::outlook::Outlook;
use crate::status::snapshot::Snapshot;
use crate::sys::humanize;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use std::collections::BTreeMap;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 170.0;
/// Where the lines are drawn.
const LEFT: f64 = 48.0;
const RIGHT: f64 = 354.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 146.0;
/// More points than this are no more to see.
const MOST_POINTS: usize = 180;
/// Up to so many are drawn as dots that can be pointed at.
const MOST_DOTS: usize = 60;

/// A backup as the charts see it.
#[derive(Clone, Copy)]
struct Point {
    at: DateTime<Utc>,
    documents: u64,
    archive_bytes: u64,
}

/// A day that matters, as a vertical line.
struct Rule {
    at: DateTime<Utc>,
    label: String,
}

/// What the archives and the history tell, the oldest first: history reaches back to archives that are gone.
fn points(snapshot: &Snapshot) -> Vec<Point> {
    let mut points: BTreeMap<&str, Point> = BTreeMap::new();
    for run in &snapshot.runs {
        if let Ended::Done {
            archive,
            archive_bytes,
            documents,
            ..
        } = &run.ended
        {
            let point = Point {
                at: run.began_at,
                documents: *documents,
                archive_bytes: *archive_bytes,
            };
            points.insert(archive, point);
        }
    }
    for archive in &snapshot.list.archives {
        let ArchiveSummary {
            documents: Some(documents),
            made_at: Some(at),
            ..
        } = *archive
        else {
            continue;
        };
        let archive_bytes = archive.archive_bytes;
        let point = Point {
            at,
            documents,
            archive_bytes,
        };
        points.insert(&archive.archive, point);
    }
    let mut points: Vec<Point> = points.into_values().collect();
    points.sort_by_key(|point| point.at);
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    // The newest always stays.
    let newest = points.len().saturating_sub(1) % every;
    points.into_iter().skip(newest).step_by(every).collect()
}

pub(super) fn section(site: &Site, snapshot: &Snapshot) -> Markup {
    let points = points(snapshot);
    let now = snapshot.status.as_of_at;
    let cut = now - TimeDelta::days(i64::from(site.retention_days));
    let day = |at| date(at, site.time_zone);
    let full = match snapshot.outlook {
        Outlook::FullAt(at) => format!("At this pace the disk is full on {}.", day(at)),
        Outlook::NotWithinAYear => "At this pace the disk is not full within a year.".into(),
        Outlook::NotBefore(at) => format!(
            "At this pace the disk is not full before {}; further ahead is not looked at.",
            day(at)
        ),
        Outlook::Unknown => String::new(),
    };
    let span = points
        .first()
        .map_or(TimeDelta::zero(), |first| now - first.at);
    let cut_rule = Rule {
        at: cut,
        label: format!("{} days", site.retention_days),
    };
    // One that is far away would squeeze all else.
    let full_rule = snapshot.list.full_at.filter(|at| *at - now <= span);
    let full_rule = full_rule.map(|at| Rule {
        at,
        label: "disk full".into(),
    });
    let documents: Vec<(DateTime<Utc>, u64)> = points
        .iter()
        .map(|point| (point.at, point.documents))
        .collect();
    let bytes: Vec<(DateTime<Utc>, u64)> = points
        .iter()
        .map(|point| (point.at, point.archive_bytes))
        .collect();
    let rules: Vec<Rule> = std::iter::once(cut_rule).chain(full_rule).collect();
    html! {
        section.card aria-labelledby="growth" {
            h2 #growth { "Growth" }
            @if points.len() < 2 {
                p { "It shows from the second backup on." }
            } @else {
                div.charts {
                    (figure("Documents", site.time_zone, &documents, &[], humanize::count))
                    (figure("Size of an archive", site.time_zone, &bytes, &rules, humanize::bytes))
                }
                p.quiet {
                    "Archives older than " (humanize::counted(u64::from(site.retention_days), "day"))
                    " go, unless another rule keeps them. " (full)
                }
            }
        }
    }
}

fn figure(
    name: &str,
    time_zone: Tz,
    values: &[(DateTime<Utc>, u64)],
    rules: &[Rule],
    shown: fn(u64) -> String,
) -> Markup {
    let (Some((from, first)), Some((to, last))) = (values.first(), values.last()) else {
        return html! {};
    };
    let words = format!(
        "{name}: from {} on {} to {} on {}",
        shown(*first),
        date(*from, time_zone),
        shown(*last),
        date(*to, time_zone)
    );
    let rules_at = rules.iter().map(|rule| rule.at);
    let end = rules_at.fold(*to, DateTime::max);
    let most = values.iter().map(|(_, value)| *value).max().unwrap_or(0);
    let axes = Axes::new(*from, end, most);
    html! {
        figure {
            figcaption { (name) }
            svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(words) {
                @for tick in axes.ticks() {
                    @let y = axes.y(tick);
                    line.grid x1=(LEFT) x2=(RIGHT) y1=(format!("{y:.1}")) y2=(format!("{y:.1}")) {}
                    text.end x=(LEFT - 5.0) y=(format!("{:.1}", y + 3.5)) { (short(tick, shown)) }
                }
                (curve(&axes, values))
                @if values.len() <= MOST_DOTS {
                    @for (at, value) in values {
                        circle.dot cx=(format!("{:.1}", axes.x(*at))) cy=(format!("{:.1}", axes.y(*value))) r="2.5" {
                            title { (date(*at, time_zone)) ": " (shown(*value)) }
                        }
                    }
                }
                @for rule in rules.iter().filter(|rule| rule.at >= *from) {
                    (vertical(&axes, rule))
                }
                text.start x=(LEFT) y=(BOTTOM + 16.0) { (date(*from, time_zone)) }
                text.end x=(RIGHT) y=(BOTTOM + 16.0) { (date(end, time_zone)) }
            }
        }
    }
}

/// The line through all values, and what is below it.
fn curve(axes: &Axes, values: &[(DateTime<Utc>, u64)]) -> Markup {
    let points: Vec<(f64, f64)> = values
        .iter()
        .map(|(at, value)| (axes.x(*at), axes.y(*value)))
        .collect();
    let written = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}"));
    let line = written.collect::<Vec<_>>().join(" ");
    let (Some((from, _)), Some((to, _))) = (points.first(), points.last()) else {
        return html! {};
    };
    html! {
        polygon.area points=(format!("{from:.1},{BOTTOM} {line} {to:.1},{BOTTOM}")) {}
        polyline.line points=(line) {}
    }
}

/// A day that matters, from top to bottom, labelled on the side where there is more room.
fn vertical(axes: &Axes, rule: &Rule) -> Markup {
    let x = axes.x(rule.at);
    let (side, beside) = match x > WIDTH / 2.0 {
        true => ("end", x - 4.0),
        false => ("start", x + 4.0),
    };
    html! {
        line.rule x1=(format!("{x:.1}")) x2=(format!("{x:.1}")) y1=(TOP - 4.0) y2=(BOTTOM) {}
        text.(side) x=(format!("{beside:.1}")) y=(TOP + 4.0) { (rule.label) }
    }
}

/// Without the decimals that say nothing.
fn short(tick: u64, shown: fn(u64) -> String) -> String {
    shown(tick).replace(".0 ", " ")
}

/// From values to places.
struct Axes {
    from: DateTime<Utc>,
    seconds: f64,
    step: u64,
    top: u64,
}

impl Axes {
    fn new(from: DateTime<Utc>, to: DateTime<Utc>, most: u64) -> Self {
        let step = step(most);
        Axes {
            from,
            seconds: ((to - from).num_seconds() as f64).max(1.0),
            step,
            top: most.div_ceil(step).max(1).saturating_mul(step),
        }
    }

    fn x(&self, at: DateTime<Utc>) -> f64 {
        LEFT + (RIGHT - LEFT) * ((at - self.from).num_seconds() as f64 / self.seconds)
    }

    fn y(&self, value: u64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (value as f64 / self.top as f64)
    }

    fn ticks(&self) -> impl Iterator<Item = u64> {
        (0..=self.top / self.step).map(|number| number * self.step)
    }
}

/// A round number by which an axis counts: at most four steps up to `most`.
fn step(most: u64) -> u64 {
    let mut decade = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = decade.saturating_mul(factor);
            if most.div_ceil(step) <= 4 {
                return step;
            }
        }
        decade = decade.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_by_round_numbers_up_to_the_largest_there_is() {
        let steps = [0, 1, 4, 5, 101, 999, 1_000_000, u64::MAX].map(step);
        assert_eq!(steps[..7], [1, 1, 1, 2, 50, 500, 500_000]);
        let axes = Axes::new(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH, u64::MAX);
        assert!(axes.ticks().count() <= 6 && axes.y(u64::MAX).is_finite());
    }
}
