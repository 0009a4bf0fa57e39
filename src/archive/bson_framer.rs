//! BSON documents in a row: finding where each one ends without decoding it.
//!
//! A `.bson` file and a segment of mongodump's archive stream are both just documents, one after another, each starting
//! with its own length. [`BsonFramer`] hops from length to length over whatever window of bytes is at hand, so a 16 MB
//! document needs no 16 MB of memory; [`check`] looks inside a single document, for bytes that no checksum vouches for.

use super::element::{Value, elements, kind};

/// The smallest document: a length and the closing zero byte.
const SHORTEST_BYTES: u32 = 5;

/// No server stores more than 16 MiB, and its oplog adds 16 KiB; twice as much is certainly not a document's length.
pub(crate) const LONGEST_BYTES: u32 = 32 * 1024 * 1024;

/// The server nests at most 100 levels deep; anything far beyond was made to exhaust a reader's stack.
const DEEPEST_LEVEL: usize = 220;

/// What marks the end of a run of documents in mongodump's archive stream, where a length would stand.
const TERMINATOR: u32 = u32::MAX;

/// What is wrong with the bytes at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// A length that no document can have.
    #[error("document {number} claims a length of {length} bytes, which no document has")]
    Length { number: u64, length: u32 },
    /// A document whose last byte is not the zero that BSON demands.
    #[error("document {number} does not end where its length says")]
    End { number: u64 },
    /// The bytes stop inside a document.
    #[error("document {number} is cut short, {missing} bytes are missing")]
    Cut { number: u64, missing: u64 },
}

/// How far one call of [`BsonFramer::feed`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fed {
    /// Bytes that belong to documents, counted from the window's start.
    pub consumed: usize,
    /// Whether the stream's terminator stands right behind them (it is not counted).
    pub terminated: bool,
}

/// Counts documents and checks their framing, window by window.
#[derive(Debug, Default, Clone)]
pub(crate) struct BsonFramer {
    documents: u64,
    remaining: u32,
}

impl BsonFramer {
    /// Documents that have ended so far.
    pub(crate) fn documents(&self) -> u64 {
        self.documents
    }

    /// Walks over `window`. Up to three bytes of a length may be left over: offer them again with what follows.
    pub(crate) fn feed(&mut self, window: &[u8]) -> Result<Fed, FrameError> {
        let mut at = 0;
        loop {
            let rest = &window[at..];
            if self.remaining > 0 {
                if rest.is_empty() {
                    return Ok(Fed {
                        consumed: at,
                        terminated: false,
                    });
                }
                let step = (self.remaining as usize).min(rest.len());
                self.remaining -= step as u32;
                at += step;
                if self.remaining == 0 {
                    if window[at - 1] != 0 {
                        return Err(FrameError::End {
                            number: self.documents + 1,
                        });
                    }
                    self.documents += 1;
                }
                continue;
            }
            let Some(bytes) = rest.first_chunk::<4>() else {
                return Ok(Fed {
                    consumed: at,
                    terminated: false,
                });
            };
            let length = u32::from_le_bytes(*bytes);
            if length == TERMINATOR {
                return Ok(Fed {
                    consumed: at,
                    terminated: true,
                });
            }
            if !(SHORTEST_BYTES..=LONGEST_BYTES).contains(&length) {
                return Err(FrameError::Length {
                    number: self.documents + 1,
                    length,
                });
            }
            self.remaining = length;
        }
    }

    /// Confirms that the bytes ended between two documents; `left_over` is what [`BsonFramer::feed`] did not consume.
    pub(crate) fn finish(&self, left_over: usize) -> Result<(), FrameError> {
        match (self.remaining, left_over) {
            (0, 0) => Ok(()),
            (0, some) => Err(FrameError::Cut {
                number: self.documents + 1,
                missing: 4 - some.min(3) as u64,
            }),
            (missing, _) => Err(FrameError::Cut {
                number: self.documents + 1,
                missing: u64::from(missing),
            }),
        }
    }
}

/// Walks every element of one document, nested ones too, and says what is wrong with it.
///
/// Texts and keys that are not UTF-8 pass, and what an old binary says of its own inside: servers do store them, and a
/// backup has to keep what is there.
pub(crate) fn check(document: &[u8]) -> Result<(), String> {
    check_elements(document, 0).map_err(|problem| match problem {
        Invalid::TooDeep => format!("nested deeper than {DEEPEST_LEVEL} levels"),
        Invalid::Bytes(what) => format!("not valid BSON: {what}"),
    })
}

