//! Reads queries, and refuses what is not understood.

use super::path::Path;
use super::pattern::Pattern;
use super::{Comparison, OneOf, Operand, Predicate, QueryError, Test};
use crate::archive::element::elements;
use crate::archive::namespace::printable;
use mongodb::bson::{Bson, Document, doc};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use std::fmt;

const KNOWN: &str = "$in $gt $gte $lt $lte $ne $exists $and $or $not $regex $options";

pub(super) fn query(text: &str) -> Result<Predicate, QueryError> {
    let Unambiguous(json) = serde_json::from_str(text)
        .map_err(|error| QueryError(format!("it is not Extended JSON: {error}")))?;
    let document = match Bson::try_from(json) {
        Ok(Bson::Document(document)) => document,
        Ok(_) => return Err(refusal("it is not a document, such as {\"_id\": 5}")),
        Err(error) => return Err(refusal(format!("it is not Extended JSON: {error}"))),
    };
    conjunction(&document)
}

fn refusal(text: impl Into<String>) -> QueryError {
    QueryError(text.into())
}

fn unknown(operator: &str) -> QueryError {
    refusal(format!(
        "{} is not understood here; {KNOWN} are",
        printable(operator)
    ))
}

/// All of a document's fields have to fit.
fn conjunction(document: &Document) -> Result<Predicate, QueryError> {
    let mut all = Vec::new();
    for (key, value) in document {
        all.push(match key.as_str() {
            "$and" => Predicate::All(alternatives(key, value)?),
            "$or" => Predicate::Any(alternatives(key, value)?),
            "$not" => {
                return Err(refusal(
                    "$not stands behind a field: {\"field\": {\"$not\": {…}}}",
                ));
            }
            _ if key.starts_with('$') => return Err(unknown(key)),
            _ => field(&Path::parse(key), value)?,
        });
    }
    Ok(Predicate::All(all))
}

fn alternatives(operator: &str, value: &Bson) -> Result<Vec<Predicate>, QueryError> {
    let wrong = || {
        refusal(format!(
            "{operator} takes a list of documents, at least one"
        ))
    };
    let list = value.as_array().filter(|list| !list.is_empty());
    list.ok_or_else(wrong)?
        .iter()
        .map(|one| conjunction(one.as_document().ok_or_else(wrong)?))
        .collect()
}

/// What a field has to be: a value, or what operators say.
fn field(path: &Path, value: &Bson) -> Result<Predicate, QueryError> {
    match value {
        Bson::Document(document) if is_operators(document) => operators(path, document),
        Bson::RegularExpression(regex) => {
            let pattern = Pattern::new(regex.pattern.as_str(), regex.options.as_str())?;
            Ok(Predicate::Field(path.clone(), Test::Pattern(pattern)))
        }
        value => compare(path, Comparison::Equal, value),
    }
}

fn is_operators(document: &Document) -> bool {
    // Those of a reference to another document are fields.
    document
        .keys()
        .next()
        .is_some_and(|key| key.starts_with('$') && key != "$ref")
}

fn operators(path: &Path, document: &Document) -> Result<Predicate, QueryError> {
    let mut all = Vec::new();
    for (operator, value) in document {
        let one = match operator.as_str() {
            "$gt" => compare(path, Comparison::Greater, value)?,
            "$gte" => compare(path, Comparison::GreaterOrEqual, value)?,
            "$lt" => compare(path, Comparison::Less, value)?,
            "$lte" => compare(path, Comparison::LessOrEqual, value)?,
            "$ne" => not(compare(path, Comparison::Equal, value)?),
            "$in" => Predicate::Field(path.clone(), list(value)?),
            "$exists" => exists(path, value),
            "$not" => negation(path, value)?,
            "$regex" => regex(path, value, document.get("$options"))?,
            "$options" if document.contains_key("$regex") => continue,
            "$options" => return Err(refusal("$options stands beside $regex")),
            other if other.starts_with('$') => return Err(unknown(other)),
            other => {
                let other = printable(other);
                return Err(refusal(format!(
                    "{other:?} stands among operators, and is none"
                )));
            }
        };
        all.push(one);
    }
    Ok(Predicate::All(all))
}

