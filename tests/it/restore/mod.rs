//! `restore` and `drill`: everything comes back, or it is said what did not and why.

mod choosing;
mod damage;
mod drill;
mod drill_ends;
mod frozen;
mod hostile;
mod indexes;
mod interrupted;
mod matched;
mod matrix;
mod oplog;
mod refusals;
mod roundtrip;
mod secrets;
mod untrusted;
mod users;

use crate::support::{Outcome, Server, Site};
use serde_json::Value;
use std::collections::BTreeMap;

/// Everything on a server, by namespace.
type Everything = BTreeMap<String, Value>;

/// Restores the latest archive of a site into a server.
fn restore(site: &Site, target: &Server, options: &[&str]) -> Outcome {
    restore_of(site, "latest", target, options)
}

fn restore_of(site: &Site, name: &str, target: &Server, options: &[&str]) -> Outcome {
    let uri = target.uri();
    site.run(&[&["restore", name, "--to", &uri, "--yes"], options].concat())
}

/// Fails unless both hold the same, to the last byte of every document.
fn same(before: &Everything, after: &Everything) {
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (namespace, content) in before {
        assert_eq!(after[namespace], *content, "{namespace:?}");
    }
}

/// What is in some databases.
fn only(everything: &Everything, databases: &[&str]) -> Everything {
    let chosen = |name: &String| {
        databases
            .iter()
            .any(|database| name.starts_with(&format!("{database}.")))
    };
    everything
        .iter()
        .filter(|(name, _)| chosen(name))
        .map(|(name, content)| (name.clone(), content.clone()))
        .collect()
}