enum Invalid {
    TooDeep,
    Bytes(&'static str),
}

fn check_elements(document: &[u8], level: usize) -> Result<(), Invalid> {
    if level > DEEPEST_LEVEL {
        return Err(Invalid::TooDeep);
    }
    if length_in(document) != Some(document.len()) {
        return Err(Invalid::Bytes("a document is not as long as it says"));
    }
    let mut walk = elements(document);
    for element in walk.by_ref() {
        check_value(element.value, level)?;
    }
    match walk.is_at_end() {
        true => Ok(()),
        false => Err(Invalid::Bytes(
            "an element is of no known type, or reaches beyond its document",
        )),
    }
}

fn check_value(value: Value, level: usize) -> Result<(), Invalid> {
    let bytes = value.bytes;
    let sound = match value.kind {
        kind::DOCUMENT | kind::ARRAY => return check_elements(bytes, level + 1),
        kind::CODE_WITH_SCOPE => {
            let code = bytes.get(4..).unwrap_or_default();
            let code_bytes = length_in(code).and_then(|length| length.checked_add(4));
            let Some((code, scope)) = code_bytes.and_then(|at| code.split_at_checked(at)) else {
                return Err(Invalid::Bytes("code reaches beyond its element"));
            };
            check_elements(scope, level + 1)?;
            is_text(code)
        }
        kind::STRING | kind::SYMBOL | kind::CODE => is_text(bytes),
        kind::DB_POINTER => is_text(&bytes[..bytes.len().saturating_sub(12)]),
        kind::BOOLEAN => matches!(bytes, [0 | 1]),
        _ => true,
    };
    match sound {
        true => Ok(()),
        false => Err(Invalid::Bytes("a value is not as its type demands")),
    }
}

fn length_in(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?);
    usize::try_from(length).ok()
}

/// Whether a text ends with the zero that its length counts.
fn is_text(bytes: &[u8]) -> bool {
    bytes.len() > 4 && length_in(bytes) == Some(bytes.len() - 4) && bytes.last() == Some(&0)
}

#[cfg(test)]
mod tests {
    use super::check;
    use mongodb::bson::{
        Binary, Bson, DateTime, Decimal128, JavaScriptCodeWithScope, RawDocument, Regex, Timestamp,
        cstr, doc, oid::ObjectId, rawdoc, spec::BinarySubtype,
    };

    fn replaced(mut bytes: Vec<u8>, part: &[u8], by: &[u8]) -> Vec<u8> {
        let at = bytes.windows(part.len()).position(|one| one == part);
        let at = at.unwrap();
        bytes[at..at + by.len()].copy_from_slice(by);
        bytes
    }

    #[test]
    fn what_servers_store_and_drivers_cannot_read_is_sound() {
        let odd = rawdoc! { "caf#": [{ "caf#": 1 }], "text": "caf#" }.into_bytes();
        let odd: Vec<u8> = odd
            .iter()
            .map(|byte| if *byte == b'#' { 0xe9 } else { *byte })
            .collect();
        assert_eq!(check(&odd), Ok(()));
        let old = Binary {
            subtype: BinarySubtype::BinaryOld,
            bytes: b"hello".to_vec(),
        };
        let old = replaced(
            doc! { "b": old }.to_vec().unwrap(),
            b"\x05\0\0\0hello",
            &[9],
        );
        assert_eq!(check(&old), Ok(()));
    }

    /// Whatever bit changes, this check misses nothing that the driver's own reading finds, but for what servers store.
    #[test]
    fn no_changed_bit_passes_that_a_driver_refuses() {
        let whole = doc! {
            "a": 1.5, "b": "text", "c": { "d": 1 }, "e": [1, "2"],
            "g": Bson::Undefined, "h": ObjectId::from_bytes([1; 12]), "i": true, "j": DateTime::from_millis(5), "k": Bson::Null,
            "l": Regex { pattern: cstr!("^a").into(), options: cstr!("i").into() },
            "m": Bson::JavaScriptCode("f()".into()), "n": Bson::Symbol("s".into()),
            "p": Timestamp { time: 1, increment: 2 }, "q": 5_i64,
            "r": "1.5".parse::<Decimal128>().unwrap(), "s": Bson::MaxKey, "t": Bson::MinKey,
            "u": JavaScriptCodeWithScope { code: "f()".into(), scope: doc! { "x": 1 } },
        };
        let whole = whole.to_vec().unwrap();
        assert_eq!(check(&whole), Ok(()));
        for cut in 0..whole.len() {
            assert!(check(&whole[..cut]).is_err(), "cut after {cut}");
        }
        let is_read = |bytes: &[u8]| {
            let raw = RawDocument::from_bytes(bytes).map_err(|error| error.to_string())?;
            bson::Document::try_from(raw)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let (Ok(()), Err(problem)) = (check(&flipped), is_read(&flipped)) {
                let is_stored = problem.to_lowercase().contains("utf");
                assert!(is_stored, "bit {bit}: {problem}");
            }
        }
    }
}
