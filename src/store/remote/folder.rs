//! Another folder: a second disk, a share of the network.

use super::error::{StoreError, StoreErrorKind};
use super::source::{Comparison, Source};
use super::{Entry, Proof, Sink};
use crate::sys::atomic_file::{FileError, Partial, partial_path};
use rustix::fs::OFlags;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much is read at a time.
const PIECE_BYTES: u64 = 1024 * 1024;

pub(crate) struct FolderStore {
    folder: PathBuf,
}

impl FolderStore {
    /// The folder must be there: making it up would fill the disk below a mount point.
    pub(super) async fn open(folder: &Path) -> Result<Self, StoreError> {
        let own = folder.to_owned();
        let (is_there, own) = blocking(move || (own.is_dir(), own)).await;
        if is_there {
            return Ok(FolderStore { folder: own });
        }
        Err(StoreError::new(
            StoreErrorKind::NoPlace,
            format!("there is no folder {}", folder.display()),
            format!(
                "mount the disk; if it is a new one: mkdir -p {}",
                folder.display()
            ),
        ))
    }

    pub(super) async fn put(&self, name: &str, mut source: Source) -> Result<Proof, StoreError> {
        let target = self.folder.join(name);
        let beginning = blocking(move || {
            if fs::symlink_metadata(&target).is_ok() {
                return Ok(None);
            }
            let _ = fs::remove_file(partial_path(&target));
            Partial::create(&target).map(Some)
        });
        let partial = beginning.await.map_err(of_file)?;
        let partial = partial.ok_or_else(|| StoreError::exists(name))?;
        let mut position = 0;
        while let Some(piece) = source.next().await? {
            let (file, length) = (partial.file(), piece.len() as u64);
            blocking(move || file.write_all_at(&piece, position))
                .await
                .map_err(|error| StoreError::of_io("write", name, &error))?;
            position += length;
        }
        let (partial, reread) = blocking(move || {
            partial.sync()?;
            let reread = partial.reopen_uncached()?;
            Ok::<_, FileError>((partial, reread))
        })
        .await
        .map_err(of_file)?;
        let mut comparison = Comparison::new(source.transfer());
        let mut sink = |piece: &[u8]| {
            comparison.update(piece);
            Ok(())
        };
        read(Arc::new(reread), name, 0..source.bytes(), &mut sink).await?;
        if !source.outcome().is(comparison.finish()) {
            return Err(StoreError::differs(name));
        }
        blocking(move || partial.commit()).await.map_err(of_file)?;
        Ok(Proof::Read)
    }

    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        match self.look(name).await {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Err(StoreError::exists(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::of_io("look at", name, &error)),
        }
    }

    async fn look(&self, name: &str) -> io::Result<Metadata> {
        let path = self.folder.join(name);
        blocking(move || fs::symlink_metadata(path)).await
    }

    /// The size of a file, and what tells it from another of its name.
    pub(super) async fn stamp(&self, name: &str) -> Result<(u64, String), StoreError> {
        let looking = self.look(name);
        let metadata = looking
            .await
            .map_err(|error| StoreError::of_io("look at", name, &error))?;
        let tag = format!(
            "{}.{} {}",
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ino()
        );
        Ok((metadata.len(), tag))
    }

    pub(super) async fn read(
        &self,
        name: &str,
        range: Range<u64>,
        sink: &mut Sink<'_>,
    ) -> Result<u64, StoreError> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let path = self.folder.join(name);
        let opening = blocking(move || {
            let mut options = OpenOptions::new();
            options.read(true).custom_flags(flags.bits() as i32);
            options.open(path)
        });
        let opened = opening.await;
        let file = opened.map_err(|error| StoreError::of_io("read", name, &error))?;
        read(Arc::new(file), name, range, sink).await
    }

    pub(super) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let folder = self.folder.clone();
        let listing = blocking(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                    let bytes = metadata.len();
                    found.push(Entry { name, bytes });
                }
            }
            Ok::<_, io::Error>(found)
        });
        listing
            .await
            .map_err(|error| StoreError::of_io("list", &self.folder.display().to_string(), &error))
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        blocking(move || fs::remove_file(path))
            .await
            .map_err(|error| StoreError::of_io("remove", name, &error))
    }
}

async fn read(
    file: Arc<File>,
    name: &str,
    range: Range<u64>,
    sink: &mut Sink<'_>,
) -> Result<u64, StoreError> {
    let mut position = range.start;
    while position < range.end {
        let (file, length) = (
            Arc::clone(&file),
            (range.end - position).min(PIECE_BYTES) as usize,
        );
        let reading = blocking(move || {
            let mut piece = vec![0; length];
            let read = file.read_at(&mut piece, position)?;
            piece.truncate(read);
            Ok::<_, io::Error>(piece)
        });
        let piece = reading
            .await
            .map_err(|error| StoreError::of_io("read", name, &error))?;
        if piece.is_empty() {
            break;
        }
        sink(&piece).map_err(|error| StoreError::of_io("keep", name, &error))?;
        position += piece.len() as u64;
    }
    Ok(position - range.start)
}

fn of_file(error: FileError) -> StoreError {
    StoreError::of_io(
        error.action,
        &error.path.display().to_string(),
        &error.source,
    )
}

/// On a thread of its own: a disk may hang.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => unreachable!("threads are never aborted: {error}"),
        },
    }
}
