//! Dotted paths, and what a server finds at their ends: in documents, in arrays of documents, and by place in an array.

use crate::archive::element::{Value, elements, get, kind};

/// The keys between the dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    keys: Vec<Vec<u8>>,
}

/// Is shown what lies at the end of a path, and says whether that is enough. None stands for a field that is missing.
type Test<'t> = dyn Fn(Option<Value>) -> bool + 't;

impl Path {
    pub(super) fn parse(text: &str) -> Self {
        Path {
            keys: text.split('.').map(|key| key.as_bytes().to_vec()).collect(),
        }
    }

    /// Whether anything at the end of the path passes `test`.
    ///
    /// An array at the end is shown element by element, and then whole. An array on the way stands for each document in it;
    /// an empty one, or one without documents, for nothing at all: not even for a missing field.
    pub(super) fn any(&self, document: &[u8], test: &Test) -> bool {
        in_document(document, &self.keys, test)
    }
}

fn in_document(document: &[u8], keys: &[Vec<u8>], test: &Test) -> bool {
    let Some((key, rest)) = keys.split_first() else {
        return false;
    };
    match (get(document, key), rest.is_empty()) {
        (None, _) => test(None),
        (Some(value), true) if value.kind == kind::ARRAY => {
            elements(value.bytes).any(|element| test(Some(element.value))) || test(Some(value))
        }
        (Some(value), true) => test(Some(value)),
        (Some(value), false) => match value.kind {
            kind::DOCUMENT => in_document(value.bytes, rest, test),
            kind::ARRAY => in_array(value.bytes, rest, test),
            _ => test(None),
        },
    }
}

fn in_array(array: &[u8], keys: &[Vec<u8>], test: &Test) -> bool {
    let Some((key, rest)) = keys.split_first() else {
        return false;
    };
    elements(array).any(|element| {
        let value = element.value;
        if value.kind == kind::DOCUMENT && in_document(value.bytes, keys, test) {
            return true;
        }
        // The key may also be a place in the array.
        if element.key != key.as_slice() {
            return false;
        }
        match (rest.is_empty(), value.kind) {
            // What is named by its place is not opened once more.
            (true, _) => test(Some(value)),
            (false, kind::DOCUMENT) => in_document(value.bytes, rest, test),
            (false, kind::ARRAY) => in_array(value.bytes, rest, test),
            (false, _) => false,
        }
    })
}
