//! SFTP, through the stock `ssh`: its configuration, its keys and its check of the host's key are the owner's own.

use super::error::{StoreError, StoreErrorKind};
use super::source::{Comparison, Source};
use super::ssh;
use super::watched::Watched;
use super::{Access, Entry, Proof, Sink};
use crate::settings::OffsitePlace;
use crate::sys::atomic_file::partial_name;
use crate::sys::piped::{self, PipedChild};
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error;
use russh_sftp::client::rawsession::SftpResult;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// What every server takes in one message.
const PIECE_BYTES: usize = 32 * 1024;
/// Messages on their way at a time: enough for a far server, and little memory.
const AT_A_TIME: usize = 32;
/// A disk there may be slow; whether anything moves at all is watched elsewhere.
const LONGEST_ANSWER_SECONDS: u64 = 300;
/// How long what ssh still brought may take to be looked at, once it has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

pub(crate) struct SftpStore {
    session: RawSftpSession,
    /// Kept for as long as the session lives; what it said explains a session that ended.
    ssh: Mutex<PipedChild>,
    folder: String,
    can_sync: bool,
    /// Becomes true when ssh ends: the session's own requests would wait for their answers all the same.
    ended: watch::Receiver<bool>,
}

impl SftpStore {
    pub(super) async fn open(
        place: &OffsitePlace,
        access: &Access<'_>,
    ) -> Result<Self, StoreError> {
        let OffsitePlace::Sftp { path, .. } = place else {
            return Err(StoreError::exists("address"));
        };
        let program = ssh::find(access)?;
        let passed_on = access
            .environment
            .iter()
            .filter(|(name, _)| ssh::PASSED_ON.iter().any(|passed| name == passed))
            .cloned();
        let started = piped::spawn(
            &program,
            &ssh::arguments(place, access),
            passed_on,
            access.redactor,
            |line| {
                tracing::debug!("ssh: {line}");
                true
            },
        );
        let mut ssh = started.map_err(|error| {
            StoreError::new(
                StoreErrorKind::Other,
                format!("cannot start ssh: {error}"),
                "",
            )
        })?;
        let (Some(stdin), Some(stdout)) = (ssh.stdin.take(), ssh.stdout.take()) else {
            return Err(StoreError::new(
                StoreErrorKind::Other,
                "ssh has no pipes",
                "",
            ));
        };
        let (stdout, ended) = Watched::new(stdout);
        let session = RawSftpSession::new(tokio::io::join(stdout, stdin));
        session.set_timeout(LONGEST_ANSWER_SECONDS);
        let version = match session.init().await {
            Ok(version) => version,
            Err(error) => return Err(ssh::explain(&ssh.last_lines().await, &error)),
        };
        let can_sync = version.extensions.contains_key("fsync@openssh.com");
        let store = SftpStore {
            session,
            ssh: Mutex::new(ssh),
            folder: path.trim_end_matches('/').to_owned(),
            can_sync,
            ended,
        };
        store.while_open(store.look()).await?;
        Ok(store)
    }

