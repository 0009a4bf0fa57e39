//! An archive that is open and verified as far as it is wanted, and its documents on demand.

use super::{RestoreError, Selection};
use crate::archive::container::{self, NativeArchive, Opened, Role, Section};
use crate::archive::namespace::{Kind, Namespace};
use crate::archive::source::Source;
use crate::archive::verify::{self, ArchivedNamespace, Options, Origin, Parts, Show, Unusable};
use crate::context::Context;
use crate::settings::Settings;
use crate::store::located::Located;
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::humanize::first_and_more;
use crate::sys::progress::{Meter, Unit, showing};
use chrono::{DateTime, Utc};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io::{BufReader, Read};
use std::ops::Index;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Read ahead by each reader, in bytes.
const READER_BYTES: usize = 64 * 1024;
/// Namespaces named when none of them was meant.
const NAMED: usize = 12;

/// One namespace of an archive that is open; see [`Contents::all`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ArchivedId(usize);

/// What is in an archive, of what was asked for.
pub(crate) struct Contents {
    located: Located,
    archive: Archive,
    /// File name.
    pub name: String,
    namespaces: Vec<ArchivedNamespace>,
    pub origin: Origin,
    pub made_at: Option<DateTime<Utc>>,
    pub warnings: Vec<String>,
    /// Namespaces by where their documents lie.
    by_file: HashMap<String, ArchivedId>,
}

enum Archive {
    Native(Box<NativeArchive>, Vec<Section>),
    /// A dump folder, packed by anyone's hand: to be read from its start, however little is wanted of it.
    Untrusted(Source),
}

/// Why reading ended early.
pub(crate) enum Broken<E> {
    Archive(String),
    /// The visitor wants no more documents.
    Visitor(E),
}

/// Opens and verifies an archive, as far as it is wanted, with progress.
pub(crate) async fn open(
    settings: &Settings,
    ctx: &Context,
    cancel: &Cancel,
    located: &Located,
    selection: &Selection,
) -> Result<Arc<Contents>, RestoreError> {
    let meter = Meter::new("verifying", Unit::Bytes, None, &ctx.screen);
    let (threads, located, selection, shown) = (
        settings.threads,
        located.clone(),
        selection.clone(),
        Arc::clone(&meter),
    );
    let opening = cancel.blocking(move |cancelled| {
        let moved = |bytes| shown.set(bytes);
        let options = Options {
            threads,
            cancelled,
            moved: &moved,
        };
        Contents::open(
            &located,
            &|namespace| selection.chooses(namespace),
            &options,
        )
    });
    let contents = showing(&meter, opening).await??;
    Ok(Arc::new(contents))
}

impl Contents {
    /// Opens an archive and verifies what `chosen` names, and the oplog beside it. Blocks; ends soon once
    /// `options.cancelled` is set.
    pub(crate) fn open(
        located: &Located,
        chosen: &dyn Fn(&Namespace) -> bool,
        options: &Options,
    ) -> Result<Self, RestoreError> {
        let opened = Self::open_any(located, chosen, options);
        opened.map_err(|error| match (error, located.failure()) {
            // Only what was read can be damaged.
            (RestoreError::Damaged { .. } | RestoreError::Open(_), Some(failure)) => failure.into(),
            (error, _) => error,
        })
    }

    fn open_any(
        located: &Located,
        chosen: &dyn Fn(&Namespace) -> bool,
        options: &Options,
    ) -> Result<Self, RestoreError> {
        let name = located.name();
        let source = located.open()?;
        let opened = container::open(source).map_err(|damage| unusable(&name, damage.into()))?;
        match opened {
            Opened::Native(native) => Self::of_native(located, native, chosen, options),
            Opened::Untrusted(source) => Self::of_untrusted(located, source, chosen, options),
        }
    }

    /// The place elsewhere that it is read from; none where it lies in the backup folder.
    pub(crate) fn place(&self) -> Option<String> {
        self.located.place().map(str::to_owned)
    }

