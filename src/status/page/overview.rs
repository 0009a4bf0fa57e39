//! The first page: how things are, half a year of days, growth, the archives, the last runs.

use super::parts::{self, command, copies, date, distance, fate, mark, seconds, soundness, time};
use super::{Site, calendar, charts, document};
use crate::report::{ArchiveSummary, RunOutcome, RunReport, StatusReport, Verdict};
use crate::status::outlook::Outlook;
use crate::status::snapshot::Snapshot;
use crate::sys::humanize;
use maud::{Markup, html};

/// Archives on one page.
pub(crate) const PER_PAGE: usize = 200;

/// The overview; further pages show older archives alone.
pub(crate) fn overview(site: &Site, snapshot: &Snapshot, page: usize) -> String {
    let status = &snapshot.status;
    let content = html! {
        (parts::head(Some(time(status.as_of_at, site.time_zone))))
        main #content {
            @if page == 1 {
                (verdict(status))
                (facts(site, status, snapshot.outlook))
                (calendar::section(&status.days))
                (charts::section(site, snapshot))
            }
            (archives(site, snapshot, page))
            @if page == 1 {
                (runs(site, status))
                (before_restores(&snapshot.list.before_restores))
            }
        }
        (footer(status))
    };
    let title = match status.verdict {
        Verdict::Well => "all is well",
        Verdict::Warned => "needs a look",
        Verdict::Unwell => "something is wrong",
        Verdict::Empty => "no backup yet",
    };
    document(&format!("Pantry Keeper: {title}"), &content)
}

/// One sentence, and each thing that is wrong.
fn verdict(status: &StatusReport) -> Markup {
    let (class, sign) = match status.verdict {
        Verdict::Well => ("good", "✓"),
        Verdict::Warned => ("warn", "!"),
        Verdict::Unwell => ("bad", "✗"),
        Verdict::Empty => ("none", "…"),
    };
    html! {
        section.card.verdict.(class) aria-labelledby="verdict" {
            h2 #verdict { span.sign aria-hidden="true" { (sign) } (status.summary) }
            @if !status.health.problems.is_empty() || !status.warnings.is_empty() {
                ul {
                    @for problem in &status.health.problems { li { (mark("bad", "✗", "")) (problem) } }
                    @for warning in &status.warnings { li { (mark("warn", "!", "")) (warning) } }
                }
            }
        }
    }
}

fn facts(site: &Site, status: &StatusReport, outlook: Outlook) -> Markup {
    let (zone, now) = (site.time_zone, status.as_of_at);
    let room = match outlook {
        Outlook::FullAt(at) => format!("full on {} at this pace", date(at, zone)),
        Outlook::NotWithinAYear => "enough for a year at this pace".into(),
        Outlook::NotBefore(at) => {
            format!("enough until {} at least, at this pace", date(at, zone))
        }
        Outlook::Unknown => String::new(),
    };
    html! {
        section.card aria-label="In figures" {
            dl.facts {
                @if let Some(since) = status.running_since {
                    (fact("A backup is being made", &time(since, zone), &distance(since, now)))
                } @else if let Some(next) = status.health.next_run_at {
                    (fact("Next backup", &time(next, zone), &distance(next, now)))
                } @else {
                    (fact("Next backup", "none", "the schedule has no other date"))
                }
                @match status.health.newest_made_at {
                    Some(at) => (fact("Newest backup", &time(at, zone), &distance(at, now))),
                    None => (fact("Newest backup", "none yet", "")),
                }
                @match status.health.drilled_at {
                    Some(at) => (fact("Last drill", &time(at, zone), &distance(at, now))),
                    None => (fact("Last drill", "none yet", "a trial restore proves an archive")),
                }
                @if let Some(next) = status.next_drill_at {
                    (fact("Next drill", &time(next, zone), &distance(next, now)))
                }
                (fact("Archives", &humanize::count(status.archives), &humanize::bytes(status.archives_bytes)))
                @if let Some(free) = status.free_bytes {
                    (fact("Free on the disk", &humanize::bytes(free), &room))
                }
            }
            @if status.health.newest_archive.is_some() {
                (command(
                    "Bring the newest one back (shows what will happen, and asks first)",
                    &format!("{} restore latest", site.command),
                ))
            } @else {
                (command("Make a backup now", &format!("{} backup", site.command)))
            }
        }
    }
}

fn fact(name: &str, figure: &str, more: &str) -> Markup {
    html! {
        div {
            dt { (name) }
            dd { (figure) @if !more.is_empty() { span.quiet { (more) } } }
        }
    }
}

