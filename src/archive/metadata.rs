//! Options and indexes of a collection, the text of `metadata.json`: Extended JSON of the second version, or of the first,
//! which mongodump wrote until 4.2.

use crate::archive::json;
use crate::archive::namespace::printable;
use chrono::DateTime;
use mongodb::bson::error::Error;
use mongodb::bson::{Bson, Document};
use serde_json::{Map, Value, json};
use std::thread::{self, ScopedJoinHandle};

/// Characters of a problem that are told; it may quote any value.
const TOLD: usize = 200;

/// Deeper than this, a thread's usual stack may not last for the conversion to BSON …
const USUAL_LEVELS: usize = 40;
/// … and this one, in bytes, does.
const DEEP_STACK: usize = 64 * 1024 * 1024;

/// What the text says, or why it cannot be read.
pub(crate) fn parse(text: &str) -> Result<Document, String> {
    if json::depth(text.as_bytes()) <= USUAL_LEVELS {
        return parse_here(text);
    }
    let joined = thread::scope(|scope| {
        let deep = thread::Builder::new().stack_size(DEEP_STACK);
        deep.spawn_scoped(scope, || parse_here(text))
            .map(ScopedJoinHandle::join)
    });
    match joined.map_err(|error| unreadable(&error.to_string()))? {
        Ok(parsed) => parsed,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn parse_here(text: &str) -> Result<Document, String> {
    let json: Value =
        json::from_slice(text.as_bytes()).map_err(|error| unreadable(&error.to_string()))?;
    let Bson::Document(document) = Bson::try_from(modern(json)).map_err(|error| explain(&error))?
    else {
        return Err(unreadable("it is not a document"));
    };
    if let Some(options) = document.get("options")
        && !matches!(options, Bson::Document(_) | Bson::Null)
    {
        return Err(unreadable("options is not a document"));
    }
    let is_list = |value: &Bson| match value {
        Bson::Array(indexes) => indexes.iter().all(|one| one.as_document().is_some()),
        other => *other == Bson::Null,
    };
    match document.get("indexes").is_none_or(is_list) {
        true => Ok(document),
        false => Err(unreadable("indexes is not a list of documents")),
    }
}

fn explain(error: &Error) -> String {
    let message = error.message.clone();
    unreadable(&message.unwrap_or_else(|| error.kind.to_string()))
}

fn unreadable(problem: &str) -> String {
    let told: String = problem.chars().take(TOLD).collect();
    let problem = printable(&told);
    format!("its options and indexes cannot be read: {problem}")
}

/// Says a value as the second version says it, at any depth.
fn modern(value: Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(modern).collect()),
        Value::Object(fields) => typed(&fields).unwrap_or_else(|| {
            let fields = fields.into_iter();
            Value::Object(fields.map(|(key, value)| (key, modern(value))).collect())
        }),
        other => other,
    }
}

/// A value that the first version says in another way than the second.
fn typed(fields: &Map<String, Value>) -> Option<Value> {
    if let (2, Some(Value::String(base64)), Some(Value::String(subtype))) =
        (fields.len(), fields.get("$binary"), fields.get("$type"))
    {
        // Its zero in front may be missing.
        let subtype = format!("{subtype:0>2}");
        return Some(json!({ "$binary": { "base64": base64, "subType": subtype } }));
    }
    let (key, value) = fields.iter().next().filter(|_| fields.len() == 1)?;
    match (key.as_str(), value) {
        ("$numberLong", Value::Number(number)) => {
            Some(json!({ "$numberLong": number.to_string() }))
        }
        // As the shell and old tools wrote them: the offset without a colon.
        ("$date", Value::String(text)) => {
            let date = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").ok()?;
            let millis = date.timestamp_millis().to_string();
            Some(json!({ "$date": { "$numberLong": millis } }))
        }
        // Until 2.4.
        ("$undefined", _) => Some(json!({ "$undefined": true })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, doc};

    #[test]
    fn both_versions_of_extended_json_are_read() {
        let binary = |bytes: &[u8], subtype| Binary {
            subtype,
            bytes: bytes.to_vec(),
        };
        let date = bson::DateTime::from_millis;
        let filter = r#"{"options":{},"indexes":[{"partialFilterExpression":{
            "old": {"$binary":"AQI=","$type":"03"}, "turned": {"$type":"3","$binary":"AQI="},
            "new": {"$binary":{"base64":"AQI=","subType":"00"}}, "type": {"$type":"string"},
            "number": {"$date":-5}, "text": {"$date":"2014-02-03T04:05:06.007+0100"}, "utc": {"$date":"2014-02-03T03:05:06.007Z"},
            "long": [{"$numberLong":5}, {"$numberLong":"6"}], "nothing": {"$undefined":true}, "int": 7}}]}"#;
        let read = parse(filter).unwrap();
        let index = read.get_array("indexes").unwrap()[0].as_document().unwrap();
        assert_eq!(
            index.get_document("partialFilterExpression").unwrap(),
            &doc! {
                "old": binary(&[1, 2], BinarySubtype::UuidOld), "turned": binary(&[1, 2], BinarySubtype::UuidOld),
                "new": binary(&[1, 2], BinarySubtype::Generic), "type": { "$type": "string" },
                "number": date(-5), "text": date(1_391_396_706_007_i64), "utc": date(1_391_396_706_007_i64),
                "long": [5_i64, 6_i64], "nothing": Bson::Undefined, "int": 7,
            }
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_and_never_nothing() {
        let long = format!(
            r#"{{"options":{{"a":{{"$oid":"{}"}}}}}}"#,
            "x\\u001b".repeat(1000)
        );
        for text in [
            "",
            "[]",
            r#"{"indexes":5}"#,
            r#"{"indexes":[5]}"#,
            r#"{"options":"x"}"#,
            r#"{"options":{"a":{"$numberLong":"x"}}}"#,
            r#"{"indexes":[{"partialFilterExpression":{"a":{"$binary":"AQI="}}}]}"#,
            &long,
        ] {
            let problem = parse(text).unwrap_err();
            let told = problem.starts_with("its options and indexes cannot be read: ");
            assert!(
                told && problem.len() < 2000 && !problem.contains('\u{1b}'),
                "{problem}"
            );
        }
        assert!(parse(r#"{"options":null}"#).is_ok());
    }
}
