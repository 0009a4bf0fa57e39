//! Documents as MongoDB Extended JSON, one a line.

use super::bson_framer;
use mongodb::bson::{Bson, Document, RawDocument, Utf8Lossy};

/// How much of a value's type is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonStyle {
    /// Numbers and dates as people write them.
    Relaxed,
    /// Every type by its name, so that nothing is lost on the way back.
    Canonical,
}

/// A document on one line, and whether all of its texts are UTF-8: what is not has no place in JSON, and is replaced.
pub(crate) fn to_json(document: &[u8], style: JsonStyle) -> Result<(String, bool), String> {
    // Before anything goes into its depth.
    bson_framer::check(document)?;
    let raw = RawDocument::from_bytes(document).map_err(|error| error.to_string())?;
    let (document, whole) = match Document::try_from(raw) {
        Ok(document) => (document, true),
        Err(_) => {
            let lossy = Utf8Lossy::<Document>::try_from(raw).map_err(|error| error.to_string())?;
            (lossy.0, false)
        }
    };
    Ok((value(Bson::Document(document), style).to_string(), whole))
}

/// A value as JSON.
pub(crate) fn value(value: Bson, style: JsonStyle) -> serde_json::Value {
    match style {
        JsonStyle::Relaxed => value.into_relaxed_extjson(),
        JsonStyle::Canonical => value.into_canonical_extjson(),
    }
}
