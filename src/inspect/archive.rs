//! An archive that is open to be looked into: what it holds, and the documents of one collection at a time.
//!
//! Of an archive of ours, nothing is read but what is asked for; its own checksum of each collection says at the end whether
//! what was read is what was dumped. One that was packed by another's hand is read through first, with the distrust that
//! everything else here has for it, and then once more for its documents.

use super::InspectError;
use crate::archive::container::{self, Damage, NativeArchive, Opened, Role, Section};
use crate::archive::document_reader::DocumentReader;
use crate::archive::manifest::Manifest;
use crate::archive::namespace::{Kind, Namespace, Totals};
use crate::archive::source::Source;
use crate::archive::verify::{self, ArchivedNamespace, Options, Show, Unusable};
use crate::store::located::Located;
use crate::sys::humanize::first_and_more;
use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

/// Collections named when none of them was meant.
const NAMED: usize = 12;

/// An open archive.
pub(crate) struct Archive {
    /// File name.
    pub name: String,
    pub archive_bytes: u64,
    /// Oldest first, as they lie in the archive. Of an archive of ours, `metadata` is empty: see [`Archive::metadata`].
    pub collections: Vec<ArchivedNamespace>,
    /// What could not be checked.
    pub notes: Vec<String>,
    located: Located,
    inner: Inner,
}

enum Inner {
    Native(Box<NativeArchive>, Vec<Section>),
    Untrusted(Source),
}

/// Whether a visitor wants to see more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    More,
    Enough,
}

/// How far documents were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadEnd {
    /// To their end, and they are those that were dumped.
    Whole,
    /// The visitor had seen enough.
    Enough,
}

/// Why documents were not read.
pub(crate) enum ReadError<E> {
    Archive(InspectError),
    Visitor(E),
}

impl Archive {
    /// Opens an archive that was found. Blocks.
    pub(crate) fn open(located: &Located, options: &Options) -> Result<Self, InspectError> {
        let opened = Self::open_any(located, options);
        opened.map_err(|error| match (error, located.failure()) {
            // Only what was read can be damaged.
            (InspectError::Damaged { .. } | InspectError::Open(_), Some(failure)) => failure.into(),
            (error, _) => error,
        })
    }

    fn open_any(located: &Located, options: &Options) -> Result<Self, InspectError> {
        let name = located.name();
        let source = located.open()?;
        let archive_bytes = source.file_length();
        let opened = container::open(source).map_err(|damage| damaged(&name, damage))?;
        let (collections, notes, inner) = match opened {
            Opened::Native(native) => {
                if let Some(entry) = verify::contradiction(&native.manifest) {
                    let what = format!("{}: the manifest contradicts itself", entry.namespace);
                    return Err(damaged(&name, Damage::Manifest(what)));
                }
                let sections = native.sections().map_err(|damage| damaged(&name, damage))?;
                let collections = of_manifest(&native.manifest);
                (collections, Vec::new(), Inner::Native(native, sections))
            }
            Opened::Untrusted(source) => {
                let surveyed = verify::survey(source.at(0), options);
                let (parts, _) = surveyed.map_err(|problem| unusable(&name, problem))?;
                (parts.namespaces, parts.warnings, Inner::Untrusted(source))
            }
        };
        Ok(Archive {
            located: located.clone(),
            name,
            archive_bytes,
            collections,
            notes,
            inner,
        })
    }

    /// The place elsewhere that it is read from; none where it lies here.
    pub(crate) fn place(&self) -> Option<&str> {
        self.located.place()
    }

