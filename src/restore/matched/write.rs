//! Writing, and looking at what was written: a document counts as restored only once it was read back as the archive has it.

use super::MatchPlan;
use super::present::{self, Present};
use super::save::{Saved, digest};
use super::source::{Batch, Matched};
use super::survey::{OTHER_ID, difference};
use crate::archive::element::{elements, kind};
use crate::context::Context;
use crate::mongo::documents_by_id::{Documents, Refusal, ReplaceEnd};
use crate::report::MatchReport;
use crate::restore::RestoreError;
use crate::sys::cancel::Interruption;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Told to stop, what is under way may end within this.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// Servers take it for a wish. mongorestore knows how to ask those of today not to.
const EMPTY_TIMESTAMP: &str = "it was written, but its empty timestamp, Timestamp(0, 0), became the server's own time; a \
     restore of the whole collection keeps it: without --match, beside, with --rename";

/// What became of it all.
pub(super) struct Written {
    pub report: MatchReport,
    /// Sent, and not seen again.
    pub unknown: u64,
    /// Why it ended early.
    pub ended: Option<RestoreError>,
    /// What the server said of documents that may not stay.
    pub concern: Option<String>,
}

/// Restores every document that fits.
pub(super) async fn write(plan: &MatchPlan, saved: &Saved, ctx: &Context) -> Written {
    let documents = plan.documents();
    let report = MatchReport {
        query: plan.report.query.clone(),
        replace: plan.report.replace,
        ..MatchReport::default()
    };
    let mut writer = Writer {
        documents: &documents,
        saved,
        ctx,
        report,
        unknown: 0,
        concern: None,
    };
    let writing = plan.source();
    let ended = writing
        .each(ctx, "restoring", async |batch: Arc<Batch>| {
            let step = writer.batch(&batch);
            tokio::pin!(step);
            tokio::select! {
                biased;
                ended = &mut step => ended,
                reason = ctx.cancel.requested() => {
                    match tokio::time::timeout(ENDS_WITHIN, step).await {
                        Ok(Err(error)) => Err(error),
                        Ok(Ok(())) | Err(_) => Err(reason.into()),
                    }
                }
            }
        })
        .await;
    let mut report = writer.report;
    let ended = match ended {
        Ok(read) => {
            report.documents_read = read.documents;
            None
        }
        Err(error) => Some(error),
    };
    Written {
        report,
        unknown: writer.unknown,
        ended,
        concern: writer.concern,
    }
}

struct Writer<'w> {
    documents: &'w Documents<'w>,
    saved: &'w Saved,
    ctx: &'w Context,
    report: MatchReport,
    unknown: u64,
    concern: Option<String>,
}

/// What is to be done with the documents of a batch, by their places in it.
#[derive(Default)]
struct Todo {
    insert: Vec<usize>,
    replace: Vec<usize>,
}

