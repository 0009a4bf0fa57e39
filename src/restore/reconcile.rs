//! Whether all that should be there is there: mongorestore's figures and the server's, against the archive's.

use super::Prepared;
use super::diff::{self, Pair};
use crate::archive::namespace::Kind;
use crate::context::Context;
use crate::mongo::client::Definition;
use crate::mongo::mongorestore::{LoadError, Words};
use crate::sys::humanize::{count, counted};
use crate::sys::progress::{Meter, Unit};
use mongodb::bson::{Bson, Document};
use std::collections::HashMap;

/// Options that servers add, rename or forget by themselves, and that say nothing about the data.
const NOT_COMPARED: [&str; 6] = ["v", "ns", "background", "autoIndexId", "flags", "idIndex"];
/// Complaints of mongorestore that are passed on.
const COMPLAINTS: usize = 5;

/// Takes over what mongorestore said.
pub fn fill_in(prepared: &mut Prepared, words: &Words, loaded: &Result<(), LoadError>) {
    for one in &mut prepared.report.namespaces {
        let said = words
            .finished
            .get(&format!("{}.{}", one.to.database, one.to.collection));
        one.inserted = said.map(|said| said.inserted);
        one.failures = said.map(|said| said.failures);
        one.problem = match said {
            Some(said) if said.failures > 0 => Some(format!(
                "{} could not be inserted",
                counted(said.failures, "document")
            )),
            Some(said) if said.inserted != one.documents => Some(format!(
                "mongorestore inserted {} of {}",
                count(said.inserted),
                counted(one.documents, "document")
            )),
            None if loaded.is_err() && one.kind != Kind::View => {
                Some("not restored, or not to its end".into())
            }
            _ => None,
        };
    }
    let said = words.complaints.iter().take(COMPLAINTS);
    prepared
        .report
        .problems
        .extend(said.map(|complaint| format!("mongorestore: {complaint}")));
    let more = words.complaints.len().saturating_sub(COMPLAINTS) as u64 + words.more_complaints;
    if more > 0 {
        prepared
            .report
            .problems
            .push(format!("mongorestore: and {} more like these", count(more)));
    }
    if loaded.is_ok()
        && let Some(total) = words.total
        && total.failures > 0
        && prepared
            .report
            .namespaces
            .iter()
            .all(|one| one.problem.is_none())
    {
        let failures = counted(total.failures, "document");
        prepared.report.problems.push(format!(
            "{failures} could not be inserted; mongorestore does not say where"
        ));
    }
    let applied = words.applied.unwrap_or_default();
    if loaded.is_ok() && prepared.report.oplog_entries > 0 && applied == 0 {
        prepared
            .report
            .problems
            .push("the oplog was not replayed".into());
    }
}

/// Asks the server what is there now, and names what is missing.
pub async fn ask(prepared: &mut Prepared, ctx: &Context) {
    if let Err(problem) = ask_server(prepared, ctx).await {
        prepared.report.warnings.push(format!(
            "what the server holds now could not be compared: {problem}"
        ));
    }
    for one in &mut prepared.report.namespaces {
        let counted = one.inserted == Some(one.documents);
        let there = one.on_server.is_some_and(|there| there >= one.documents);
        if !counted && !there && one.problem.is_none() && !prepared.expiring.contains(&one.to) {
            one.problem =
                Some("neither mongorestore nor the server says that all of it is there".into());
        }
    }
}

