//! What an archive holds, beside what the one before it held.

use super::{Archive, InspectError, warn_once};
use crate::archive::extended_json::{self, JsonStyle};
use crate::archive::file_name;
use crate::archive::manifest::Manifest;
use crate::archive::namespace::{Kind, Namespace};
use crate::archive::verify::ArchivedNamespace;
use crate::report::{ShowReport, ShownCollection, ShownIndex};
use crate::restore::StoredDefinition;
use crate::store::repository::Repository;
use mongodb::bson::{Bson, Document};
use std::collections::HashMap;

/// Summarizes the archive of this stem. Blocks, for as long as reading options and indexes takes.
pub(crate) fn summarize(
    repository: &Repository,
    stem: &str,
    archive: &Archive,
) -> Result<ShowReport, InspectError> {
    let before = before(repository, stem);
    let known: HashMap<&Namespace, (u64, u64)> = before
        .iter()
        .flat_map(|(_, manifest)| &manifest.namespaces)
        .map(|entry| (&entry.namespace, (entry.documents, entry.bytes)))
        .collect();
    let mut collections: Vec<ShownCollection> = archive
        .collections
        .iter()
        .map(|one| shown(one, known.get(&one.namespace).copied()))
        .collect();
    let mut warnings = warnings(archive);
    archive.metadata(&|_| true, &mut |index, text| {
        let Some(one) = collections.get_mut(index) else {
            return;
        };
        match StoredDefinition::parse(text) {
            Ok(stored) => {
                one.indexes = stored.indexes.into_iter().map(index_of).collect();
                one.options = relaxed(stored.options);
            }
            Err(problem) => warn_once(&mut warnings, format!("{}: {problem}", one.namespace)),
        }
    })?;
    collections.sort_by(|one, two| one.namespace.cmp(&two.namespace));
    let gone = before.iter().flat_map(|(_, manifest)| &manifest.namespaces);
    let gone = gone.map(|entry| &entry.namespace).filter(|namespace| {
        !archive
            .collections
            .iter()
            .any(|one| one.namespace == **namespace)
    });
    let owners = || {
        collections
            .iter()
            .filter(|one| !one.namespace.is_servers_own())
    };
    let manifest = archive.manifest();
    Ok(ShowReport {
        archive: archive.name.clone(),
        place: archive.place().map(str::to_owned),
        made_at: manifest.map(|manifest| manifest.started_at),
        archive_bytes: archive.archive_bytes,
        documents: together(owners().map(|one| one.documents)),
        bytes: together(owners().map(|one| one.bytes)),
        point_in_time: manifest.map(|manifest| manifest.point_in_time),
        server_version: manifest.map(|manifest| manifest.server.version.clone()),
        mongodump_version: manifest.map(|manifest| manifest.mongodump_version.clone()),
        gone: gone.cloned().collect(),
        before: before.as_ref().map(|(name, _)| name.clone()),
        warnings,
        collections,
    })
}

/// What a manifest claims is not believed to be a number that can be added up.
fn together(claimed: impl Iterator<Item = u64>) -> u64 {
    claimed.fold(0, u64::saturating_add)
}

/// A collection whose indexes and options are still to be read; `before` are documents and bytes.
fn shown(one: &ArchivedNamespace, before: Option<(u64, u64)>) -> ShownCollection {
    ShownCollection {
        namespace: one.namespace.clone(),
        kind: one.kind,
        documents: one.totals.documents,
        bytes: one.totals.bytes,
        documents_before: before.map(|(documents, _)| documents),
        bytes_before: before.map(|(_, bytes)| bytes),
        indexes: Vec::new(),
        options: serde_json::json!({}),
    }
}

fn warnings(archive: &Archive) -> Vec<String> {
    let mut warnings = archive.notes.clone();
    if archive
        .collections
        .iter()
        .any(|one| one.kind == Kind::TimeSeries)
    {
        warnings.push(
            "documents of a time series are counted as the buckets in which the server keeps them"
                .into(),
        );
    }
    warnings
}

/// The archive before one, and what it holds; none where there is none of ours.
fn before(repository: &Repository, stem: &str) -> Option<(String, Manifest)> {
    let stems = repository.stems().ok()?;
    let older = stems.iter().rev().filter(|other| other.as_str() < stem);
    older
        .filter_map(|other| Some((file_name::archive(other), repository.manifest(other)?)))
        .next()
}

fn index_of(definition: Document) -> ShownIndex {
    ShownIndex {
        name: definition.get_str("name").unwrap_or_default().to_owned(),
        definition: relaxed(definition),
    }
}

fn relaxed(document: Document) -> serde_json::Value {
    extended_json::value(Bson::Document(document), JsonStyle::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_beyond_all_numbers_are_no_defect_of_ours() {
        assert_eq!(together([u64::MAX, 5].into_iter()), u64::MAX);
        assert_eq!(together([2, 5].into_iter()), 7);
    }
}
