//! The log files, each of which is set aside when it has grown enough.

use super::{LogSettings, Sink};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The log files.
pub(crate) struct LogFiles(pub(super) Vec<Arc<RotatingFile>>);

impl LogFiles {
    /// Opens them, and logs which cannot be.
    pub(crate) fn open(&self) {
        let opened = self.0.iter().map(|file| file.open());
        let mut problems: Vec<String> = opened.filter_map(Result::err).collect();
        // One folder that is missing is one problem.
        problems.dedup();
        for problem in problems {
            tracing::warn!("{problem}; going on without that file");
        }
    }
}

/// A file that is set aside when it has grown enough: `backup.log.1` is the newest of those.
pub(super) struct RotatingFile {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    /// None until it is opened, and when it cannot be.
    file: Mutex<Option<File>>,
}

impl RotatingFile {
    pub(super) fn at(path: PathBuf, settings: &LogSettings) -> Self {
        RotatingFile {
            path,
            max_bytes: settings.max_size_bytes,
            keep: settings.keep,
            file: Mutex::new(None),
        }
    }

    fn open(&self) -> Result<(), String> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        crate::sys::atomic_file::create_folder(folder).map_err(|error| error.to_string())?;
        let file = open_log(&self.path)
            .map_err(|error| format!("cannot write {}: {error}", self.path.display()))?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    fn rotate(&self) -> io::Result<File> {
        let aside = |number: u32| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..self.keep).rev() {
            ignore_missing(fs::rename(aside(number), aside(number + 1)))?;
        }
        match self.keep {
            0 => ignore_missing(fs::remove_file(&self.path))?,
            _ => ignore_missing(fs::rename(&self.path, aside(1)))?,
        }
        open_log(&self.path)
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32)
        .open(path)
}

impl Sink for Arc<RotatingFile> {
    fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = file.as_mut() else {
            return Ok(());
        };
        if moved_away(open, &self.path) {
            *open = open_log(&self.path)?;
        }
        // Others may have written to it as well.
        let length = open.metadata()?.len();
        if length > 0 && length + line.len() as u64 > self.max_bytes {
            *open = self.rotate()?;
        }
        open.write_all(line)
    }
}

/// Whether another process has set the file aside: a run of the scheduler's, or the system's own rotation.
fn moved_away(file: &File, path: &Path) -> bool {
    match crate::sys::atomic_file::is_at(file, path) {
        Ok(same) => !same,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::logging::LogFormat;

    /// One of ten bytes.
    fn opened(path: &Path, keep: u32) -> Arc<RotatingFile> {
        let settings = LogSettings {
            level: tracing::Level::INFO,
            format: LogFormat::Text,
            max_size_bytes: 10,
            keep,
        };
        let log = Arc::new(RotatingFile::at(path.to_owned(), &settings));
        log.write(b"too early").unwrap();
        log.open().unwrap();
        log
    }

    #[test]
    fn logs_rotate_by_size_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let log = opened(&folder.path().join("logs/backup.log"), 2);
        for line in ["first...\n", "second..\n", "third...\n", "fourth..\n"] {
            log.write(line.as_bytes()).unwrap();
        }
        let read = |name: &str| {
            fs::read_to_string(folder.path().join("logs").join(name)).unwrap_or_default()
        };
        let logs = ["backup.log", "backup.log.1", "backup.log.2", "backup.log.3"].map(read);
        assert_eq!(logs, ["fourth..\n", "third...\n", "second..\n", ""]);
    }

    #[test]
    fn two_processes_may_write_to_one_log_and_either_may_rotate_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup.log");
        let [one, other] = [(); 2].map(|()| opened(&path, 5));
        one.write(b"first...\n").unwrap();
        other.write(b"second..\n").unwrap();
        other.write(b"third...\n").unwrap();
        one.write(b"4\n").unwrap();
        fs::remove_file(&path).unwrap();
        one.write(b"fifth...\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "fifth...\n");
        let rest = fs::read_to_string(folder.path().join("backup.log.1")).unwrap();
        assert!(rest.contains("second") || rest.contains("third"), "{rest}");
    }
}
