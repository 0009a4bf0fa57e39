//! What an archive holds, verified as far as it is wanted: the first step of every restore. Nothing reaches a server
//! before all that will be read has been read once and found sound.

use super::other_format::OtherFormat;
use super::system_indexes::is_system_indexes;
use super::{Found, Options, native, untrusted};
use crate::archive::container::{Damage, NativeArchive};
use crate::archive::json;
use crate::archive::namespace::{self, Kind, Namespace, Totals};
use crate::archive::sidecar::Sidecar;
use crate::archive::source::Source;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One namespace in an archive, sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchivedNamespace {
    pub namespace: Namespace,
    pub kind: Kind,
    pub totals: Totals,
    /// Options and indexes, the very text of `metadata.json`; empty where there is none.
    pub metadata: String,
    /// Where its documents lie: below the archive's folder and without `.gz`. None for a view.
    pub file: Option<String>,
}

/// Verified parts of an archive.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub namespaces: Vec<ArchivedNamespace>,
    /// What should be known, though it keeps nothing from being restored.
    pub warnings: Vec<String>,
}

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("reading was interrupted")]
    Interrupted,
    #[error("{}", .0.join("\n"))]
    Damaged(Vec<String>),
    /// It holds a dump, but none that is read here.
    #[error("{}", .0.explain("NAME"))]
    OtherFormat(OtherFormat),
}

impl From<Damage> for Unusable {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::Interrupted => Unusable::Interrupted,
            other => Unusable::Damaged(vec![other.to_string()]),
        }
    }
}

/// Whether most of an archive is wanted: then all of it is read, in one go and on all cores.
fn is_most(native: &NativeArchive, chosen: &dyn Fn(usize) -> bool) -> Result<bool, Damage> {
    let wanted: u64 = native
        .sections()?
        .iter()
        .filter(|section| section.holds(chosen))
        .map(|section| section.end - section.start)
        .sum();
    Ok(wanted > native.archive_bytes / 2)
}

/// Verifies the namespaces of an archive of ours that `chosen` names by their place in the manifest: the whole file when
/// that is most of it, and else only what belongs to them.
pub(crate) fn native_parts(
    native: &NativeArchive,
    chosen: &dyn Fn(usize) -> bool,
    sidecar: &Sidecar,
    options: &Options,
) -> Result<Parts, Unusable> {
    let entries = &native.manifest.namespaces;
    let mut parts = Parts::default();
    let mut found = Found {
        metadata: Some(BTreeMap::new()),
        ..Found::default()
    };
    if (0..entries.len()).all(chosen) || is_most(native, chosen)? {
        native::verify(native, options, &mut found)?;
        parts
            .warnings
            .extend(sidecar_problem(native, sidecar, found.sha256));
    } else {
        native::verify_part(native, chosen, options, &mut found)?;
    }
    let mut damage = std::mem::take(&mut found.damage);
    let checked = found.namespaces.iter().enumerate();
    damage.extend(checked.filter_map(|(index, one)| {
        let problem = one.damage.as_ref().filter(|_| chosen(index))?;
        Some(format!("{}: {problem}", one.namespace))
    }));
    if !damage.is_empty() {
        return Err(Unusable::Damaged(damage));
    }
    let mut metadata = found.metadata.unwrap_or_default();
    let of_chosen = entries.iter().enumerate();
    for (index, entry) in of_chosen.filter(|(index, _)| chosen(*index)) {
        parts.namespaces.push(ArchivedNamespace {
            namespace: entry.namespace.clone(),
            kind: entry.kind,
            totals: Totals {
                documents: entry.documents,
                bytes: entry.bytes,
                crc64: entry.crc64,
            },
            metadata: metadata.remove(&index).unwrap_or_default(),
            file: entry.data.as_ref().map(|place| place.path.clone()),
        });
    }
    Ok(parts)
}

/// Whether what lies beside an archive is about it. What lies beside a sealed one is about the sealed file.
fn sidecar_problem(
    native: &NativeArchive,
    sidecar: &Sidecar,
    sha256: Option<[u8; 32]>,
) -> Option<String> {
    let expected = match sidecar {
        Sidecar::Sha256(expected) => expected,
        Sidecar::Unreadable(problem) => {
            return Some(format!("the .sha256 beside the archive {problem}"));
        }
        Sidecar::Missing => return None,
    };
    let own = sha256?;
    match native.sealed_sha256() {
        Ok(sealed) if sealed.unwrap_or(own) == *expected => None,
        Ok(_) => Some(
            "the .sha256 beside the archive is not its own; its own checksums say that it is sound"
                .into(),
        ),
        Err(error) => Some(format!(
            "the .sha256 beside the archive could not be compared: {error}"
        )),
    }
}

/// What a tar of a dump folder says of its origin: versions of the server and of mongodump.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub server_version: Option<String>,
    pub tool_version: Option<String>,
}

