//! The documents of one collection, one after another.

use crate::archive::bson_framer::LONGEST_BYTES;
use crate::archive::buffer::set_length;
use mongodb::bson::RawDocument;
use std::io::{self, BufReader, Read};

/// Read at a time, in bytes.
const WINDOW_BYTES: usize = 256 * 1024;
const ID: &str = "_id";
/// Longer texts are cut where documents are named.
const SHOWN_CHARS: usize = 100;

/// Shows each document to `visit`, until that has seen enough. Framing was verified before; what does not hold any more
/// is an error all the same.
pub(super) fn each(
    input: impl Read,
    mut visit: impl FnMut(&RawDocument) -> io::Result<()>,
) -> io::Result<()> {
    let mut input = BufReader::with_capacity(WINDOW_BYTES, input);
    let mut document = Vec::new();
    while next(&mut input, &mut document)? {
        visit(RawDocument::from_bytes(&document).map_err(io::Error::other)?)?;
        document.clear();
    }
    Ok(())
}

/// Reads one more document behind what is in `bytes`; false at the end.
pub(super) fn next(input: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    if input.read(&mut length[..1])? == 0 {
        return Ok(false);
    }
    input.read_exact(&mut length[1..])?;
    let document_bytes = u32::from_le_bytes(length);
    if !(5..=LONGEST_BYTES).contains(&document_bytes) {
        return Err(io::Error::other("a document has an impossible length"));
    }
    let at = bytes.len();
    bytes.extend_from_slice(&length);
    set_length(bytes, at + document_bytes as usize);
    input.read_exact(&mut bytes[at + 4..])?;
    Ok(true)
}

/// The bytes of a document's `_id`: its type, its key, and its value. Of a document without one, all of it.
pub(super) fn id(document: &RawDocument) -> &[u8] {
    let bytes = document.as_bytes();
    // Servers put it first, and MongoDB has no documents without it.
    match document.iter_elements().next() {
        Some(Ok(first)) if first.key().as_str() == ID => {
            let (kind, value) = (4, 4 + 1 + ID.len() + 1);
            bytes.get(kind..value + first.size()).unwrap_or(bytes)
        }
        _ => bytes,
    }
}

/// A document's `_id`, for people.
pub(super) fn shown_id(document: &RawDocument) -> String {
    let value = document
        .iter_elements()
        .filter_map(Result::ok)
        .find(|element| element.key().as_str() == ID);
    let text = match value.and_then(|element| bson::Bson::try_from(element.value().ok()?).ok()) {
        Some(value) => value.to_string(),
        None => "(none)".into(),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{doc, oid::ObjectId};

    #[test]
    fn ids_are_found_and_told_apart() {
        let encode = |document: bson::Document| bson::RawDocumentBuf::try_from(&document).unwrap();
        let (one, two) = (
            encode(doc! { "_id": 1, "a": "x" }),
            encode(doc! { "_id": 1, "b": 2.5 }),
        );
        assert_eq!(id(&one), id(&two));
        assert_eq!(
            id(&one),
            [&b"\x10_id\0"[..], &1_i32.to_le_bytes()[..]].concat()
        );
        // The same bytes, or none, of other types.
        let date = bson::DateTime::from_millis(5);
        for (one, two) in [
            (doc! { "_id": null }, doc! { "_id": bson::Bson::MinKey }),
            (doc! { "_id": 5_i64 }, doc! { "_id": date }),
        ] {
            assert_ne!(id(&encode(one)), id(&encode(two)));
        }
        for other in [doc! { "_id": 2 }, doc! { "_id": "1" }, doc! { "x": 1 }] {
            assert_ne!(id(&encode(other)), id(&one));
        }
        assert_eq!(shown_id(&one), "1");
        assert_eq!(
            shown_id(&encode(doc! { "_id": ObjectId::from_bytes([7; 12]) })),
            "ObjectId(\"070707070707070707070707\")"
        );
        assert_eq!(
            shown_id(&encode(doc! { "_id": "ñ".repeat(500) }))
                .chars()
                .count(),
            SHOWN_CHARS + 1
        );
        assert_eq!(shown_id(&encode(doc! { "x": 1 })), "(none)");
    }

    #[test]
    fn documents_are_shown_one_by_one_and_a_cut_one_is_an_error() {
        let bytes = [
            doc! { "_id": 1 }.to_vec().unwrap(),
            doc! { "_id": 2 }.to_vec().unwrap(),
        ]
        .concat();
        let mut ids = Vec::new();
        each(bytes.as_slice(), |document| {
            ids.push(shown_id(document));
            Ok(())
        })
        .unwrap();
        assert_eq!(ids, ["1", "2"]);
        for cut in 1..bytes.len() {
            let whole = cut == bytes.len() / 2;
            assert_eq!(each(&bytes[..cut], |_| Ok(())).is_ok(), whole, "{cut}");
        }
    }
}
