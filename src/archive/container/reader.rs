//! Opens an archive: the trailer says where the manifest is, and the manifest where everything else is.
//!
//! The manifest cuts the archive into sections, each of which begins with a member and can be read by itself.

use super::codec::{self, Codec, MemberError, ReadError};
use super::member_cache::MemberCache;
use crate::archive::manifest::{self, Manifest, Place};
use crate::archive::source::Source;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek};
use std::sync::Mutex;
use tar::EntryType;

/// A manifest larger than this, in bytes of JSON, is not one of ours: a hundred thousand collections take a third of it.
const LONGEST_MANIFEST: u64 = 128 * 1024 * 1024;

/// What keeps an archive from being read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    #[error("reading failed: {0}")]
    Read(#[from] io::Error),
    #[error("the file is empty")]
    Empty,
    #[error("the end is missing or damaged: the archive was cut short or changed")]
    Trailer,
    #[error("the manifest is damaged: {0}")]
    Manifest(String),
    #[error("at byte {position}: {error}")]
    Member { position: u64, error: MemberError },
    #[error("at byte {position}: the file ends inside a compressed block")]
    Cut { position: u64 },
    #[error("reading was interrupted")]
    Interrupted,
}

/// What a file in the archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Prelude,
    /// Options and indexes of the manifest's namespace with this index.
    Metadata(usize),
    /// Documents of the manifest's namespace with this index.
    Data(usize),
    Manifest,
}

/// A run of members that begins with a tar header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    pub start: u64,
    pub end: u64,
    /// The files that the manifest says are here; see [`NativeArchive::path`].
    pub files: Vec<Role>,
}

impl Section {
    /// Whether it holds anything of the manifest's namespaces that `chosen` names.
    pub(crate) fn holds(&self, chosen: &dyn Fn(usize) -> bool) -> bool {
        self.files.iter().any(|role| match *role {
            Role::Metadata(index) | Role::Data(index) => chosen(index),
            Role::Prelude | Role::Manifest => false,
        })
    }
}

/// A file, and whose it is.
pub(crate) enum Opened {
    Native(Box<NativeArchive>),
    /// Not written by Pantry Keeper, or so damaged that nothing shows it any more.
    Untrusted(Source),
}

/// An archive of ours with an intact trailer and manifest.
pub(crate) struct NativeArchive {
    pub(super) source: Source,
    pub(super) codec: &'static dyn Codec,
    pub manifest: Manifest,
    pub archive_bytes: u64,
    manifest_position: u64,
    /// Of every byte before the trailer.
    pub(super) crc64: u64,
    /// Members that were read once and may be wanted again.
    pub(super) kept: Mutex<MemberCache>,
}

/// Opens an archive. One that begins or ends like ours has to have a sound manifest too.
pub(crate) fn open(mut source: Source) -> Result<Opened, Damage> {
    let archive_bytes = source.length();
    if archive_bytes == 0 {
        return Err(Damage::Empty);
    }
    // In one go each: growing as it came, a few bytes would be many reads, and some disks are far away.
    let [mut head, mut tail] = [(); 2].map(|()| Vec::with_capacity(codec::LONGEST_END as usize));
    source
        .at(0)
        .take(codec::LONGEST_END)
        .read_to_end(&mut head)?;
    source
        .at(archive_bytes.saturating_sub(codec::LONGEST_END))
        .take(codec::LONGEST_END)
        .read_to_end(&mut tail)?;
    let Some((codec, manifest_position, crc64)) = codec::by_trailer(&tail) else {
        if codec::begins_like_ours(&head) {
            return Err(Damage::Trailer);
        }
        source.rewind()?;
        return Ok(Opened::Untrusted(source));
    };
    if !head.starts_with(codec.head()) {
        let error = MemberError::Head;
        return Err(Damage::Member { position: 0, error });
    }
    let members = Members {
        codec,
        position: manifest_position,
        end: archive_bytes - codec.trailer_bytes() as u64,
    };
    let manifest = read_manifest(&source, members)?;
    Ok(Opened::Native(Box::new(NativeArchive {
        source,
        codec,
        manifest,
        archive_bytes,
        manifest_position,
        crc64,
        kept: Mutex::default(),
    })))
}

