//! The files of the outbox, one for each notification.

use crate::notify::notification::Notification;
use crate::sys::atomic_file::{self, FileError};
use crate::sys::redact::percent_encode;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const EXTENSION: &str = ".json";
/// Names of files may have 255 bytes; this leaves room for the time and for what a partial file adds.
const LONGEST_ID_BYTES: usize = 150;
/// Far more than any notification.
const LARGEST_FILE_BYTES: u64 = 1024 * 1024;

/// All that can be read.
pub(super) fn all(folder: &Path) -> Vec<(PathBuf, Notification)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(EXTENSION) && !name.starts_with('.')
    });
    paths
        .filter_map(|path| read(&path).map(|notification| (path, notification)))
        .collect()
}

pub(super) fn write(path: &Path, notification: &Notification) -> Result<(), FileError> {
    let json = serde_json::to_vec_pretty(notification)
        .map_err(|error| FileError::new("write", path, io::Error::other(error)))?;
    atomic_file::replace(path, &json)
}

pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::new("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Sorts by time, and is the same for the same notification.
pub(super) fn file_name(notification: &Notification) -> String {
    let mut id = percent_encode(&notification.id);
    if id.len() > LONGEST_ID_BYTES {
        id = Sha256::digest(&notification.id)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
    }
    format!(
        "{}-{id}{EXTENSION}",
        notification.written_at.format("%Y%m%dT%H%M%S%3fZ")
    )
}

/// A notification of ours; none if it is anything else. Links are not followed, and a pipe would never end.
pub(super) fn read(path: &Path) -> Option<Notification> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST_FILE_BYTES {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
