//! What a child writes on its stderr: read to the end, cut into lines, counted.

use crate::sys::redact::{Redactor, Secret, beginning_of};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt};

/// A child may write endlessly: lines are cut here, in bytes, once they hold no secrets, and only the last ones are kept.
const LONGEST_LINE: usize = 2048;
const LINES_KEPT: usize = 40;
/// As many lines are compared with the next one. A tool shows a line for each collection it is at, and all of them again
/// three seconds later.
const LINES_COMPARED: usize = 64;

/// How much came so far.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub bytes: AtomicU64,
    /// Lines that say something else than those before. One that only has a new time stamp does not.
    pub new_lines: AtomicU64,
}

/// A line that a child wrote. A secret may be part of an ordinary word in it, such as a database's name, so it is parsed as
/// it came, and shown without secrets.
#[derive(Debug, Clone)]
pub(crate) struct ChildLine {
    raw: Secret,
    shown: String,
}

impl ChildLine {
    pub(crate) fn new(raw: &str, redactor: &Redactor) -> Self {
        Self::cut(raw, redactor.redact(raw).into_owned())
    }

    /// One that goes on behind `raw`.
    fn beginning(raw: &str, redactor: &Redactor) -> Self {
        Self::cut(raw, redactor.redact_beginning(raw))
    }

    fn cut(raw: &str, mut shown: String) -> Self {
        shown.truncate(beginning_of(&shown, LONGEST_LINE).len());
        ChildLine {
            raw: Secret::new(beginning_of(raw, LONGEST_LINE)),
            shown,
        }
    }

    /// What it says behind its time stamp, as it came: to be parsed, never to be logged or told.
    pub(crate) fn said(&self) -> &str {
        behind_time_stamp(self.raw.expose())
    }

    /// All of it, without secrets.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// What it says behind its time stamp and `lead`, without secrets.
    pub(crate) fn shown_behind(&self, lead: &str) -> &str {
        let said = behind_time_stamp(&self.shown);
        said.strip_prefix(lead).unwrap_or(said)
    }
}

/// Lines of the MongoDB tools that have no time stamp say something all along.
fn behind_time_stamp(line: &str) -> &str {
    line.split_once('\t').map_or(line, |(_, said)| said)
}

/// Reads a child's stderr to its end, however much it writes. The last lines are returned.
pub(super) async fn drain(
    mut input: impl AsyncRead + Unpin,
    redactor: Redactor,
    counted: &Counted,
    log: impl Fn(&ChildLine),
) -> Vec<ChildLine> {
    let mut kept = VecDeque::with_capacity(LINES_KEPT);
    let mut known = Known::default();
    let mut line = Vec::new();
    let mut goes_on = false;
    let held = LONGEST_LINE + redactor.margin();
    let mut buffer = vec![0; 4096];
    let mut end_line = |line: &mut Vec<u8>, goes_on: bool| {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if !text.is_empty() {
            if known.is_new(text) {
                counted.new_lines.fetch_add(1, Ordering::Relaxed);
            }
            let child_line = match goes_on {
                true => ChildLine::beginning(text, &redactor),
                false => ChildLine::new(text, &redactor),
            };
            log(&child_line);
            if kept.len() == LINES_KEPT {
                kept.pop_front();
            }
            kept.push_back(child_line);
        }
        line.clear();
    };
    while let Ok(read @ 1..) = input.read(&mut buffer).await {
        counted.bytes.fetch_add(read as u64, Ordering::Relaxed);
        for &byte in &buffer[..read] {
            if byte == b'\n' || byte == b'\r' {
                end_line(&mut line, std::mem::take(&mut goes_on));
            } else if line.len() < held {
                line.push(byte);
            } else {
                goes_on = true;
            }
        }
    }
    end_line(&mut line, goes_on);
    kept.into()
}

/// The lines before.
#[derive(Default)]
struct Known(VecDeque<u64>);

impl Known {
    fn is_new(&mut self, line: &str) -> bool {
        // Nothing but a time stamp stands between two rounds of progress.
        let Some((_, said)) = line.split_once('\t') else {
            return false;
        };
        let mut hasher = DefaultHasher::new();
        said.hash(&mut hasher);
        let hash = hasher.finish();
        if self.0.contains(&hash) {
            return false;
        }
        if self.0.len() == LINES_COMPARED {
            self.0.pop_front();
        }
        self.0.push_back(hash);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shown(text: &str, secret: &str) -> String {
        let redactor = Redactor::new([Secret::new(secret)]);
        let lines = drain(text.as_bytes(), redactor, &Counted::default(), |_| {}).await;
        let [line] = &lines[..] else {
            panic!("{} lines", lines.len());
        };
        assert!(line.raw.expose().len() <= LONGEST_LINE && line.shown.len() <= LONGEST_LINE);
        line.shown.clone()
    }

    /// Wherever it begins: before the place where a line is cut, over it, and behind it.
    #[tokio::test]
    async fn no_part_of_a_secret_is_left_where_a_line_is_cut() {
        let secret = "\u{e9}\u{e4}5".repeat(20);
        for before in LONGEST_LINE - 120..LONGEST_LINE + 220 {
            for behind in [0, 1, 30, 3000] {
                let text = format!("{}{secret}{}", "-".repeat(before), "-".repeat(behind));
                let shown = shown(&text, &secret).await;
                assert!(
                    !shown.contains(['\u{e9}', '\u{e4}', '5']),
                    "{before}: {shown}"
                );
                assert!(shown.len() >= LONGEST_LINE - 120, "{before}: {shown}");
            }
        }
    }

    #[tokio::test]
    async fn a_secret_longer_than_a_line_is_hidden() {
        let password = "s".repeat(5000);
        let text = format!("t\tFailed: mongodb://u:{password}@h/: EOF");
        assert_eq!(
            shown(&text, &password).await,
            "t\tFailed: mongodb://u:***@h/: EOF"
        );
        // One that nobody knew, the end of which is not seen, or too late.
        for length in [1500, 2047, 2060, 5000] {
            let password = "s".repeat(length);
            for text in [
                format!("t\tFailed: mongodb://u:{password}@h/"),
                format!("t\tFailed: mongodb://u:p@{password}@h/"),
            ] {
                let shown = shown(&text, "another").await;
                assert!(shown.starts_with("t\tFailed: mongodb://u:***"), "{shown}");
                assert!(!shown.contains("sss"), "{shown}");
            }
        }
    }

    #[tokio::test]
    async fn the_same_progress_at_another_time_is_nothing_new() {
        let text = b"2026-11-25T15:59:31.810+0000\t[####]  shop.products  300/900  (33.3%)\n\
            2026-11-25T15:59:31.810+0000\t[#]  shop.orders  1/900  (0.1%)\n\
            2026-11-25T15:59:31.810+0000\t\n\
            2026-11-25T15:59:34.810+0000\t[####]  shop.products  300/900  (33.3%)\n\
            2026-11-25T15:59:34.810+0000\t[##]  shop.orders  2/900  (0.2%)\n\
            2026-11-25T15:59:34.810+0000\t\nagain\nand again\n";
        let counted = Counted::default();
        let lines = drain(&text[..], Redactor::default(), &counted, |_| {}).await;
        assert_eq!(lines.len(), 8, "{lines:?}");
        assert_eq!(counted.new_lines.load(Ordering::Relaxed), 3);
        assert_eq!(counted.bytes.load(Ordering::Relaxed), text.len() as u64);
    }
}
