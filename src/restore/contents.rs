//! An archive that is open and verified as far as it is wanted, and its documents on demand.

use super::RestoreError;
use crate::archive::container::{self, Damage, NativeArchive, Opened, Role, Section};
use crate::archive::file_name;
use crate::archive::namespace::{Kind, Namespace};
use crate::archive::verify::{self, ArchivedNamespace, Options, Origin, Unusable};
use crate::store::repository::Repository;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::sync::atomic::AtomicBool;

/// Read ahead by each reader, in bytes.
const READER_BYTES: usize = 64 * 1024;
/// Namespaces named when none of them was meant.
const NAMED: usize = 12;

/// What is in an archive, of what was asked for.
pub(crate) struct Contents {
    archive: Archive,
    /// File name.
    pub name: String,
    pub holdings: Vec<ArchivedNamespace>,
    pub origin: Origin,
    pub made_at: Option<DateTime<Utc>>,
    pub warnings: Vec<String>,
    /// Holdings by where their documents lie.
    by_file: HashMap<String, usize>,
}

enum Archive {
    NativeArchive(Box<NativeArchive>, Vec<Section>),
    /// A dump folder, packed by anyone's hand: to be read from its start, whatever is wanted of it.
    Foreign(File),
}

/// Why reading ended early.
pub(crate) enum Broken<E> {
    Archive(String),
    /// Whoever was shown the documents wants no more.
    Visitor(E),
}

impl Contents {
    /// Opens an archive and verifies what `chosen` names, and the oplog beside it. Blocks; ends soon once
    /// `options.stop` is set.
    pub(crate) fn open(
        repository: &Repository,
        stem: &str,
        chosen: &dyn Fn(&Namespace) -> bool,
        options: &Options,
    ) -> Result<Self, RestoreError> {
        let name = file_name::archive(stem);
        let file = repository.open(stem)?;
        let opened = container::open(file).map_err(|damage| unusable(&name, damage.into()))?;
        let (archive, parts, origin, made_at) = match opened {
            Opened::NativeArchive(ours) => {
                let entries = &ours.manifest.namespaces;
                let wanted = |index: usize| {
                    entries
                        .get(index)
                        .is_some_and(|entry| entry.kind == Kind::Oplog || chosen(&entry.namespace))
                };
                if !entries
                    .iter()
                    .any(|entry| entry.kind != Kind::Oplog && chosen(&entry.namespace))
                {
                    return Err(nothing(&name, entries.iter().map(|entry| &entry.namespace)));
                }
                let sidecar = repository.sidecar(stem);
                let parts = verify::ours_parts(&ours, &wanted, &sidecar, options);
                let parts = parts.map_err(|problem| unusable(&name, problem))?;
                let sections = ours
                    .sections()
                    .map_err(|damage| unusable(&name, damage.into()))?;
                let origin = Origin {
                    server_version: Some(ours.manifest.server.version.clone()),
                    tool_version: Some(ours.manifest.mongodump_version.clone()),
                };
                let made_at = Some(ours.manifest.started_at);
                (
                    Archive::NativeArchive(ours, sections),
                    parts,
                    origin,
                    made_at,
                )
            }
            Opened::Foreign(file) => {
                let again = file
                    .try_clone()
                    .map_err(|error| unusable(&name, Damage::Read(error).into()))?;
                let (mut parts, origin) =
                    verify::survey(file, options).map_err(|problem| unusable(&name, problem))?;
                if !parts
                    .holdings
                    .iter()
                    .any(|one| one.kind != Kind::Oplog && chosen(&one.namespace))
                {
                    return Err(nothing(
                        &name,
                        parts.holdings.iter().map(|one| &one.namespace),
                    ));
                }
                parts
                    .holdings
                    .retain(|one| one.kind == Kind::Oplog || chosen(&one.namespace));
                (Archive::Foreign(again), parts, origin, None)
            }
        };
        let files = parts.holdings.iter().enumerate();
        let by_file = files
            .filter_map(|(index, one)| Some((one.file.clone()?, index)))
            .collect();
        Ok(Contents {
            archive,
            name,
            holdings: parts.holdings,
            origin,
            made_at,
            warnings: parts.warnings,
            by_file,
        })
    }

    /// Where the oplog is among the holdings, if there is one.
    pub(crate) fn oplog(&self) -> Option<usize> {
        self.holdings.iter().position(|one| one.kind == Kind::Oplog)
    }

