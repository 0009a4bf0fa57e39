//! Values as mongosh reads them.

use crate::archive::extended_json::{self, JsonStyle};
use crate::archive::namespace::printable;
use mongodb::bson::Bson;

/// Whole numbers up to here are exact in JavaScript.
const LARGEST_EXACT: u64 = 1 << 53;

/// A value as JavaScript, in one line and without anything that could confuse a terminal.
pub(crate) fn script(value: &Bson) -> String {
    // JavaScript moves keys that look like numbers to the front, and takes this name for something else.
    let needs_map = |key: &String| key == "__proto__" || key.parse::<u32>().is_ok();
    match value {
        Bson::Document(document) if document.keys().any(needs_map) => {
            let pair =
                |(key, value): (&String, &Bson)| format!("[{}, {}]", quoted(key), script(value));
            let pairs: Vec<String> = document.iter().map(pair).collect();
            format!("new Map([{}])", pairs.join(", "))
        }
        Bson::Document(document) => {
            let pair =
                |(key, value): (&String, &Bson)| format!("{}: {}", quoted(key), script(value));
            let pairs: Vec<String> = document.iter().map(pair).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Bson::Array(values) => {
            let values: Vec<String> = values.iter().map(script).collect();
            format!("[{}]", values.join(", "))
        }
        Bson::String(text) => quoted(text),
        Bson::Boolean(value) => value.to_string(),
        Bson::Null => "null".into(),
        Bson::Int32(number) => number.to_string(),
        Bson::Int64(number) if number.unsigned_abs() <= LARGEST_EXACT => number.to_string(),
        Bson::Double(number) if number.is_finite() => number.to_string(),
        other => {
            let json = extended_json::value(other.clone(), JsonStyle::Canonical).to_string();
            format!("EJSON.deserialize({})", printable(&json))
        }
    }
}

fn quoted(text: &str) -> String {
    let escaped = |c: char| match printable(c.encode_utf8(&mut [0; 4])).len() == c.len_utf8() {
        true => c.to_string(),
        false => format!("\\u{:04x}", u32::from(c)),
    };
    // Control characters are escaped by then; what is left of them are those that JSON allows.
    let json = serde_json::Value::String(text.to_owned()).to_string();
    json.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    #[test]
    fn what_javascript_would_change_is_said_otherwise() {
        assert_eq!(
            script(&Bson::Document(doc! { "2": 1, "1": i64::MIN })),
            "new Map([[\"2\", 1], [\"1\", EJSON.deserialize({\"$numberLong\":\"-9223372036854775808\"})]])"
        );
    }
}
