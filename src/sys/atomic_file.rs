//! Files that are either there, whole and on the disk, or not there at all.
//!
//! Why this is safe: content goes to `.NAME.partial`, which no reader takes for anything. It is synced before it gets its
//! name, and the name is given by `rename`, which a crash leaves either undone or done. The folder is synced after that,
//! since until then the new name itself may be lost with the power. Whatever stops us in between leaves a `.partial`
//! file, which goes with its owner or is swept at the next start. Errors of write, sync and rename are all errors of the
//! whole: a file system may report a full disk at any of them.

use rustix::fs::{Advice, CWD, RenameFlags, fadvise, renameat_with};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the names of files end in that are not whole yet.
pub(crate) const PARTIAL_EXTENSION: &str = ".partial";

/// A file operation that failed, and on what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub(crate) struct FileError {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        FileError {
            action,
            path: path.into(),
            source,
        }
    }
}

/// A file under a name that cannot be taken for the final one. Dropped before its commit, it goes.
pub(crate) struct Partial {
    file: Arc<File>,
    path: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl Partial {
    /// Creates `.NAME.partial` beside `target`, readable for its owner only. One that is there is not touched.
    pub(crate) fn create(target: &Path) -> Result<Self, FileError> {
        Self::create_at(partial_path(target), target)
    }

    /// The same in another folder of the same disk.
    pub(crate) fn create_in(folder: &Path, target: &Path) -> Result<Self, FileError> {
        let name = target.file_name().unwrap_or_default();
        Self::create_at(partial_path(&folder.join(name)), target)
    }

    fn create_at(path: PathBuf, target: &Path) -> Result<Self, FileError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(&path)
            .map_err(|error| FileError::new("create", &path, error))?;
        Ok(Partial {
            file: Arc::new(file),
            path,
            target: target.to_owned(),
            committed: false,
        })
    }

    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Where it lies until it has its name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts everything written so far on the disk.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        self.file
            .sync_all()
            .map_err(|error| FileError::new("sync", &self.path, error))
    }

    /// Opens the synced file to be read from the disk, not from memory: what memory holds proves nothing about the disk.
    pub(crate) fn reopen_uncached(&self) -> Result<File, FileError> {
        let file =
            File::open(&self.path).map_err(|error| FileError::new("open", &self.path, error))?;
        // Advice that a file system does not take is no failure: there is then no better way to read it.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        let _ = fadvise(&file, 0, None, Advice::Sequential);
        Ok(file)
    }

    /// Gives the synced file its final name, which must be free.
    pub(crate) fn commit(mut self) -> Result<(), FileError> {
        rename_new(&self.path, &self.target)
            .map_err(|error| FileError::new("name", &self.target, error))?;
        self.committed = true;
        // A name that a power cut may take away is not given at all: the run fails, and nothing must look as if it had not.
        sync_folder(&self.target).inspect_err(|_| {
            let _ = fs::remove_file(&self.target);
        })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.committed {
            // What cannot be removed now is swept at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a small file whole, over what has its name.
pub(crate) fn replace(target: &Path, content: &[u8]) -> Result<(), FileError> {
    replace_for(target, content, 0o600)
}

/// The same for a file with these permissions.
pub(crate) fn replace_for(target: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let path = partial_path(target);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::new("remove", &path, error));
        }
        _ => {}
    }
    let mut partial = Partial::create(target)?;
    (&*partial.file)
        .write_all(content)
        .and_then(|()| match mode {
            0o600 => Ok(()),
            _ => partial
                .file
                .set_permissions(fs::Permissions::from_mode(mode)),
        })
        .map_err(|error| FileError::new("write", &path, error))?;
    partial.sync()?;
    fs::rename(&path, target).map_err(|error| FileError::new("name", target, error))?;
    partial.committed = true;
    sync_folder(target)
}

/// Creates a folder and those above it, open to their owner only. What exists stays as it is.
pub(crate) fn create_folder(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| FileError::new("create", path, error))
}

/// Whether an open file is still the one at `path`: another process, or another disk, may have taken its place.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (own, there) = (file.metadata()?, fs::metadata(path)?);
    Ok((own.dev(), own.ino()) == (there.dev(), there.ino()))
}

/// `.NAME.partial` beside `NAME`.
pub(crate) fn partial_path(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(partial_name(&name))
}

/// What a file is called until it is whole.
pub(crate) fn partial_name(target: &str) -> String {
    format!(".{target}{PARTIAL_EXTENSION}")
}

/// What a file of such a name will be called; none when it has another.
pub(crate) fn target_of_partial(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(PARTIAL_EXTENSION)
}

fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Some file systems (older network ones, exFAT) cannot do it in one step. The lock keeps other writers out.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a new name in a folder last.
fn sync_folder(target: &Path) -> Result<(), FileError> {
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    match synced {
        // A few file systems cannot sync folders, and have nothing to sync there.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result.map_err(|error| FileError::new("sync", folder, error)),
    }
}
