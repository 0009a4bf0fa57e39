//! `--match` finds what a server finds with the same query, over documents and queries of all kinds.
//!
//! What MongoDB's manual itself says decides first: [`of_the_manual`]. Were the server that stands in for MongoDB to answer
//! otherwise, that would be its fault.

use super::{ids, site_of};
use crate::support::Server;
use serde_json::{Value, json};

const DOCUMENTS: i64 = 300;
const QUERIES: usize = 90;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn one_of<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.roll(values.len())]
    }
}

fn scalar(dice: &mut Dice) -> Value {
    let scalars = [
        json!({ "$numberInt": "1" }),
        json!({ "$numberInt": "2" }),
        json!({ "$numberLong": "1" }),
        json!({ "$numberLong": "3" }),
        json!({ "$numberDouble": "1.0" }),
        json!({ "$numberDouble": "2.5" }),
        json!({ "$numberDecimal": "2.5" }),
        json!({ "$numberDecimal": "1" }),
        json!("a"),
        json!("ab"),
        json!("B"),
        json!(""),
        json!(null),
        json!(true),
        json!(false),
        json!({ "$date": { "$numberLong": "1000" } }),
        json!({ "$date": { "$numberLong": "2000" } }),
        json!({ "$oid": "650000000000000000000001" }),
        json!({ "$binary": { "base64": "AAE=", "subType": "00" } }),
    ];
    dice.one_of(&scalars).clone()
}

fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth > 2 { 4 } else { 8 }) {
        0..4 => scalar(dice),
        4 | 5 => {
            let length = dice.roll(4);
            (0..length)
                .map(|_| value(dice, depth + 1))
                .collect::<Vec<_>>()
                .into()
        }
        _ => document(dice, depth + 1),
    }
}

fn document(dice: &mut Dice, depth: usize) -> Value {
    let mut fields = serde_json::Map::new();
    for key in ["a", "b", "c", "0"] {
        if dice.roll(5) < 2 {
            fields.insert(key.into(), value(dice, depth));
        }
    }
    fields.into()
}

fn condition(dice: &mut Dice) -> Value {
    let regexes = ["^a", "b$", "^$", "A", "[ab]{2}", "a|B"];
    match dice.roll(11) {
        0..3 => value(dice, 1),
        3 => json!({ *dice.one_of(&["$gt", "$gte", "$lt", "$lte"]): scalar(dice) }),
        4 => json!({ "$gt": scalar(dice), "$lte": scalar(dice) }),
        5 => json!({ "$ne": value(dice, 2) }),
        6 => json!({ "$in": [scalar(dice), scalar(dice), value(dice, 2)] }),
        7 => json!({ "$exists": dice.roll(2) == 0 }),
        8 => json!({ "$not": { *dice.one_of(&["$gt", "$lt"]): scalar(dice) } }),
        9 => {
            json!({ "$regex": dice.one_of(&regexes), "$options": dice.one_of(&["", "i", "m", "s"]) })
        }
        _ => scalar(dice),
    }
}

fn query(dice: &mut Dice, depth: usize) -> Value {
    let paths = [
        "a", "b", "c", "a.b", "a.0", "b.c", "a.b.c", "c.0.a", "0", "b.1",
    ];
    match dice.roll(if depth > 1 { 4 } else { 6 }) {
        0..3 => json!({ *dice.one_of(&paths): condition(dice) }),
        3 => json!({ "a": condition(dice), "b.c": condition(dice) }),
        4 => json!({ "$or": [query(dice, depth + 1), query(dice, depth + 1)] }),
        _ => json!({ "$and": [query(dice, depth + 1), query(dice, depth + 1)] }),
    }
}

/// Questions whose answers the manual gives, on documents of their own: query, and the `_id`s that fit.
fn of_the_manual() -> (Vec<Value>, Vec<(Value, Vec<i64>)>) {
    let documents = vec![
        json!({ "_id": 1000, "m": null }),
        json!({ "_id": 1001, "m": [] }),
        json!({ "_id": 1002, "m": [{ "x": 1 }, { "x": null }] }),
        json!({ "_id": 1003, "m": [{ "y": 1 }] }),
        json!({ "_id": 1004, "m": { "$numberDouble": "NaN" } }),
        json!({ "_id": 1005, "m": [15, 3] }),
        json!({ "_id": 1006, "m": { "x": 1, "y": 2 } }),
    ];
    let here = json!({ "_id": { "$gte": 1000 } });
    let with = |condition: Value| json!({ "$and": [here, condition] });
    let answers = vec![
        // "Query for Null or Missing Fields"
        (with(json!({ "m": null })), vec![1000]),
        (with(json!({ "m.x": null })), vec![1000, 1002, 1003, 1004]),
        (
            with(json!({ "m.x": { "$exists": false } })),
            vec![1000, 1001, 1003, 1004, 1005],
        ),
        // "Query an Array": one element may meet one condition, another the other
        (with(json!({ "m": { "$gt": 10, "$lt": 5 } })), vec![1005]),
        (with(json!({ "m.0": { "$gt": 10 } })), vec![1005]),
        // "Match an Embedded Document": the order of fields counts
        (with(json!({ "m": { "x": 1, "y": 2 } })), vec![1006]),
        (with(json!({ "m": { "y": 2, "x": 1 } })), vec![]),
        (with(json!({ "m": { "$numberDouble": "NaN" } })), vec![1004]),
    ];
    (documents, answers)
}

#[test]
fn queries_find_what_a_server_finds() {
    let mut dice = Dice(20_260_301);
    let mut documents: Vec<Value> = (0..DOCUMENTS)
        .map(|id| {
            let mut document = document(&mut dice, 0);
            document
                .as_object_mut()
                .unwrap()
                .insert("_id".into(), json!(id));
            document
        })
        .collect();
    let (of_the_manual, answers) = of_the_manual();
    documents.extend(of_the_manual);
    let server = Server::standalone();
    let site = site_of(&server, &documents);
    let found = |query: &Value| {
        let query = query.to_string();
        let outcome = site
            .run(&["show", "latest", "shop.things", "--match", &query])
            .done();
        ids(&outcome)
    };
    for (query, fit) in &answers {
        assert_eq!(found(query), *fit, "{query}");
    }
    let queries: Vec<Value> = (0..QUERIES).map(|_| query(&mut dice, 0)).collect();
    let texts: Vec<String> = queries.iter().map(Value::to_string).collect();
    let (mut different, mut telling) = (Vec::new(), 0);
    for (query, there) in queries.iter().zip(server.find("shop.things", &texts)) {
        let here = json!(found(query));
        let fit = there.as_array().map_or(0, Vec::len) as i64;
        telling += usize::from((1..DOCUMENTS).contains(&fit));
        if here != there {
            different.push(format!("{query}\n  here:   {here}\n  server: {there}"));
        }
    }
    assert!(
        telling > QUERIES / 3,
        "{telling} queries found some of the documents, but not all"
    );
    assert!(
        different.is_empty(),
        "{} of {QUERIES}:\n{}",
        different.len(),
        different.join("\n")
    );
}
