//! Reads an archive from end to end and says whether it is sound; when it is not, which namespace is damaged and how.

#[cfg(test)]
mod deep_tests;
mod native;
mod oplog_place;
mod other_format;
pub(crate) mod report;
mod scan;
mod sealed;
mod subset;
mod system_indexes;
#[cfg(test)]
mod tests;
mod untrusted;

pub(crate) use native::{contradiction, json};
pub(crate) use sealed::{SealedAs, verify_file};
pub(crate) use subset::{ArchivedNamespace, Origin, Parts, Unusable, native_parts, survey};
pub(crate) use untrusted::{Show, read_untrusted};

use crate::archive::compression::Compression;
use crate::archive::container::{self, Damage, Opened};
use crate::archive::file_name::bare;
use crate::archive::manifest::Manifest;
use crate::archive::namespace::Namespace;
use crate::archive::sidecar::Sidecar;
use crate::archive::source::Source;
use crate::archive::verify::other_format::OtherFormat;
use crate::archive::verify::report::{NamespaceCheck, VerifyReport};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

/// Options and indexes of all namespaces together, in bytes; five thousand collections take a fiftieth of it.
const MOST_METADATA: usize = 256 * 1024 * 1024;
/// Collections named whose options and indexes cannot be read.
const UNREADABLE_NAMED: u64 = 20;
const TOO_MUCH_METADATA: &str = "there is more of options and indexes in it than fits into memory";

/// How to read.
pub(crate) struct Options<'o> {
    pub threads: NonZeroUsize,
    /// Set from elsewhere, it ends the reading soon.
    pub cancelled: &'o AtomicBool,
    /// Told how many bytes of the file have been read.
    pub moved: &'o (dyn Fn(u64) + Sync),
}

/// Reading was given up because `stop` was set.
#[derive(Debug, thiserror::Error)]
#[error("reading the archive was interrupted")]
pub(crate) struct Interrupted;

/// What reading brought to light, so far.
#[derive(Default)]
struct Found {
    namespaces: Vec<NamespaceCheck>,
    damage: Vec<String>,
    /// What the file is instead of an archive that can be read here.
    other_format: Option<OtherFormat>,
    not_checked: Vec<String>,
    sha256: Option<[u8; 32]>,
    /// Options and indexes by the manifest's namespace, where they are wanted.
    metadata: Option<BTreeMap<usize, String>>,
    metadata_bytes: usize,
    /// Collections whose options and indexes cannot be read.
    unreadable: u64,
}

impl Found {
    fn keep_metadata(&mut self, index: usize, text: String) -> Result<(), String> {
        let Some(metadata) = &mut self.metadata else {
            return Ok(());
        };
        self.metadata_bytes += text.len();
        if self.metadata_bytes > MOST_METADATA {
            return Err(TOO_MUCH_METADATA.into());
        }
        metadata.insert(index, text);
        Ok(())
    }

    /// Options and indexes are JSON, but not such as says what they are.
    fn unreadable(&mut self, namespace: &Namespace, problem: &str) {
        self.unreadable += 1;
        match self.unreadable {
            ..=UNREADABLE_NAMED => self.not_checked.push(format!("{namespace}: {problem}")),
            more if more == UNREADABLE_NAMED + 1 => {
                let told = "more collections have options and indexes that cannot be read";
                self.not_checked.push(told.into());
            }
            _ => {}
        }
    }

    fn faults(&self) -> usize {
        self.damage.len()
            + self
                .namespaces
                .iter()
                .filter(|checked| checked.damage.is_some())
                .count()
    }
}

/// Reads an archive from end to end, and of a damaged one what can still be read.
fn read(name: &str, source: Source, options: &Options, found: &mut Found) -> Result<(), Damage> {
    match container::open(source.at(0)) {
        Ok(Opened::Native(native)) => {
            if native.manifest.archive != bare(name) {
                found.not_checked.push(format!(
                    "its name: it was written as {}{}",
                    native.manifest.archive,
                    Compression::of_name(name).extension()
                ));
            }
            native::verify(&native, options, found)
        }
        Ok(Opened::Untrusted(source)) => untrusted::verify(source, options, found).map(drop),
        Err(
            damage @ (Damage::Trailer
            | Damage::Manifest(_)
            | Damage::Member { .. }
            | Damage::Cut { .. }),
        ) => {
            found.damage.push(damage.to_string());
            // It is not sound, but which collections are still whole is worth knowing.
            untrusted::verify(source, options, found).map(drop)
        }
        Err(damage) => Err(damage),
    }
}

/// Verifies one archive, native or not. The report's `elapsed_seconds` is for the caller to fill in.
pub(crate) fn verify(
    name: &str,
    source: Source,
    sidecar: &Sidecar,
    options: &Options,
) -> Result<VerifyReport, Interrupted> {
    let archive_bytes = source.file_length();
    let mut found = Found::default();
    let outcome = read(name, source.clone(), options, &mut found);
    // What lies beside a sealed archive is about the sealed file.
    let outcome = outcome.and_then(|()| {
        if let Some(sealed) = source.sealed_sha256()? {
            found.sha256 = found.sha256.and(Some(sealed));
        }
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(Damage::Interrupted) => return Err(Interrupted),
        Err(damage) => found.damage.push(damage.to_string()),
    }
    match (sidecar, found.sha256) {
        (Sidecar::Missing, _) => found.not_checked.push("the .sha256: there is none".into()),
        (Sidecar::Unreadable(problem), _) => found.damage.push(format!("the .sha256 {problem}")),
        (Sidecar::Sha256(expected), Some(sha256)) if *expected != sha256 => {
            found
                .damage
                .push("its SHA-256 is not the one in the .sha256".into());
        }
        (Sidecar::Sha256(_), _) => {}
    }
    let owners = || {
        found
            .namespaces
            .iter()
            .filter(|checked| !checked.namespace.is_servers_own())
    };
    Ok(VerifyReport {
        archive: name.to_owned(),
        sound: found.faults() == 0 && found.other_format.is_none() && found.sha256.is_some(),
        archive_bytes,
        documents: owners().map(|checked| checked.documents).sum(),
        bytes: owners().map(|checked| checked.bytes).sum(),
        sha256: found.sha256.map(hex::encode),
        namespaces: found.namespaces,
        other_format: found.other_format.map(|format| format.explain(name)),
        damage: found.damage,
        not_checked: found.not_checked,
        elapsed_seconds: 0.0,
    })
}

/// Compares a verified archive with the manifest that was in memory while it was written.
pub(crate) fn same_namespaces(report: &VerifyReport, manifest: &Manifest) -> bool {
    let read = report
        .namespaces
        .iter()
        .map(|checked| (&checked.namespace, checked.documents, checked.bytes));
    let written = manifest
        .namespaces
        .iter()
        .map(|entry| (&entry.namespace, entry.documents, entry.bytes));
    read.eq(written)
}
