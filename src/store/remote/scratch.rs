//! What is sealed and must be read twice to be sent: it lies in a file of ours for as long as that takes, since it cannot be
//! sealed the same way again.

use super::error::{StoreError, StoreErrorKind};
use crate::store::repository::KEPT_FREE;
use crate::sys::atomic_file::{self, Partial};
use bytes::Bytes;
use rustix::fs::statvfs;
use std::io::{self, Write};
use std::path::Path;

/// A file that is gone when it is dropped.
pub(super) struct Scratch {
    partial: Partial,
    name: String,
}

impl Scratch {
    /// For so many bytes of what `name` becomes. A backup that is made meanwhile finds room for as much again.
    pub(super) fn create(folder: &Path, name: &str, bytes: u64) -> Result<Self, StoreError> {
        atomic_file::create_folder(folder).map_err(|error| failed(name, &error.source))?;
        let free = statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free.is_ok_and(|free| free < bytes.saturating_mul(2).saturating_add(KEPT_FREE)) {
            let folder = folder.display();
            return Err(StoreError::new(
                StoreErrorKind::Local,
                format!("the disk of {folder} has no room to seal it there"),
                "make room on it: what is sealed lies there while it is sent, and backups need as much beside it",
            ));
        }
        let partial = Partial::create(&folder.join(name));
        let partial = partial.map_err(|error| failed(name, &error.source))?;
        let name = name.to_owned();
        Ok(Scratch { partial, name })
    }

    pub(super) async fn write(&self, piece: Bytes) -> Result<(), StoreError> {
        let file = self.partial.file();
        let writing = tokio::task::spawn_blocking(move || (&*file).write_all(&piece));
        let written = writing.await.map_err(io::Error::other).flatten();
        written.map_err(|error| failed(&self.name, &error))
    }

    pub(super) fn partial(&self) -> &Partial {
        &self.partial
    }
}

fn failed(name: &str, error: &io::Error) -> StoreError {
    StoreError {
        kind: StoreErrorKind::Local,
        ..StoreError::of_io("seal", name, error)
    }
}
