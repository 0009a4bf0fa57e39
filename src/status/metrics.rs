//! What Prometheus is told. Names and units follow its conventions, and stay: dashboards and alerts depend on them.
//!
//! Written by hand: every figure comes from a snapshot, so that there are no counters to keep, for which a crate would be.

use super::snapshot::Snapshot;
use crate::report::{ArchiveSummary, RunOutcome, RunReport, last_good};
use crate::state::{Ended, Run};
use chrono::{DateTime, Utc};
use std::fmt::Write;

/// The type that [`text`] is of.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One figure; all of ours can go up and down.
struct Metric {
    name: &'static str,
    help: &'static str,
    samples: fn(&Facts) -> Vec<Sample>,
}

/// Labels with their values, and the figure.
struct Sample(Vec<(&'static str, String)>, f64);

/// What the figures are taken from.
struct Facts<'a> {
    snapshot: &'a Snapshot,
    newest: Option<&'a ArchiveSummary>,
    last_done: Option<&'a Run>,
}

const METRICS: &[Metric] = &[
    metric("build_info", "The version; always 1.", |facts| {
        vec![Sample(
            vec![("version", facts.snapshot.status.version.into())],
            1.0,
        )]
    }),
    metric(
        "healthy",
        "1 if the newest verified backup is as fresh as the schedule promises, and the scheduler alive.",
        |facts| truth(facts.snapshot.status.health.healthy),
    ),
    metric("scheduler_up", "1 if the scheduler is at work.", |facts| {
        truth(facts.snapshot.scheduler_alive)
    }),
    metric(
        "backup_running",
        "1 while the scheduler makes a backup.",
        |facts| truth(facts.snapshot.status.running_since.is_some()),
    ),
    metric(
        "next_backup_timestamp_seconds",
        "When the next backup is due.",
        |facts| at(facts.snapshot.status.health.next_run_at),
    ),
    metric(
        "last_success_timestamp_seconds",
        "When the last backup that was verified began.",
        |facts| {
            let run = facts.last_done.map(|run| run.began_at);
            at(run.or(facts.newest.and_then(|newest| newest.made_at)))
        },
    ),
    metric(
        "last_failure_timestamp_seconds",
        "When the last backup that failed ended.",
        |facts| {
            let failed = |run: &&Run| matches!(run.ended, Ended::Failed { .. });
            at(facts
                .snapshot
                .runs
                .iter()
                .rev()
                .find(failed)
                .map(|run| run.ended_at))
        },
    ),
    metric(
        "failing_runs",
        "Failed backups since the last that succeeded.",
        |facts| one(f64::from(facts.snapshot.failing_runs)),
    ),
    metric(
        "last_backup_duration_seconds",
        "How long the last successful backup took in all.",
        |facts| {
            let seconds = |run: &Run| (run.ended_at - run.began_at).as_seconds_f64();
            facts
                .last_done
                .map(seconds)
                .into_iter()
                .flat_map(one)
                .collect()
        },
    ),
    metric(
        "last_backup_step_duration_seconds",
        "How long a step of the last successful backup took.",
        |facts| steps(facts.last_done),
    ),
    metric(
        "last_backup_documents",
        "Documents in the newest verified archive.",
        |facts| count(facts.newest.and_then(|newest| newest.documents)),
    ),
    metric(
        "last_backup_namespaces",
        "Collections, views and time series in the newest verified archive.",
        |facts| count(facts.newest.and_then(|newest| newest.namespaces)),
    ),
    metric(
        "last_backup_archive_bytes",
        "Size of the newest verified archive.",
        |facts| count(facts.newest.map(|newest| newest.archive_bytes)),
    ),
    metric(
        "last_backup_bson_bytes",
        "Bytes of all documents of the last successful backup, before compression.",
        |facts| {
            count(facts.last_done.and_then(|run| match run.ended {
                Ended::Done { bytes, .. } => Some(bytes),
                _ => None,
            }))
        },
    ),
    metric(
        "last_backup_warnings",
        "What should be known of the last successful backup.",
        |facts| {
            count(facts.last_done.and_then(|run| match &run.ended {
                Ended::Done { warnings, .. } => Some(warnings.len() as u64),
                _ => None,
            }))
        },
    ),
    metric(
        "newest_archive_timestamp_seconds",
        "When the dump of the newest verified archive began.",
        |facts| at(facts.newest.and_then(|newest| newest.made_at)),
    ),
    metric(
        "newest_archive_verified_timestamp_seconds",
        "When the newest verified archive was last read from end to end.",
        |facts| at(facts.newest.and_then(|newest| newest.verified_at)),
    ),
    metric(
        "oldest_archive_timestamp_seconds",
        "When the dump of the oldest verified archive began.",
        |facts| {
            let good = facts
                .snapshot
                .list
                .archives
                .iter()
                .filter(|one| one.is_good());
            at(good.filter_map(|one| one.made_at).min())
        },
    ),
    metric(
        "archives",
        "Archives in the folder, by what is known of them.",
        archives,
    ),
    metric(
        "archives_bytes",
        "Size of all archives together.",
        |facts| one(facts.snapshot.list.archives_bytes as f64),
    ),
    metric(
        "retention_held",
        "1 while no archive is removed for some reason.",
        |facts| truth(facts.snapshot.list.halted.is_some()),
    ),
    metric(
        "disk_free_bytes",
        "Free space on the disk of the archives.",
        |facts| count(facts.snapshot.list.free_bytes),
    ),
    metric(
        "disk_full_timestamp_seconds",
        "When that disk is full at this pace; absent if not within a year or the next 500 backups.",
        |facts| at(facts.snapshot.list.full_at),
    ),
    metric(
        "last_drill_timestamp_seconds",
        "When the last drill ended.",
        |facts| at(facts.snapshot.status.health.drilled_at),
    ),
    metric(
        "last_drill_proven",
        "1 if the last drill proved its archive.",
        |facts| {
            let proven = facts.snapshot.drill_proven;
            proven.into_iter().flat_map(truth).collect()
        },
    ),
    metric(
        "last_drill_step_duration_seconds",
        "How long a step of the last drill that proved its archive took.",
        |facts| {
            let drilled = |run: &&Run| matches!(run.ended, Ended::Drilled { .. });
            steps(facts.snapshot.runs.iter().rev().find(drilled))
        },
    ),
    metric(
        "drilled_archive_timestamp_seconds",
        "When an archive in the folder was last proven by a drill.",
        |facts| {
            at(facts
                .snapshot
                .list
                .archives
                .iter()
                .filter_map(|one| one.drilled_at)
                .max())
        },
    ),
    metric(
        "next_drill_timestamp_seconds",
        "When the next drill is due; absent if drills are not scheduled.",
        |facts| at(facts.snapshot.status.next_drill_at),
    ),
    metric(
        "outbox_notifications",
        "Messages to the owner that wait to be sent.",
        |facts| one(facts.snapshot.status.notifications_waiting as f64),
    ),
    metric(
        "recent_runs",
        "Of the last 20 runs, how many ended like this.",
        recent_runs,
    ),
];

const fn metric(
    name: &'static str,
    help: &'static str,
    samples: fn(&Facts) -> Vec<Sample>,
) -> Metric {
    Metric {
        name,
        help,
        samples,
    }
}

fn one(figure: f64) -> Vec<Sample> {
    vec![Sample(Vec::new(), figure)]
}

fn truth(so: bool) -> Vec<Sample> {
    one(f64::from(u8::from(so)))
}

fn count(figure: Option<u64>) -> Vec<Sample> {
    figure
        .into_iter()
        .flat_map(|figure| one(figure as f64))
        .collect()
}

fn at(time: Option<DateTime<Utc>>) -> Vec<Sample> {
    let seconds = time.map(|time| time.timestamp_millis() as f64 / 1000.0);
    seconds.into_iter().flat_map(one).collect()
}

fn steps(run: Option<&Run>) -> Vec<Sample> {
    let steps = match run.map(|run| &run.ended) {
        Some(Ended::Done { steps, .. } | Ended::Drilled { steps, .. }) => steps.as_slice(),
        _ => &[],
    };
    steps
        .iter()
        .map(|step| Sample(vec![("step", step.step.clone())], step.seconds))
        .collect()
}

fn archives(facts: &Facts) -> Vec<Sample> {
    let all = &facts.snapshot.list.archives;
    let with = |state: &str, wanted: fn(&ArchiveSummary) -> bool| {
        let count = all.iter().filter(|one| wanted(one)).count();
        Sample(vec![("state", state.to_owned())], count as f64)
    };
    vec![
        with("verified", |one| {
            one.damage.is_none() && one.verified_at.is_some()
        }),
        with("unverified", |one| {
            one.damage.is_none() && one.verified_at.is_none()
        }),
        with("damaged", |one| one.damage.is_some()),
    ]
}

fn recent_runs(facts: &Facts) -> Vec<Sample> {
    let outcomes = [
        ("done", RunOutcome::Done),
        ("failed", RunOutcome::Failed),
        ("drilled", RunOutcome::Drilled),
        ("drill_failed", RunOutcome::DrillFailed),
        ("interrupted", RunOutcome::Interrupted),
    ];
    let count = |wanted| {
        let ended = |run: &&RunReport| run.outcome == wanted;
        facts.snapshot.status.runs.iter().filter(ended).count()
    };
    outcomes
        .map(|(word, outcome)| Sample(vec![("outcome", word.to_owned())], count(outcome) as f64))
        .into()
}

/// All figures, in Prometheus' text format. What is unknown is left out.
pub(crate) fn text(snapshot: &Snapshot) -> String {
    let done = |run: &&Run| matches!(run.ended, Ended::Done { .. });
    let facts = Facts {
        snapshot,
        newest: last_good(&snapshot.list.archives),
        last_done: snapshot.runs.iter().rev().find(done),
    };
    let mut text = String::new();
    for Metric {
        name,
        help,
        samples,
    } in METRICS
    {
        let samples = samples(&facts);
        if samples.is_empty() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP pantry_keeper_{name} {help}\n# TYPE pantry_keeper_{name} gauge"
        );
        for Sample(labels, figure) in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let labels = match labels.as_slice() {
                [] => String::new(),
                some => format!("{{{}}}", some.join(",")),
            };
            let _ = writeln!(text, "pantry_keeper_{name}{labels} {figure}");
        }
    }
    text
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    fn names(text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
        words
            .filter(|word| word.starts_with("pantry_keeper_"))
            .map(str::to_owned)
            .collect()
    }

    fn read(path: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    /// Whoever takes a name away breaks somebody's alerts.
    #[test]
    fn names_are_those_of_the_page_in_docs_and_those_that_dashboard_and_alerts_ask_for() {
        let ours: BTreeSet<String> = METRICS
            .iter()
            .map(|metric| format!("pantry_keeper_{}", metric.name))
            .collect();
        assert_eq!(ours.len(), METRICS.len());
        let mut table = String::new();
        for Metric { name, help, .. } in METRICS {
            table.push_str(&format!("| `pantry_keeper_{name}` | {help} |\n"));
        }
        let page = read("docs/status.md");
        assert!(
            page.contains(&table),
            "docs/status.md should hold:\n{table}"
        );
        let mut asked = 0;
        for path in [
            "deploy/grafana/pantry-keeper.json",
            "deploy/prometheus/pantry-keeper.yml",
        ] {
            for name in names(&read(path)) {
                assert!(ours.contains(&name), "{path} asks for {name}");
                asked += 1;
            }
        }
        assert!(asked > 10);
    }

    #[test]
    fn names_keep_the_conventions() {
        for Metric { name, help, .. } in METRICS {
            assert!(
                !name.ends_with("_total") && !name.ends_with("_count"),
                "{name}: these are of counters"
            );
            assert!(
                help.ends_with('.') && !help.contains(['\\', '\n']),
                "{name}"
            );
            let unit = ["_seconds", "_bytes"]
                .iter()
                .any(|unit| name.ends_with(unit));
            assert!(
                unit || !name.contains("timestamp") && !name.contains("duration"),
                "{name} lacks its unit"
            );
        }
    }

    #[test]
    fn labels_cannot_end_their_line() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
