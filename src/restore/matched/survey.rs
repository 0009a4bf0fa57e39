//! What there is to do: each document that fits, held against what the target has under its `_id`.

use super::present::{self, Present};
use super::source::{Batch, Only, Reading, Source};
use crate::context::Context;
use crate::mongo::documents_by_id::Documents;
use crate::report::{DocumentChange, DocumentDifference, MatchReport, fields};
use crate::restore::RestoreError;
use std::sync::Arc;

/// Of the same value, and of another type.
pub(super) const OTHER_ID: &str =
    "its _id is of another type there, and no server changes an _id; left as it is";

/// How the target's version of a document differs from the archive's.
pub(super) fn difference(present: &Present<'_>) -> DocumentDifference {
    let (there, archived) = (present.document.as_bytes(), present.archived.raw.as_bytes());
    DocumentDifference {
        id: present.archived.shown_id(),
        change: DocumentChange::Changed,
        fields: Some(fields::differences(there, archived)),
    }
}

/// Looks at every document that fits, and changes nothing.
pub(super) async fn survey(
    source: &Source,
    documents: &Documents<'_>,
    ctx: &Context,
    mut report: MatchReport,
) -> Result<(MatchReport, Reading, Option<Only>), RestoreError> {
    let (mut batches, mut first) = (0, None);
    let read = source
        .each(ctx, "comparing", async |batch: Arc<Batch>| {
            let looking = look(&batch, documents, &mut report);
            ctx.cancel.or(looking).await??;
            batches += 1;
            first = (batches == 1).then_some(batch);
            Ok(())
        })
        .await?;
    report.documents_read = read.documents;
    Ok((report, read, first.map(|batch| (batch, read))))
}

async fn look(
    batch: &Batch,
    documents: &Documents<'_>,
    report: &mut MatchReport,
) -> Result<(), RestoreError> {
    for (id, why) in &batch.unfit {
        report.fail(id.clone(), *why);
    }
    let all: Vec<usize> = (0..batch.documents.len()).collect();
    let mut there = 0;
    let mut visit = async |_: usize, present: Present<'_>| {
        there += 1;
        if present.is_same() {
            report.same += 1;
            return;
        }
        report.different += 1;
        if report.names_difference() {
            report.differences.push(difference(&present));
        }
        if report.replace && !present.has_same_id() {
            report.fail(present.archived.shown_id(), OTHER_ID);
        }
    };
    present::each(documents, batch, &all, &mut visit).await?;
    report.absent += all.len() as u64 - there;
    Ok(())
}