async fn ask_server(
    prepared: &mut Prepared,
    ctx: &Context,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut suspects: Vec<Pair> = Vec::new();
    let mut warnings = Vec::new();
    for (step, one) in prepared.steps.iter().zip(&mut prepared.report.namespaces) {
        let holding = &prepared.contents.holdings[step.holding];
        // The oplog has made it another collection; a time series counts in another way than it stores.
        let counted_alone = one.kind == Kind::Collection && !prepared.replayed.contains(&step.to);
        if counted_alone {
            let mut there = ctx.stop.or(prepared.target.estimate(&step.to)).await??;
            if there.is_some_and(|there| there != one.documents) {
                there = ctx.stop.or(prepared.target.count(&step.to)).await??;
            }
            one.on_server = there;
            match there {
                Some(there) if there < one.documents && expires(&holding.metadata) => {
                    prepared.expiring.insert(step.to.clone());
                    warnings.push(format!(
                        "{}: {} of {} are there: its TTL index removes what has expired",
                        step.to,
                        count(there),
                        counted(one.documents, "document")
                    ));
                }
                Some(there) if there < one.documents => {
                    one.problem.get_or_insert_with(|| {
                        format!(
                            "the server holds {} of {}",
                            count(there),
                            counted(one.documents, "document")
                        )
                    });
                }
                Some(there) if there > one.documents => warnings.push(format!(
                    "{}: {} are there, {} more than the archive holds: somebody else is writing",
                    step.to,
                    counted(there, "document"),
                    count(there - one.documents)
                )),
                _ => {}
            }
        }
        // What is not there counts zero as well.
        let nothing_counted = !counted_alone || one.documents == 0;
        if nothing_counted
            && ctx
                .stop
                .or(prepared.target.definition(&step.to))
                .await??
                .is_none()
        {
            one.problem.get_or_insert_with(|| "it is not there".into());
        }
        if one.problem.is_some() && counted_alone {
            suspects.push((step.holding, step.to.clone()));
        }
    }
    prepared.report.warnings.extend(warnings);
    if suspects.is_empty() {
        return Ok(());
    }
    let meter = Meter::new("comparing", Unit::Bytes, None, &ctx.screen);
    let mut differences = diff::run(
        &prepared.contents,
        &suspects,
        &prepared.target,
        &meter,
        &ctx.stop,
    )
    .await?;
    for (step, one) in prepared.steps.iter().zip(&mut prepared.report.namespaces) {
        one.differences = differences.remove(&step.holding);
    }
    Ok(())
}

fn expires(metadata: &str) -> bool {
    stored(metadata).is_some_and(|stored| {
        stored
            .indexes
            .iter()
            .any(|index| index.contains_key("expireAfterSeconds"))
    })
}

/// Options and indexes as an archive has them.
struct Stored {
    options: Document,
    indexes: Vec<Document>,
}

fn stored(metadata: &str) -> Option<Stored> {
    let json: serde_json::Value = serde_json::from_str(metadata).ok()?;
    let Bson::Document(document) = Bson::try_from(json).ok()? else {
        return None;
    };
    let indexes = document
        .get_array("indexes")
        .into_iter()
        .flatten()
        .filter_map(Bson::as_document)
        .cloned()
        .collect();
    Some(Stored {
        options: document
            .get_document("options")
            .cloned()
            .unwrap_or_default(),
        indexes,
    })
}

/// How a collection's options and indexes differ from those of the archive. What servers add by themselves is no difference.
/// The number of indexes that were compared, and what differs.
pub fn definition_differences(metadata: &str, definition: &Definition) -> (u64, Vec<String>) {
    let Some(stored) = stored(metadata) else {
        return (0, Vec::new());
    };
    let mut problems = Vec::new();
    if !holds(&stored.options, &definition.options) {
        problems.push(format!(
            "its options are {}, not {}",
            definition.options, stored.options
        ));
    }
    let name = |index: &Document| index.get_str("name").unwrap_or_default().to_owned();
    let mut there: HashMap<String, &Document> = definition
        .indexes
        .iter()
        .map(|index| (name(index), index))
        .collect();
    for index in &stored.indexes {
        match there.remove(&name(index)) {
            None => problems.push(format!("its index {} is missing", name(index))),
            Some(found) if !holds(index, found) => {
                problems.push(format!("its index {} is {found}, not {index}", name(index)));
            }
            Some(_) => {}
        }
    }
    // Collections have this one whether it was written down or not.
    there.remove("_id_");
    problems.extend(
        there
            .into_keys()
            .map(|name| format!("its index {name} is not in the archive")),
    );
    (stored.indexes.len() as u64, problems)
}