/// The newest ones first.
fn archives(site: &Site, snapshot: &Snapshot, page: usize) -> Markup {
    let all = &snapshot.list.archives;
    let pages = all.len().div_ceil(PER_PAGE).max(1);
    let shown: Vec<&ArchiveSummary> = all
        .iter()
        .rev()
        .skip((page - 1) * PER_PAGE)
        .take(PER_PAGE)
        .collect();
    // All archives are to have copies at the same places.
    let has_copies = shown.iter().any(|archive| !archive.copies.is_empty());
    html! {
        section.card aria-labelledby="archives" {
            h2 #archives {
                "Archives"
                @if pages > 1 { span.quiet { " page " (page) " of " (pages) } }
            }
            @if shown.is_empty() {
                p { "None yet in " code { (snapshot.list.folder) } "." }
            } @else {
                table.cards {
                    thead { tr {
                        th scope="col" { "Made" }
                        th.number scope="col" { "Size" }
                        th.number scope="col" { "Documents" }
                        th scope="col" { "Verified" }
                        th scope="col" { "Drilled" }
                        th scope="col" { "Kept" }
                        @if has_copies { th scope="col" { "Copies" } }
                    } }
                    tbody { @for archive in shown { (row(site, archive)) } }
                }
            }
            @if pages > 1 { (pager(page, pages)) }
        }
    }
}

fn row(site: &Site, archive: &ArchiveSummary) -> Markup {
    let zone = site.time_zone;
    html! {
        tr {
            th scope="row" {
                a href={ "/archives/" (archive.archive) } {
                    @match archive.made_at { Some(at) => (time(at, zone)), None => "of unknown date" }
                }
                span.quiet { (archive.archive) }
            }
            td.number data-name="Size" { (humanize::bytes(archive.archive_bytes)) }
            td.number data-name="Documents" { (archive.documents.map_or("?".into(), humanize::count)) }
            td data-name="Verified" { (soundness(archive, zone)) }
            td data-name="Drilled" {
                @match archive.drilled_at {
                    Some(at) => (mark("good", "✓", &date(at, zone))),
                    None => span.quiet { "not yet" },
                }
            }
            td data-name="Kept" { (fate(archive, zone)) }
            @if !archive.copies.is_empty() {
                td data-name="Copies" { (copies(archive, zone)) }
            }
        }
    }
}

fn pager(page: usize, pages: usize) -> Markup {
    html! {
        nav.pager aria-label="Pages of archives" {
            @if page > 1 { a rel="prev" href={ "/?page=" (page - 1) } { "← newer" } }
            @if page < pages { a rel="next" href={ "/?page=" (page + 1) } { "older →" } }
        }
    }
}

fn runs(site: &Site, status: &StatusReport) -> Markup {
    html! {
        section.card aria-labelledby="runs" {
            h2 #runs { "Last runs" }
            @if status.runs.is_empty() {
                p { "None yet." }
            } @else {
                table.cards {
                    thead { tr {
                        th scope="col" { "Began" }
                        th scope="col" { "Why" }
                        th scope="col" { "Result" }
                        th scope="col" { "Took" }
                    } }
                    tbody { @for run in &status.runs { (run_row(site, run)) } }
                }
            }
        }
    }
}

fn run_row(site: &Site, run: &RunReport) -> Markup {
    let result = match run.outcome {
        RunOutcome::Done if run.warnings.is_empty() => mark("good", "✓", "backup"),
        RunOutcome::Done => mark("warn", "!", "backup, with warnings"),
        RunOutcome::Drilled => mark("good", "✓", "drill: all came back equal"),
        RunOutcome::Failed => mark("bad", "✗", "failed"),
        RunOutcome::DrillFailed => mark("bad", "✗", "drill failed"),
        RunOutcome::Interrupted => mark("warn", "!", "interrupted"),
    };
    let figures = run.documents.map(|documents| {
        let documents = humanize::counted(documents, "document");
        let bytes = run.archive_bytes.or(run.bytes).map(humanize::bytes);
        format!("{documents}, {}", bytes.unwrap_or_default())
    });
    html! {
        tr {
            th scope="row" { (time(run.began_at, site.time_zone)) }
            td data-name="Why" { (run.trigger) }
            td data-name="Result" {
                (result)
                @if let Some(figures) = figures { span.quiet { (figures) } }
                @if let Some(error) = &run.error { span.detail { (error) } }
                @for warning in &run.warnings { span.detail { (warning) } }
            }
            td data-name="Took" {
                (seconds(run.elapsed_seconds))
                @for step in &run.steps { span.quiet { (step.step) " " (seconds(step.elapsed_seconds)) } }
            }
        }
    }
}

fn before_restores(archives: &[String]) -> Markup {
    html! {
        @if !archives.is_empty() {
            section.card aria-labelledby="before" {
                h2 #before { "What restores replaced" }
                p { "These stay until somebody removes them." }
                ul { @for archive in archives { li { code { (archive) } } } }
            }
        }
    }
}

fn footer(status: &StatusReport) -> Markup {
    html! {
        footer {
            "Pantry Keeper " (status.version) " · also as "
            a href="/metrics" { "metrics" } ", "
            a href="/health" { "health" } ", "
            a href="/api/status" { "JSON" } " and "
            a href="/api/archives" { "list" }
        }
    }
}
