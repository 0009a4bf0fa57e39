//! Verifies a tar.gz that is not in our format: a `mongodump --out` folder packed by hand, an archive of ours that was
//! unpacked and packed again, or the readable part of one whose end is lost.
//!
//! There is no checksum from mongodump to compare with, so every element of every document is looked at.

use super::scan::{self, Depth};
use super::{Found, Options, ours, reason};
use crate::archive::{Damage, Hashing};
use crate::manifest::{self, Entry, Manifest};
use crate::namespace::{Kind, Namespace, Totals};
use crate::report::Checked;
use flate2::bufread::MultiGzDecoder;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicBool, Ordering};
use tar::EntryType;

/// Files named in full when they cannot be checked; the rest are counted.
const UNKNOWN_NAMED: usize = 5;

/// Reads `file` from its start. What is found counts as sound only if nothing is wrong with any of it.
pub fn verify(file: File, options: &Options, found: &mut Found) -> Result<(), Damage> {
    let input = Watched { input: Hashing::new(file, u64::MAX), stop: options.stop, moved: options.moved };
    let mut tar = tar::Archive::new(MultiGzDecoder::new(BufReader::with_capacity(256 * 1024, input)));
    let mut walk = Walk::default();
    let outcome = walk.entries(&mut tar, found);
    let mut unpacked = tar.into_inner();
    // The checksum of the last gzip member stands behind the end of the tar.
    let rest = outcome.and_then(|()| walk.end(&mut unpacked));
    if options.stop.load(Ordering::Relaxed) {
        return Err(Damage::Interrupted);
    }
    if let Err(problem) = rest {
        found.damage.push(problem);
    }
    walk.report(found);
    let (sha256, _) = unpacked.into_inner().into_inner().input.finish()?;
    found.sha256 = Some(sha256);
    Ok(())
}

/// The file, which can be told to stop.
struct Watched<'o> {
    input: Hashing<File>,
    stop: &'o AtomicBool,
    moved: &'o (dyn Fn(u64) + Sync),
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other(Damage::Interrupted));
        }
        let read = self.input.read(buffer)?;
        (self.moved)(self.input.position());
        Ok(read)
    }
}

/// What a walk through the tar has come across.
#[derive(Default)]
struct Walk {
    /// Documents found, by path below the top folder.
    data: HashMap<String, Totals>,
    metadata: Vec<String>,
    manifest: Option<Manifest>,
    unknown: Vec<String>,
}

