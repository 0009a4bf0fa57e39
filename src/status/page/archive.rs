//! One archive: what is in it, what changed against the one before, and the command that brings it back.

use super::parts::{self, command, copies, fate, mark, soundness, time};
use super::{Site, document};
use crate::archive::compression::Compression;
use crate::archive::file_name;
use crate::archive::manifest::{Entry, Manifest};
use crate::archive::namespace::{Kind, Namespace};
use crate::report::ArchiveSummary;
use crate::sys::humanize;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Collections shown one by one.
const MOST_ROWS: usize = 1_000;

/// What is in an archive, and in the one before it.
pub(crate) struct Contents {
    pub manifest: Manifest,
    pub before: Option<Manifest>,
}

/// A collection, and what it was before.
struct Change<'a> {
    namespace: &'a Namespace,
    kind: Kind,
    /// Documents and bytes; none when it is gone.
    now: Option<(u64, u64)>,
    before: Option<(u64, u64)>,
}

pub(crate) fn archive(
    site: &Site,
    as_of: DateTime<Utc>,
    archive: &ArchiveSummary,
    contents: Option<&Contents>,
) -> String {
    let title = match archive.made_at {
        Some(at) => format!("Archive of {}", time(at, site.time_zone)),
        None => "Archive of unknown date".into(),
    };
    let content = html! {
        (parts::head(Some(time(as_of, site.time_zone))))
        main #content {
            p { a href="/" { "← Overview" } }
            section.card aria-labelledby="archive" {
                h2 #archive { (title) }
                p { code { (archive.archive) } }
                (facts(site, archive, contents))
            }
            section.card aria-labelledby="restore" {
                h2 #restore { "Bring it back" }
                (commands(site, archive))
            }
            @match contents {
                Some(contents) => (collections(site, contents)),
                None => section.card { p { "What it holds cannot be told: it has no manifest that can be read." } },
            }
        }
    };
    document(&format!("{title} · Pantry Keeper"), &content)
}

fn facts(site: &Site, archive: &ArchiveSummary, contents: Option<&Contents>) -> Markup {
    let zone = site.time_zone;
    html! {
        dl.facts {
            div { dt { "Size" } dd { (humanize::bytes(archive.archive_bytes)) } }
            @if let Some(documents) = archive.documents {
                div { dt { "Documents" } dd {
                    (humanize::count(documents))
                    @if let Some(namespaces) = archive.namespaces {
                        span.quiet { "in " (humanize::counted(namespaces, "collection")) }
                    }
                } }
            }
            div { dt { "Verified" } dd { (soundness(archive, zone)) } }
            div { dt { "Drilled" } dd {
                @match archive.drilled_at {
                    Some(at) => (mark("good", "✓", &time(at, zone))),
                    None => "not yet",
                }
            } }
            div { dt { "Kept" } dd { (fate(archive, zone)) } }
            @if !archive.copies.is_empty() {
                div { dt { "Copies" } dd { (copies(archive, zone)) } }
            }
            @if let Some(Contents { manifest, .. }) = contents {
                div { dt { "Of" } dd {
                    (manifest.server.hosts)
                    span.quiet { "MongoDB " (manifest.server.version) ", " (manifest.server.topology.label()) }
                } }
                div { dt { "Moment" } dd {
                    @if manifest.point_in_time { "one point in time for everything" }
                    @else { "each collection as it was when it was read" }
                } }
            }
        }
    }
}

fn commands(site: &Site, archive: &ArchiveSummary) -> Markup {
    let (program, name) = (site.command, &archive.archive);
    html! {
        (command("All of it; shows what will happen, and asks first", &format!("{program} restore {name}")))
        (command("One collection, under another name",
            &format!("{program} restore {name} --include DB.COLLECTION --rename DB.COLLECTION=DB.OTHER")))
        (command("Read it from end to end", &format!("{program} verify {name}")))
        (command("Without Pantry Keeper, where the file lies",
            &without_us(name)))
    }
}

/// What brings it back with stock tools.
fn without_us(name: &str) -> String {
    let unpack = Compression::of_name(name).unpack_command();
    let unpack = match file_name::is_sealed(name) {
        true => format!("age -d -i key.txt {name} | {unpack} -"),
        false => format!("{unpack} {name}"),
    };
    format!("{unpack} && mongorestore {}/", file_name::bare(name))
}