    /// Does something that is given up when ssh ends.
    pub(super) async fn while_open<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let (mut ended, mut work) = (self.ended.clone(), Box::pin(work));
        tokio::select! {
            biased;
            result = &mut work => return result,
            _ = ended.wait_for(|ended| *ended) => {}
        }
        // What had been answered before may still be on its way to it.
        if let Ok(result) = tokio::time::timeout(LAST_ANSWERS, &mut work).await {
            return result;
        }
        drop(work);
        let lines = self.ssh.lock().await.last_lines().await;
        let error = Error::UnexpectedBehavior("the connection ended".into());
        Err(ssh::explain(&lines, &error))
    }

    /// The folder must be there: one that was not mounted must not be made up.
    async fn look(&self) -> Result<(), StoreError> {
        let folder = self.path("");
        match self.session.stat(folder.clone()).await {
            Ok(attributes) if attributes.attrs.is_dir() => Ok(()),
            Err(error) if !is(&error, StatusCode::NoSuchFile) => {
                Err(self.failed("look at", &folder, error).await)
            }
            _ => Err(StoreError::new(
                StoreErrorKind::NoPlace,
                format!("there is no folder {folder} there"),
                "create it there, or correct the path in OFFSITE_URL",
            )),
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    async fn failed(&self, action: &str, name: &str, error: Error) -> StoreError {
        let (kind, help) = match &error {
            Error::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => (StoreErrorKind::Missing, ""),
                StatusCode::PermissionDenied => (
                    StoreErrorKind::Denied,
                    "see what this user may do in that folder",
                ),
                // Servers do not say more when a disk is full.
                StatusCode::Failure => (
                    StoreErrorKind::Other,
                    "see whether the disk there is full, or a quota used up",
                ),
                _ => (StoreErrorKind::Other, ""),
            },
            _ => {
                let lines = self.ssh.lock().await.last_lines().await;
                return ssh::explain(&lines, &error);
            }
        };
        let reason = match &error {
            // Few servers say more than the code's own word.
            Error::Status(status) if status.error_message == status.status_code.to_string() => {
                status.error_message.clone()
            }
            other => other.to_string(),
        };
        StoreError::new(kind, format!("cannot {action} {name}: {reason}"), help)
    }

    pub(super) async fn put(&self, name: &str, mut source: Source) -> Result<Proof, StoreError> {
        if self.size(name).await?.is_some() {
            return Err(StoreError::exists(name));
        }
        let hidden = partial_name(name);
        let sent = self.write(&hidden, &mut source).await;
        let proven = match sent {
            Ok(()) => self.compare(&hidden, name, &source).await,
            Err(error) => Err(error),
        };
        if let Err(error) = proven {
            // What stays is swept at the next run.
            let _ = self.session.remove(self.path(&hidden)).await;
            return Err(error);
        }
        // In the version of the protocol that all speak, a name that is taken is refused; we looked as well.
        match self
            .session
            .rename(self.path(&hidden), self.path(name))
            .await
        {
            Ok(_) => Ok(Proof::Read),
            Err(error) => Err(self.failed("name", name, error).await),
        }
    }

    async fn write(&self, hidden: &str, source: &mut Source) -> Result<(), StoreError> {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let attributes = FileAttributes {
            permissions: Some(0o600),
            ..FileAttributes::empty()
        };
        let opened = self
            .session
            .open(self.path(hidden), flags, attributes)
            .await;
        let handle = match opened {
            Ok(handle) => handle.handle,
            Err(error) => return Err(self.failed("create", hidden, error).await),
        };
        let (mut position, mut flying) = (0, FuturesUnordered::new());
        while let Some(piece) = source.next().await? {
            for piece in piece.chunks(PIECE_BYTES) {
                flying.push(self.session.write(handle.clone(), position, piece.to_vec()));
                position += piece.len() as u64;
                if flying.len() >= AT_A_TIME {
                    self.one_written(hidden, flying.next().await).await?;
                }
            }
        }
        while let Some(written) = flying.next().await {
            self.one_written(hidden, Some(written)).await?;
        }
        let synced = match self.can_sync {
            true => self.session.fsync(handle.clone()).await.map(drop),
            false => Ok(()),
        };
        let closed = self.session.close(handle).await.map(drop);
        match synced.and(closed) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.failed("write", hidden, error).await),
        }
    }

    async fn one_written<T>(
        &self,
        hidden: &str,
        written: Option<SftpResult<T>>,
    ) -> Result<(), StoreError> {
        match written {
            Some(Err(error)) => Err(self.failed("write", hidden, error).await),
            _ => Ok(()),
        }
    }

    async fn compare(&self, hidden: &str, name: &str, source: &Source) -> Result<(), StoreError> {
        if self.size(hidden).await? != Some(source.bytes()) {
            return Err(StoreError::differs(name));
        }
        let mut comparison = Comparison::new(source.transfer());
        let mut sink = |piece: &[u8]| {
            comparison.update(piece);
            Ok(())
        };
        self.read(hidden, 0..source.bytes(), &mut sink).await?;
        match source.outcome().is(comparison.finish()) {
            true => Ok(()),
            false => Err(StoreError::differs(name)),
        }
    }

    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        match self.session.lstat(self.path(name)).await {
            Ok(attributes) => Ok(Some(attributes.attrs.size.unwrap_or_default())),
            Err(error) if is(&error, StatusCode::NoSuchFile) => Ok(None),
            Err(error) => Err(self.failed("look at", name, error).await),
        }
    }

    /// The size of a file, and when it was written.
    pub(super) async fn stamp(&self, name: &str) -> Result<(u64, String), StoreError> {
        match self.session.lstat(self.path(name)).await {
            Ok(found) => {
                let written = found.attrs.mtime.unwrap_or_default();
                Ok((found.attrs.size.unwrap_or_default(), written.to_string()))
            }
            Err(error) => Err(self.failed("read", name, error).await),
        }
    }

    pub(super) async fn read(
        &self,
        name: &str,
        range: Range<u64>,
        sink: &mut Sink<'_>,
    ) -> Result<u64, StoreError> {
        let attributes = FileAttributes::empty();
        let opened = self
            .session
            .open(self.path(name), OpenFlags::READ, attributes);
        let handle = match opened.await {
            Ok(handle) => handle.handle,
            Err(error) => return Err(self.failed("read", name, error).await),
        };
        let (mut position, mut next, mut flying) =
            (range.start, range.start, FuturesOrdered::new());
        let result = loop {
            while flying.len() < AT_A_TIME && next < range.end {
                let length = (range.end - next).min(PIECE_BYTES as u64);
                flying.push_back(self.session.read(handle.clone(), next, length as u32));
                next += length;
            }
            let asked = (range.end - position).min(PIECE_BYTES as u64);
            match flying.next().await {
                None => break Ok(position - range.start),
                Some(Ok(data)) if data.data.is_empty() => break Ok(position - range.start),
                Some(Ok(data)) => {
                    if let Err(error) = sink(&data.data) {
                        break Err(StoreError::of_io("keep", name, &error));
                    }
                    position += data.data.len() as u64;
                    if (data.data.len() as u64) < asked {
                        // It gave less than it was asked for: what follows is asked for anew.
                        (next, flying) = (position, FuturesOrdered::new());
                    }
                }
                Some(Err(error)) if is(&error, StatusCode::Eof) => {
                    break Ok(position - range.start);
                }
                Some(Err(error)) => break Err(self.failed("read", name, error).await),
            }
        };
        drop(flying);
        let _ = self.session.close(handle).await;
        result
    }

    pub(super) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let folder = self.path("");
        let handle = match self.session.opendir(folder.clone()).await {
            Ok(handle) => handle.handle,
            Err(error) => return Err(self.failed("list", &folder, error).await),
        };
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        loop {
            match self.session.readdir(handle.clone()).await {
                Ok(page) => {
                    for file in page
                        .files
                        .into_iter()
                        .filter(|file| may_be_file(&file.filename, &file.attrs))
                    {
                        let bytes = file.attrs.size.unwrap_or_default();
                        if seen.insert(file.filename.clone()) {
                            let name = file.filename;
                            found.push(Entry { name, bytes });
                        }
                    }
                }
                Err(error) if is(&error, StatusCode::Eof) => break,
                Err(error) => return Err(self.failed("list", &folder, error).await),
            }
        }
        let _ = self.session.close(handle).await;
        Ok(found)
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.session.remove(self.path(name)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed("remove", name, error).await),
        }
    }
}

/// Some servers do not say in a listing what is a file.
fn may_be_file(name: &str, attributes: &FileAttributes) -> bool {
    match attributes.permissions {
        Some(_) => attributes.is_regular(),
        None => name != "." && name != "..",
    }
}

fn is(error: &Error, code: StatusCode) -> bool {
    matches!(error, Error::Status(status) if status.status_code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_listing_says_nothing_of_may_be_a_file() {
        let with = |permissions| FileAttributes {
            permissions,
            ..FileAttributes::empty()
        };
        assert!(may_be_file("a", &with(None)));
        assert!(!may_be_file("..", &with(None)));
        assert!(may_be_file("a", &with(Some(0o100_600))));
        assert!(!may_be_file("a", &with(Some(0o040_700))));
    }
}
