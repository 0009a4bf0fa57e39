//! Several collections at once, in turns: while the server takes one's batch, the next one is on its way.
//!
//! Each collection is handed on in the order of its documents; mongorestore inserts each with workers of its own.

use super::checked::{Checked, broken_in};
use super::contents::{ArchivedId, CollectionReader, Contents};
use super::documents;
use crate::archive::namespace::{DumpSink, Namespace};
use crate::mongo::mongorestore::{Feed, FeedError};
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of one collection before it is another's turn: about a batch of mongorestore's, which are a thousand documents.
const TURN_BYTES: usize = 512 * 1024;
/// Smaller collections are not worth a turn.
const SMALLEST_BYTES: u64 = 4 * 1024 * 1024;

/// A collection that is under way.
struct OpenCollection<'c> {
    reader: CollectionReader<'c>,
    checked: Checked,
}

/// Feeds what is large enough and can be read apart; which ones that were.
pub(super) fn feed(
    contents: &Contents,
    readers: usize,
    targets: &HashMap<ArchivedId, &Namespace>,
    writer: &mut Feed,
    cancelled: &AtomicBool,
) -> Result<HashSet<ArchivedId>, FeedError> {
    let large =
        |id: ArchivedId| targets.contains_key(&id) && contents[id].totals.bytes >= SMALLEST_BYTES;
    let mut waiting = contents.apart(&large);
    if waiting.len() < 2 || readers < 2 {
        return Ok(HashSet::new());
    }
    let fed = waiting.iter().map(|(id, _)| *id).collect();
    waiting.reverse();
    let mut open: Vec<OpenCollection> = Vec::new();
    let mut turn = Vec::with_capacity(TURN_BYTES);
    loop {
        while open.len() < readers
            && let Some((id, section)) = waiting.pop()
        {
            let reader = contents.reader(id, section).map_err(FeedError::Archive)?;
            open.push(OpenCollection {
                reader,
                checked: Checked::new(),
            });
        }
        if open.is_empty() {
            return Ok(fed);
        }
        let mut ended = Vec::new();
        for (place, one) in open.iter_mut().enumerate() {
            if cancelled.load(Ordering::Relaxed) {
                return Err(FeedError::Archive("reading was interrupted".into()));
            }
            let archived = &contents[one.reader.source];
            let more = next_turn(&mut one.reader.content, &mut turn)
                .map_err(|error| broken_in(archived, &error))?;
            writer.begin(targets[&one.reader.source])?;
            one.checked.update(&turn);
            writer.data(&turn)?;
            if !more {
                writer.end(one.checked.finish(archived)?)?;
                ended.push(place);
            }
        }
        for place in ended.into_iter().rev() {
            open.remove(place);
        }
    }
}

/// Reads whole documents until there are enough of them; false at the end.
fn next_turn(content: &mut impl Read, turn: &mut Vec<u8>) -> std::io::Result<bool> {
    turn.clear();
    while turn.len() < TURN_BYTES {
        if !documents::next(content, turn)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::encode;
    use mongodb::bson::doc;

    #[test]
    fn a_turn_is_whole_documents_and_the_turns_together_are_all() {
        let documents: Vec<u8> = (0..5000)
            .flat_map(|n| encode(&doc! { "_id": n, "x": "y".repeat(400) }))
            .collect();
        let (mut content, mut turn, mut all, mut turns) =
            (documents.as_slice(), Vec::new(), Vec::new(), 0);
        loop {
            let more = next_turn(&mut content, &mut turn).unwrap();
            let mut framer = crate::archive::bson_framer::BsonFramer::default();
            framer.feed(&turn).unwrap();
            framer.finish(0).unwrap();
            all.extend_from_slice(&turn);
            turns += 1;
            if !more {
                break;
            }
        }
        assert_eq!(all, documents);
        assert_eq!(turns, documents.len().div_ceil(TURN_BYTES));
        assert!(next_turn(&mut &documents[..documents.len() - 1], &mut turn).is_ok());
        let mut cut = &documents[documents.len() - 417..documents.len() - 1];
        assert!(next_turn(&mut cut, &mut turn).is_err());
    }
}