    /// What the archive says of itself; none of one that is not ours.
    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        match &self.inner {
            Inner::Native(native, _) => Some(&native.manifest),
            Inner::Untrusted(_) => None,
        }
    }

    /// The place of a collection among [`Archive::collections`], by its name or as its name is shown.
    pub(crate) fn find(&self, wanted: &str) -> Result<usize, InspectError> {
        let exact = |one: &ArchivedNamespace| {
            wanted
                .split_once('.')
                .is_some_and(|(database, collection)| {
                    one.namespace == Namespace::new(database, collection)
                })
        };
        let shown = |one: &ArchivedNamespace| one.namespace.to_string() == wanted;
        let place =
            |fits: &dyn Fn(&ArchivedNamespace) -> bool| self.collections.iter().position(fits);
        place(&exact).or_else(|| place(&shown)).ok_or_else(|| {
            let mut held: Vec<String> = self
                .collections
                .iter()
                .map(|one| one.namespace.to_string())
                .collect();
            held.sort();
            InspectError::NoSuchCollection {
                name: self.name.clone(),
                wanted: wanted.to_owned(),
                held: first_and_more(&held, NAMED),
            }
        })
    }

    /// Shows options and indexes of each collection that is `wanted`, the very text of `metadata.json`.
    pub(crate) fn metadata(
        &self,
        wanted: &dyn Fn(usize) -> bool,
        visit: &mut dyn FnMut(usize, &str),
    ) -> Result<(), InspectError> {
        let Inner::Native(native, sections) = &self.inner else {
            let chosen = self.collections.iter().enumerate();
            chosen
                .filter(|(index, _)| wanted(*index))
                .for_each(|(index, one)| visit(index, &one.metadata));
            return Ok(());
        };
        for section in sections {
            let here = section.files.iter().filter_map(|role| match *role {
                Role::Metadata(index) if wanted(index) => Some((native.path(*role), index)),
                _ => None,
            });
            let here: HashMap<String, usize> = here.collect();
            if here.is_empty() {
                continue;
            }
            let (_, outcome) = container::files(native.extract(section), &mut |name, content| {
                if let Some(index) = here.get(name) {
                    visit(*index, &verify::json(content)?);
                }
                Ok(())
            });
            outcome.map_err(|problem| self.damaged(None, problem))?;
        }
        Ok(())
    }

    /// Shows the documents of a collection, in their BSON bytes, until the visitor has seen enough. Blocks; ends soon once
    /// `cancelled` is set.
    pub(crate) fn documents<E>(
        &self,
        index: usize,
        cancelled: &AtomicBool,
        visit: &mut dyn FnMut(&[u8]) -> Result<Next, E>,
    ) -> Result<ReadEnd, ReadError<E>> {
        let Some(one) = self.collections.get(index) else {
            return Ok(ReadEnd::Whole);
        };
        let Some(file) = &one.file else {
            return match one.kind {
                Kind::View => Err(ReadError::Archive(InspectError::View {
                    namespace: one.namespace.to_string(),
                })),
                _ => Ok(ReadEnd::Whole),
            };
        };
        let mut ended = None;
        let mut show = |path: &str, content: &mut dyn Read| {
            if path != file || ended.is_some() {
                return Ok(());
            }
            let end = read(content, one.totals, cancelled, visit);
            let go_on = matches!(end, Ok(ReadEnd::Whole));
            ended = Some(end);
            // The rest of the archive need not be read.
            if go_on { Ok(()) } else { Err(String::new()) }
        };
        let outcome = match &self.inner {
            Inner::Native(native, sections) => read_native(native, sections, index, &mut show),
            Inner::Untrusted(file) => verify::read_untrusted(file, cancelled, &mut show),
        };
        match (ended, outcome) {
            (Some(Ok(ReadEnd::Enough)), _) => Ok(ReadEnd::Enough),
            (Some(Ok(ReadEnd::Whole)), Ok(())) => Ok(ReadEnd::Whole),
            (Some(Err(Ended::Visitor(error))), _) => Err(ReadError::Visitor(error)),
            (Some(Err(Ended::Problem(problem))), _) | (_, Err(problem)) => {
                Err(ReadError::Archive(self.damaged(Some(one), problem)))
            }
            (None, Ok(())) => Err(ReadError::Archive(
                self.damaged(Some(one), "its documents are missing".into()),
            )),
        }
    }

    fn damaged(&self, of: Option<&ArchivedNamespace>, problem: String) -> InspectError {
        if let Some(failure) = self.located.failure() {
            return failure.into();
        }
        let damage = match of {
            Some(one) => format!("{}: {problem}", one.namespace),
            None => problem,
        };
        InspectError::Damaged {
            name: self.name.clone(),
            damage,
        }
    }
}

fn of_manifest(manifest: &Manifest) -> Vec<ArchivedNamespace> {
    let archived = manifest.namespaces.iter().map(|entry| ArchivedNamespace {
        namespace: entry.namespace.clone(),
        kind: entry.kind,
        totals: Totals {
            documents: entry.documents,
            bytes: entry.bytes,
            crc64: entry.crc64,
        },
        metadata: String::new(),
        file: entry.data.as_ref().map(|place| place.path.clone()),
    });
    archived.collect()
}

/// How reading a file of documents ended before its end.
enum Ended<E> {
    Visitor(E),
    Problem(String),
}

fn read<E>(
    content: &mut dyn Read,
    totals: Totals,
    cancelled: &AtomicBool,
    visit: &mut dyn FnMut(&[u8]) -> Result<Next, E>,
) -> Result<ReadEnd, Ended<E>> {
    let mut reader = DocumentReader::new(content);
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Ended::Problem("reading was interrupted".into()));
        }
        let next = reader.next();
        let next = next.map_err(|error| Ended::Problem(container::reason(&error)))?;
        let Some(document) = next else { break };
        if visit(document).map_err(Ended::Visitor)? == Next::Enough {
            return Ok(ReadEnd::Enough);
        }
    }
    match reader.totals() == totals {
        true => Ok(ReadEnd::Whole),
        false => Err(Ended::Problem(
            "its documents are not those that were archived: their checksum is wrong".into(),
        )),
    }
}

fn read_native(
    native: &NativeArchive,
    sections: &[Section],
    index: usize,
    show: &mut Show,
) -> Result<(), String> {
    let root = format!("{}/", native.manifest.archive);
    let holds = |section: &&Section| section.files.contains(&Role::Data(index));
    let Some(section) = sections.iter().find(holds) else {
        return Ok(());
    };
    let (_, outcome) = container::files(native.extract(section), &mut |name, content| {
        show(name.strip_prefix(&root).unwrap_or(name), content)
    });
    outcome
}

fn damaged(name: &str, damage: Damage) -> InspectError {
    InspectError::Damaged {
        name: name.to_owned(),
        damage: damage.to_string(),
    }
}

fn unusable(name: &str, problem: Unusable) -> InspectError {
    match problem {
        Unusable::OtherFormat(format) => InspectError::OtherFormat {
            name: name.to_owned(),
            what: format.explain(name),
        },
        other => InspectError::Damaged {
            name: name.to_owned(),
            damage: other.to_string(),
        },
    }
}