fn read_manifest(source: &Source, mut members: Members) -> Result<Manifest, Damage> {
    if members.position >= members.end {
        return Err(Damage::Manifest("it lies outside the file".into()));
    }
    let mut input = source.at(members.position);
    let (mut unpacker, mut tar) = (members.codec.unpacker(), Vec::new());
    let (mut member, mut block) = (Vec::new(), Vec::new());
    while members.position < members.end {
        let position = members.position;
        members.next(&mut input, &mut member)?;
        unpacker
            .unpack(&member, &mut block)
            .map_err(|error| Damage::Member { position, error })?;
        tar.extend_from_slice(&block);
        if tar.len() as u64 > LONGEST_MANIFEST {
            return Err(Damage::Manifest("it is too large".into()));
        }
    }
    let damaged = |error: String| Damage::Manifest(error);
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut entries = archive
        .entries()
        .map_err(|error| damaged(error.to_string()))?;
    let entry = entries
        .next()
        .ok_or_else(|| damaged("it is missing".into()))?;
    let entry = entry.map_err(|error| damaged(error.to_string()))?;
    if !entry.path_bytes().ends_with(manifest::FILE_NAME.as_bytes()) {
        return Err(damaged("another file stands in its place".into()));
    }
    // A sparse one would be as many zeros as its header likes.
    if entry.header().entry_type() != EntryType::Regular {
        return Err(damaged("it is not a regular file".into()));
    }
    // It lies there as a whole: no second copy of what may be large.
    let json = usize::try_from(entry.raw_file_position())
        .ok()
        .zip(usize::try_from(entry.size()).ok())
        .and_then(|(start, bytes)| tar.get(start..start.checked_add(bytes)?))
        .ok_or_else(|| damaged("it is cut short".into()))?;
    Manifest::from_json(json).map_err(|error| damaged(error.to_string()))
}

/// Walks from member to member.
pub(super) struct Members {
    pub codec: &'static dyn Codec,
    pub position: u64,
    pub end: u64,
}

impl Members {
    /// Reads the next member over what `member` held.
    pub(super) fn next(
        &mut self,
        input: &mut impl Read,
        member: &mut Vec<u8>,
    ) -> Result<(), Damage> {
        let position = self.position;
        let most = self.end.saturating_sub(position);
        let read = self.codec.read_member(input, most, member);
        read.map_err(|error| match error {
            ReadError::Member(error) => Damage::Member { position, error },
            ReadError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Damage::Cut { position }
            }
            ReadError::Io(error) => Damage::Read(error),
        })?;
        self.position += member.len() as u64;
        Ok(())
    }
}

impl NativeArchive {
    /// The SHA-256 of the file that it lies in, where that is not its own: see [`Source::sealed_sha256`].
    pub(crate) fn sealed_sha256(&self) -> io::Result<Option<[u8; 32]>> {
        self.source.sealed_sha256()
    }

    /// Where a file lies in the tar: the archive's folder, and the path below it. With thousands of collections too much to
    /// be held for each.
    pub(crate) fn path(&self, role: Role) -> String {
        format!("{}/{}", self.manifest.archive, self.path_below(role))
    }

    /// Where a file lies below the archive's folder.
    pub(crate) fn path_below(&self, role: Role) -> &str {
        let entry = |index: usize| self.manifest.namespaces.get(index);
        let below = match role {
            Role::Prelude => Some(manifest::PRELUDE_NAME),
            Role::Manifest => Some(manifest::FILE_NAME),
            Role::Metadata(index) => entry(index).and_then(|entry| path_of(&entry.metadata)),
            Role::Data(index) => entry(index).and_then(|entry| path_of(&entry.data)),
        };
        below.unwrap_or_default()
    }

    /// The archive's sections, in file order, or what in the manifest contradicts itself.
    pub(crate) fn sections(&self) -> Result<Vec<Section>, Damage> {
        let mut starts: BTreeMap<u64, Vec<Role>> = BTreeMap::new();
        let first = self.codec.head().len() as u64;
        if self.manifest_position > first {
            starts.entry(first).or_default().push(Role::Prelude);
        }
        for (index, entry) in self.manifest.namespaces.iter().enumerate() {
            let metadata = entry
                .metadata
                .as_ref()
                .map(|place| (place, Role::Metadata(index)));
            let data = entry.data.as_ref().map(|place| (place, Role::Data(index)));
            for (place, role) in metadata.into_iter().chain(data) {
                if place.position >= self.manifest_position {
                    return Err(Damage::Manifest(format!(
                        "{} lies outside the archive",
                        entry.namespace
                    )));
                }
                starts.entry(place.position).or_default().push(role);
            }
        }
        starts
            .entry(self.manifest_position)
            .or_default()
            .push(Role::Manifest);
        let end = self.archive_bytes - self.codec.trailer_bytes() as u64;
        let ends: Vec<u64> = starts.keys().copied().skip(1).chain([end]).collect();
        Ok(starts
            .into_iter()
            .zip(ends)
            .map(|((start, files), end)| Section { start, end, files })
            .collect())
    }
}

fn path_of(place: &Option<Place>) -> Option<&str> {
    place.as_ref().map(|place| place.path.as_str())
}

/// The damage below an input's error, without the layers that carried it.
pub(crate) fn reason(error: &io::Error) -> String {
    let mut inner: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = inner {
        if let Some(damage) = current.downcast_ref::<Damage>() {
            return damage.to_string();
        }
        let below = current
            .downcast_ref::<io::Error>()
            .and_then(|io| io.get_ref());
        inner = match below {
            Some(below) => Some(below),
            None => current.source(),
        };
    }
    error.to_string()
}