    fn of_native(
        located: &Located,
        native: Box<NativeArchive>,
        chosen: &dyn Fn(&Namespace) -> bool,
        options: &Options,
    ) -> Result<Self, RestoreError> {
        let name = located.name();
        let entries = &native.manifest.namespaces;
        let all = entries.iter().map(|entry| (entry.kind, &entry.namespace));
        refuse_empty(&name, all, chosen)?;
        let wanted = |index: usize| {
            entries
                .get(index)
                .is_some_and(|entry| entry.kind == Kind::Oplog || chosen(&entry.namespace))
        };
        let parts = verify::native_parts(&native, &wanted, &located.sidecar(), options);
        let parts = parts.map_err(|problem| unusable(&name, problem))?;
        let sections = native.sections();
        let sections = sections.map_err(|damage| unusable(&name, damage.into()))?;
        let origin = Origin {
            server_version: Some(native.manifest.server.version.clone()),
            tool_version: Some(native.manifest.mongodump_version.clone()),
        };
        let made_at = Some(native.manifest.started_at);
        let archive = Archive::Native(native, sections);
        Ok(Self::new(located, archive, parts, origin, made_at))
    }

    fn of_untrusted(
        located: &Located,
        source: Source,
        chosen: &dyn Fn(&Namespace) -> bool,
        options: &Options,
    ) -> Result<Self, RestoreError> {
        let name = located.name();
        let surveyed = verify::survey(source.at(0), options);
        let (mut parts, origin) = surveyed.map_err(|problem| unusable(&name, problem))?;
        let all = parts
            .namespaces
            .iter()
            .map(|one| (one.kind, &one.namespace));
        refuse_empty(&name, all, chosen)?;
        parts
            .namespaces
            .retain(|one| one.kind == Kind::Oplog || chosen(&one.namespace));
        let archive = Archive::Untrusted(source);
        Ok(Self::new(located, archive, parts, origin, None))
    }

    fn new(
        located: &Located,
        archive: Archive,
        parts: Parts,
        origin: Origin,
        made_at: Option<DateTime<Utc>>,
    ) -> Self {
        let files = parts.namespaces.iter().enumerate();
        let by_file = files
            .filter_map(|(index, one)| Some((one.file.clone()?, ArchivedId(index))))
            .collect();
        Contents {
            located: located.clone(),
            archive,
            name: located.name(),
            namespaces: parts.namespaces,
            origin,
            made_at,
            warnings: parts.warnings,
            by_file,
        }
    }

    /// Why it could not be read again, after it had been found sound.
    pub(crate) fn no_longer_sound(&self, damage: String) -> RestoreError {
        match self.located.failure() {
            Some(failure) => failure.into(),
            None => RestoreError::Damaged {
                name: self.name.clone(),
                damage,
            },
        }
    }

    /// What it holds of what was asked for, in the archive's order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ArchivedId, &ArchivedNamespace)> + Clone {
        let all = self.namespaces.iter().enumerate();
        all.map(|(index, one)| (ArchivedId(index), one))
    }

    /// The oplog, if there is one.
    pub(crate) fn oplog(&self) -> Option<ArchivedId> {
        let mut all = self.all();
        all.find_map(|(id, one)| (one.kind == Kind::Oplog).then_some(id))
    }

    /// Shows the documents of each namespace that is `wanted`, in the order they lie in. The content must be read to its
    /// end. Blocks.
    pub(crate) fn each<E>(
        &self,
        wanted: &dyn Fn(ArchivedId) -> bool,
        cancelled: &AtomicBool,
        visit: &mut dyn FnMut(ArchivedId, &mut dyn Read) -> Result<(), E>,
    ) -> Result<(), Broken<E>> {
        let mut given_up = None;
        let mut seen = HashSet::new();
        let mut show = |path: &str, content: &mut dyn Read| match self.by_file.get(path) {
            Some(id) if wanted(*id) => {
                seen.insert(*id);
                visit(*id, content).map_err(|error| {
                    given_up = Some(error);
                    String::new()
                })
            }
            _ => Ok(()),
        };
        let outcome = match &self.archive {
            Archive::Native(native, sections) => read_sections(
                native,
                sections,
                &|file| self.by_file.get(file).is_some_and(|id| wanted(*id)),
                &mut show,
            ),
            Archive::Untrusted(source) => verify::read_untrusted(source, cancelled, &mut show),
        };
        match (given_up, outcome) {
            (Some(error), _) => return Err(Broken::Visitor(error)),
            (None, Err(problem)) => return Err(Broken::Archive(problem)),
            (None, Ok(())) => {}
        }
        let mut lost = self
            .all()
            .filter(|(id, one)| one.file.is_some() && wanted(*id) && !seen.contains(id));
        match lost.next() {
            Some((_, one)) => Err(Broken::Archive(format!(
                "{} is not there any more",
                one.namespace
            ))),
            None => Ok(()),
        }
    }
}

