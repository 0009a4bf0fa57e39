//! Documents as MongoDB Extended JSON, one a line.

use super::bson_framer;
use super::element::{self, Element, elements, kind};
use mongodb::bson::error::Error;
use mongodb::bson::{Binary, Bson, JavaScriptCodeWithScope, RawBson, RawDocumentBuf};
use serde_json::map::Entry;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Dates that relaxed JSON writes for people, in milliseconds: from 1970 to the end of the year 9999.
const WRITTEN_DATES: std::ops::RangeInclusive<i64> = 0..=253_402_300_799_999;

/// How much of a value's type is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonStyle {
    /// Numbers and dates as people write them.
    Relaxed,
    /// Every type by its name, so that nothing is lost on the way back.
    Canonical,
}

/// A document on one line, and whether all of it is in there: a text or a key that is not UTF-8 has no place in JSON, and is
/// replaced; of a key that is there twice the first is written, by which queries go; an old binary that says another length
/// of its inside than it has is written with all of its bytes.
pub(crate) fn to_json(document: &[u8], style: JsonStyle) -> Result<(String, bool), String> {
    // Before anything goes into its depth.
    bson_framer::check(document)?;
    let mut writer = Writer { style, whole: true };
    let json = writer
        .document(document)
        .map_err(|error| error.to_string())?;
    Ok((json.to_string(), writer.whole))
}

struct Writer {
    style: JsonStyle,
    /// Nothing was lost.
    whole: bool,
}

impl Writer {
    fn document(&mut self, document: &[u8]) -> Result<Value, Error> {
        let mut fields = Map::new();
        for Element { key, value } in elements(document) {
            let value = self.value(value)?;
            let key = String::from_utf8_lossy(key);
            self.whole &= matches!(key, Cow::Borrowed(_));
            match fields.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(_) => self.whole = false,
            }
        }
        Ok(Value::Object(fields))
    }

    fn value(&mut self, found: element::Value) -> Result<Value, Error> {
        match found.kind {
            kind::DOCUMENT => return self.document(found.bytes),
            kind::ARRAY => {
                let values = elements(found.bytes).map(|one| self.value(one.value));
                return values.collect::<Result<_, _>>().map(Value::Array);
            }
            _ => {}
        }
        // Alone in a document, for the driver to read.
        let alone = RawDocumentBuf::from_bytes(alone(found))?;
        let Some(element) = alone.iter_elements().next().transpose()? else {
            return Ok(Value::Null);
        };
        let owned = match element.value() {
            Ok(value) => RawBson::from(value),
            Err(_) => {
                self.whole = false;
                match found.kind {
                    kind::BINARY => RawBson::Binary(all_of(found.bytes)),
                    _ => element.value_utf8_lossy()?,
                }
            }
        };
        match owned {
            RawBson::JavaScriptCodeWithScope(code) => Ok(json!({
                "$code": code.code,
                "$scope": self.document(code.scope.as_bytes())?,
            })),
            other => Ok(value(Bson::try_from(other)?, self.style)),
        }
    }
}

/// A document with one value under an empty key.
fn alone(value: element::Value) -> Vec<u8> {
    let length = 4 + 2 + value.bytes.len() + 1;
    let mut bytes = Vec::with_capacity(length);
    // No document is as long as 4 GiB.
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&[value.kind, 0]);
    bytes.extend_from_slice(value.bytes);
    bytes.push(0);
    bytes
}

/// An old binary as it lies there, with the length in its inside.
fn all_of(bytes: &[u8]) -> Binary {
    Binary {
        subtype: bytes.get(4).copied().unwrap_or_default().into(),
        bytes: bytes.get(5..).unwrap_or_default().to_vec(),
    }
}

