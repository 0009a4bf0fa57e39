//! The elements of a BSON document as they lie in its bytes: a type, a key, a value. Nothing is decoded or copied, and texts
//! need not be UTF-8.

/// Types of elements, by the numbers that BSON gives them.
pub(crate) mod kind {
    pub(crate) const DOUBLE: u8 = 0x01;
    pub(crate) const STRING: u8 = 0x02;
    pub(crate) const DOCUMENT: u8 = 0x03;
    pub(crate) const ARRAY: u8 = 0x04;
    pub(crate) const BINARY: u8 = 0x05;
    pub(crate) const UNDEFINED: u8 = 0x06;
    pub(crate) const OBJECT_ID: u8 = 0x07;
    pub(crate) const BOOLEAN: u8 = 0x08;
    pub(crate) const DATE: u8 = 0x09;
    pub(crate) const NULL: u8 = 0x0a;
    pub(crate) const REGEX: u8 = 0x0b;
    pub(crate) const DB_POINTER: u8 = 0x0c;
    pub(crate) const CODE: u8 = 0x0d;
    pub(crate) const SYMBOL: u8 = 0x0e;
    pub(crate) const CODE_WITH_SCOPE: u8 = 0x0f;
    pub(crate) const INT32: u8 = 0x10;
    pub(crate) const TIMESTAMP: u8 = 0x11;
    pub(crate) const INT64: u8 = 0x12;
    pub(crate) const DECIMAL128: u8 = 0x13;
    pub(crate) const MAX_KEY: u8 = 0x7f;
    pub(crate) const MIN_KEY: u8 = 0xff;
}

/// A value: its type, and its bytes as BSON has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    pub kind: u8,
    pub bytes: &'a [u8],
}

/// A value under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub key: &'a [u8],
    pub value: Value<'a>,
}

/// The elements of a document or an array, in order. Ends where the bytes stop making sense; what vouches for them is a
/// checksum, or [`bson_framer::check`](super::bson_framer::check).
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

/// Walks over a document, given with its length in front.
pub(crate) fn elements(document: &[u8]) -> Elements<'_> {
    Elements {
        rest: document.get(4..).unwrap_or_default(),
    }
}

impl Elements<'_> {
    /// Whether only the zero is left that ends a document: all of it made sense.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest == [0]
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (&kind, rest) = self.rest.split_first()?;
        if kind == 0 {
            return None;
        }
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (key, rest) = (&rest[..end], &rest[end + 1..]);
        let bytes = rest.get(..value_bytes(kind, rest)?)?;
        self.rest = &rest[bytes.len()..];
        Some(Element {
            key,
            value: Value { kind, bytes },
        })
    }
}

/// How long the value is that `rest` begins with.
fn value_bytes(kind: u8, rest: &[u8]) -> Option<usize> {
    let length = |beside: usize| {
        let length = u32::from_le_bytes(*rest.first_chunk::<4>()?);
        usize::try_from(length).ok()?.checked_add(beside)
    };
    match kind {
        kind::UNDEFINED | kind::NULL | kind::MIN_KEY | kind::MAX_KEY => Some(0),
        kind::BOOLEAN => Some(1),
        kind::INT32 => Some(4),
        kind::DOUBLE | kind::DATE | kind::TIMESTAMP | kind::INT64 => Some(8),
        kind::OBJECT_ID => Some(12),
        kind::DECIMAL128 => Some(16),
        kind::STRING | kind::CODE | kind::SYMBOL => length(4),
        kind::BINARY => length(5),
        kind::DB_POINTER => length(16),
        kind::DOCUMENT | kind::ARRAY | kind::CODE_WITH_SCOPE => length(0),
        kind::REGEX => {
            let (pattern, options) = cstrings(rest)?;
            Some(pattern.len() + options.len() + 2)
        }
        _ => None,
    }
}

/// Pattern and options of a regular expression.
pub(crate) fn cstrings(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(pattern), Some(options), Some(_)) => Some((pattern, options)),
        _ => None,
    }
}

/// The text of a string, without its length and its end.
pub(crate) fn text(bytes: &[u8]) -> &[u8] {
    bytes
        .get(4..bytes.len().saturating_sub(1))
        .unwrap_or_default()
}

/// The value of `key` in a document; the first, where it is there twice.
pub(crate) fn get<'a>(document: &'a [u8], key: &[u8]) -> Option<Value<'a>> {
    elements(document)
        .find(|element| element.key == key)
        .map(|element| element.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{
        Binary, Bson, DateTime, Decimal128, JavaScriptCodeWithScope, Regex, Timestamp, cstr, doc,
        oid::ObjectId, spec::BinarySubtype,
    };

    #[test]
    fn every_type_is_walked_over_and_a_cut_document_ends_early() {
        let mut document = doc! {
            "a": 1.5, "b": "text", "c": { "d": 1 }, "e": [1, 2],
            "f": Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] },
            "g": Bson::Undefined, "h": ObjectId::from_bytes([1; 12]), "i": true, "j": DateTime::from_millis(5), "k": Bson::Null,
            "l": Regex { pattern: cstr!("^a").into(), options: cstr!("i").into() },
            "m": Bson::JavaScriptCode("f()".into()), "n": Bson::Symbol("s".into()),
            "o": 5_i32, "p": Timestamp { time: 1, increment: 2 }, "q": 5_i64,
            "r": "1.5".parse::<Decimal128>().unwrap(), "s": Bson::MaxKey, "t": Bson::MinKey,
        };
        document.insert(
            "u",
            Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
                code: "f()".into(),
                scope: doc! { "x": 1 },
            }),
        );
        document.insert("v", "last");
        let bytes = document.to_vec().unwrap();
        let keys: Vec<String> = elements(&bytes)
            .map(|element| String::from_utf8(element.key.to_vec()).unwrap())
            .collect();
        assert!(keys.iter().eq(document.keys()), "{keys:?}");
        assert_eq!(text(get(&bytes, b"v").unwrap().bytes), b"last");
        assert_eq!(get(&bytes, b"o").unwrap().bytes, 5_i32.to_le_bytes());
        for cut in 0..bytes.len() {
            assert!(elements(&bytes[..cut]).count() <= keys.len());
        }
    }
}