    /// Shows the documents of each holding that is `wanted`, in the order they lie in. The content must be read to its
    /// end. Blocks.
    pub(crate) fn each<E>(
        &self,
        wanted: &dyn Fn(usize) -> bool,
        stop: &AtomicBool,
        visit: &mut dyn FnMut(usize, &mut dyn Read) -> Result<(), E>,
    ) -> Result<(), Broken<E>> {
        let mut given_up = None;
        let mut seen = vec![false; self.holdings.len()];
        let mut show = |path: &str, content: &mut dyn Read| match self.by_file.get(path) {
            Some(index) if wanted(*index) => {
                seen[*index] = true;
                visit(*index, content).map_err(|error| {
                    given_up = Some(error);
                    String::new()
                })
            }
            _ => Ok(()),
        };
        let outcome = match &self.archive {
            Archive::NativeArchive(ours, sections) => read_sections(
                ours,
                sections,
                &|file| self.by_file.get(file).is_some_and(|index| wanted(*index)),
                &mut show,
            ),
            Archive::Foreign(file) => read_foreign(file, stop, &mut show),
        };
        match (given_up, outcome) {
            (Some(error), _) => return Err(Broken::Visitor(error)),
            (None, Err(problem)) => return Err(Broken::Archive(problem)),
            (None, Ok(())) => {}
        }
        let lost = |(index, one): &(usize, &ArchivedNamespace)| {
            one.file.is_some() && wanted(*index) && !seen[*index]
        };
        match self.holdings.iter().enumerate().find(lost) {
            Some((_, one)) => Err(Broken::Archive(format!(
                "{} is not there any more",
                one.namespace
            ))),
            None => Ok(()),
        }
    }
}

/// A collection's documents, to be read at the same time as others'.
pub(crate) struct CollectionReader<'c> {
    pub holding: usize,
    /// Buffered, since documents are read one by one.
    pub content: BufReader<Box<dyn Read + 'c>>,
}

impl Contents {
    /// The collections that can be read beside each other, largest first: those of an archive of ours that have a section to
    /// themselves. None of them is read through yet.
    pub(crate) fn apart(&self, wanted: &dyn Fn(usize) -> bool) -> Vec<(usize, &Section)> {
        let Archive::NativeArchive(ours, sections) = &self.archive else {
            return Vec::new();
        };
        let root = format!("{}/", ours.manifest.archive);
        let holding = |section: &Section| match section.files.as_slice() {
            [file] => self
                .by_file
                .get(file.path.strip_prefix(&root)?)
                .copied()
                .filter(|index| wanted(*index)),
            _ => None,
        };
        let mut apart: Vec<(usize, &Section)> = sections
            .iter()
            .filter_map(|section| Some((holding(section)?, section)))
            .collect();
        apart.sort_by_key(|(index, _)| std::cmp::Reverse(self.holdings[*index].totals.bytes));
        apart
    }

    /// Opens one of [`Contents::apart`].
    pub(crate) fn reader<'c>(
        &'c self,
        holding: usize,
        section: &Section,
    ) -> Result<CollectionReader<'c>, String> {
        let Archive::NativeArchive(ours, _) = &self.archive else {
            return Err("it cannot be read in parts".into());
        };
        match ours.extract_alone(section) {
            Ok(Some(content)) => {
                let content: Box<dyn Read> = Box::new(content);
                Ok(CollectionReader {
                    holding,
                    content: BufReader::with_capacity(READER_BYTES, content),
                })
            }
            Ok(None) => Err("it cannot be read in parts".into()),
            Err(error) => Err(container::reason(&error)),
        }
    }
}

type Show<'s> = dyn FnMut(&str, &mut dyn Read) -> Result<(), String> + 's;

fn read_sections(
    ours: &NativeArchive,
    sections: &[Section],
    wanted: &dyn Fn(&str) -> bool,
    show: &mut Show,
) -> Result<(), String> {
    let root = format!("{}/", ours.manifest.archive);
    let below = |name: &'_ str| name.strip_prefix(&root).unwrap_or(name).to_owned();
    for section in sections {
        let holds = section
            .files
            .iter()
            .any(|file| matches!(file.role, Role::Data(_)) && wanted(&below(&file.path)));
        if holds {
            let (_, outcome) = container::files(ours.extract(section), &mut |name, content| {
                show(&below(name), content)
            });
            outcome?;
        }
    }
    Ok(())
}

fn read_foreign(file: &File, stop: &AtomicBool, show: &mut Show) -> Result<(), String> {
    let mut file = file.try_clone().map_err(|error| error.to_string())?;
    file.rewind().map_err(|error| error.to_string())?;
    let walked = container::walk(file, stop, &|_| {}, &mut |path, content| {
        let (path, mut content) = verify::plain(path, content);
        show(path, &mut *content)
    });
    match walked.map_err(|damage| damage.to_string())?.problem {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

fn unusable(name: &str, problem: Unusable) -> RestoreError {
    match problem {
        Unusable::Interrupted => RestoreError::Stopped,
        Unusable::OtherFormat(format) => RestoreError::OtherFormat {
            name: name.to_owned(),
            what: format.explain(name),
        },
        damaged @ Unusable::Damaged(_) => RestoreError::Damaged {
            name: name.to_owned(),
            damage: damaged.to_string(),
        },
    }
}

fn nothing<'n>(name: &str, held: impl Iterator<Item = &'n Namespace>) -> RestoreError {
    let mut held: Vec<String> = held.map(ToString::to_string).collect();
    held.sort();
    let more = held.len().saturating_sub(NAMED);
    held.truncate(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    RestoreError::NothingChosen {
        name: name.to_owned(),
        held: format!("{}{more}", held.join(", ")),
    }
}