/// Verifies a tar of a dump folder that anyone may have made, all of it.
pub(crate) fn survey(source: Source, options: &Options) -> Result<(Parts, Origin), Unusable> {
    let mut found = Found::default();
    let survey = untrusted::verify(source, options, &mut found)?;
    let mut damage = std::mem::take(&mut found.damage);
    damage.extend(found.namespaces.iter().filter_map(|one| {
        one.damage
            .as_ref()
            .map(|text| format!("{}: {text}", one.namespace))
    }));
    if let (true, Some(other_format)) = (damage.is_empty(), found.other_format) {
        return Err(Unusable::OtherFormat(other_format));
    }
    let origin = origin(survey.prelude.as_deref());
    let mut parts = Parts {
        warnings: std::mem::take(&mut found.not_checked),
        ..Parts::default()
    };
    for archived in namespaces(survey) {
        match archived {
            Ok(archived) => parts.namespaces.push(archived),
            Err(problem) => damage.push(problem),
        }
    }
    match damage.is_empty() {
        true => Ok((parts, origin)),
        false => Err(Unusable::Damaged(damage)),
    }
}

/// What a walk came across, namespace by namespace, or why it cannot be one.
fn namespaces(mut survey: untrusted::Survey) -> Vec<Result<ArchivedNamespace, String>> {
    let (data, mut metadata) = (
        std::mem::take(&mut survey.data),
        std::mem::take(&mut survey.metadata),
    );
    let mut found = Vec::new();
    for (file, totals) in data {
        let (named, kind) = survey.namespace_of(&file);
        let text = metadata.remove(&metadata_path(&file));
        let text = text.or_else(|| survey.system_indexes.metadata(&named));
        let text = text.unwrap_or_default();
        found.push(
            located(named, kind, &file, &text).map(|namespace| ArchivedNamespace {
                namespace,
                kind,
                totals,
                metadata: text,
                file: Some(file),
            }),
        );
    }
    // Views have options only. So has a collection whose documents were left out when it was packed.
    for (file, text) in metadata {
        let stem = file.strip_suffix(".metadata.json").unwrap_or(&file);
        let (named, _) = untrusted::namespace_of(&format!("{stem}.bson"));
        if is_system_indexes(&named) {
            continue;
        }
        let kind = if stored_metadata(&text).is_view() {
            Kind::View
        } else {
            Kind::Collection
        };
        found.push(
            located(named, kind, &file, &text).map(|namespace| ArchivedNamespace {
                namespace,
                kind,
                totals: Totals::default(),
                metadata: text,
                file: None,
            }),
        );
    }
    found
}

fn origin(prelude: Option<&str>) -> Origin {
    let prelude: BTreeMap<String, String> = prelude
        .and_then(|text| json::from_slice(text.as_bytes()).ok())
        .unwrap_or_default();
    let field = |name: &str| prelude.get(name).cloned();
    Origin {
        server_version: field("ServerVersion"),
        tool_version: field("ToolVersion"),
    }
}

/// `DB/COLL.metadata.json` for `DB/COLL.bson`; a time series' documents lie under another name than its options.
fn metadata_path(data_path: &str) -> String {
    let stem = data_path.strip_suffix(".bson").unwrap_or(data_path);
    let (database, file) = stem.rsplit_once('/').unwrap_or(("", stem));
    let file = file.strip_prefix(namespace::BUCKETS_PREFIX).unwrap_or(file);
    format!("{database}/{file}.metadata.json")
}

/// The namespace of a file, whose name may have been cut and hashed: then its options know the whole name.
fn located(named: Namespace, kind: Kind, file: &str, metadata: &str) -> Result<Namespace, String> {
    if named.database.is_empty() {
        let is_oplog = kind == Kind::Oplog && named.collection == "oplog";
        return if is_oplog {
            Ok(named)
        } else {
            Err(format!("{file} lies in no database's folder"))
        };
    }
    let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
    let stem = name
        .strip_suffix(".bson")
        .or_else(|| name.strip_suffix(".metadata.json"))
        .unwrap_or(name);
    let stem = stem.strip_prefix(namespace::BUCKETS_PREFIX).unwrap_or(stem);
    let whole = stored_metadata(metadata)
        .collection_name
        .filter(|whole| namespace::escape_collection(whole) == stem);
    let namespace = Namespace {
        collection: whole.unwrap_or(named.collection),
        ..named
    };
    namespace
        .metadata_path()
        .map_err(|error| error.to_string())?;
    Ok(namespace)
}

/// What options say of their collection.
#[derive(Default, Deserialize)]
struct StoredMetadata {
    #[serde(rename = "collectionName")]
    collection_name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    options: StoredOptions,
}

#[derive(Default, Deserialize)]
struct StoredOptions {
    #[serde(rename = "viewOn")]
    view_on: Option<serde_json::Value>,
}

impl StoredMetadata {
    fn is_view(&self) -> bool {
        self.kind.as_deref() == Some("view") || self.options.view_on.is_some()
    }
}

fn stored_metadata(metadata: &str) -> StoredMetadata {
    json::from_slice(metadata.as_bytes()).unwrap_or_default()
}
