//! BSON documents in a row: finding where each one ends without decoding it.
//!
//! A `.bson` file and a segment of mongodump's archive stream are both just documents, one after another, each starting
//! with its own length. [`BsonFramer`] hops from length to length over whatever window of bytes is at hand, so a 16 MB
//! document needs no 16 MB of memory; [`check`] looks inside a single document, for bytes that no checksum vouches for.

use mongodb::bson::RawArray;
use mongodb::bson::RawDocument;
use mongodb::bson::error::Error as BsonError;
use mongodb::bson::raw::RawBsonRef;

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
/// Strings that are not UTF-8 pass: servers do store them, and a backup has to keep what is there.
pub(crate) fn check(document: &[u8]) -> Result<(), String> {
    let raw = RawDocument::from_bytes(document).map_err(|error| describe(&error))?;
    check_elements(raw, 0)
}

fn check_elements(document: &RawDocument, level: usize) -> Result<(), String> {
    if level > DEEPEST_LEVEL {
        return Err(format!("nested deeper than {DEEPEST_LEVEL} levels"));
    }
    for element in document.iter_elements() {
        let element = element.map_err(|error| describe(&error))?;
        match element.value() {
            Ok(RawBsonRef::Document(inner)) => check_elements(inner, level + 1)?,
            Ok(RawBsonRef::Array(inner)) => check_array(inner, level + 1)?,
            Ok(RawBsonRef::JavaScriptCodeWithScope(code)) => check_elements(code.scope, level + 1)?,
            Ok(_) => {}
            Err(error) if is_utf8(&error) => {}
            Err(error) => return Err(describe(&error)),
        }
    }
    Ok(())
}

fn check_array(array: &RawArray, level: usize) -> Result<(), String> {
    let document = RawDocument::from_bytes(array.as_bytes()).map_err(|error| describe(&error))?;
    check_elements(document, level)
}

fn is_utf8(error: &BsonError) -> bool {
    matches!(error.kind, bson::error::ErrorKind::Utf8Encoding { .. })
}

fn describe(error: &BsonError) -> String {
    format!("not valid BSON: {error}")
}