fn not(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

fn compare(path: &Path, comparison: Comparison, value: &Bson) -> Result<Predicate, QueryError> {
    if matches!(value, Bson::RegularExpression(_)) {
        return Err(refusal(
            "a regular expression cannot be compared with: use {\"$not\": {\"$regex\": …}} or $in",
        ));
    }
    let test = Test::Compare(comparison, operand(value)?);
    Ok(Predicate::Field(path.clone(), test))
}

fn list(value: &Bson) -> Result<Test, QueryError> {
    let Bson::Array(values) = value else {
        return Err(refusal("$in takes a list"));
    };
    let (mut operands, mut patterns) = (Vec::new(), Vec::new());
    for value in values {
        match value {
            Bson::RegularExpression(regex) => patterns.push(Pattern::new(
                regex.pattern.as_str(),
                regex.options.as_str(),
            )?),
            Bson::Document(document) if is_operators(document) => {
                return Err(refusal("$in takes values, and no operators"));
            }
            value => operands.push(operand(value)?),
        }
    }
    Ok(Test::In(OneOf::new(operands), patterns))
}

/// Whatever is not false, zero or null asks for a field that is there.
fn exists(path: &Path, value: &Bson) -> Predicate {
    let wanted = match value {
        Bson::Boolean(wanted) => *wanted,
        Bson::Int32(number) => *number != 0,
        Bson::Int64(number) => *number != 0,
        Bson::Double(number) => *number != 0.0,
        Bson::Decimal128(number) => number
            .to_string()
            .contains(|c: char| ('1'..='9').contains(&c)),
        Bson::Null | Bson::Undefined => false,
        _ => true,
    };
    let exists = Predicate::Field(path.clone(), Test::Exists);
    if wanted { exists } else { not(exists) }
}

fn negation(path: &Path, value: &Bson) -> Result<Predicate, QueryError> {
    match value {
        Bson::Document(document) if is_operators(document) => operators(path, document).map(not),
        Bson::RegularExpression(_) => field(path, value).map(not),
        _ => Err(refusal(
            "$not takes operators, such as {\"$not\": {\"$gt\": 5}}, or a regular expression",
        )),
    }
}

fn regex(path: &Path, value: &Bson, options: Option<&Bson>) -> Result<Predicate, QueryError> {
    let options = match options {
        None => None,
        Some(Bson::String(options)) => Some(options.as_str()),
        Some(_) => return Err(refusal("$options takes a text, such as \"i\"")),
    };
    let pattern = match value {
        Bson::String(pattern) => Pattern::new(pattern, options.unwrap_or_default())?,
        Bson::RegularExpression(regex) => {
            let own = regex.options.as_str();
            if !own.is_empty() && options.is_some() {
                return Err(refusal(
                    "options are given twice, in $regex and in $options",
                ));
            }
            Pattern::new(regex.pattern.as_str(), options.unwrap_or(own))?
        }
        _ => return Err(refusal("$regex takes a text")),
    };
    Ok(Predicate::Field(path.clone(), Test::Pattern(pattern)))
}

/// A value in its BSON bytes.
fn operand(value: &Bson) -> Result<Operand, QueryError> {
    if *value == Bson::Undefined {
        return Err(refusal("undefined cannot be compared with"));
    }
    let bytes = doc! { "": value.clone() }
        .to_vec()
        .map_err(|error| refusal(format!("a value has no place in a document: {error}")))?;
    let found = elements(&bytes).next();
    let found = found.ok_or_else(|| refusal("a value has no place in a document"))?;
    Ok(Operand {
        kind: found.value.kind,
        bytes: found.value.bytes.to_vec(),
    })
}

/// JSON in which no key is twice in one object: the first of two would be lost without a word, and with it a condition.
struct Unambiguous(Json);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Unambiguous)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some((key, Unambiguous(value))) = map.next_entry::<String, Unambiguous>()? {
            if object.contains_key(&key) {
                let problem = format!("{key:?} is there twice in one document");
                return Err(serde::de::Error::custom(problem));
            }
            object.insert(key, value);
        }
        Ok(object.into())
    }
}
