//! Verifies an archive of ours against its own manifest, section by section.

use super::scan::{self, Depth};
use super::{Found, Options};
use crate::archive::container::{self, Damage, NativeArchive, Role, Section, reason};
use crate::archive::json::{self, JsonError};
use crate::archive::manifest::{Entry, Manifest, Place};
use crate::archive::metadata;
use crate::archive::namespace::NameError;
use crate::archive::verify::report::NamespaceCheck;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

/// Options and indexes larger than this, in bytes, are not mongodump's.
pub(super) const LONGEST_METADATA: u64 = 64 * 1024 * 1024;

/// Reads all of it.
pub(super) fn verify(
    native: &NativeArchive,
    options: &Options,
    found: &mut Found,
) -> Result<(), Damage> {
    let Some(sections) = sections(native, found) else {
        return Ok(());
    };
    let moved = |bytes| (options.moved)(bytes);
    let scanned = native.full_scan(
        &sections,
        options.threads,
        options.cancelled,
        moved,
        |section, input| {
            check_section(native, section, input, found);
        },
    )?;
    found.sha256 = Some(scanned.sha256);
    if !scanned.crc64_matches && found.faults() == 0 {
        found
            .damage
            .push("the file's checksum is wrong: bytes were changed after it was written".into());
    }
    Ok(())
}

/// Reads what belongs to the manifest's namespaces that `chosen` names, and nothing else.
pub(super) fn verify_part(
    native: &NativeArchive,
    chosen: &dyn Fn(usize) -> bool,
    options: &Options,
    found: &mut Found,
) -> Result<(), Damage> {
    let Some(mut sections) = sections(native, found) else {
        return Ok(());
    };
    sections.retain(|section| section.holds(chosen));
    let mut before = 0;
    for section in &sections {
        let mut extract = native.extract(section);
        let mut input = Stopped {
            input: &mut extract,
            cancelled: options.cancelled,
        };
        check_section(native, section, &mut input, found);
        if options.cancelled.load(Ordering::Relaxed) {
            return Err(Damage::Interrupted);
        }
        before += extract.position() - section.start;
        (options.moved)(before);
    }
    Ok(())
}

fn sections(native: &NativeArchive, found: &mut Found) -> Option<Vec<Section>> {
    let checked = |entry: &Entry| NamespaceCheck {
        namespace: entry.namespace.clone(),
        kind: entry.kind,
        documents: 0,
        bytes: 0,
        damage: None,
    };
    found.namespaces = native.manifest.namespaces.iter().map(checked).collect();
    if let Some(entry) = contradiction(&native.manifest) {
        found.damage.push(format!(
            "{}: the manifest contradicts itself",
            entry.namespace
        ));
        return None;
    }
    match native.sections() {
        Ok(sections) => Some(sections),
        Err(damage) => {
            found.damage.push(damage.to_string());
            None
        }
    }
}

/// Stock tools go by the paths, and we by the names: they must say the same, and each of them once.
pub(crate) fn contradiction(manifest: &Manifest) -> Option<&Entry> {
    let mut names = HashSet::new();
    manifest.namespaces.iter().find(|entry| {
        let Entry {
            namespace,
            kind,
            data,
            metadata,
            ..
        } = entry;
        let lies_in = |place: &Option<Place>, path: Result<String, NameError>| {
            place
                .as_ref()
                .is_none_or(|place| path.is_ok_and(|path| path == place.path))
        };
        let agree = lies_in(data, namespace.data_path(*kind))
            && lies_in(metadata, namespace.metadata_path());
        !agree || !names.insert(namespace)
    })
}

/// A long collection's reading can be given up in its middle.
struct Stopped<'s, R> {
    input: R,
    cancelled: &'s AtomicBool,
}

impl<R: Read> Read for Stopped<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancelled.load(Ordering::Relaxed) {
            Err(io::Error::other(Damage::Interrupted))
        } else {
            self.input.read(buffer)
        }
    }
}

fn check_section(
    native: &NativeArchive,
    section: &Section,
    input: &mut dyn Read,
    found: &mut Found,
) {
    // Files that share a section may stand in any order, each of them once.
    let files = section.files.iter();
    let mut missing: BTreeMap<String, Role> =
        files.map(|role| (native.path(*role), *role)).collect();
    let (_, outcome) = container::files(input, &mut |name, content| {
        // Every file that is met is out of `missing`; one that is not sound takes the blame itself.
        let Some((path, role)) = missing.remove_entry(name) else {
            return Err(format!("{name:?} does not belong here"));
        };
        if let Err(problem) = check_file(&native.manifest, role, content, found) {
            record_damage(&path, role, problem, found);
        }
        Ok(())
    });
    let problem = match outcome {
        Ok(()) => "it is missing".to_owned(),
        Err(problem) => {
            if missing.is_empty() {
                // What is wrong stands behind the last file, and belongs to no other file.
                missing.extend(section.files.last().map(|role| (native.path(*role), *role)));
            }
            problem
        }
    };
    for (path, role) in missing {
        record_damage(&path, role, problem.clone(), found);
    }
}

fn check_file(
    manifest: &Manifest,
    role: Role,
    input: &mut dyn Read,
    found: &mut Found,
) -> Result<(), String> {
    match role {
        Role::Manifest => io::copy(input, &mut io::sink())
            .map(drop)
            .map_err(|error| reason(&error)),
        Role::Prelude => json(input).map(drop),
        Role::Metadata(index) => {
            let text = text_of(input)?;
            // What is too deep to be read is sound all the same: the tar's checksums vouch for it.
            match json::from_slice::<Object>(&text) {
                Ok(_) | Err(JsonError::TooDeep) => {}
                Err(error) => return Err(unreadable(&error)),
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            if let (Err(problem), Some(entry)) =
                (metadata::parse(&text), manifest.namespaces.get(index))
            {
                found.unreadable(&entry.namespace, &problem);
            }
            found.keep_metadata(index, text)
        }
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
            let Some(entry) = manifest.namespaces.get(index) else {
                return Ok(());
            };
            if totals.documents != entry.documents {
                return Err(format!(
                    "{} documents instead of {}",
                    totals.documents, entry.documents
                ));
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

type Object = serde_json::Map<String, serde_json::Value>;

fn text_of(input: &mut dyn Read) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    input
        .take(LONGEST_METADATA)
        .read_to_end(&mut text)
        .map_err(|error| reason(&error))?;
    Ok(text)
}

fn unreadable(error: &JsonError) -> String {
    format!("its options and indexes cannot be read: {error}")
}

/// Reads a small JSON file to its end, and gives its text.
pub(crate) fn json(input: &mut dyn Read) -> Result<String, String> {
    let text = text_of(input)?;
    match json::from_slice::<Object>(&text) {
        // JSON is UTF-8.
        Ok(_) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Err(error) => Err(unreadable(&error)),
    }
}

fn record_damage(path: &str, role: Role, problem: String, found: &mut Found) {
    match role {
        Role::Data(index) | Role::Metadata(index) => {
            if let Some(checked) = found.namespaces.get_mut(index) {
                checked.damage.get_or_insert(problem);
            }
        }
        Role::Prelude | Role::Manifest => found.damage.push(format!("{path}: {problem}")),
    }
}
