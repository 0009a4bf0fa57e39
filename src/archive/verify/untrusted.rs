//! Verifies a tar.gz or tar.zst that is not in our format: a `mongodump --out` folder packed by hand, an archive of ours that was
//! unpacked and packed again, or the readable part of one whose end is lost.
//!
//! There is no checksum from mongodump to compare with, so every element of every document is looked at.

use super::oplog_place::{Meant, OPLOG_FILE, Places};
use super::other_format::OtherFormat;
use super::scan::{self, Depth};
use super::system_indexes::{SystemIndexes, is_system_indexes};
use super::{Found, MOST_METADATA, Options, TOO_MUCH_METADATA, native};
use crate::archive::container::{self, Damage, reason};
use crate::archive::manifest::{self, Entry, Manifest};
use crate::archive::metadata;
use crate::archive::namespace::{self, Kind, Namespace, Totals};
use crate::archive::source::Source;
use crate::archive::verify::report::NamespaceCheck;
use crate::sys::humanize;
use flate2::bufread::MultiGzDecoder;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufReader, Read};
use std::sync::atomic::AtomicBool;

/// Files named in full when they cannot be checked; the rest are counted.
const UNKNOWN_NAMED: usize = 5;
/// Deflate makes nothing smaller than by this factor. What is compressed twice over may unpack into more than any disk
/// holds, and no dump does.
const MOST_UNPACKED: u64 = 1100;
/// On top of that, for any size of archive.
const ALWAYS_UNPACKED: u64 = 64 * 1024 * 1024;

/// Files of macOS lie beside others under their names with this in front …
const MACOS_PREFIX: &str = "._";
/// … and begin so, as no BSON and no JSON does: AppleDouble, AppleSingle.
const MACOS_MAGIC: [[u8; 4]; 2] = [[0, 5, 0x16, 7], [0, 5, 0x16, 0]];

/// Reads `source` from its start. What is found counts as sound only if nothing is wrong with any of it.
pub(super) fn verify(
    mut source: Source,
    options: &Options,
    found: &mut Found,
) -> Result<Survey, Damage> {
    found.other_format = OtherFormat::by_magic(&mut source)?;
    if found.other_format.is_some() {
        return Ok(Survey::default());
    }
    let archive_bytes = source.length();
    let left = archive_bytes
        .saturating_mul(MOST_UNPACKED)
        .saturating_add(ALWAYS_UNPACKED);
    let mut survey = Survey {
        left,
        ..Survey::default()
    };
    let moved = |bytes| (options.moved)(bytes);
    let visit = &mut |whole: &str, path: &str, content: &mut dyn Read| {
        survey.file(whole, path, content, found)
    };
    let walked = container::walk(source, options.cancelled, &moved, visit)?;
    found.damage.extend(walked.problem);
    survey.tell_oplogs(found);
    survey.report(found);
    found.sha256 = Some(walked.sha256);
    Ok(survey)
}

/// What a walk through the tar has come across, by path below the top folder and without `.gz`.
#[derive(Default)]
pub(super) struct Survey {
    /// Documents found.
    pub data: BTreeMap<String, Totals>,
    /// Options and indexes.
    pub metadata: BTreeMap<String, String>,
    /// mongodump's words about itself and its server, as JSON.
    pub prelude: Option<String>,
    pub manifest: Option<Manifest>,
    /// Indexes of collections that have no metadata.
    pub system_indexes: SystemIndexes,
    /// The file of the dump's oplog.
    oplog: Option<String>,
    places: Places,
    metadata_bytes: usize,
    namespaces: HashSet<Namespace>,
    /// The first of those that mongodump does not write, and how many more there are.
    unknown: Vec<String>,
    more_unknown: u64,
    /// Files that macOS added.
    of_macos: u64,
    /// Bytes that may still come out of files that are compressed inside the archive.
    left: u64,
}

fn without_gz(path: &str) -> &str {
    path.strip_suffix(".gz").unwrap_or(path)
}

/// A file's content as mongodump wrote it: the `.gz` of `mongodump --gzip` is taken off. With the path without it.
fn plain<'c>(path: &'c str, content: &'c mut dyn Read) -> (&'c str, Box<dyn Read + 'c>) {
    match path.strip_suffix(".gz") {
        Some(plain) => (
            plain,
            Box::new(MultiGzDecoder::new(BufReader::new(content))),
        ),
        None => (path, Box::new(content)),
    }
}

/// Is given each file of an archive, by its path.
pub(crate) type Show<'s> = dyn FnMut(&str, &mut dyn Read) -> Result<(), String> + 's;

