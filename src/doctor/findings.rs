//! What was found, in the order in which it was looked at.

use crate::report::{Finding, FindingVerdict, Problem};

#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, area: &'static str, verdict: FindingVerdict, problem: Problem) {
        self.0.push(Finding {
            area,
            verdict,
            text: problem.summary,
            fix: problem.help,
        });
    }

    pub(super) fn fine(&mut self, area: &'static str, text: impl Into<String>) {
        self.add(area, FindingVerdict::Fine, Problem::new(text, ""));
    }

    pub(super) fn advice(&mut self, area: &'static str, text: impl Into<String>, fix: &str) {
        self.add(area, FindingVerdict::Advice, Problem::new(text, fix));
    }

    pub(super) fn wrong(&mut self, area: &'static str, text: impl Into<String>, fix: &str) {
        self.problem(area, Problem::new(text, fix));
    }

    pub(super) fn problem(&mut self, area: &'static str, problem: Problem) {
        self.add(area, FindingVerdict::Wrong, problem);
    }

    /// All of them, each of its texts as `redact` leaves it.
    pub(super) fn redacted(self, redact: impl Fn(String) -> String) -> Vec<Finding> {
        let each = self.0.into_iter().map(|finding| Finding {
            text: redact(finding.text),
            fix: finding.fix.map(&redact),
            ..finding
        });
        each.collect()
    }
}
