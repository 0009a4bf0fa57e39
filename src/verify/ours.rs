//! Verifies an archive of ours against its own manifest, section by section.

use super::scan::{self, Depth};
use super::{Found, Options, reason};
use crate::archive::{Damage, Expected, Ours, Role, Section};
use crate::manifest::Manifest;
use crate::report::Checked;
use std::io::Read;

/// Options and indexes larger than this, in bytes, are not mongodump's.
pub const LONGEST_METADATA: u64 = 64 * 1024 * 1024;

pub fn verify(ours: Box<Ours>, options: &Options, found: &mut Found) -> Result<(), Damage> {
    let manifest = ours.manifest.clone();
    found.namespaces = manifest
        .namespaces
        .iter()
        .map(|entry| Checked {
            namespace: entry.namespace.clone(),
            kind: entry.kind,
            documents: 0,
            bytes: 0,
            damage: None,
        })
        .collect();
    let sections = match ours.sections() {
        Ok(sections) => sections,
        Err(damage) => {
            found.damage.push(damage.to_string());
            return Ok(());
        }
    };
    let moved = |bytes| (options.moved)(bytes);
    let scrubbed = ours.scrub(&sections, options.threads, options.stop, moved, |section, input| {
        check_section(&manifest, section, input, found);
    })?;
    found.sha256 = Some(scrubbed.sha256);
    if !scrubbed.crc64_matches && found.faults() == 0 {
        found.damage.push("the file's checksum is wrong: bytes were changed after it was written".into());
    }
    Ok(())
}

fn check_section(manifest: &Manifest, section: &Section, input: &mut dyn Read, found: &mut Found) {
    // Files that share a section may stand in any order, each of them once.
    let mut missing: Vec<&Expected> = section.files.iter().collect();
    let problem = match check_entries(manifest, input, &mut missing, found) {
        Ok(()) => "it is missing".to_owned(),
        Err(problem) => {
            if missing.is_empty() {
                // What is wrong stands behind the last file, and belongs to nobody else.
                missing.extend(section.files.last());
            }
            problem
        }
    };
    for file in missing {
        blame(file, problem.clone(), found);
    }
}

/// Takes every file that is found sound out of `missing`.
fn check_entries(
    manifest: &Manifest,
    input: &mut dyn Read,
    missing: &mut Vec<&Expected>,
    found: &mut Found,
) -> Result<(), String> {
    let mut archive = tar::Archive::new(input);
    for entry in archive.entries().map_err(|error| reason(&error))? {
        let mut entry = entry.map_err(|error| reason(&error))?;
        let Some(at) = missing.iter().position(|file| *entry.path_bytes() == *file.path.as_bytes()) else {
            return Err(format!("{:?} does not belong here", String::from_utf8_lossy(&entry.path_bytes())));
        };
        let file = missing.remove(at);
        if let Err(problem) = check_file(manifest, file, &mut entry, found) {
            blame(file, problem, found);
        }
    }
    Ok(())
}

fn check_file(manifest: &Manifest, file: &Expected, input: &mut impl Read, found: &mut Found) -> Result<(), String> {
    match file.role {
        Role::Manifest => std::io::copy(input, &mut std::io::sink()).map(drop).map_err(|error| reason(&error)),
        Role::Prelude | Role::Metadata(_) => json(input),
        Role::Data(index) => {
            let (totals, result) = scan::documents(input, Depth::Framing);
            if let Some(checked) = found.namespaces.get_mut(index) {
                checked.documents = totals.documents;
                checked.bytes = totals.bytes;
            }
            result.map_err(|error| match error {
                scan::ScanError::Read(error) => reason(&error),
                other => other.to_string(),
            })?;
            let Some(entry) = manifest.namespaces.get(index) else { return Ok(()) };
            if totals.documents != entry.documents {
                return Err(format!("{} documents instead of {}", totals.documents, entry.documents));
            }
            if totals.bytes != entry.bytes {
                return Err(format!("{} bytes instead of {}", totals.bytes, entry.bytes));
            }
            if totals.crc64 != entry.crc64 {
                return Err("the documents' checksum is wrong".into());
            }
            Ok(())
        }
    }
}

/// Reads a small JSON file to its end.
pub fn json(input: &mut impl Read) -> Result<(), String> {
    let mut text = Vec::new();
    input.take(LONGEST_METADATA).read_to_end(&mut text).map_err(|error| reason(&error))?;
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("its options and indexes cannot be read: {error}")),
    }
}

fn blame(file: &Expected, problem: String, found: &mut Found) {
    match file.role {
        Role::Data(index) | Role::Metadata(index) => {
            if let Some(checked) = found.namespaces.get_mut(index) {
                checked.damage.get_or_insert(problem);
            }
        }
        Role::Prelude | Role::Manifest => found.damage.push(format!("{}: {problem}", file.path)),
    }
}