impl Index<ArchivedId> for Contents {
    type Output = ArchivedNamespace;

    fn index(&self, id: ArchivedId) -> &ArchivedNamespace {
        &self.namespaces[id.0]
    }
}

/// A collection's documents, to be read at the same time as others'.
pub(crate) struct CollectionReader<'c> {
    pub source: ArchivedId,
    /// Buffered, since documents are read one by one.
    pub content: BufReader<Box<dyn Read + 'c>>,
}

impl Contents {
    /// The collections that can be read beside each other, largest first: those of a native archive that have a section to
    /// themselves. None of them is read through yet.
    pub(crate) fn apart(&self, wanted: &dyn Fn(ArchivedId) -> bool) -> Vec<(ArchivedId, &Section)> {
        let Archive::Native(native, sections) = &self.archive else {
            return Vec::new();
        };
        let source = |section: &Section| match section.files.as_slice() {
            [role] => self
                .by_file
                .get(native.path_below(*role))
                .copied()
                .filter(|id| wanted(*id)),
            _ => None,
        };
        let mut apart: Vec<(ArchivedId, &Section)> = sections
            .iter()
            .filter_map(|section| Some((source(section)?, section)))
            .collect();
        apart.sort_by_key(|(id, _)| Reverse(self[*id].totals.bytes));
        apart
    }

    /// Opens one of [`Contents::apart`].
    pub(crate) fn reader<'c>(
        &'c self,
        source: ArchivedId,
        section: &Section,
    ) -> Result<CollectionReader<'c>, String> {
        let Archive::Native(native, _) = &self.archive else {
            return Err("it cannot be read in parts".into());
        };
        match native.extract_alone(section) {
            Ok(Some(content)) => {
                let content: Box<dyn Read> = Box::new(content);
                Ok(CollectionReader {
                    source,
                    content: BufReader::with_capacity(READER_BYTES, content),
                })
            }
            Ok(None) => Err("it cannot be read in parts".into()),
            Err(error) => Err(container::reason(&error)),
        }
    }
}

fn read_sections(
    native: &NativeArchive,
    sections: &[Section],
    wanted: &dyn Fn(&str) -> bool,
    show: &mut Show,
) -> Result<(), String> {
    let root = format!("{}/", native.manifest.archive);
    let below = |name: &'_ str| name.strip_prefix(&root).unwrap_or(name).to_owned();
    for section in sections {
        let holds = section
            .files
            .iter()
            .any(|role| matches!(role, Role::Data(_)) && wanted(native.path_below(*role)));
        if holds {
            let (_, outcome) = container::files(native.extract(section), &mut |name, content| {
                show(&below(name), content)
            });
            outcome?;
        }
    }
    Ok(())
}

fn unusable(name: &str, problem: Unusable) -> RestoreError {
    match problem {
        Unusable::Interrupted => RestoreError::Interrupted(Interruption::Cancelled),
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

/// Refuses when nothing beside the oplog is chosen.
fn refuse_empty<'n>(
    name: &str,
    all: impl Iterator<Item = (Kind, &'n Namespace)> + Clone,
    chosen: &dyn Fn(&Namespace) -> bool,
) -> Result<(), RestoreError> {
    let mut collections = all.clone().filter(|(kind, _)| *kind != Kind::Oplog);
    if collections.any(|(_, namespace)| chosen(namespace)) {
        return Ok(());
    }
    let mut held: Vec<String> = all.map(|(_, namespace)| namespace.to_string()).collect();
    held.sort();
    Err(RestoreError::NothingChosen {
        name: name.to_owned(),
        held: first_and_more(&held, NAMED),
    })
}
