//! Which fields of two documents differ, and how each value reads.

use super::FieldDifference;
use crate::archive::element::{Value, elements, get, kind};
use crate::archive::extended_json::{JsonStyle, to_json};
use crate::archive::namespace::printable;
use std::collections::HashMap;

/// Fields named of one document.
const MOST_FIELDS: usize = 50;
/// Documents in documents that are gone into; deeper ones are one value.
const DEEPEST: usize = 20;
/// Fields of a document that are looked through for each; more of them are sorted first.
const FEW: usize = 32;
/// Longer values are cut.
const SHOWN_CHARS: usize = 200;

/// The fields that differ, at most [`MOST_FIELDS`] of them. None when nothing but their order does.
pub(crate) fn differences(one: &[u8], two: &[u8]) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    compare(one, two, "", 0, &mut found);
    found
}

fn compare(one: &[u8], two: &[u8], above: &str, depth: usize, found: &mut Vec<FieldDifference>) {
    let (in_one, in_two) = (Fields::of(one), Fields::of(two));
    let mut beside = elements(two);
    for element in elements(one) {
        if found.len() >= MOST_FIELDS {
            return;
        }
        // Fields mostly stand in the same order.
        let other = match beside.next() {
            Some(other) if other.key == element.key => Some(other.value),
            _ => in_two.get(element.key),
        };
        match other {
            Some(other) if other == element.value => {}
            Some(other)
                if (element.value.kind, other.kind) == (kind::DOCUMENT, kind::DOCUMENT)
                    && depth < DEEPEST =>
            {
                let (path, before) = (path(above, element.key), found.len());
                compare(element.value.bytes, other.bytes, &path, depth + 1, found);
                if found.len() == before {
                    push(found, path, Some(element.value), Some(other));
                }
            }
            other => push(found, path(above, element.key), Some(element.value), other),
        }
    }
    for element in elements(two).filter(|element| in_one.get(element.key).is_none()) {
        if found.len() >= MOST_FIELDS {
            return;
        }
        push(found, path(above, element.key), None, Some(element.value));
    }
}

/// The fields of a document by their keys; the first, where a key is there twice.
enum Fields<'a> {
    Few(&'a [u8]),
    Many(HashMap<&'a [u8], Value<'a>>),
}

impl<'a> Fields<'a> {
    fn of(document: &'a [u8]) -> Self {
        if elements(document).nth(FEW).is_none() {
            return Fields::Few(document);
        }
        let mut fields = HashMap::new();
        for element in elements(document) {
            fields.entry(element.key).or_insert(element.value);
        }
        Fields::Many(fields)
    }

    fn get(&self, key: &[u8]) -> Option<Value<'a>> {
        match self {
            Fields::Few(document) => get(document, key),
            Fields::Many(fields) => fields.get(key).copied(),
        }
    }
}

fn path(above: &str, key: &[u8]) -> String {
    let key = printable(&String::from_utf8_lossy(key));
    match above {
        "" => key,
        above => format!("{above}.{key}"),
    }
}

fn push(found: &mut Vec<FieldDifference>, path: String, from: Option<Value>, to: Option<Value>) {
    if found.len() >= MOST_FIELDS {
        return;
    }
    let mut style = JsonStyle::Relaxed;
    let alike = |style| match (from, to) {
        (Some(from), Some(to)) => shown(from, style) == shown(to, style),
        _ => false,
    };
    if alike(style) {
        // Such as 1 and 1, of which one takes twice as many bytes.
        style = JsonStyle::Canonical;
    }
    found.push(FieldDifference {
        path,
        from: from.map(|value| shown(value, style)),
        to: to.map(|value| shown(value, style)),
    });
}

/// A value as Extended JSON, cut when it is long.
pub(crate) fn shown(value: Value, style: JsonStyle) -> String {
    let Value { kind, bytes } = value;
    // A document of this value alone, with the shortest of keys.
    let mut document = Vec::with_capacity(bytes.len() + 8);
    document.extend_from_slice(&(bytes.len() as u32 + 8).to_le_bytes());
    document.extend_from_slice(&[kind, b'v', 0]);
    document.extend_from_slice(bytes);
    document.push(0);
    let Ok((text, _)) = to_json(&document, style) else {
        return "(not valid BSON)".into();
    };
    let text = text.strip_prefix("{\"v\":").unwrap_or(&text);
    let text = text.strip_suffix('}').unwrap_or(text);
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", printable(&text[..at])),
        None => printable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{Document, doc};

    fn named(one: Document, two: Document) -> Vec<String> {
        let found = differences(&one.to_vec().unwrap(), &two.to_vec().unwrap());
        let shown = |side: Option<String>| side.unwrap_or_else(|| "-".into());
        found
            .into_iter()
            .map(|field| {
                format!(
                    "{}: {} > {}",
                    field.path,
                    shown(field.from),
                    shown(field.to)
                )
            })
            .collect()
    }

    #[test]
    fn fields_are_named_by_their_paths_with_both_values() {
        let one = doc! { "_id": 1, "a": 1, "b": { "c": 1, "d": { "e": "x" } }, "l": [1, 2], "gone": true };
        let two = doc! { "_id": 1, "a": 2, "b": { "c": 1, "d": { "e": "y" } }, "l": [1], "new": 5 };
        assert_eq!(
            named(one.clone(), two),
            [
                "a: 1 > 2",
                "b.d.e: \"x\" > \"y\"",
                "l: [1,2] > [1]",
                "gone: true > -",
                "new: - > 5"
            ]
        );
        assert!(named(one.clone(), one).is_empty());
        assert!(named(doc! { "a": 1, "b": 2 }, doc! { "b": 2, "a": 1 }).is_empty());
        assert_eq!(
            named(doc! { "a": 1 }, doc! { "a": 1_i64 }),
            ["a: {\"$numberInt\":\"1\"} > {\"$numberLong\":\"1\"}"]
        );
        let long = named(doc! { "a": "ñ".repeat(1000) }, doc! {});
        assert_eq!(long[0].chars().count(), 3 + 200 + 1 + 4);
    }
    /// Looking through all for each, this takes minutes.
    #[test]
    fn a_hundred_thousand_fields_in_another_order_are_compared_at_once() {
        let fields = 0..100_000;
        let one: Document = fields
            .clone()
            .map(|n| (format!("k{n}"), n.into()))
            .collect();
        let mut two: Document = fields.rev().map(|n| (format!("k{n}"), n.into())).collect();
        two.insert("k5", "x");
        assert_eq!(named(one.clone(), two), ["k5: 5 > \"x\""]);
        assert_eq!(named(one.clone(), doc! {}).len(), MOST_FIELDS);
        assert_eq!(named(doc! {}, one).len(), MOST_FIELDS);
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_first_counts_among_few_and_many() {
        for more in [0, FEW] {
            let fields = |first: i32, second: i32| {
                let mut bytes: Vec<u8> = Vec::new();
                let key = |n: usize| format!("k{n}");
                let all = (0..more).map(|n| (key(n), 0));
                for (key, value) in all.chain([("a".into(), first), ("a".into(), second)]) {
                    bytes.push(kind::INT32);
                    bytes.extend_from_slice(key.as_bytes());
                    bytes.push(0);
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
                let length = bytes.len() as u32 + 5;
                [&length.to_le_bytes()[..], &bytes, &[0]].concat()
            };
            let other = doc! { "b": 1, "c": 1, "a": 2 }.to_vec().unwrap();
            let found = differences(&other, &fields(2, 3));
            let named = |name: &str| found.iter().any(|field| field.path == name);
            assert!(named("b") && !named("a"), "{found:?}");
        }
    }
}
