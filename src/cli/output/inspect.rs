//! What looking into archives found out, as people read it.

use super::{table, time};
use crate::archive::namespace::{Kind, Namespace, printable};
use crate::report::{
    CollectionDifference, DiffReport, DifferenceState, DocumentChange, DocumentDifference,
    FieldDifference, ShowReport, ShownCollection,
};
use crate::sys::humanize;
use crate::sys::time_zone::Tz;

/// What an archive holds, collection by collection.
pub(crate) fn show(report: &ShowReport, time_zone: Tz) -> String {
    let head = [
        "COLLECTION",
        "DOCUMENTS",
        "SIZE",
        "INDEXES",
        "SINCE THE ONE BEFORE",
    ];
    let head = head.map(str::to_owned);
    let rows = report
        .collections
        .iter()
        .map(|one| row(one, report.before.is_some()));
    let from = report.place.as_ref().map(|place| format!(" at {place}"));
    let mut text = format!(
        "{}{}{}\n\n",
        report.archive,
        from.unwrap_or_default(),
        made(report, time_zone)
    );
    text.push_str(&table(
        std::iter::once(head).chain(rows).collect(),
        &[1, 2, 3],
    ));
    text.push_str(&format!(
        "\n{} of {} in {}; the file takes {}\n",
        humanize::counted(report.documents, "document"),
        humanize::bytes(report.bytes),
        humanize::counted(report.collections.len() as u64, "namespace"),
        humanize::bytes(report.archive_bytes),
    ));
    if let Some(before) = &report.before {
        text.push_str(&format!("the one before is {before}\n"));
    }
    if !report.gone.is_empty() {
        let gone: Vec<String> = report.gone.iter().map(Namespace::to_string).collect();
        text.push_str(&format!("gone since: {}\n", gone.join(", ")));
    }
    for warning in &report.warnings {
        text.push_str(&format!("note: {warning}\n"));
    }
    text
}

fn made(report: &ShowReport, time_zone: Tz) -> String {
    let Some(made_at) = report.made_at else {
        return ", not written by Pantry Keeper".into();
    };
    let version = report.server_version.as_deref().unwrap_or("?");
    let point = match report.point_in_time {
        Some(true) => ", all of one point in time",
        _ => "",
    };
    let made = time(Some(made_at), time_zone);
    format!(" of {made}, from MongoDB {}{point}", printable(version))
}

fn row(one: &ShownCollection, compared: bool) -> [String; 5] {
    let documents = match one.kind {
        Kind::View => "view".to_owned(),
        _ => humanize::count(one.documents),
    };
    let (bytes, indexes) = match one.kind {
        Kind::View => (String::new(), String::new()),
        _ => (humanize::bytes(one.bytes), one.indexes.len().to_string()),
    };
    let kind = match one.kind {
        Kind::TimeSeries => " (time series)",
        Kind::Collection | Kind::View | Kind::Oplog => "",
    };
    [
        format!("{}{kind}", one.namespace),
        documents,
        bytes,
        indexes,
        since(one, compared),
    ]
}

/// How a collection grew.
fn since(one: &ShownCollection, compared: bool) -> String {
    let (Some(documents), Some(bytes)) = (one.documents_before, one.bytes_before) else {
        return if compared {
            "new".into()
        } else {
            String::new()
        };
    };
    if (documents, bytes) == (one.documents, one.bytes) {
        return String::new();
    }
    let signed = |now: u64, before: u64, shown: &dyn Fn(u64) -> String| match now >= before {
        true => format!("+{}", shown(now - before)),
        false => format!("-{}", shown(before - now)),
    };
    format!(
        "{} documents, {}",
        signed(one.documents, documents, &humanize::count),
        signed(one.bytes, bytes, &humanize::bytes)
    )
}

/// What became different, collection by collection; those in which nothing did are counted.
pub(crate) fn diff(report: &DiffReport) -> String {
    let (from, to) = (&report.from, &report.to);
    let equal = report
        .collections
        .iter()
        .filter(|one| one.state == DifferenceState::Equal);
    let equal = humanize::counted(equal.count() as u64, "namespace");
    if report.equal {
        return format!("{from} and {to} hold the same: {equal}\n");
    }
    let head = ["COLLECTION", "ADDED", "REMOVED", "CHANGED", "WHAT ELSE"].map(str::to_owned);
    let different = report
        .collections
        .iter()
        .filter(|one| one.state != DifferenceState::Equal);
    let rows = different.map(difference_row);
    let table = table(std::iter::once(head).chain(rows).collect(), &[1, 2, 3]);
    format!("\nfrom {from} to {to}\n\n{table}\n{equal} without a difference\n")
}

fn difference_row(one: &CollectionDifference) -> [String; 5] {
    let mut else_ = Vec::new();
    match one.state {
        DifferenceState::Added => else_.push("it is new".to_owned()),
        DifferenceState::Removed => else_.push("it is gone".to_owned()),
        DifferenceState::Changed | DifferenceState::Equal => {}
    }
    for (names, what) in [
        (&one.indexes_added, "index added"),
        (&one.indexes_removed, "index removed"),
        (&one.indexes_changed, "index changed"),
        (&one.options_changed, "option changed"),
    ] {
        else_.extend(
            names
                .iter()
                .map(|name| format!("{what}: {}", printable(name))),
        );
    }
    let counted = |count: u64| match count {
        0 => "-".to_owned(),
        count => humanize::count(count),
    };
    [
        one.namespace.to_string(),
        counted(one.added),
        counted(one.removed),
        counted(one.changed),
        else_.join("; "),
    ]
}

/// A document that differs, on one line, and a line for each of its fields that do.
pub(crate) fn document(difference: &DocumentDifference) -> String {
    let DocumentDifference { id, change, fields } = difference;
    let sign = match change {
        DocumentChange::Added => '+',
        DocumentChange::Removed => '-',
        DocumentChange::Changed => '~',
    };
    let why = match (change, fields.as_deref()) {
        (DocumentChange::Changed, Some([])) => "  its fields are in another order",
        (DocumentChange::Changed, None) => {
            "  (which fields: the two lie too far apart to be compared)"
        }
        _ => "",
    };
    let mut text = format!("  {sign} {id}{why}\n");
    for FieldDifference { path, from, to } in fields.iter().flatten() {
        let shown = |side: &Option<String>| side.clone().unwrap_or_else(|| "(none)".into());
        text.push_str(&format!("      {path}: {} → {}\n", shown(from), shown(to)));
    }
    text
}
