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
use tokio::sync::OnceCell;

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
    "ALL_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "all_proxy",
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
    /// That it is new enough to send files was seen.
    is_new: OnceCell<()>,
}

/// Older versions give a file its name before it is whole, on most services: what breaks off looks like a damaged copy.
const OLDEST: (u32, u32) = (1, 63);
/// rclone may be busy with checksums of the whole file while nothing moves: at least so many bytes a second.
const SLOWEST_CHECKSUM: u64 = 5 * 1024 * 1024;

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
    msg: Option<String>,
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
            is_new: OnceCell::new(),
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
        let said = lines.last().map(|line| message(line)).unwrap_or_default();
        let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let (kind, help) = if any(&["didn't find section in config file"]) {
            (
                StoreErrorKind::NoPlace,
                "check RCLONE_CONFIG and the name of the remote in OFFSITE_URL",
            )
        } else if any(&["AccessDenied", "permission denied"]) || is_refusal(&said) {
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

    /// An old rclone reads copies as well as any, but must not send them.
    async fn refuse_if_old(&self) -> Result<(), StoreError> {
        let printed = self.run("tell its version", &["version"], b"").await;
        let printed = printed.ok().flatten().unwrap_or_default();
        match version(&String::from_utf8_lossy(&printed)) {
            Some((major, minor)) if (major, minor) < OLDEST => Err(StoreError::new(
                StoreErrorKind::Denied,
                format!(
                    "this rclone is {major}.{minor}, which gives a file its name before it is whole"
                ),
                "install rclone 1.63 or newer, see https://rclone.org/downloads/",
            )),
            _ => Ok(()),
        }
    }

    pub(super) async fn put(&self, name: &str, mut source: Source) -> Result<Proof, StoreError> {
        self.is_new.get_or_try_init(|| self.refuse_if_old()).await?;
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
            let (action, arguments) = (format!("take {name}"), ["rcat", "--", &target]);
            return match self.run(&action, &arguments, &content).await? {
                Some(_) => Ok(Proof::Sent),
                None => Err(no_place()),
            };
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
        let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
        let patience = AtomicU64::new(bytes / SLOWEST_CHECKSUM);
        let heard = move |line: &str| match serde_json::from_str::<LogLine>(line) {
            Ok(LogLine {
                stats: Some(stats), ..
            }) => {
                let before = seen.swap(stats.bytes, Ordering::Relaxed);
                // A line comes each second, whether anything moves or not.
                if stats.bytes > before {
                    transfer.advance(stats.bytes - before);
                } else if spend(&patience) {
                    transfer.stir();
                }
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
            false => Err(no_place()),
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

/// Major and minor version in what `rclone version` prints.
fn version(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.trim().strip_prefix("rclone v")?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

/// Takes one of what is left; false when nothing is.
fn spend(left: &AtomicU64) -> bool {
    let one_less = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
        .is_ok()
}

/// What a line of its log says; with `--use-json-log` it is one value among others, such as the time.
fn message(line: &str) -> String {
    let parsed = serde_json::from_str::<LogLine>(line).ok();
    let message = parsed.and_then(|line| line.msg);
    let message = message.unwrap_or_else(|| line.to_owned());
    // One line, whatever it was.
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a message gives 401 or 403 as the status of an answer. The digits alone may be those of a time, a name, a length.
fn is_refusal(said: &str) -> bool {
    let words: Vec<&str> = said
        .split(|c: char| c.is_whitespace() || ":=,;()[]\"'".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let is = |word: Option<&&str>, names: &[&str]| {
        word.is_some_and(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name)))
    };
    words.iter().enumerate().any(|(at, word)| {
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        ["401", "403"].contains(word)
            && (is(
                before,
                &[
                    "status",
                    "code",
                    "statuscode",
                    "error",
                    "http",
                    "http/1.1",
                    "http/2.0",
                ],
            ) || is(words.get(at + 1), &["unauthorized", "forbidden"]))
    })
}

fn no_place() -> StoreError {
    StoreError::new(
        StoreErrorKind::NoPlace,
        "there is no such place",
        "correct OFFSITE_URL",
    )
}

fn malformed() -> StoreError {
    StoreError::new(
        StoreErrorKind::Other,
        "rclone printed something that cannot be read",
        "a newer rclone may be needed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_a_status_and_not_by_digits() {
        for refused in [
            "Failed to copyto: googleapi: Error 403: Insufficient Permission, insufficientPermissions",
            "Failed to lsjson: HTTP error 401 (401 Unauthorized) returned body: \"\"",
            "Failed to rcat: Forbidden: Forbidden\n\tstatus code: 403, request id: , host id: ",
            "operation error S3: HeadObject, https response error StatusCode: 403, RequestID: 1, api error Forbidden",
            "unexpected response: 403 Forbidden",
        ] {
            assert!(is_refusal(refused), "{refused}");
        }
        for other in [
            "a_backup_20260403_0200.tar.gz: Failed to copy: read tcp 10.0.0.1:40312: connection reset by peer",
            "2026/04/03 02:00:00.123403 ERROR : dial tcp: i/o timeout",
            "shop_403: corrupted on transfer: sizes differ 403 vs 401",
            "Failed to copyto: dial tcp 192.0.2.1:403: connection refused",
            "error while reading 20260403",
        ] {
            assert!(!is_refusal(other), "{other}");
        }
    }

    #[test]
    fn the_version_is_read_as_all_builds_print_it() {
        for (printed, expected) in [
            (
                "rclone v1.60.1-DEV\n- os/version: debian 12\n",
                Some((1, 60)),
            ),
            ("rclone v1.63.0\n", Some((1, 63))),
            ("rclone v1.69.0-beta.8480.9b5b0a4ad\n", Some((1, 69))),
            ("", None),
        ] {
            assert_eq!(version(printed), expected, "{printed}");
        }
    }

    #[test]
    fn of_a_line_of_json_only_the_message_counts() {
        let line = r#"{"time":"2026-04-03T02:00:00.000403+00:00","level":"error","msg":"Failed to copyto: i/o timeout\n","source":"x.go:401"}"#;
        assert_eq!(message(line), "Failed to copyto: i/o timeout");
        assert_eq!(message("no JSON at all"), "no JSON at all");
    }
}