/// Shows every file as mongodump wrote it.
pub(crate) fn read_untrusted(
    source: &Source,
    cancelled: &AtomicBool,
    show: &mut Show,
) -> Result<(), String> {
    let visit = &mut |_: &str, path: &str, content: &mut dyn Read| {
        let (path, mut content) = plain(path, content);
        show(path, &mut *content)
    };
    let walked = container::walk(source.at(0), cancelled, &|_| {}, visit);
    match walked.map_err(|damage| damage.to_string())?.problem {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

impl Survey {
    fn file(
        &mut self,
        whole: &str,
        path: &str,
        content: &mut dyn Read,
        found: &mut Found,
    ) -> Result<(), String> {
        let mut head = Vec::new();
        if file_name(path).starts_with(MACOS_PREFIX) {
            let read = content.take(4).read_to_end(&mut head);
            read.map_err(|error| reason(&error))?;
            if MACOS_MAGIC.iter().any(|magic| head == magic) {
                self.of_macos += 1;
                return Ok(());
            }
        }
        self.places.note(without_gz(whole), without_gz(path));
        let mut content = head.as_slice().chain(content);
        let (plain, content) = plain(path, &mut content);
        let mut content = Bounded {
            input: content,
            left: if plain == path { u64::MAX } else { self.left },
        };
        let read = self.read(plain, path, &mut content, found);
        if plain != path {
            self.left = content.left;
        }
        read
    }

    fn read(
        &mut self,
        plain: &str,
        path: &str,
        input: &mut dyn Read,
        found: &mut Found,
    ) -> Result<(), String> {
        let named = |problem: String| format!("{path}: {problem}");
        if plain.ends_with(".bson") {
            let (namespace, _) = namespace_of(plain);
            match is_system_indexes(&namespace) {
                true => self.indexes(&namespace, input, found),
                false => self.documents(plain, input, found),
            }
        } else if plain.ends_with(".metadata.json") {
            let text = native::json(input).map_err(named)?;
            self.count_metadata(text.len())?;
            if let Err(problem) = metadata::parse(&text) {
                let stem = plain.strip_suffix(".metadata.json").unwrap_or(plain);
                let (namespace, _) = namespace_of(stem);
                found.unreadable(&namespace, &problem);
            }
            match self.metadata.insert(plain.to_owned(), text) {
                None => Ok(()),
                Some(_) => Err(format!("{plain} is there twice")),
            }
        } else if plain.rsplit('/').next() == Some(manifest::PRELUDE_NAME) {
            self.prelude = Some(native::json(input).map_err(named)?);
            Ok(())
        } else if plain == manifest::FILE_NAME {
            self.manifest(path, input)
        } else {
            self.not_known(path);
            io::copy(input, &mut io::sink())
                .map(drop)
                .map_err(|error| reason(&error))
        }
    }

    fn manifest(&mut self, path: &str, input: &mut dyn Read) -> Result<(), String> {
        let mut json = Vec::new();
        input
            .take(native::LONGEST_METADATA)
            .read_to_end(&mut json)
            .map_err(|error| reason(&error))?;
        match Manifest::from_json(&json) {
            Ok(manifest) => self.manifest = Some(manifest),
            Err(_) => self.not_known(path),
        }
        Ok(())
    }

    fn not_known(&mut self, path: &str) {
        match self.unknown.len() < UNKNOWN_NAMED {
            true => self.unknown.push(path.to_owned()),
            false => self.more_unknown += 1,
        }
    }

    /// Metadata is kept in memory, so there is a limit to it.
    fn count_metadata(&mut self, bytes: usize) -> Result<(), String> {
        self.metadata_bytes += bytes;
        match self.metadata_bytes > MOST_METADATA {
            true => Err(TOO_MUCH_METADATA.into()),
            false => Ok(()),
        }
    }

    /// Indexes that an old server kept as documents.
    fn indexes(
        &mut self,
        namespace: &Namespace,
        input: &mut dyn Read,
        found: &mut Found,
    ) -> Result<(), String> {
        let mut bytes = Vec::new();
        input
            .take(MOST_METADATA as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| reason(&error))?;
        self.count_metadata(bytes.len())?;
        if let Err(problem) = self.system_indexes.add(&namespace.database, &bytes) {
            found.damage.push(format!("{namespace}: {problem}"));
        }
        Ok(())
    }

    fn documents(
        &mut self,
        path: &str,
        input: &mut dyn Read,
        found: &mut Found,
    ) -> Result<(), String> {
        let (totals, result) = scan::documents(input, Depth::Elements);
        let (namespace, kind) = namespace_of(path);
        let (damage, carry_on) = match result {
            Ok(()) => (None, Ok(())),
            // The file itself cannot be read any further.
            Err(scan::ScanError::Read(error)) => (Some(reason(&error)), Err(reason(&error))),
            Err(error) => (Some(error.to_string()), Ok(())),
        };
        let Totals {
            documents, bytes, ..
        } = totals;
        // Names may be escaped in more than one way.
        let again = !self.namespaces.insert(namespace.clone());
        found.namespaces.push(NamespaceCheck {
            namespace: namespace.clone(),
            kind,
            documents,
            bytes,
            damage,
        });
        if self.data.insert(path.to_owned(), totals).is_some() || again {
            found.damage.push(format!("{namespace} is there twice"));
        }
        carry_on
    }

    /// Now that all files are known: which of those called `oplog.bson` is the dump's oplog.
    fn tell_oplogs(&mut self, found: &mut Found) {
        for (path, meant) in self.places.oplogs() {
            let (as_collection, _) = namespace_of(path);
            match meant {
                Meant::Collection => {}
                Meant::Unclear => found.damage.push(format!(
                    "{path} may be the dump's oplog or a collection called oplog: there are files of collections both beside it and \
                     in folders below; pack it again with one dump folder only"
                )),
                Meant::Oplog if self.oplog.is_some() => {
                    found.damage.push("the dump's oplog is there twice".into());
                }
                Meant::Oplog => {
                    let mut checks = found.namespaces.iter_mut();
                    if let Some(check) = checks.find(|one| one.namespace == as_collection) {
                        (check.namespace, check.kind) = namespace_of(OPLOG_FILE);
                    }
                    self.oplog = Some(path.to_owned());
                }
            }
        }
    }

    /// Whose documents a file has.
    pub(super) fn namespace_of(&self, path: &str) -> (Namespace, Kind) {
        match self.oplog.as_deref() == Some(path) {
            true => namespace_of(OPLOG_FILE),
            false => namespace_of(path),
        }
    }

    fn report(&mut self, found: &mut Found) {
        if self.data.is_empty() && self.metadata.is_empty() {
            found.damage.push("there is no MongoDB dump in it".into());
        }
        let bare = self.bare_files();
        if !bare.is_empty() {
            found.other_format = Some(OtherFormat::BareFiles(bare));
        }
        match self.manifest.take() {
            Some(manifest) => self.compare(&manifest, found),
            None => found
                .not_checked
                .push("whether documents or collections are missing: there is no manifest to compare with".into()),
        }
        if !self.unknown.is_empty() {
            let named = self.unknown.join(", ");
            let rest = match self.more_unknown {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            found.not_checked.push(format!(
                "files that mongodump does not write: {named}{rest}"
            ));
        }
        if self.of_macos > 0 {
            let files = humanize::counted(self.of_macos, "file");
            found.not_checked.push(format!(
                "{files} named ._*, which macOS added: nothing of a dump is in them"
            ));
        }
    }

    /// Files of collections that lie in no database's folder.
    fn bare_files(&self) -> Vec<String> {
        let files = self.data.keys().chain(self.metadata.keys());
        let bare = files.filter(|path| !path.contains('/') && *path != OPLOG_FILE);
        bare.cloned().collect()
    }

    /// Holds what was found against the manifest that came with it.
    fn compare(&self, manifest: &Manifest, found: &mut Found) {
        for Entry {
            namespace,
            kind,
            documents,
            bytes,
            crc64,
            data,
            metadata,
            ..
        } in &manifest.namespaces
        {
            if let Some(place) = data {
                let oplog = self.oplog.as_ref().filter(|_| *kind == Kind::Oplog);
                match self.data.get(oplog.unwrap_or(&place.path)) {
                    None => found
                        .damage
                        .push(format!("{namespace}: its documents are missing")),
                    Some(totals)
                        if (totals.documents, totals.bytes, totals.crc64)
                            != (*documents, *bytes, *crc64) =>
                    {
                        found.damage.push(format!(
                            "{namespace}: its documents are not those of the manifest"
                        ));
                    }
                    Some(_) => {}
                }
            }
            if let Some(place) = metadata
                && !self.metadata.contains_key(&place.path)
            {
                found
                    .damage
                    .push(format!("{namespace}: its options and indexes are missing"));
            }
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whose documents lie in a file, as far as its name tells.
pub(super) fn namespace_of(path: &str) -> (Namespace, Kind) {
    let (database, file) = path.rsplit_once('/').unwrap_or(("", path));
    let collection = namespace::unescape_collection(file.strip_suffix(".bson").unwrap_or(file));
    match collection.strip_prefix(namespace::BUCKETS_PREFIX) {
        Some(name) => (Namespace::new(database, name), Kind::TimeSeries),
        None if database.is_empty() => (Namespace::new("", collection), Kind::Oplog),
        None => (Namespace::new(database, collection), Kind::Collection),
    }
}

/// Gives no more than is left.
struct Bounded<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::other("it unpacks into more than any dump of its size holds")
        })?;
        Ok(read)
    }
}
