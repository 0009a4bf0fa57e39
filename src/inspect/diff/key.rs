//! What tells documents apart: their `_id`, as bytes of a fixed size.

use crate::archive::element::{Value, get};
use sha2::{Digest, Sha256};

/// A type, and a value that is at most as long as a UUID's; that is nearly every `_id` there is.
const KEPT_BYTES: usize = 23;
/// Stands for the length of a longer one, of which a checksum is kept.
const LONGER: u8 = u8::MAX;

/// An `_id`, or the checksum of a long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; KEPT_BYTES + 1]);

impl Key {
    pub(super) fn of(document: &[u8]) -> Self {
        let Value { kind, bytes } = id(document);
        let mut key = [0; KEPT_BYTES + 1];
        let length = bytes.len() + 1;
        if length <= KEPT_BYTES {
            key[0] = length as u8;
            key[1] = kind;
            key[2..=length].copy_from_slice(bytes);
        } else {
            key[0] = LONGER;
            let mut hash = Sha256::new();
            hash.update([kind]);
            hash.update(bytes);
            key[1..].copy_from_slice(&hash.finalize()[..KEPT_BYTES]);
        }
        Key(key)
    }

    /// The `_id` itself, where it was kept.
    pub(super) fn id(&self) -> Option<Value<'_>> {
        match self.0[0] {
            LONGER => None,
            length => Some(Value {
                kind: self.0[1],
                bytes: &self.0[2..=usize::from(length)],
            }),
        }
    }
}

/// A document's `_id`. Of one without, all of it: no document is the same as another one then.
pub(super) fn id(document: &[u8]) -> Value<'_> {
    get(document, b"_id").unwrap_or(Value {
        kind: 0,
        bytes: document,
    })
}

/// A document's content, short enough to be remembered of many.
pub(super) fn checksum(document: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(document)[..16]);
    short
}
