//! What mongorestore prints, parsed line by line: its exit code proves nothing.

use crate::sys::child_lines::ChildLine;
use std::collections::HashMap;

/// Complaints that are kept word by word; the rest are counted.
const COMPLAINTS_KEPT: usize = 20;

/// What it printed about one collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    pub inserted: u64,
    pub failures: u64,
}

/// What mongorestore printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MongorestoreOutput {
    /// By `database.collection`, as it writes it. Looked up only: a name may hold a secret.
    pub finished: HashMap<String, Finished>,
    /// Why single documents failed, without secrets.
    pub complaints: Vec<String>,
    pub more_complaints: u64,
    /// Why it gave up, without secrets.
    pub failed: Option<String>,
    /// Whether it has come to the oplog.
    pub replaying: bool,
    /// Operations of the oplog that it applied.
    pub applied: Option<u64>,
    /// Documents in all.
    pub total: Option<Finished>,
}

impl MongorestoreOutput {
    pub(crate) fn parse_line(&mut self, line: &ChildLine) {
        const COMPLAINT: &str = "continuing through error: ";
        const FAILED: &str = "Failed: ";
        let said = line.said();
        if let Some(rest) = said.strip_prefix("finished restoring ") {
            if let Some((namespace, finished)) = finished(rest) {
                self.finished.insert(namespace.to_owned(), finished);
            }
        } else if said.starts_with(COMPLAINT) {
            if self.complaints.len() < COMPLAINTS_KEPT {
                self.complaints
                    .push(line.shown_behind(COMPLAINT).to_owned());
            } else {
                self.more_complaints += 1;
            }
        } else if said.starts_with(FAILED) {
            self.failed = Some(line.shown_behind(FAILED).to_owned());
        } else if said == "replaying oplog" {
            self.replaying = true;
        } else if let Some(rest) = said.strip_prefix("applied ") {
            self.applied = rest
                .strip_suffix(" oplog entries")
                .and_then(|number| number.parse().ok())
                .or(self.applied);
        } else if said.contains(" document(s) restored successfully")
            && said.starts_with(|first: char| first.is_ascii_digit())
        {
            // Other lines begin with a word, and may go on with the name of a collection.
            let mut numbers = said.split_whitespace().filter_map(|word| word.parse().ok());
            if let (Some(inserted), Some(failures)) = (numbers.next(), numbers.next()) {
                self.total = Some(Finished { inserted, failures });
            }
        }
    }
}

/// `shop.products (300 documents, 0 failures)`.
fn finished(text: &str) -> Option<(&str, Finished)> {
    let (namespace, figures) = text.rsplit_once(" (")?;
    let (inserted, failures) = figures.strip_suffix(')')?.split_once(", ")?;
    let number = |text: &str| text.split(' ').next()?.parse().ok();
    Some((
        namespace,
        Finished {
            inserted: number(inserted)?,
            failures: number(failures)?,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::redact::{Redactor, Secret};

    fn plain(line: &str) -> ChildLine {
        ChildLine::new(line, &Redactor::default())
    }

    #[test]
    fn a_secret_that_is_part_of_a_name_is_parsed_and_not_told() {
        let redactor = Redactor::new([Secret::new("jorbites"), Secret::new("error: x")]);
        let mut output = MongorestoreOutput::default();
        for line in [
            "t\tfinished restoring jorbites.v (0 documents, 0 failures)",
            "t\tcontinuing through error: x, on jorbites.v",
            "t\tFailed: jorbites.v: no",
        ] {
            output.parse_line(&ChildLine::new(line, &redactor));
        }
        assert_eq!(output.finished["jorbites.v"].inserted, 0);
        assert_eq!(output.failed.as_deref(), Some("***.v: no"));
        // What is hidden with the words before it stays hidden.
        assert_eq!(output.complaints, ["continuing through ***, on ***.v"]);
    }

    #[test]
    fn figures_complaints_and_the_end_are_parsed() {
        let mut output = MongorestoreOutput::default();
        for line in [
            "2026-11-25T15:59:34.810+0000\tfinished restoring blog.posts (100 documents, 0 failures)",
            "2026-11-25T15:59:34.810+0000\tfinished restoring names.() (1) (1 document, 1 failure)",
            "2026-11-25T15:59:34.810+0000\tfinished restoring half of a na",
            "2026-11-25T15:59:33.861+0000\tcontinuing through error: E11000 duplicate key error",
            "2026-11-25T15:59:35.683+0000\tapplied 12 oplog entries",
            "2026-11-25T15:59:35.683+0000\tFailed: restore error: something",
            "2026-11-25T15:59:35.683+0000\t784 document(s) restored successfully. 3 document(s) failed to restore.",
        ] {
            output.parse_line(&plain(line));
        }
        assert_eq!(output.finished.len(), 2);
        assert_eq!(
            output.finished["blog.posts"],
            Finished {
                inserted: 100,
                failures: 0
            }
        );
        assert_eq!(
            output.finished["names.() (1)"],
            Finished {
                inserted: 1,
                failures: 1
            }
        );
        assert_eq!(output.complaints, ["E11000 duplicate key error"]);
        assert_eq!(output.applied, Some(12));
        assert_eq!(output.failed.as_deref(), Some("restore error: something"));
        assert_eq!(
            output.total,
            Some(Finished {
                inserted: 784,
                failures: 3
            })
        );
    }

    #[test]
    fn a_flood_of_complaints_is_counted() {
        let mut output = MongorestoreOutput::default();
        for number in 0..1000 {
            output.parse_line(&plain(&format!("x\tcontinuing through error: {number}")));
        }
        assert_eq!(
            (output.complaints.len(), output.more_complaints),
            (COMPLAINTS_KEPT, 1000 - COMPLAINTS_KEPT as u64)
        );
    }
}
