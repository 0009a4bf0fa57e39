//! The settings: read from the environment in two stages, what was typed and what was meant, with all faults reported
//! at once. The environment is an argument, so this is the whole of it and tests need no other.

use crate::mongo::uri::MongoUri;
use crate::schedule::Schedule;
use crate::sys::redact::{Redactor, Secret};
use crate::sys::runtime::Runtime;
use crate::sys::time_zone::Tz;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

mod descriptor;
mod encrypt;
mod env_file;
mod fault;
mod names;
mod offsite;
mod parse;
mod raw;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod urls;
mod validate;

pub(crate) use crate::archive::compression::Compression;
pub(crate) use crate::retention::policy::RetentionPolicy;
pub(crate) use crate::sys::logging::{LogFormat, LogSettings};
pub(crate) use encrypt::EncryptSettings;
pub(crate) use env_file::env_file_hint;
pub(crate) use fault::{Faults, Refusal};
pub(crate) use names::{NamespacePattern, Rename};
pub(crate) use offsite::{OffsiteCredentials, OffsitePlace, OffsiteSettings, OffsiteVerify};
pub(crate) use raw::without_bom;
pub(crate) use urls::{Login, NotifyUrl, PingUrl};

/// What a command needs the settings for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// It talks to the server: a connection string is required.
    Server,
    /// It reads the backup folder, and where copies lie.
    Folder,
    /// It shows what is known, and opens nothing: without any credentials.
    Knowledge,
}

/// A redactor for all secrets among `vars`, of settings that are faulty too. Files named by `…_FILE` are read;
/// unreadable ones are passed over, as [`Settings::load`] reports them.
pub(crate) fn redactor(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Redactor {
    raw::Gathered::from_vars(vars).redactor()
}

/// The checked settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// The server to back up; there whenever [`Needs::Server`] was asked for.
    pub mongodb: Option<MongoUri>,
    /// The databases to back up; empty means all.
    pub databases: Vec<String>,
    /// Namespaces to leave out.
    pub exclude: Vec<NamespacePattern>,
    /// Whether to dump with the oplog.
    pub oplog: OplogMode,
    /// When to back up, in `time_zone`.
    pub schedule: Schedule,
    /// The zone of schedules and of archive names.
    pub time_zone: Tz,
    /// Also at start.
    pub on_start: bool,
    /// Make up once, at start, for a run that was missed.
    pub catch_up: bool,
    /// Where the archives go.
    pub backup_dir: PathBuf,
    /// Where the log files go.
    pub log_dir: PathBuf,
    /// How the names of archives start.
    pub prefix: String,
    /// What new archives are compressed with.
    pub compression: Compression,
    /// 1 (fast) to 9 (small).
    pub compression_level: u8,
    /// How many threads compress.
    pub threads: NonZeroUsize,
    /// The longest that a run may take in all.
    pub timeout: Duration,
    /// The longest that a run may go without a byte moving.
    pub stall_timeout: Duration,
    /// Further attempts after a failure that may pass.
    pub retries: u32,
    /// Refuse to write where the backup folder is not the disk it was.
    pub require_mount: bool,
    /// Which archives stay.
    pub retention: RetentionPolicy,
    /// Sealing.
    pub encrypt: EncryptSettings,
    /// Copies elsewhere.
    pub offsite: OffsiteSettings,
    /// Trial restores.
    pub drill: DrillSettings,
    /// How to send mail; `None` means that mail is off.
    pub mail: Option<MailSettings>,
    /// Where else to send messages.
    pub notify_urls: Vec<NotifyUrl>,
    /// When to notify.
    pub notify_on: NotifyOn,
    /// Who learns how each backup ended.
    pub ping: Option<PingUrl>,
    /// The page that shows how things are.
    pub status: StatusSettings,
    /// Where metrics are written after every run.
    pub metrics_file: Option<PathBuf>,
    /// Logging.
    pub log: LogSettings,
    /// What the program runs under.
    pub runtime: Runtime,
}

/// The page that shows how things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusSettings {
    /// Where it listens; `None` means that there is none.
    pub listen: Option<SocketAddr>,
    /// What it asks for.
    pub password: Option<Secret>,
    /// Names under which it is reached, in lower case; `*` stands for any.
    pub hosts: Vec<String>,
}

/// Whether a dump includes the oplog, and so shows one point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OplogMode {
    /// Where the server has one and the whole server is dumped.
    Auto,
    /// Always; a server without one is an error.
    On,
    /// Never.
    Off,
}

/// Trial restores.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DrillSettings {
    /// The scratch server.
    pub uri: Option<MongoUri>,
    /// When to drill without being asked.
    pub schedule: Option<Schedule>,
    /// Who learns how each drill ended.
    pub ping: Option<PingUrl>,
}

impl DrillSettings {
    /// Whether drills are meant to happen. Without a server of their own, they are only when somebody asks for one.
    pub(crate) fn is_set_up(&self) -> bool {
        self.uri.is_some()
    }
}

/// How to send mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailSettings {
    /// The SMTP server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// Who signs in; there exactly when `password` is.
    pub username: Option<String>,
    /// The password, as given: app passwords may hold spaces.
    pub password: Option<Secret>,
    /// The sender, an address or `Name <address>`.
    pub from: String,
    /// The recipients, at least one, each an address or `Name <address>`.
    pub to: Vec<String>,
}

/// How a mail connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailSecurity {
    /// It starts in clear and must change to TLS before anything else.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// In clear, only when asked for.
    None,
}

/// When to notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotifyOn {
    /// When a run fails, still fails, or works again.
    Failure,
    /// After every run.
    Always,
    /// Never.
    Never,
}

impl Settings {
    /// Checks the settings among `vars`, the whole environment; other variables are passed over.
    ///
    /// # Errors
    /// All that is wrong, at once and free of secrets.
    pub(crate) fn load(
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        needs: Needs,
    ) -> Result<Self, Faults> {
        validate::validate(raw::Gathered::from_vars(vars), needs)
    }
}
