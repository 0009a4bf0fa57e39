//! Places elsewhere that archives are copied to: a few verbs, and a file for each kind of place.
//!
//! Why this is safe: [`Store::put`] gives a name to a whole file or to nothing, and never to one whose name is taken. Where
//! the service takes a file in one step that cannot be half done (S3), that is it; elsewhere the file goes under a name
//! that begins with a dot, is read back, and only then gets its own.

mod error;
mod folder;
mod http;
mod part;
mod patience;
mod portion;
mod ranges;
mod rclone;
mod s3;
mod scratch;
mod sftp;
mod source;
mod ssh;
mod transfer;
mod watched;
mod webdav;

pub(crate) use error::{StoreError, StoreErrorKind};
pub(crate) use ranges::{GivenUp, OpenFile, Way};
pub(crate) use source::{Announce, Comparison, Source};
pub(crate) use transfer::Transfer;

use crate::settings::{OffsiteCredentials, OffsitePlace};
use crate::sys::redact::Redactor;
use chrono::{DateTime, Utc};
use folder::FolderStore;
use rclone::RcloneStore;
use s3::S3Store;
use sftp::SftpStore;
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::Path;
use webdav::WebDavStore;

/// How much is known of a file elsewhere.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Proof {
    /// It was sent, and nothing more is known.
    Sent,
    /// The service says that it has all of it, with this checksum.
    Confirmed,
    /// It was read back and is the same.
    Read,
}

/// A file elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: String,
    pub bytes: u64,
}

/// What takes the bytes that are read, in order.
pub(crate) type Sink<'s> = dyn FnMut(&[u8]) -> io::Result<()> + Send + 's;

/// What it takes to get in.
pub(crate) struct Access<'a> {
    pub credentials: &'a OffsiteCredentials,
    pub environment: &'a [(OsString, OsString)],
    pub redactor: &'a Redactor,
    /// The clock.
    pub now: fn() -> DateTime<Utc>,
    /// Bytes per second, for what sends by itself.
    pub bandwidth: Option<u64>,
    /// A folder of ours, for what must lie in a file to be sent. What is left in it is of no use.
    pub scratch: &'a Path,
}

/// A place elsewhere. Every verb can be dropped at any moment.
pub(crate) enum Store {
    Folder(FolderStore),
    S3(S3Store),
    Sftp(Box<SftpStore>),
    WebDav(WebDavStore),
    Rclone(RcloneStore),
}

/// A verb that every kind of place has.
macro_rules! of_each_kind {
    ($place:expr, $verb:ident($($argument:expr),*)) => {
        match $place {
            Store::Folder(store) => store.$verb($($argument),*).await,
            Store::S3(store) => store.$verb($($argument),*).await,
            Store::Sftp(store) => store.while_open(store.$verb($($argument),*)).await,
            Store::WebDav(store) => store.$verb($($argument),*).await,
            Store::Rclone(store) => store.$verb($($argument),*).await,
        }
    };
}

impl Store {
    /// Connects, where that is something.
    pub(crate) async fn open(
        place: &OffsitePlace,
        access: &Access<'_>,
    ) -> Result<Self, StoreError> {
        match place {
            OffsitePlace::Folder(path) => Ok(Store::Folder(FolderStore::open(path).await?)),
            OffsitePlace::S3 { .. } => Ok(Store::S3(S3Store::new(place, access)?)),
            OffsitePlace::Sftp { .. } => {
                Ok(Store::Sftp(Box::new(SftpStore::open(place, access).await?)))
            }
            OffsitePlace::WebDav { .. } => Ok(Store::WebDav(WebDavStore::new(place, access)?)),
            OffsitePlace::Rclone { .. } => Ok(Store::Rclone(RcloneStore::new(place, access)?)),
        }
    }

    /// Puts a whole file there under a name that must be free; what is known of it then.
    pub(crate) async fn put(&self, name: &str, source: Source) -> Result<Proof, StoreError> {
        of_each_kind!(self, put(name, source))
    }

    /// The size of a file; none when there is no such file.
    pub(crate) async fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        of_each_kind!(self, size(name))
    }

    /// Reads a part of a file, in order; how many bytes there were.
    pub(crate) async fn read(
        &self,
        name: &str,
        range: Range<u64>,
        sink: &mut Sink<'_>,
    ) -> Result<u64, StoreError> {
        of_each_kind!(self, read(name, range, sink))
    }

    /// All files there, those with a dot in front too.
    pub(crate) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        of_each_kind!(self, list())
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        of_each_kind!(self, remove(name))
    }

    /// Takes away what an interrupted [`Store::put`] left that [`Store::list`] does not show; `ours` knows the names.
    pub(crate) async fn sweep(&self, ours: &dyn Fn(&str) -> bool) -> Result<(), StoreError> {
        match self {
            Store::S3(store) => store.abort_uploads(ours).await,
            _ => Ok(()),
        }
    }
}
