//! What a restore of single documents will do, and what it did.

use super::inspect::document;
use super::time;
use crate::report::{MatchReport, RestoreReport};
use crate::sys::humanize::{self, count, counted};
use crate::sys::time_zone::Tz;
use std::time::Duration;

/// Documents that are shown before; a JSON document names more.
const SHOWN: usize = 10;

/// What would happen, by how many documents it happens to.
pub(crate) fn before(report: &RestoreReport, time_zone: Tz) -> String {
    let (Some(matched), Some(one)) = (&report.matched, report.namespaces.first()) else {
        return String::new();
    };
    let to = match one.to == one.namespace {
        true => String::new(),
        false => format!(", as {}", one.to),
    };
    let mut text = format!(
        "{} of {}, into {}{to}\n\n{} of the {} in {} {}\n",
        report.archive,
        time(report.made_at, time_zone),
        report.hosts,
        count(report.documents),
        counted(matched.documents_read, "document"),
        one.namespace,
        match report.documents {
            1 => "fits",
            _ => "fit",
        },
    );
    for (number, what) in fates(matched) {
        if number > 0 {
            text.push_str(&format!("{:>9}  {what}\n", count(number)));
        }
    }
    if !matched.differences.is_empty() {
        text.push_str("\nwhat differs, from the server to the archive:\n");
        for one in matched.differences.iter().take(SHOWN) {
            text.push_str(&document(one));
        }
        let more = matched.different - matched.differences.len().min(SHOWN) as u64;
        text.push_str(&and_more(more));
    }
    if matched.failed() > 0 {
        text.push_str("\nwhat cannot be restored:\n");
        for failure in failures(matched) {
            text.push_str(&format!("  {failure}\n"));
        }
    }
    text
}

fn fates(matched: &MatchReport) -> [(u64, &'static str); 3] {
    let different = match matched.replace {
        true => "there, and different: saved, and replaced",
        false => "there, and different: left as the server has it (--replace replaces)",
    };
    [
        (matched.absent, "not there: inserted"),
        (matched.same, "there, the same as in the archive: left"),
        (matched.different, different),
    ]
}

fn and_more(more: u64) -> String {
    match more {
        0 => String::new(),
        more => format!("  and {} more\n", count(more)),
    }
}

fn failures(matched: &MatchReport) -> Vec<String> {
    let shown = matched.failures.iter().take(SHOWN);
    let mut lines: Vec<String> = shown
        .map(|one| format!("_id {}: {}", one.id, one.problem))
        .collect();
    let more = matched.failed() - lines.len() as u64;
    if more > 0 {
        lines.push(format!("and {} more", count(more)));
    }
    lines
}

/// How it ended, one line or more; `elsewhere`, if not on the server of the settings.
pub(crate) fn after(report: &RestoreReport, elsewhere: bool) -> String {
    let (Some(matched), Some(one)) = (&report.matched, report.namespaces.first()) else {
        return String::new();
    };
    let did = [
        (matched.inserted, "inserted"),
        (matched.replaced, "replaced"),
        (matched.same, "there already"),
        (matched.left, "different, and left"),
    ];
    let did: Vec<String> = did
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(number)))
        .collect();
    let did = match did.as_slice() {
        [] => "nothing was written".into(),
        some => some.join(", "),
    };
    let (archive, hosts, to) = (&report.archive, &report.hosts, &one.to);
    let took = humanize::duration(Duration::from_secs_f64(report.elapsed_seconds));
    let mut lines = Vec::new();
    if report.restored {
        let fit = counted(report.documents, "document");
        let proof = match matched.inserted + matched.replaced {
            0 => "",
            _ => "; what was written was read back, and is as in the archive",
        };
        lines.push(format!(
            "{fit} of {archive} into {to} on {hosts}, in {took}: {did}{proof}"
        ));
    } else {
        lines.push(format!(
            "not all documents of {archive} were restored into {to} on {hosts}: {did}"
        ));
        lines.extend(failures(matched));
        lines.extend(report.problems.iter().cloned());
    }
    if let Some(safety) = &report.safety_archive {
        let to = match elsewhere {
            true => " --to …",
            false => "",
        };
        lines.push(format!(
            "what was replaced is in {safety}; remove it when you no longer need it. This brings it back: \
             pantry-keeper restore {safety}{to} --match '{{}}' --replace"
        ));
    }
    lines.join("\n")
}
