//! What notifications say, for people.

mod backup;
mod copies;
mod drill;
mod message;
mod stall;
mod start;
#[cfg(test)]
mod tests;

pub(crate) use message::{Message, Part, cut};

use crate::notify::notification::{Event, FinishedMail, Notification};
use crate::schedule::in_words;
use crate::sys::humanize;
use crate::sys::time_zone::Tz;
use chrono::{DateTime, Utc};

/// The longest subject, in characters; the message itself says it all.
const LONGEST_SUBJECT: usize = 120;

/// What a notification says.
pub(crate) fn render(notification: &Notification) -> Message {
    if let Some(mail) = &notification.mail {
        return of_finished(notification, mail);
    }
    let message = match notification.event {
        Event::Failed | Event::StillFailing | Event::BackupNotDone => backup::failed(notification),
        Event::Recovered => backup::recovered(notification),
        Event::Warning => backup::warning(notification),
        Event::Receipt | Event::BackupDone => backup::receipt(notification),
        Event::DrillFailed | Event::DrillStillFailing | Event::DrillNotDone => {
            drill::failed(notification)
        }
        Event::DrillRecovered => drill::recovered(notification),
        Event::DrillReceipt | Event::DrillDone => drill::receipt(notification),
        Event::CopyDiffers | Event::CopyNotSame => copies::differ(notification),
        Event::CopiesComplete => copies::complete(notification),
        Event::StartedAgain | Event::SchedulerUp => start::again(notification),
        Event::Stalled => stall::begun(notification),
        Event::Resumed => stall::over(notification),
        Event::Test => test(notification),
    };
    Message {
        subject: one_line(&message.subject),
        ..message
    }
}

/// The same as a mail.
pub(crate) fn mail(notification: &Notification) -> FinishedMail {
    notification.mail.clone().unwrap_or_else(|| {
        let message = render(notification);
        FinishedMail {
            text: message.text(),
            html: message.html(),
            subject: message.subject,
        }
    })
}

/// A mail of an earlier version, whose facts are in its text only.
fn of_finished(notification: &Notification, mail: &FinishedMail) -> Message {
    let (headline, rest) = mail.text.split_once('\n').unwrap_or((&mail.text, ""));
    let body = rest.split("\n-- \n").next().unwrap_or_default().trim();
    Message {
        subject: one_line(&mail.subject),
        severity: notification.severity,
        headline: headline.to_owned(),
        paragraphs: vec![body.to_owned()],
        facts: Vec::new(),
        parts: Vec::new(),
        foot: String::new(),
    }
}

/// It only shows that messages arrive, and with which settings.
fn test(notification: &Notification) -> Message {
    Message {
        subject: format!("{}: test from Pantry Keeper", notification.origin.prefix),
        severity: notification.severity,
        headline: "Messages about your backups arrive here.".to_owned(),
        paragraphs: vec!["This one was asked for by `pantry-keeper notify-test`.".to_owned()],
        facts: notification.facts.settings.clone(),
        parts: Vec::new(),
        foot: foot(notification),
    }
}

fn one_line(subject: &str) -> String {
    let line: String = subject
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    cut(&line, LONGEST_SUBJECT)
}

fn fact(label: &str, value: impl Into<String>) -> (String, String) {
    (label.to_owned(), value.into())
}

/// Where it comes from, and when the next run is due.
fn surroundings(notification: &Notification) -> Vec<(String, String)> {
    let origin = &notification.origin;
    let mut facts = vec![
        fact("Server", origin.hosts.as_str()),
        fact("Folder", origin.folder.as_str()),
    ];
    let next = notification.facts.next_run_at;
    let words = next.map(|next| in_words(next, origin.time_zone(), notification.written_at));
    facts.extend(words.map(|words| fact("Next run", words)));
    facts
}

fn foot(notification: &Notification) -> String {
    format!(
        "Pantry Keeper {}, {}. NOTIFY_ON chooses what is sent.",
        env!("CARGO_PKG_VERSION"),
        local(notification.written_at, notification.origin.time_zone())
    )
}

/// A part that lists items; none when there are none.
fn list(title: &'static str, items: &[String]) -> Option<Part> {
    let lead = |number: usize| match items.len() {
        1 => String::new(),
        _ => format!("{}. ", number + 1),
    };
    let lines: Vec<String> = items
        .iter()
        .enumerate()
        .flat_map(|(number, item)| {
            let text = format!("{}{item}", lead(number));
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    (!lines.is_empty()).then_some(Part { title, lines })
}

fn log(notification: &Notification) -> Option<Part> {
    let lines = notification.facts.log.clone();
    (!lines.is_empty()).then_some(Part {
        title: message::LOG,
        lines,
    })
}

/// How long ago it was when the notification was written.
fn time_since(since: DateTime<Utc>, notification: &Notification) -> String {
    let time = (notification.written_at - since).to_std();
    humanize::duration(time.unwrap_or_default())
}

fn local(at: DateTime<Utc>, time_zone: Tz) -> String {
    at.with_timezone(&time_zone)
        .format("%A %-d %B %Y at %H:%M %Z")
        .to_string()
}
