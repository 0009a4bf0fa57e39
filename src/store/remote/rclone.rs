//! All else, through the stock `rclone`: it knows some seventy services, gives a file its name when it is whole, and
//! compares checksums where a service has them. Its configuration is the owner's own.

use super::error::{StoreError, StoreErrorKind};
use super::scratch::Scratch;
use super::source::Source;
use super::transfer::Transfer;
use super::{Access, Entry, Proof, Sink};
use crate::settings::OffsitePlace;
use crate::sys::piped::{self, PipedChild};
use crate::sys::process;
use crate::sys::redact::Redactor;
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What rclone needs of our environment; whatever begins with `RCLONE_` is its own.
const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "XDG_CONFIG_HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
];
/// The longest answer that is kept: a listing.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;
/// rclone's exit code for a folder that is not there, and for a file.
const NO_FOLDER: i32 = 3;
const NO_FILE: i32 = 4;

pub(crate) struct RcloneStore {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    redactor: Redactor,
    remote: String,
    bandwidth: Option<u64>,
    scratch: PathBuf,
}

/// A file as rclone lists it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    name: String,
    size: i64,
    #[serde(default)]
    is_dir: bool,
}

/// A line of its log.
#[derive(Deserialize)]
struct LogLine {
    stats: Option<Stats>,
}

#[derive(Deserialize)]
struct Stats {
    bytes: u64,
}

