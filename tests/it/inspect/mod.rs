//! `show`, `extract` and `diff`: archives that are looked into.

mod comparing;
mod damage;
mod matching;
mod showing;

use crate::support::{Outcome, Server, Site};
use serde_json::{Value, json};

/// A site with one archive of a server that holds what these lines insert into `shop.things`.
fn site_of(server: &Server, documents: &[Value]) -> Site {
    server.write("shop.things", &inserts(documents));
    let site = Site::of(server);
    site.run(&["backup"]).done();
    site
}

fn inserts(documents: &[Value]) -> Vec<String> {
    let insert = |document: &Value| json!({ "insert": document }).to_string();
    documents.iter().map(insert).collect()
}

/// The documents on stdout, one a line.
fn lines(outcome: &Outcome) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    outcome.stdout.lines().map(parse).collect()
}

/// Their `_id`s, as numbers.
fn ids(outcome: &Outcome) -> Vec<i64> {
    let mut ids: Vec<i64> = lines(outcome)
        .iter()
        .map(|document| {
            document["_id"]
                .as_i64()
                .unwrap_or_else(|| panic!("{document}"))
        })
        .collect();
    ids.sort_unstable();
    ids
}
