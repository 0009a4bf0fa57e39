//! Inputs that people really had, and what is right for each.

mod advertised;
mod appledouble;
mod bom_secret;
mod compose_dollar;
mod flat;
mod legacy_index;
mod old_metadata;
mod system_indexes;
mod ttl_note;

use crate::support::{Server, Site};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/cases")
        .join(name)
}

/// A site whose only archive is this one.
fn site_with(name: &str) -> Site {
    let site = Site::new();
    fs::create_dir_all(site.backups()).unwrap();
    fs::copy(fixture(name), site.older()).unwrap();
    site
}

/// How many documents a collection has, and its indexes by name.
fn collection(server: &Server, namespace: &str) -> (usize, Vec<Value>) {
    let everything = server.fingerprint();
    let found = everything
        .get(namespace)
        .unwrap_or_else(|| panic!("{namespace} is not there: {everything:?}"));
    let indexes = found["indexes"].as_array().unwrap().iter();
    let indexes =
        indexes.map(|index| serde_json::from_str::<Value>(index.as_str().unwrap()).unwrap());
    (
        found["documents"].as_array().unwrap().len(),
        indexes.collect(),
    )
}

/// The names of its indexes.
fn index_names(server: &Server, namespace: &str) -> Vec<String> {
    let named = |index: &Value| {
        let pairs = index.as_array().unwrap().iter();
        pairs
            .filter(|pair| pair[0] == "name")
            .map(|pair| pair[1].as_str().unwrap().to_owned())
            .collect::<String>()
    };
    let mut names: Vec<String> = collection(server, namespace).1.iter().map(named).collect();
    names.sort();
    names
}
