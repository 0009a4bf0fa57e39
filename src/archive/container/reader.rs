//! Opens an archive: the trailer says where the manifest is, and the manifest where everything else is.
//!
//! The manifest cuts the archive into sections, each of which begins with a gzip member and can be read by itself.

use super::member::{self, HEADER_BYTES, MemberError, TRAILER_BYTES, Unpacker};
use super::member_cache::MemberCache;
use crate::archive::manifest::{self, Manifest};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Mutex;

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

/// A file that the manifest says is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    /// With the archive's folder in front.
    pub path: String,
    pub role: Role,
}

/// A run of gzip members that begins with a tar header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    pub start: u64,
    pub end: u64,
    pub files: Vec<Expected>,
}

impl Section {
    /// Whether it holds anything of the manifest's namespaces that `chosen` names.
    pub(crate) fn holds(&self, chosen: &dyn Fn(usize) -> bool) -> bool {
        self.files.iter().any(|file| match file.role {
            Role::Metadata(index) | Role::Data(index) => chosen(index),
            Role::Prelude | Role::Manifest => false,
        })
    }
}

/// A file, and whose it is.
pub(crate) enum Opened {
    NativeArchive(Box<NativeArchive>),
    /// Not written by Pantry Keeper, or so damaged that nothing shows it any more.
    Foreign(File),
}

/// An archive of ours with an intact trailer and manifest.
pub(crate) struct NativeArchive {
    pub(super) file: File,
    pub manifest: Manifest,
    pub archive_bytes: u64,
    manifest_position: u64,
    /// Of every byte before the trailer.
    pub(super) crc64: u64,
    /// Members that were read once and may be wanted again.
    pub(super) kept: Mutex<MemberCache>,
}

/// Opens an archive. One that begins or ends like ours has to have a sound manifest too.
pub(crate) fn open(mut file: File) -> Result<Opened, Damage> {
    let archive_bytes = file.metadata()?.len();
    if archive_bytes == 0 {
        return Err(Damage::Empty);
    }
    let mut head = Vec::with_capacity(HEADER_BYTES);
    (&file).take(HEADER_BYTES as u64).read_to_end(&mut head)?;
    let mut tail = Vec::with_capacity(TRAILER_BYTES);
    file.seek(SeekFrom::Start(
        archive_bytes.saturating_sub(TRAILER_BYTES as u64),
    ))?;
    (&file).take(TRAILER_BYTES as u64).read_to_end(&mut tail)?;
    let Some((manifest_position, crc64)) = member::parse_trailer(&tail) else {
        if member::is_ours(&head) {
            return Err(Damage::Trailer);
        }
        file.rewind()?;
        return Ok(Opened::Foreign(file));
    };
    let end = archive_bytes - TRAILER_BYTES as u64;
    let manifest = read_manifest(&mut file, manifest_position, end)?;
    Ok(Opened::NativeArchive(Box::new(NativeArchive {
        file,
        manifest,
        archive_bytes,
        manifest_position,
        crc64,
        kept: Mutex::default(),
    })))
}

fn read_manifest(file: &mut File, start: u64, end: u64) -> Result<Manifest, Damage> {
    if start >= end {
        return Err(Damage::Manifest("it lies outside the file".into()));
    }
    file.seek(SeekFrom::Start(start))?;
    let (mut members, mut unpacker, mut tar) = (
        Members {
            position: start,
            end,
        },
        Unpacker::default(),
        Vec::new(),
    );
    let (mut member, mut block) = (Vec::new(), Vec::new());
    while members.position < end {
        let position = members.position;
        members.next(file, &mut member)?;
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
    let mut entry = entry.map_err(|error| damaged(error.to_string()))?;
    if !entry.path_bytes().ends_with(manifest::FILE_NAME.as_bytes()) {
        return Err(damaged("another file stands in its place".into()));
    }
    let mut json = Vec::new();
    entry
        .read_to_end(&mut json)
        .map_err(|error| damaged(error.to_string()))?;
    Manifest::from_json(&json).map_err(|error| damaged(error.to_string()))
}

/// Walks from member to member.
pub(super) struct Members {
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
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Damage::Cut { position },
            _ => Damage::Read(error),
        };
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header).map_err(cut)?;
        member.clear();
        member.extend_from_slice(&header);
        let size =
            member::member_bytes(&header).map_err(|error| Damage::Member { position, error })?;
        if position + size as u64 > self.end {
            return Err(Damage::Member {
                position,
                error: MemberError::Size(size as u32),
            });
        }
        member.resize(size, 0);
        input.read_exact(&mut member[HEADER_BYTES..]).map_err(cut)?;
        self.position += size as u64;
        Ok(())
    }
}

impl NativeArchive {
    /// The archive's sections, in file order, or what in the manifest contradicts itself.
    pub(crate) fn sections(&self) -> Result<Vec<Section>, Damage> {
        let mut starts: BTreeMap<u64, Vec<Expected>> = BTreeMap::new();
        let root = &self.manifest.archive;
        let inside = |path: &str| format!("{root}/{path}");
        if self.manifest_position > 0 {
            starts.entry(0).or_default().push(Expected {
                path: inside("prelude.json"),
                role: Role::Prelude,
            });
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
                starts.entry(place.position).or_default().push(Expected {
                    path: inside(&place.path),
                    role,
                });
            }
        }
        let manifest = Expected {
            path: inside(manifest::FILE_NAME),
            role: Role::Manifest,
        };
        starts
            .entry(self.manifest_position)
            .or_default()
            .push(manifest);
        let end = self.archive_bytes - TRAILER_BYTES as u64;
        let ends: Vec<u64> = starts.keys().copied().skip(1).chain([end]).collect();
        Ok(starts
            .into_iter()
            .zip(ends)
            .map(|((start, files), end)| Section { start, end, files })
            .collect())
    }
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