impl RcloneStore {
    pub(super) fn new(place: &OffsitePlace, access: &Access<'_>) -> Result<Self, StoreError> {
        let OffsitePlace::Rclone { remote } = place else {
            return Err(StoreError::exists("address"));
        };
        let search = access.environment.iter().find(|(name, _)| name == "PATH");
        let search = search.map_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"), |(_, path)| path);
        let program = process::find_program("rclone", search).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::Other,
                "there is no rclone on PATH",
                "install rclone; in the image, mount it as /usr/local/bin/rclone",
            )
        })?;
        let own = |name: &OsString| {
            PASSED_ON.iter().any(|passed| name == passed)
                || name
                    .to_str()
                    .is_some_and(|name| name.starts_with("RCLONE_"))
        };
        let mut environment: Vec<(OsString, OsString)> = access
            .environment
            .iter()
            .filter(|(name, _)| {
                own(name) && name != "RCLONE_CONFIG" && name != "RCLONE_CONFIG_FILE"
            })
            .cloned()
            .collect();
        let config = access.credentials.rclone_config.as_ref();
        environment.extend(config.map(|path| ("RCLONE_CONFIG".into(), path.into())));
        Ok(RcloneStore {
            program,
            environment,
            redactor: access.redactor.clone(),
            remote: remote.clone(),
            bandwidth: access.bandwidth,
            scratch: access.scratch.to_owned(),
        })
    }

    fn path(&self, name: &str) -> String {
        let joint = if self.remote.ends_with(':') { "" } else { "/" };
        format!("{}{joint}{name}", self.remote)
    }

    fn start(
        &self,
        arguments: &[&OsStr],
        heard: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<PipedChild, StoreError> {
        let mut all: Vec<OsString> = [
            "--ask-password=false",
            "--retries=2",
            "--low-level-retries=4",
        ]
        .map(OsString::from)
        .into();
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        piped::spawn(
            &self.program,
            &all,
            self.environment.iter().cloned(),
            &self.redactor,
            heard,
        )
        .map_err(|error| {
            StoreError::new(
                StoreErrorKind::Other,
                format!("cannot start rclone: {error}"),
                "",
            )
        })
    }

    /// Runs it to its end; what it printed, or none when there is no such thing.
    async fn run(
        &self,
        action: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let mut child = self.start(&arguments, |_| true)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends early says why.
            let _ = stdin.write_all(input).await;
        }
        let mut printed = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let _ = stdout.take(LONGEST_ANSWER).read_to_end(&mut printed).await;
        }
        self.ended(action, &mut child)
            .await
            .map(|found| found.then_some(printed))
    }

    /// False when there is no such file or folder.
    async fn ended(&self, action: &str, child: &mut PipedChild) -> Result<bool, StoreError> {
        let status = child
            .end()
            .await
            .map_err(|error| StoreError::of_io("wait for", "rclone", &error))?;
        if status.success() {
            return Ok(true);
        }
        if let Some(NO_FOLDER | NO_FILE) = status.code() {
            return Ok(false);
        }
        let lines = child.last_lines().await;
        let said = lines.last().cloned().unwrap_or_default();
        let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let (kind, help) = if any(&["didn't find section in config file"]) {
            (
                StoreErrorKind::NoPlace,
                "check RCLONE_CONFIG and the name of the remote in OFFSITE_URL",
            )
        } else if any(&["AccessDenied", "403", "401", "permission denied"]) {
            (
                StoreErrorKind::Denied,
                "see what rclone's credentials may do",
            )
        } else if any(&["no space left", "quota", "storageQuotaExceeded"]) {
            (
                StoreErrorKind::Full,
                "make room there, or keep fewer copies",
            )
        } else {
            (StoreErrorKind::Unreachable, "")
        };
        let summary = format!("rclone could not {action}: {said}");
        Err(StoreError::new(kind, summary, help))
    }

    pub(super) async fn put(&self, name: &str, mut source: Source) -> Result<Proof, StoreError> {
        if self.size(name).await?.is_some() {
            return Err(StoreError::exists(name));
        }
        if source.is_sealed() {
            let lies = self.lay_down(name, &mut source).await?;
            let path = lies.partial().path();
            return self.copy(name, path, source.transfer()).await;
        }
        let Some(file) = source.path() else {
            let target = self.path(name);
            let mut content = Vec::new();
            while let Some(piece) = source.next().await? {
                content.extend_from_slice(&piece);
            }
            self.run(&format!("take {name}"), &["rcat", "--", &target], &content)
                .await?;
            return Ok(Proof::Sent);
        };
        source.check().await?;
        self.copy(name, &file, source.transfer()).await
    }

    /// Lays what is sealed into a file first: rclone tries again by itself, and must then send the very same bytes.
    async fn lay_down(&self, name: &str, source: &mut Source) -> Result<Scratch, StoreError> {
        let scratch = Scratch::create(&self.scratch, name, source.bytes())?;
        while let Some(piece) = source.next_unhurried().await? {
            source.transfer().stir();
            scratch.write(piece).await?;
        }
        Ok(scratch)
    }

    async fn copy(
        &self,
        name: &str,
        file: &Path,
        transfer: &Arc<Transfer>,
    ) -> Result<Proof, StoreError> {
        let target = self.path(name);
        let (transfer, seen) = (Arc::clone(transfer), AtomicU64::new(0));
        let heard = move |line: &str| match serde_json::from_str::<LogLine>(line) {
            Ok(LogLine {
                stats: Some(stats), ..
            }) => {
                let before = seen.swap(stats.bytes, Ordering::Relaxed);
                transfer.advance(stats.bytes.saturating_sub(before));
                false
            }
            _ => true,
        };
        let limit = format!("--bwlimit={}B", self.bandwidth.unwrap_or_default());
        let mut arguments: Vec<&OsStr> = [
            "copyto",
            "--immutable",
            "--no-traverse",
            "--use-json-log",
            "--stats=1s",
            "--stats-log-level=NOTICE",
        ]
        .map(OsStr::new)
        .into();
        if self.bandwidth.is_some() {
            arguments.push(OsStr::new(&limit));
        }
        arguments.extend([OsStr::new("--"), file.as_os_str(), OsStr::new(&target)]);
        let mut child = self.start(&arguments, heard)?;
        drop(child.stdout.take());
        match self.ended(&format!("take {name}"), &mut child).await? {
            true => Ok(Proof::Sent),
            false => Err(StoreError::new(
                StoreErrorKind::NoPlace,
                "there is no such place",
                "correct OFFSITE_URL",
            )),
        }
    }

    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let path = self.path(name);
        let arguments = [
            "lsjson",
            "--stat",
            "--no-modtime",
            "--no-mimetype",
            "--",
            &path,
        ];
        let action = format!("look at {name}");
        let Some(printed) = self.run(&action, &arguments, b"").await? else {
            return Ok(None);
        };
        let listed: Option<Listed> = serde_json::from_slice(&printed).map_err(|_| malformed())?;
        let file = listed.filter(|listed| !listed.is_dir);
        Ok(file.map(|listed| u64::try_from(listed.size).unwrap_or_default()))
    }

    pub(super) async fn read(
        &self,
        name: &str,
        range: Range<u64>,
        sink: &mut Sink<'_>,
    ) -> Result<u64, StoreError> {
        let path = self.path(name);
        let (offset, count) = (
            format!("--offset={}", range.start),
            format!("--count={}", range.end - range.start),
        );
        let arguments = ["cat", &offset, &count, "--", &path].map(OsStr::new);
        let mut child = self.start(&arguments, |_| true)?;
        drop(child.stdin.take());
        let mut read = 0;
        if let Some(mut stdout) = child.stdout.take() {
            let mut piece = vec![0; 256 * 1024];
            loop {
                match stdout.read(&mut piece).await {
                    Ok(0) => break,
                    Ok(length) => {
                        sink(&piece[..length])
                            .map_err(|error| StoreError::of_io("keep", name, &error))?;
                        read += length as u64;
                    }
                    Err(error) => return Err(StoreError::of_io("read", name, &error)),
                }
            }
        }
        match self.ended(&format!("give {name}"), &mut child).await? {
            true => Ok(read),
            false => Err(StoreError::missing(name)),
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let arguments = [
            "lsjson",
            "--files-only",
            "--no-modtime",
            "--no-mimetype",
            "--",
            &self.remote,
        ];
        let Some(printed) = self.run("list", &arguments, b"").await? else {
            return Err(StoreError::new(
                StoreErrorKind::NoPlace,
                format!("there is no {} there", self.remote),
                format!("create it: rclone mkdir {}", self.remote),
            ));
        };
        let listed: Vec<Listed> = serde_json::from_slice(&printed).map_err(|_| malformed())?;
        let entry = |listed: Listed| Entry {
            name: listed.name,
            bytes: u64::try_from(listed.size).unwrap_or_default(),
        };
        Ok(listed.into_iter().map(entry).collect())
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        let removed = self
            .run(&format!("remove {name}"), &["deletefile", "--", &path], b"")
            .await?;
        removed.map(drop).ok_or_else(|| StoreError::missing(name))
    }
}

fn malformed() -> StoreError {
    StoreError::new(
        StoreErrorKind::Other,
        "rclone printed something that cannot be read",
        "a newer rclone may be needed",
    )
}