fn collections(site: &Site, contents: &Contents) -> Markup {
    let Contents { manifest, before } = contents;
    let changes = changes(
        &manifest.namespaces,
        before.as_ref().map(|before| before.namespaces.as_slice()),
    );
    html! {
        section.card aria-labelledby="collections" {
            h2 #collections { "Collections" }
            @match before {
                Some(before) => p.quiet {
                    "Held against the archive before it, of " (time(before.started_at, site.time_zone)) "."
                },
                None => p.quiet { "There is no archive before it to hold it against." },
            }
            table.cards {
                thead { tr {
                    th scope="col" { "Collection" }
                    th.number scope="col" { "Documents" }
                    th.number scope="col" { "Size before compression" }
                    th scope="col" { "Change" }
                } }
                tbody { @for change in changes.iter().take(MOST_ROWS) { (row(change, before.is_some())) } }
            }
            @if changes.len() > MOST_ROWS {
                p { "and " (humanize::count((changes.len() - MOST_ROWS) as u64)) " more" }
            }
        }
    }
}

fn row(change: &Change, compared: bool) -> Markup {
    let (documents, bytes) = match change.now {
        Some((documents, bytes)) => (humanize::count(documents), humanize::bytes(bytes)),
        None => ("–".into(), "–".into()),
    };
    html! {
        tr {
            th scope="row" { (change.namespace) @if change.kind == Kind::View { span.quiet { "a view" } } }
            td.number data-name="Documents" { (documents) }
            td.number data-name="Size" { (bytes) }
            td data-name="Change" { @if compared { (what_changed(change)) } @else { "–" } }
        }
    }
}

fn what_changed(change: &Change) -> Markup {
    let difference = |now: u64, before: u64| match now.checked_sub(before) {
        Some(more) => format!("+{}", humanize::count(more)),
        None => format!("−{}", humanize::count(before - now)),
    };
    match (change.before, change.now) {
        (None, _) => mark("good", "★", "new"),
        (Some((documents, _)), None) => html! {
            (mark("bad", "✗", "gone")) span.quiet { "had " (humanize::counted(documents, "document")) }
        },
        (Some(before), Some(now)) if before == now => html! { span.quiet { "same size" } },
        (Some((before, _)), Some((now, _))) if now < before => html! {
            (mark("warn", "↓", "shrunk")) " " (difference(now, before))
        },
        (Some((before, _)), Some((now, _))) if now > before => html! {
            (mark("good", "↑", "grown")) " " (difference(now, before))
        },
        (Some(_), Some(_)) => html! { span.quiet { "same number of documents" } },
    }
}

/// What is gone first, then all there is, by name. What belongs to the server itself is left out.
fn changes<'a>(now: &'a [Entry], before: Option<&'a [Entry]>) -> Vec<Change<'a>> {
    let mut changes: BTreeMap<&Namespace, Change> = BTreeMap::new();
    let own = |entry: &&Entry| entry.kind != Kind::Oplog;
    for entry in before.unwrap_or_default().iter().filter(own) {
        let change = Change {
            namespace: &entry.namespace,
            kind: entry.kind,
            now: None,
            before: Some((entry.documents, entry.bytes)),
        };
        changes.insert(&entry.namespace, change);
    }
    for entry in now.iter().filter(own) {
        let change = changes.entry(&entry.namespace).or_insert(Change {
            namespace: &entry.namespace,
            kind: entry.kind,
            now: None,
            before: None,
        });
        change.now = Some((entry.documents, entry.bytes));
    }
    let mut changes: Vec<Change> = changes.into_values().collect();
    changes.sort_by_key(|change| change.now.is_some());
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_tools_bring_back_what_is_sealed_as_well() {
        for (name, command) in [
            ("a.tar.gz", "tar xzf a.tar.gz && mongorestore a/"),
            ("a.tar.zst", "tar --zstd -xf a.tar.zst && mongorestore a/"),
            (
                "a.tar.gz.age",
                "age -d -i key.txt a.tar.gz.age | tar xzf - && mongorestore a/",
            ),
        ] {
            assert_eq!(without_us(name), command);
        }
    }
}