impl Walk {
    fn entries<R: Read>(&mut self, tar: &mut tar::Archive<R>, found: &mut Found) -> Result<(), String> {
        for entry in tar.entries().map_err(|error| reason(&error))? {
            let mut entry = entry.map_err(|error| reason(&error))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let path = inside(&name).ok_or_else(|| format!("{name:?} points outside the archive"))?;
            match entry.header().entry_type() {
                EntryType::Directory | EntryType::XGlobalHeader => {}
                EntryType::Regular | EntryType::Continuous => self.file(&path, &mut entry, found)?,
                _ => return Err(format!("{name:?} is a link or a device, which no dump contains")),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &str, input: &mut impl Read, found: &mut Found) -> Result<(), String> {
        let (plain, zipped) = match path.strip_suffix(".gz") {
            Some(plain) => (plain, true),
            None => (path, false),
        };
        let mut unzipped;
        let input: &mut dyn Read = if zipped {
            unzipped = MultiGzDecoder::new(BufReader::new(input));
            &mut unzipped
        } else {
            input
        };
        if plain.ends_with(".bson") {
            self.documents(plain, input, found)
        } else if plain.ends_with(".metadata.json") {
            ours::json(&mut &mut *input).map_err(|problem| format!("{path}: {problem}"))?;
            self.metadata.push(plain.to_owned());
            Ok(())
        } else if plain == "prelude.json" || plain.ends_with("/prelude.json") {
            ours::json(&mut &mut *input).map_err(|problem| format!("{path}: {problem}"))
        } else if plain == manifest::FILE_NAME {
            let mut json = Vec::new();
            input.take(ours::LONGEST_METADATA).read_to_end(&mut json).map_err(|error| reason(&error))?;
            match Manifest::from_json(&json) {
                Ok(manifest) => self.manifest = Some(manifest),
                Err(_) => self.unknown.push(path.to_owned()),
            }
            Ok(())
        } else {
            self.unknown.push(path.to_owned());
            io::copy(input, &mut io::sink()).map(drop).map_err(|error| reason(&error))
        }
    }

    fn documents(&mut self, path: &str, input: &mut dyn Read, found: &mut Found) -> Result<(), String> {
        let (totals, result) = scan::documents(input, Depth::Elements);
        let (namespace, kind) = namespace_of(path);
        let (damage, carry_on) = match result {
            Ok(()) => (None, Ok(())),
            // The file itself cannot be read any further.
            Err(scan::ScanError::Read(error)) => (Some(reason(&error)), Err(reason(&error))),
            Err(error) => (Some(error.to_string()), Ok(())),
        };
        let Totals { documents, bytes, .. } = totals;
        found.namespaces.push(Checked { namespace, kind, documents, bytes, damage });
        if self.data.insert(path.to_owned(), totals).is_some() {
            found.damage.push(format!("{path} is there twice"));
        }
        carry_on
    }

    /// Reads what follows the tar: only the zeros that tars are padded with may.
    fn end(&mut self, unpacked: &mut impl Read) -> Result<(), String> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match unpacked.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) if buffer[..read].iter().all(|byte| *byte == 0) => {}
                Ok(_) => return Err("something follows the end of the tar".into()),
                Err(error) => return Err(reason(&error)),
            }
        }
    }

    fn report(&mut self, found: &mut Found) {
        if self.data.is_empty() && self.metadata.is_empty() {
            found.damage.push("there is no MongoDB dump in it".into());
        }
        match self.manifest.take() {
            Some(manifest) => self.compare(&manifest, found),
            None => found
                .not_checked
                .push("whether documents or collections are missing: there is no manifest to compare with".into()),
        }
        let more = self.unknown.len().saturating_sub(UNKNOWN_NAMED);
        if !self.unknown.is_empty() {
            let named = self.unknown.iter().take(UNKNOWN_NAMED).cloned().collect::<Vec<_>>().join(", ");
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            found.not_checked.push(format!("files that mongodump does not write: {named}{rest}"));
        }
    }

    /// Holds what was found against the manifest that came with it.
    fn compare(&self, manifest: &Manifest, found: &mut Found) {
        for Entry { namespace, documents, bytes, crc64, data, metadata, .. } in &manifest.namespaces {
            if let Some(place) = data {
                match self.data.get(&place.path) {
                    None => found.damage.push(format!("{namespace}: its documents are missing")),
                    Some(totals) if (totals.documents, totals.bytes, totals.crc64) != (*documents, *bytes, *crc64) => {
                        found.damage.push(format!("{namespace}: its documents are not those of the manifest"));
                    }
                    Some(_) => {}
                }
            }
            if let Some(place) = metadata
                && !self.metadata.contains(&place.path)
            {
                found.damage.push(format!("{namespace}: its options and indexes are missing"));
            }
        }
    }
}

/// A path without its first folder, as a dump folder lays its files out; none when it climbs out of the archive.
fn inside(name: &str) -> Option<String> {
    let mut parts = Vec::new();
    for component in Path::new(name).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            _ => return None,
        }
    }
    // `dump/db/coll.bson` and `db/coll.bson` are both met; what counts is the last two.
    let keep = parts.len().saturating_sub(2);
    let tail = &parts[keep..];
    Some(match tail {
        [_, file] if parts.len() == 2 && is_top_level(file) => (*file).to_owned(),
        _ => tail.join("/"),
    })
}

/// Files that lie beside the databases' folders.
fn is_top_level(file: &str) -> bool {
    let plain = file.strip_suffix(".gz").unwrap_or(file);
    matches!(plain, "oplog.bson" | "prelude.json" | manifest::FILE_NAME)
}

fn namespace_of(path: &str) -> (Namespace, Kind) {
    let (database, file) = path.rsplit_once('/').unwrap_or(("", path));
    let collection = unescape(file.strip_suffix(".bson").unwrap_or(file));
    match collection.strip_prefix(crate::namespace::BUCKETS_PREFIX) {
        Some(name) => (Namespace::new(database, name), Kind::TimeSeries),
        None if database.is_empty() => (Namespace::new("", collection), Kind::Oplog),
        None => (Namespace::new(database, collection), Kind::Collection),
    }
}

/// The opposite of [`crate::namespace::escape_collection`], as far as a cut name allows.
fn unescape(escaped: &str) -> String {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'%').then(|| std::str::from_utf8(tail.get(..2)?).ok()).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