/// A value as JSON.
pub(crate) fn value(value: Bson, style: JsonStyle) -> Value {
    let inner = |one: Bson| self::value(one, style);
    match value {
        Bson::Document(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, one)| (key, inner(one)))
                .collect(),
        ),
        Bson::Array(values) => Value::Array(values.into_iter().map(inner).collect()),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope }) => {
            json!({ "$code": code, "$scope": inner(Bson::Document(scope)) })
        }
        // It has no sign there, whatever its bits say.
        Bson::Double(number) if number.is_nan() => json!({ "$numberDouble": "NaN" }),
        // Those that are next to nothing are written without their type otherwise.
        Bson::Double(number) if number.is_subnormal() && style == JsonStyle::Canonical => {
            json!({ "$numberDouble": format!("{number:e}") })
        }
        Bson::DateTime(date) if !WRITTEN_DATES.contains(&date.timestamp_millis()) => {
            json!({ "$date": { "$numberLong": date.timestamp_millis().to_string() } })
        }
        other => match style {
            JsonStyle::Relaxed => other.into_relaxed_extjson(),
            JsonStyle::Canonical => other.into_canonical_extjson(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{DateTime, RawDocument, doc, rawdoc};

    fn json(document: &RawDocument, style: JsonStyle) -> (String, bool) {
        to_json(document.as_bytes(), style).unwrap()
    }

    /// By the Extended JSON v2 specification: years from 1970 to 9999 are written for people, all others as numbers.
    #[test]
    fn dates_are_written_as_they_are_whatever_their_year() {
        for (millis, wanted) in [
            (0, r#"{"$date":"1970-01-01T00:00:00Z"}"#),
            (
                253_402_300_799_999,
                r#"{"$date":"9999-12-31T23:59:59.999Z"}"#,
            ),
            (
                253_402_300_800_000,
                r#"{"$date":{"$numberLong":"253402300800000"}}"#,
            ),
            (-1, r#"{"$date":{"$numberLong":"-1"}}"#),
            (
                i64::MAX,
                r#"{"$date":{"$numberLong":"9223372036854775807"}}"#,
            ),
            (
                i64::MIN,
                r#"{"$date":{"$numberLong":"-9223372036854775808"}}"#,
            ),
        ] {
            let date = DateTime::from_millis(millis);
            let document = rawdoc! { "a": [{ "b": date }] };
            let (text, whole) = json(&document, JsonStyle::Relaxed);
            assert_eq!(
                (text, whole),
                (format!(r#"{{"a":[{{"b":{wanted}}}]}}"#), true)
            );
            let said = value(Bson::Array(vec![date.into()]), JsonStyle::Relaxed);
            assert_eq!(said.to_string(), format!("[{wanted}]"));
            let (text, _) = json(&document, JsonStyle::Canonical);
            let wanted = format!(r#"{{"a":[{{"b":{{"$date":{{"$numberLong":"{millis}"}}}}}}]}}"#);
            assert_eq!(text, wanted);
        }
    }

    #[test]
    fn what_is_no_number_has_no_sign() {
        for bits in [0x7ff8_0000_0000_0000, 0xfff8_0000_0000_0000] {
            for style in [JsonStyle::Relaxed, JsonStyle::Canonical] {
                let document = rawdoc! { "a": f64::from_bits(bits), "b": f64::NEG_INFINITY };
                let wanted = r#"{"a":{"$numberDouble":"NaN"},"b":{"$numberDouble":"-Infinity"}}"#;
                assert_eq!(json(&document, style), (wanted.into(), true));
            }
        }
    }

    #[test]
    fn a_number_that_is_next_to_nothing_has_its_type() {
        let document = rawdoc! { "a": 5e-324, "b": -2.5e-310 };
        let (text, _) = json(&document, JsonStyle::Canonical);
        let wanted = r#"{"a":{"$numberDouble":"5e-324"},"b":{"$numberDouble":"-2.5e-310"}}"#;
        assert_eq!(text, wanted);
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_first_is_written_and_the_loss_is_told() {
        let mut inner = rawdoc! { "b": 1 };
        inner.append(mongodb::bson::cstr!("b"), 2);
        let document = rawdoc! { "a": [inner.clone()], "c": inner, "d": [1, 1] };
        let wanted = r#"{"a":[{"b":1}],"c":{"b":1},"d":[1,1]}"#;
        assert_eq!(json(&document, JsonStyle::Relaxed), (wanted.into(), false));
        let once = rawdoc! { "a": { "b": 1 }, "b": { "b": 1 } };
        assert!(json(&once, JsonStyle::Canonical).1);
    }

    #[test]
    fn texts_that_are_not_utf8_are_replaced_and_the_loss_is_told() {
        let mut bytes = doc! { "a": { "b": ["text"] }, "c": 1 }.to_vec().unwrap();
        let at = bytes.windows(4).position(|part| part == b"text").unwrap();
        bytes[at] = 0xff;
        let lost = to_json(&bytes, JsonStyle::Relaxed).unwrap();
        assert_eq!(
            lost,
            ("{\"a\":{\"b\":[\"\u{fffd}ext\"]},\"c\":1}".into(), false)
        );
    }

    #[test]
    fn what_no_driver_reads_is_replaced_and_the_loss_is_told() {
        let old = Binary {
            subtype: BinarySubtype::BinaryOld,
            bytes: b"hello".to_vec(),
        };
        let whole = doc! { "b": old, "key": [{ "key": 1 }] }.to_vec().unwrap();
        assert!(to_json(&whole, JsonStyle::Relaxed).unwrap().1);
        let changed = |part: &[u8], by: u8| {
            let mut bytes = whole.clone();
            let at = bytes.windows(part.len()).position(|one| one == part);
            bytes[at.unwrap()] = by;
            to_json(&bytes, JsonStyle::Relaxed).unwrap()
        };
        let (text, is_whole) = changed(b"\x05\0\0\0hello", 9);
        assert!(!is_whole && text.contains("CQAAAGhlbGxv"), "{text}");
        let (text, is_whole) = changed(b"key\0\x01\0\0\0", 0xff);
        assert!(!is_whole && text.contains("{\"\u{fffd}ey\":1}"), "{text}");
    }
}