impl Writer<'_> {
    async fn batch(&mut self, batch: &Batch) -> Result<(), RestoreError> {
        for (id, why) in &batch.unfit {
            self.report.fail(id.clone(), *why);
        }
        let todo = self.look(batch).await?;
        let inserted = self.insert(batch, todo.insert).await?;
        let (replaced, interrupted) = self.replace(batch, todo.replace).await?;
        self.report.inserted += self.confirm(batch, &inserted).await?;
        self.report.replaced += self.confirm(batch, &replaced).await?;
        match interrupted {
            true => Err(Interruption::Cancelled.into()),
            false => Ok(()),
        }
    }

    async fn look(&mut self, batch: &Batch) -> Result<Todo, RestoreError> {
        let documents = self.documents;
        let all: Vec<usize> = (0..batch.documents.len()).collect();
        let mut there = HashSet::new();
        let mut replace = Vec::new();
        let mut visit = async |at: usize, present: Present<'_>| {
            there.insert(at);
            if self.judge(&present) {
                replace.push(at);
            }
        };
        present::each(documents, batch, &all, &mut visit).await?;
        let insert: Vec<usize> = all.into_iter().filter(|at| !there.contains(at)).collect();
        self.report.absent += insert.len() as u64;
        replace.sort_unstable();
        Ok(Todo { insert, replace })
    }

    /// Whether a document that is there is to be replaced.
    fn judge(&mut self, present: &Present<'_>) -> bool {
        if present.is_same() {
            self.report.same += 1;
            return false;
        }
        self.report.different += 1;
        if self.report.names_difference() {
            self.report.differences.push(difference(present));
        }
        if !self.report.replace {
            self.report.left += 1;
            return false;
        }
        let content = digest(present.document.as_bytes());
        if present.has_same_id() && self.saved.holds(present.archived.place, &content) {
            return true;
        }
        let why = match present.has_same_id() {
            true => "somebody changed it after it was saved; left as it is",
            false => OTHER_ID,
        };
        self.leave(present.archived, why);
        false
    }

    fn leave(&mut self, archived: &Matched, why: &str) {
        self.report.left += 1;
        self.report.fail(archived.shown_id(), why);
    }

    /// Those that the server said it took.
    async fn insert(
        &mut self,
        batch: &Batch,
        insert: Vec<usize>,
    ) -> Result<Vec<usize>, RestoreError> {
        if insert.is_empty() {
            return Ok(insert);
        }
        self.unknown += insert.len() as u64;
        let sent: Vec<_> = insert.iter().map(|at| &batch.documents[*at].raw).collect();
        let refused = self.documents.insert(&sent).await?;
        self.unknown -= refused.by_place.len() as u64;
        self.concern = refused.concern.or(self.concern.take());
        let (mut taken, mut doubtful) = (Vec::new(), Vec::new());
        for (place, at) in insert.into_iter().enumerate() {
            match refused.by_place.get(&place) {
                None => taken.push(at),
                Some(refusal) => doubtful.push((at, refusal.clone())),
            }
        }
        let appeared = self.appeared(batch, &doubtful).await?;
        for (at, refusal) in doubtful {
            if !appeared.contains(&at) {
                let id = batch.documents[at].shown_id();
                self.report
                    .fail(id, format!("the server refused it: {}", refusal.message));
            }
        }
        Ok(taken)
    }

    /// Of those that were refused since a unique index has their value: the ones whose `_id` came to be there meanwhile. They
    /// are judged as if they had been there before.
    async fn appeared(
        &mut self,
        batch: &Batch,
        refused: &[(usize, Refusal)],
    ) -> Result<HashSet<usize>, RestoreError> {
        let documents = self.documents;
        let duplicates = refused.iter().filter(|(_, refusal)| refusal.duplicate);
        let suspects: Vec<usize> = duplicates.map(|(at, _)| *at).collect();
        let mut appeared = HashSet::new();
        let mut visit = async |at: usize, present: Present<'_>| {
            appeared.insert(at);
            self.report.absent -= 1;
            // Nothing of it was saved.
            self.judge(&present);
        };
        present::each(documents, batch, &suspects, &mut visit).await?;
        Ok(appeared)
    }

    /// Those that were replaced, and whether it was told to stop before the last.
    async fn replace(
        &mut self,
        batch: &Batch,
        replace: Vec<usize>,
    ) -> Result<(Vec<usize>, bool), RestoreError> {
        let mut replaced = Vec::new();
        for at in replace {
            if self.ctx.cancel.is_cancelled() {
                return Ok((replaced, true));
            }
            if self.replace_one(&batch.documents[at]).await? {
                replaced.push(at);
            }
        }
        Ok((replaced, false))
    }

    /// Replaces a document if what is there is what was saved. Whether it is replaced.
    async fn replace_one(&mut self, archived: &Matched) -> Result<bool, RestoreError> {
        let saved = |document: &[u8]| self.saved.holds(archived.place, &digest(document));
        let id = || archived.id.clone();
        let seen = self.documents.find_one(id()).await?;
        let Some(seen) = seen.filter(|seen| saved(seen.as_bytes())) else {
            self.leave(
                archived,
                "somebody changed or removed it after it was saved; left as it is",
            );
            return Ok(false);
        };
        self.unknown += 1;
        let ended = self.documents.replace(id(), &seen, &archived.raw).await?;
        let before = match ended {
            ReplaceEnd::Replaced(before) if saved(before.as_bytes()) => return Ok(true),
            ReplaceEnd::Replaced(before) => before,
            ReplaceEnd::Changed => {
                self.unknown -= 1;
                let why = "somebody changed or removed it after it was saved; left as it is";
                self.leave(archived, why);
                return Ok(false);
            }
            ReplaceEnd::Refused(message) => {
                self.unknown -= 1;
                self.leave(archived, &format!("the server refused it: {message}"));
                return Ok(false);
            }
        };
        // Changed in the very moment, to what nobody has saved: it goes back.
        let back = self.documents.replace(id(), &archived.raw, &before).await?;
        self.unknown -= 1;
        let why = match back {
            ReplaceEnd::Replaced(_) => {
                "somebody changed it while it was replaced; put back as they left it"
            }
            _ => "somebody changed it while it was replaced, twice; look at it",
        };
        self.leave(archived, why);
        Ok(false)
    }

    /// How many of these the server now holds as the archive does.
    async fn confirm(&mut self, batch: &Batch, sent: &[usize]) -> Result<u64, RestoreError> {
        let documents = self.documents;
        let mut there = HashSet::new();
        let mut other = HashSet::new();
        let mut visit = async |at: usize, present: Present<'_>| {
            match present.is_same() {
                true => there.insert(at),
                false => other.insert(at),
            };
        };
        present::each(documents, batch, sent, &mut visit).await?;
        self.unknown -= sent.len() as u64;
        for at in sent.iter().filter(|at| !there.contains(at)) {
            let why = match other.contains(at) {
                true if has_empty_timestamp(batch.documents[*at].raw.as_bytes()) => EMPTY_TIMESTAMP,
                true => "it was written, but the server holds it in another form",
                false => "it was written, but is not there any more: did it expire?",
            };
            self.report.fail(batch.documents[*at].shown_id(), why);
        }
        Ok(there.len() as u64)
    }
}

/// Whether a field of the document itself is a timestamp of nothing. Deeper ones, and that of `_id`, stay what they are.
fn has_empty_timestamp(document: &[u8]) -> bool {
    elements(document).any(|one| {
        one.value.kind == kind::TIMESTAMP
            && one.key != b"_id"
            && one.value.bytes.iter().all(|byte| *byte == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{Document, Timestamp, doc};

    #[test]
    fn an_empty_timestamp_is_one_of_the_document_itself() {
        let of = |time, increment| Timestamp { time, increment };
        let has = |document: Document| has_empty_timestamp(&document.to_vec().unwrap());
        assert!(has(doc! { "_id": 1, "a": of(0, 0) }));
        assert!(!has(
            doc! { "_id": of(0, 0), "a": { "b": of(0, 0) }, "c": [of(0, 0)], "d": 0_i64 }
        ));
        assert!(!has(doc! { "_id": 1, "a": of(0, 1), "b": of(1, 0) }));
    }
}