/// Whether everything in `wanted` is in `found`. Numbers are the same whatever type they have.
fn holds(wanted: &Document, found: &Document) -> bool {
    wanted
        .iter()
        .filter(|(key, _)| !NOT_COMPARED.contains(&key.as_str()))
        .all(|(key, value)| found.get(key).is_some_and(|there| same(value, there)))
}

fn same(wanted: &Bson, found: &Bson) -> bool {
    let number = |value: &Bson| match value {
        Bson::Int32(value) => Some(f64::from(*value)),
        Bson::Int64(value) => Some(*value as f64),
        Bson::Double(value) => Some(*value),
        Bson::Boolean(value) => Some(f64::from(u8::from(*value))),
        _ => None,
    };
    match (wanted, found) {
        (Bson::Document(wanted), Bson::Document(found)) => {
            // The order of an index's keys is what the index is.
            let common: Vec<&String> = found
                .keys()
                .filter(|key| wanted.contains_key(key))
                .collect();
            holds(wanted, found)
                && wanted
                    .keys()
                    .filter(|key| found.contains_key(key))
                    .eq(common)
        }
        (Bson::Array(wanted), Bson::Array(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(found)
                    .all(|(wanted, found)| same(wanted, found))
        }
        _ => match (number(wanted), number(found)) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => wanted == found,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    #[test]
    fn what_servers_add_is_no_difference_and_what_they_lose_is() {
        let metadata = r#"{"options": {"capped": true, "size": {"$numberInt": "1000"}}, "indexes": [
            {"v": {"$numberInt": "2"}, "key": {"_id": {"$numberInt": "1"}}, "name": "_id_"},
            {"v": {"$numberInt": "2"}, "key": {"b": {"$numberInt": "1"}, "a": {"$numberDouble": "-1.0"}}, "name": "ba",
             "unique": true, "ns": "old.name"}]}"#;
        let id = doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" };
        let index = |key: Document, unique: bool| doc! { "v": 2, "key": key, "name": "ba", "unique": unique, "new": 1 };
        let options = doc! { "capped": true, "size": 1000_i64, "added": 5 };
        let check = |options: &Document, indexes: Vec<Document>| {
            definition_differences(
                metadata,
                &Definition {
                    options: options.clone(),
                    indexes,
                },
            )
        };
        let good = index(doc! { "b": 1.0, "a": -1 }, true);
        assert_eq!(check(&options, vec![id.clone(), good.clone()]), (2, vec![]));
        for (options, indexes, words) in [
            (
                doc! { "capped": true },
                vec![id.clone(), good.clone()],
                "its options are",
            ),
            (options.clone(), vec![id.clone()], "ba is missing"),
            (
                options.clone(),
                vec![id.clone(), index(doc! { "a": -1, "b": 1 }, true)],
                "ba is {",
            ),
            (
                options.clone(),
                vec![id.clone(), index(doc! { "b": 1, "a": -1 }, false)],
                "ba is {",
            ),
            (
                options.clone(),
                vec![
                    id.clone(),
                    good.clone(),
                    doc! { "name": "x", "key": { "x": 1 } },
                ],
                "x is not in",
            ),
        ] {
            let (_, problems) = check(&options, indexes);
            assert!(
                problems.len() == 1 && problems[0].contains(words),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn a_ttl_index_is_known_from_the_options() {
        assert!(expires(
            r#"{"indexes": [{"name": "at_1", "key": {"at": 1}, "expireAfterSeconds": 60}]}"#
        ));
        assert!(!expires(
            r#"{"indexes": [{"name": "at_1", "key": {"at": 1}}]}"#
        ));
        assert!(!expires(""));
    }
}
