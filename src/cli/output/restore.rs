//! What a restore will do, and what it did.

use super::{table, time};
use crate::archive::namespace::{Kind, Namespace, printable};
use crate::report::{IndexPolicy, IndexProblem, RestoreReport, Restored};
use crate::restore::is_auth_version;
use crate::sys::humanize;
use crate::sys::time_zone::Tz;
use std::time::Duration;

/// Longer names of collections are cut in tables.
const LONGEST_NAME: usize = 48;

/// What a restore would do, namespace by namespace.
pub(crate) fn before(report: &RestoreReport, time_zone: Tz) -> String {
    let head = [
        "IN THE ARCHIVE",
        "DOCUMENTS",
        "ON THE SERVER",
        "NOW",
        "WHAT HAPPENS",
    ]
    .map(str::to_owned);
    let rows = report.namespaces.iter().map(|one| row(one, report.drop));
    let from = report.place.as_ref().map(|place| format!(", from {place}"));
    let mut text = format!(
        "{} of {}{}, into {}\n\n{}\n{} of {} in {}\n",
        report.archive,
        time(report.made_at, time_zone),
        from.unwrap_or_default(),
        report.hosts,
        table(std::iter::once(head).chain(rows).collect(), &[1, 3]),
        humanize::counted(report.documents, "document"),
        humanize::bytes(report.bytes),
        humanize::counted(report.namespaces.len() as u64, "namespace"),
    );
    if report.oplog_entries > 0 {
        let operations = humanize::counted(report.oplog_entries, "operation");
        text.push_str(&format!(
            "then {operations} of the oplog, so that all is of one point in time\n"
        ));
    }
    if report.indexes.archived > 0 {
        let indexes = humanize::indexes(report.indexes.archived);
        text.push_str(&match report.indexes.policy {
            IndexPolicy::All => format!("then {indexes} built\n"),
            IndexPolicy::Possible => {
                format!("then {indexes} built, those that the server refuses left out\n")
            }
            IndexPolicy::None => format!("{indexes} not built, as asked\n"),
        });
    }
    text
}

fn row(one: &Restored, drop: bool) -> [String; 5] {
    let now = match (one.exists, one.live_documents) {
        (false, _) => "-".to_owned(),
        (true, Some(documents)) => humanize::count(documents),
        (true, None) => "there".into(),
    };
    let happens = match (one.exists, drop) {
        _ if is_auth_version(&one.to) => "read, not restored",
        (true, true) => "backed up, dropped, restored",
        (true, false) => "REFUSED: it exists",
        (false, _) => "restored",
    };
    let documents = match one.kind {
        Kind::View => "view".into(),
        _ => humanize::count(one.documents),
    };
    [
        shortened(&one.namespace),
        documents,
        shortened(&one.to),
        now,
        happens.into(),
    ]
}

/// Names may be longer than any terminal is wide.
fn shortened(namespace: &Namespace) -> String {
    let text = namespace.to_string();
    match text.char_indices().nth(LONGEST_NAME) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// How a restore ended, one line or more. The first warnings were `said` before it began.
pub(crate) fn after(report: &RestoreReport, said: usize) -> String {
    let took = humanize::duration(Duration::from_secs_f64(report.elapsed_seconds));
    let mut lines = Vec::new();
    if report.restored {
        lines.push(format!(
            "restored {} in {} from {} into {}, in {took}: {}{}",
            humanize::counted(report.documents, "document"),
            humanize::counted(report.namespaces.len() as u64, "namespace"),
            report.archive,
            report.hosts,
            match report.unchecked.is_empty() {
                true => "all that the archive holds of them is there",
                false => "mongorestore reports no failure, but not all of it could be checked",
            },
            missing_indexes(report),
        ));
    } else {
        lines.push(format!(
            "{} was NOT restored completely into {}:",
            report.archive, report.hosts
        ));
        lines.extend(report.namespaces.iter().filter_map(complaint));
        lines.extend(report.problems.iter().cloned());
    }
    lines.extend(report.unchecked.iter().cloned());
    lines.extend(report.indexes.problems.iter().map(index_problem));
    if let Some(safety) = &report.safety_archive {
        lines.push(format!(
            "what was there before is in {safety}; remove it when you no longer need it"
        ));
    }
    lines.extend(
        report
            .warnings
            .iter()
            .skip(said)
            .map(|warning| format!("note: {warning}")),
    );
    lines.join("\n")
}

/// What a restore that was told to go on without some indexes did without.
fn missing_indexes(report: &RestoreReport) -> String {
    let refused = report.indexes.problems.len() as u64;
    match (report.indexes.policy, report.indexes.archived) {
        (IndexPolicy::Possible, _) if refused > 0 => {
            format!(
                ", but for {} that the server refused",
                humanize::indexes(refused)
            )
        }
        (IndexPolicy::None, archived @ 1..) => {
            format!(", but for {}", humanize::indexes(archived))
        }
        _ => String::new(),
    }
}

/// An index that is not there, and the command that makes it.
fn index_problem(problem: &IndexProblem) -> String {
    format!(
        "{}: its index {} {}; in mongosh:\n    {}",
        problem.namespace,
        printable(&problem.name),
        problem.problem,
        problem.command
    )
}

/// One line about a namespace that is not as it should be.
fn complaint(one: &Restored) -> Option<String> {
    let problem = one.problem.as_ref()?;
    let named = one
        .differences
        .as_ref()
        .map(ToString::to_string)
        .filter(|text| !text.is_empty());
    Some(format!(
        "{}: {problem}{}",
        one.to,
        named.map(|text| format!(": {text}")).unwrap_or_default()
    ))
}
