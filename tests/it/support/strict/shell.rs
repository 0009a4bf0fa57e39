//! Values in the words in which MongoDB shows them.

use mongodb::bson::{Bson, Document};

pub(super) fn number_of(document: &Document, field: &str) -> Option<f64> {
    document.get(field).and_then(number)
}

pub(super) fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        _ => None,
    }
}

pub(super) fn type_name(value: &Bson) -> &'static str {
    match value {
        Bson::Boolean(_) => "bool",
        Bson::String(_) => "string",
        Bson::Document(_) => "object",
        Bson::Array(_) => "array",
        Bson::Null => "null",
        Bson::DateTime(_) => "date",
        _ => "other",
    }
}

/// A document in the words in which MongoDB shows it.
pub(super) fn shown(document: &Document) -> String {
    let fields: Vec<String> = document
        .iter()
        .map(|(name, its)| format!("{name}: {}", value(its)))
        .collect();
    if fields.is_empty() {
        "{}".into()
    } else {
        format!("{{ {} }}", fields.join(", "))
    }
}

pub(super) fn value(value: &Bson) -> String {
    let list = |values: &[Bson]| {
        values
            .iter()
            .map(self::value)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match value {
        Bson::String(text) => format!("\"{text}\""),
        Bson::Document(document) => shown(document),
        Bson::Array(values) if values.is_empty() => "[]".into(),
        Bson::Array(values) => format!("[ {} ]", list(values)),
        Bson::Null => "null".into(),
        other => other.to_string(),
    }
}
