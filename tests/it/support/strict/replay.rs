//! `applyOps`, which the stand-in does not know: each operation of an oplog as the command that does the same.

use super::Upstream;
use mongodb::bson::{Bson, Document, doc};

/// Applies what the command holds, in its order, and ends at the first operation that fails.
pub(super) fn apply(command: &Document, server: &mut Upstream) -> Document {
    let operations = command.get_array("applyOps").cloned().unwrap_or_default();
    let mut results = Vec::new();
    for operation in operations.iter().filter_map(Bson::as_document) {
        if let Err(problem) = one(operation, server) {
            results.push(Bson::Boolean(false));
            let words = format!("{problem}: {operation}");
            return doc! { "applied": results.len() as i32, "code": 8, "codeName": "UnknownError", "errmsg": words,
            "results": results, "ok": 0.0 };
        }
        results.push(Bson::Boolean(true));
    }
    doc! { "applied": results.len() as i32, "results": results, "ok": 1.0 }
}

fn one(operation: &Document, server: &mut Upstream) -> Result<(), String> {
    let text = |field: &str| operation.get_str(field).map_err(|error| error.to_string());
    let (database, collection) = text("ns")?.split_once('.').unwrap_or_default();
    let object = operation
        .get_document("o")
        .map_err(|error| error.to_string())?;
    let command = match text("op")? {
        "n" => return Ok(()),
        "i" => write(
            collection,
            doc! { "_id": object.get("_id") },
            Bson::from(object),
            true,
        ),
        "u" => {
            let which = operation
                .get_document("o2")
                .map_err(|error| error.to_string())?;
            // What is not there any more is made again by an insert that follows, or was removed for good.
            write(
                collection,
                which.clone(),
                update(object)?,
                !is_change(object),
            )
        }
        "d" => doc! { "delete": collection, "deletes": [{ "q": object, "limit": 1 }] },
        "c" => return database_command(database, object, server),
        other => return Err(format!("an operation of the kind {other}")),
    };
    succeeded(&server.ask(database, command))
}

fn write(collection: &str, which: Document, to: Bson, upsert: bool) -> Document {
    doc! { "update": collection, "updates": [{ "q": which, "u": to, "upsert": upsert }] }
}

fn database_command(
    database: &str,
    object: &Document,
    server: &mut Upstream,
) -> Result<(), String> {
    let (name, _) = object.iter().next().ok_or("an empty command")?;
    if name == "applyOps" {
        let answer = apply(object, server);
        return succeeded(&answer);
    }
    let mut command = object.clone();
    // What the oplog says beside the command itself.
    for field in ["idIndex", "ui", "v"] {
        command.remove(field);
    }
    if name == "createIndexes" {
        let collection = object.get_str(name).map_err(|error| error.to_string())?;
        let mut index = object.clone();
        index.remove(name);
        command = doc! { "createIndexes": collection, "indexes": [index] };
    }
    let answer = server.ask(database, command);
    // What is there already, or gone already, was so in the dump.
    if matches!(answer.get_i32("code"), Ok(26 | 48)) {
        Ok(())
    } else {
        succeeded(&answer)
    }
}

fn succeeded(answer: &Document) -> Result<(), String> {
    let fine = matches!(answer.get("ok"), Some(Bson::Double(1.0) | Bson::Int32(1)));
    if fine && !answer.contains_key("writeErrors") {
        Ok(())
    } else {
        Err(answer.to_string())
    }
}

/// Whether an update changes fields instead of replacing the document.
fn is_change(object: &Document) -> bool {
    object.keys().any(|name| name.starts_with('$'))
}

/// An update as a driver sends it, from how the oplog of any version keeps it.
pub(super) fn update(object: &Document) -> Result<Bson, String> {
    if !is_change(object) {
        return Ok(Bson::from(object));
    }
    let (mut set, mut unset) = (Document::new(), Document::new());
    if matches!(object.get("$v"), Some(Bson::Int32(2) | Bson::Int64(2))) {
        let difference = object
            .get_document("diff")
            .map_err(|error| error.to_string())?;
        fields(difference, "", &mut set, &mut unset)?;
    } else {
        set = object.get_document("$set").cloned().unwrap_or_default();
        unset = object.get_document("$unset").cloned().unwrap_or_default();
    }
    let both = [("$set", set), ("$unset", unset)];
    let changed = both.into_iter().filter(|(_, fields)| !fields.is_empty());
    Ok(Bson::Document(
        changed
            .map(|(name, fields)| (name.to_owned(), Bson::from(fields)))
            .collect(),
    ))
}

/// The fields of a difference of the second kind: `u` updates, `i` inserts, `d` deletes, `sNAME` goes deeper; in arrays
/// `uINDEX` and `sINDEX`.
fn fields(
    difference: &Document,
    path: &str,
    set: &mut Document,
    unset: &mut Document,
) -> Result<(), String> {
    let array = difference.contains_key("a");
    for (name, value) in difference {
        match (name.as_str(), value) {
            ("a", _) => {}
            ("l", _) => return Err("an array that was cut".into()),
            ("u" | "i", Bson::Document(values)) if !array => {
                set.extend(
                    values
                        .iter()
                        .map(|(field, value)| (format!("{path}{field}"), value.clone())),
                );
            }
            ("d", Bson::Document(values)) => {
                unset.extend(
                    values
                        .keys()
                        .map(|field| (format!("{path}{field}"), Bson::Boolean(true))),
                );
            }
            (update, value) if array && update.starts_with('u') => {
                set.insert(format!("{path}{}", &update[1..]), value.clone());
            }
            (deeper, Bson::Document(inner)) if deeper.starts_with('s') => {
                fields(inner, &format!("{path}{}.", &deeper[1..]), set, unset)?;
            }
            (other, _) => return Err(format!("a difference of the kind {other}")),
        }
    }
    Ok(())
}

#[test]
fn updates_of_both_kinds_are_read() {
    let second = doc! { "$v": 2, "diff": {
        "u": { "a": 1 }, "i": { "b": 2 }, "d": { "c": false },
        "sdeep": { "u": { "x": 3 } }, "slist": { "a": true, "u0": 4, "s1": { "u": { "y": 5 } } },
    } };
    let expected = doc! {
        "$set": { "a": 1, "b": 2, "deep.x": 3, "list.0": 4, "list.1.y": 5 }, "$unset": { "c": true },
    };
    assert_eq!(update(&second), Ok(Bson::from(expected)));
    let first = doc! { "$v": 1, "$set": { "n": 7 } };
    assert_eq!(update(&first), Ok(Bson::from(doc! { "$set": { "n": 7 } })));
    assert_eq!(
        update(&doc! { "_id": 1, "n": 2 }),
        Ok(Bson::from(doc! { "_id": 1, "n": 2 }))
    );
    assert!(update(&doc! { "$v": 2, "diff": { "slist": { "a": true, "l": 1 } } }).is_err());
}
