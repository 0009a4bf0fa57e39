//! What each kind of mail says.

use super::page::{Page, Severity};
use super::{Kind, Notification};
use crate::report::BackupReport;
use crate::sys::humanize;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use std::time::Duration;

/// The longest subject, in characters; the mail itself says it all.
const LONGEST_SUBJECT: usize = 120;

/// Who writes, and from where.
pub(crate) struct MailContext<'s> {
    /// What the archives' names start with: tells one Pantry Keeper of an owner's from another.
    pub prefix: &'s str,
    /// The server's hosts; never its credentials.
    pub hosts: &'s str,
    /// The backup folder.
    pub folder: String,
    pub time_zone: Tz,
    pub now: DateTime<Utc>,
    /// When the next run is due, in words; none when nobody schedules any.
    pub next_run: Option<String>,
}

/// The archive that would be restored now.
pub(crate) struct LastGood {
    pub archive: String,
    pub made_at: DateTime<Utc>,
    pub archive_bytes: u64,
    pub documents: u64,
}

/// What went wrong.
pub(crate) struct FailureMail<'t> {
    /// What was being done.
    pub stage: &'t str,
    /// What happened and, on further lines, what to do about it.
    pub error: String,
    /// What else to do.
    pub advice: Vec<String>,
    /// When the first of the failing runs failed.
    pub since: DateTime<Utc>,
    /// How many runs have failed since.
    pub runs: u32,
    /// Which day of failing it is, 1 for the first.
    pub day: u32,
    pub last_good: Option<LastGood>,
    /// Whether the folder could be looked at for it.
    pub folder_read: bool,
    /// The end of the log.
    pub log: Vec<String>,
}

/// How a backup that was made ended beside its archive.
pub(crate) struct Ending<'e> {
    pub report: &'e BackupReport,
    /// Names of archives that were removed since they are old enough.
    pub removed: Vec<String>,
    /// What the owner should look at, one sentence or more each, with what to do.
    pub concerns: Vec<String>,
}

/// A run failed: the first, or the first of a later day.
pub(crate) fn failed(sender: &MailContext, trouble: &FailureMail) -> Notification {
    let first = trouble.day <= 1;
    let since = local(trouble.since, sender.time_zone);
    let (kind, subject, headline) = if first {
        let subject = format!("{} backup FAILED while {}", sender.prefix, trouble.stage);
        (
            Kind::Failed,
            subject,
            format!(
                "The backup of {} failed while {}.",
                sender.hosts, trouble.stage
            ),
        )
    } else {
        let subject = format!(
            "{} backup still failing, day {}",
            sender.prefix, trouble.day
        );
        let headline = format!(
            "The backup of {} is still failing, day {}: while {}.",
            sender.hosts, trouble.day, trouble.stage
        );
        (Kind::StillFailing, subject, headline)
    };
    let runs = match trouble.runs {
        0 | 1 => since,
        runs => format!(
            "{since} ({} in a row)",
            humanize::counted(u64::from(runs), "failed run")
        ),
    };
    let last_good = last_good(sender, trouble);
    let mut facts = vec![("Failing since", runs), ("Last good archive", last_good)];
    facts.extend(surroundings(sender));
    let mut parts = vec![("What to do", numbered(&trouble.advice))];
    if !trouble.log.is_empty() {
        parts.push(("The end of the log", trouble.log.clone()));
    }
    let promise = "Nothing was removed, and older archives are as they were.".to_owned();
    let paragraphs = vec![trouble.error.clone(), promise];
    notification(
        sender,
        kind,
        &subject,
        Page {
            mood: Severity::Bad,
            headline,
            paragraphs,
            facts,
            parts,
            foot: foot(sender),
        },
    )
}

fn last_good(sender: &MailContext, trouble: &FailureMail) -> String {
    match &trouble.last_good {
        Some(good) => format!(
            "{}\nof {}, {}, {}",
            good.archive,
            local(good.made_at, sender.time_zone),
            humanize::counted(good.documents, "document"),
            humanize::bytes(good.archive_bytes)
        ),
        None if trouble.folder_read => "none: there is no backup that could be restored".into(),
        None => "unknown: the backup folder cannot be read".into(),
    }
}

/// A run succeeded after some that failed.
pub(crate) fn recovered(
    sender: &MailContext,
    since: DateTime<Utc>,
    runs: u32,
    ending: &Ending,
) -> Notification {
    let took = (sender.now - since).to_std().unwrap_or_default();
    let subject = format!(
        "{} backup recovered: {} made",
        sender.prefix, ending.report.archive
    );
    let headline = format!("The backup of {} works again.", sender.hosts);
    let paragraph = format!(
        "It had been failing since {} ({}, for {}).",
        local(since, sender.time_zone),
        humanize::counted(u64::from(runs), "failed run"),
        humanize::duration(took)
    );
    made(
        sender,
        (Kind::Recovered, Severity::Good),
        &subject,
        headline,
        vec![paragraph],
        ending,
    )
}

