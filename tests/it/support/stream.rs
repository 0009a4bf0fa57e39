//! What mongorestore was sent, read by the description of mongodump's archive format, without our own code.

use mongodb::bson::Document;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a stream holds.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Announced namespaces: `database.collection`, and the metadata.
    pub announced: Vec<(String, String)>,
    /// Documents by namespace, in the order they came.
    pub documents: BTreeMap<String, Vec<Document>>,
    /// Namespaces whose end was said.
    pub ended: Vec<String>,
    /// How many had been begun, and not ended, at most.
    pub most_open: usize,
}

/// Reads a recorded stream, which must be whole.
pub(crate) fn sent(path: &Path) -> Sent {
    let bytes = std::fs::read(path)
        .unwrap_or_else(|error| panic!("mongorestore was sent nothing: {error}"));
    sent_in(&bytes)
}

/// The same, of bytes.
pub(crate) fn sent_in(bytes: &[u8]) -> Sent {
    let mut rest = bytes;
    assert_eq!(
        take(&mut rest, 4),
        [0x6d, 0xe2, 0x99, 0x81],
        "it is no archive"
    );
    document(&mut rest).expect("a header");
    let mut sent = Sent::default();
    while let Some(announced) = document(&mut rest) {
        let metadata = announced.get_str("metadata").unwrap().to_owned();
        sent.announced.push((namespace(&announced), metadata));
    }
    let mut open = BTreeSet::new();
    while !rest.is_empty() {
        let header = document(&mut rest).expect("a segment's header");
        let name = namespace(&header);
        open.insert(name.clone());
        sent.most_open = sent.most_open.max(open.len());
        let documents = sent.documents.entry(name.clone()).or_default();
        while let Some(found) = document(&mut rest) {
            documents.push(found);
        }
        if header.get_bool("EOF").unwrap() {
            open.remove(&name);
            sent.ended.push(name);
        }
    }
    sent
}

fn namespace(header: &Document) -> String {
    format!(
        "{}.{}",
        header.get_str("db").unwrap(),
        header.get_str("collection").unwrap()
    )
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> &'b [u8] {
    let (taken, left) = rest.split_at_checked(length).expect("the stream is cut");
    *rest = left;
    taken
}

/// The next document; none at a terminator.
fn document(rest: &mut &[u8]) -> Option<Document> {
    let length = rest.first_chunk::<4>().expect("the stream is cut");
    if *length == [0xff; 4] {
        take(rest, 4);
        return None;
    }
    let bytes = take(rest, u32::from_le_bytes(*length) as usize);
    Some(Document::from_reader(bytes).unwrap())
}
