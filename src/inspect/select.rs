//! The documents of one collection that are wanted.

use super::{Archive, InspectError, Next, ReadEnd, ReadError};
use crate::query::Query;
use std::io;
use std::sync::atomic::AtomicBool;

/// Which documents are wanted.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub query: Option<Query>,
    /// Of those that fit, so many are passed over first.
    pub skip: u64,
    pub limit: Option<u64>,
}

/// What came of reading a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selected {
    pub documents_read: u64,
    pub documents: u64,
    pub end: SelectEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SelectEnd {
    /// All documents were read, and are those that were archived.
    Whole,
    /// There are as many as were asked for.
    Limit,
    /// Whoever took the documents wants no more.
    Refused,
}

/// Hands the wanted documents to `take`, in the order they lie in. Blocks.
pub(crate) fn select(
    archive: &Archive,
    index: usize,
    wanted: &Wanted,
    cancelled: &AtomicBool,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<Selected, InspectError> {
    let mut selected = Selected {
        documents_read: 0,
        documents: 0,
        end: SelectEnd::Whole,
    };
    if wanted.limit == Some(0) {
        selected.end = SelectEnd::Limit;
        return Ok(selected);
    }
    let mut to_skip = wanted.skip;
    let read = archive.documents::<io::Error>(index, cancelled, &mut |document| {
        selected.documents_read += 1;
        if wanted
            .query
            .as_ref()
            .is_some_and(|query| !query.fits(document))
        {
            return Ok(Next::More);
        }
        if to_skip > 0 {
            to_skip -= 1;
            return Ok(Next::More);
        }
        take(document)?;
        selected.documents += 1;
        Ok(match wanted.limit == Some(selected.documents) {
            true => Next::Enough,
            false => Next::More,
        })
    });
    selected.end = match read {
        Ok(ReadEnd::Whole) => SelectEnd::Whole,
        Ok(ReadEnd::Enough) => SelectEnd::Limit,
        Err(ReadError::Archive(error)) => return Err(error),
        Err(ReadError::Visitor(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            SelectEnd::Refused
        }
        // What is no BSON cannot be written as JSON.
        Err(ReadError::Visitor(error)) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(InspectError::Damaged {
                name: archive.name.clone(),
                damage: format!("document {}: {error}", selected.documents_read),
            });
        }
        Err(ReadError::Visitor(error)) => return Err(InspectError::Write(error)),
    };
    Ok(selected)
}
