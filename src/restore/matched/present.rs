//! What a server has of the documents of a batch.

use super::source::{Batch, Matched};
use crate::archive::element::{Value, get};
use crate::mongo::documents_by_id::Documents;
use crate::mongo::error::ServerError;
use mongodb::bson::RawDocument;
use std::collections::HashMap;

/// Bytes that a server may send at once, if its documents are about as long as the archive's.
const ANSWER_BYTES: usize = 512 * 1024;

/// A document that is there.
pub(super) struct Present<'d> {
    pub archived: &'d Matched,
    pub document: &'d RawDocument,
}

impl Present<'_> {
    pub(super) fn is_same(&self) -> bool {
        self.document.as_bytes() == self.archived.raw.as_bytes()
    }

    /// Whether its `_id` is of the same type and bytes; 1 and 1.0 are equal to a server, and are not the same.
    pub(super) fn has_same_id(&self) -> bool {
        get(self.document.as_bytes(), b"_id") == Some(self.archived.id_value())
    }
}

/// Shows those documents of a batch that the server has, each at its place among the `wanted`. What is not shown is absent.
///
/// A server may take other `_id`s for equal than we do: 1 and 1.0, or by the collection's collation "a" and "A". So what
/// comes back under an `_id` that was not asked for has its partner found by asking for each alone.
pub(super) async fn each(
    documents: &Documents<'_>,
    batch: &Batch,
    wanted: &[usize],
    visit: &mut impl AsyncFnMut(usize, Present<'_>),
) -> Result<(), ServerError> {
    let wanted: Vec<(usize, &Matched)> = wanted
        .iter()
        .filter_map(|place| Some((*place, batch.documents.get(*place)?)))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let average = batch.bytes / batch.documents.len().max(1);
    let at_once = (ANSWER_BYTES / average.max(1)).clamp(2, batch.documents.len().max(2));
    let mut missing: HashMap<Vec<u8>, (usize, &Matched)> = wanted
        .iter()
        .map(|one| (key(one.1.id_value()), *one))
        .collect();
    let ids = wanted.iter().map(|(_, one)| one.id.clone()).collect();
    let mut strangers = false;
    let mut show = async |document: &RawDocument| {
        let id = get(document.as_bytes(), b"_id");
        match id.and_then(|id| missing.remove(&key(id))) {
            Some((place, archived)) => {
                let present = Present { archived, document };
                visit(place, present).await;
            }
            None => strangers = true,
        }
    };
    documents.find(ids, at_once as u32, &mut show).await?;
    if !strangers {
        return Ok(());
    }
    for (place, archived) in missing.into_values() {
        if let Some(document) = documents.find_one(archived.id.clone()).await? {
            let document = &*document;
            visit(place, Present { archived, document }).await;
        }
    }
    Ok(())
}

/// What tells `_id`s apart by their bytes.
fn key(id: Value<'_>) -> Vec<u8> {
    [&[id.kind], id.bytes].concat()
}