/// A backup was made, but there is something that its owner should look at.
pub(crate) fn warning(sender: &MailContext, ending: &Ending) -> Notification {
    let first = ending
        .concerns
        .first()
        .map(|concern| concern.lines().next().unwrap_or_default())
        .unwrap_or_default();
    let subject = format!("{} backup made, but look: {first}", sender.prefix);
    let headline = format!(
        "The backup of {} was made and verified, but needs a look.",
        sender.hosts
    );
    made(
        sender,
        (Kind::Warning, Severity::Attention),
        &subject,
        headline,
        Vec::new(),
        ending,
    )
}

/// A backup was made.
pub(crate) fn receipt(sender: &MailContext, ending: &Ending) -> Notification {
    let report = ending.report;
    let subject = format!(
        "{} backup made: {}, {}",
        sender.prefix,
        humanize::counted(report.documents, "document"),
        humanize::bytes(report.archive_bytes)
    );
    let headline = format!("The backup of {} was made and verified.", sender.hosts);
    made(
        sender,
        (Kind::Receipt, Severity::Good),
        &subject,
        headline,
        Vec::new(),
        ending,
    )
}

/// A mail that only shows that mails arrive, and with which settings, none of them secret.
pub(crate) fn test(sender: &MailContext, settings: Vec<(&'static str, String)>) -> Notification {
    let subject = format!("{}: test mail from Pantry Keeper", sender.prefix);
    let headline = "Mails about your backups arrive here.".to_owned();
    let paragraphs = vec!["This one was asked for by `pantry-keeper notify-test`.".to_owned()];
    let page = Page {
        mood: Severity::Good,
        headline,
        paragraphs,
        facts: settings,
        parts: Vec::new(),
        foot: foot(sender),
    };
    notification(sender, Kind::Test, &subject, page)
}

fn made(
    sender: &MailContext,
    (kind, mood): (Kind, Severity),
    subject: &str,
    headline: String,
    paragraphs: Vec<String>,
    ending: &Ending,
) -> Notification {
    let report = ending.report;
    let time = Duration::from_secs_f64(report.elapsed_seconds);
    let mood = if ending.concerns.is_empty() {
        mood
    } else {
        Severity::Attention
    };
    let mut facts = vec![
        ("Archive", report.archive.clone()),
        (
            "Holds",
            format!(
                "{} in {}, {}",
                humanize::counted(report.documents, "document"),
                humanize::counted(report.namespaces, "namespace"),
                if report.point_in_time {
                    "of one point in time"
                } else {
                    "not of one point in time"
                }
            ),
        ),
        ("Size", humanize::bytes(report.archive_bytes)),
        (
            "Took",
            format!("{}, read back and verified", humanize::duration(time)),
        ),
    ];
    if !ending.removed.is_empty() {
        facts.push(("Removed", ending.removed.join("\n")));
    }
    facts.extend(surroundings(sender));
    let mut parts = Vec::new();
    if !ending.concerns.is_empty() {
        parts.push(("What to look at", numbered(&ending.concerns)));
    }
    notification(
        sender,
        kind,
        subject,
        Page {
            mood,
            headline,
            paragraphs,
            facts,
            parts,
            foot: foot(sender),
        },
    )
}

pub(super) fn surroundings(sender: &MailContext) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Server", sender.hosts.to_owned()),
        ("Folder", sender.folder.clone()),
    ];
    facts.extend(sender.next_run.clone().map(|next| ("Next run", next)));
    facts
}

pub(super) fn foot(sender: &MailContext) -> String {
    format!(
        "Pantry Keeper {}, {}. NOTIFY_ON chooses which mails come.",
        env!("CARGO_PKG_VERSION"),
        local(sender.now, sender.time_zone)
    )
}

pub(super) fn notification(
    sender: &MailContext,
    kind: Kind,
    subject: &str,
    page: Page,
) -> Notification {
    let mut one_line: String = subject
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if one_line.chars().count() > LONGEST_SUBJECT {
        one_line = one_line
            .chars()
            .take(LONGEST_SUBJECT - 1)
            .chain(['…'])
            .collect();
    }
    let id = format!(
        "{}.{}",
        sender.prefix,
        sender.now.format("%Y%m%dT%H%M%S%.6f")
    );
    Notification {
        id,
        kind,
        written_at: sender.now,
        subject: one_line,
        text: page.text(),
        html: page.html(),
    }
}

pub(super) fn numbered(items: &[String]) -> Vec<String> {
    let lead = |number: usize| match items.len() {
        1 => String::new(),
        _ => format!("{}. ", number + 1),
    };
    items
        .iter()
        .enumerate()
        .flat_map(|(number, item)| {
            format!("{}{item}", lead(number))
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

pub(super) fn local(at: DateTime<Utc>, time_zone: Tz) -> String {
    at.with_timezone(&time_zone)
        .format("%A %-d %B %Y at %H:%M %Z")
        .to_string()
}
