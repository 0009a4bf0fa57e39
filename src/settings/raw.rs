//! The settings as they were typed: the table of all of them, and their texts from the environment and from files.

use super::fault::Fault;
use super::suggest;
use crate::mongo::uri::{self, MongoUri};
use crate::sys::redact::{MASK, Redactor, Secret};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const FILE_SUFFIX: &str = "_FILE";
/// No setting comes near it; a path to something huge must not fill the memory of a small machine.
const FILE_MAX_BYTES: u64 = 64 * 1024;
/// A name that starts like this is meant for us, so an unknown one is a slip that would go unnoticed.
const PREFIXES: [&str; 8] = [
    "BACKUP_",
    "RETENTION_",
    "SMTP_",
    "EMAIL_",
    "NOTIFY_",
    "LOG_",
    "DRILL_",
    "MONGODB_",
];

/// One setting, as users see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The name of the environment variable.
    pub name: &'static str,
    /// The default, empty for none; as text, since it is read like a given value.
    pub default: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// One line on why one would set it.
    pub why: &'static str,
}

macro_rules! settings {
    ($($field:ident $name:literal = $default:literal $($secret:ident)?, $why:literal;)*) => {
        /// What was typed: nothing is checked yet, and blank counts as not set.
        #[derive(Default, Deserialize)]
        pub(super) struct RawSettings { $(pub(super) $field: Option<String>,)* }

        impl RawSettings {
            #[cfg(test)]
            pub(super) const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            pub(super) fn get(&self, name: &str) -> Option<&str> {
                match name { $($name => self.$field.as_deref(),)* _ => None }
            }
        }

        /// Every setting, in the order in which they are documented.
        pub(super) const TABLE: &[Setting] = &[$(Setting {
            name: $name,
            default: $default,
            secret: settings!(@secret $($secret)?),
            why: $why,
        }),*];
    };
    (@secret) => { false };
    (@secret secret) => { true };
}

settings! {
    mongodb_uri "MONGODB_URI" = "" secret, "The server to back up; percent-encode special characters in the password.";
    database_url "DATABASE_URL" = "" secret, "The same under another name, for apps that already have it.";
    backup_databases "BACKUP_DATABASES" = "", "Only these databases, with commas between; empty means all.";
    backup_exclude "BACKUP_EXCLUDE" = "", "Leave out what can be made again, such as shop.sessions,*.cache.";
    backup_oplog "BACKUP_OPLOG" = "auto", "One point in time for everything, where the server can: auto, on or off.";
    backup_schedule "BACKUP_SCHEDULE" = "0 2 * * SUN", "When to back up: cron with 5 or 6 fields, or @daily and the like.";
    tz "TZ" = "UTC", "The time zone of the schedule and of archive names, such as Europe/Madrid.";
    backup_on_start "BACKUP_ON_START" = "false", "Back up at every start too.";
    backup_catch_up "BACKUP_CATCH_UP" = "true", "Make up at start for a run missed while the machine was off.";
    backup_dir "BACKUP_DIR" = "backups", "Where the archives go; created if missing.";
    log_dir "LOG_DIR" = "logs", "Where the log files go; created if missing.";
    backup_prefix "BACKUP_PREFIX" = "jorbites", "How the names of the archives start.";
    backup_compression_level "BACKUP_COMPRESSION_LEVEL" = "6", "From 1 (fast) to 9 (small).";
    backup_threads "BACKUP_THREADS" = "", "How many cores may compress; empty means all.";
    backup_timeout "BACKUP_TIMEOUT" = "6h", "A run that takes longer in all is ended and counts as failed.";
    backup_stall_timeout "BACKUP_STALL_TIMEOUT" = "5m", "So does a run in which nothing moves for this long.";
    backup_retries "BACKUP_RETRIES" = "2", "Further attempts when the cause may pass, such as a server that restarts.";
    backup_require_mount "BACKUP_REQUIRE_MOUNT" = "false", "Refuse to write when the disk of BACKUP_DIR is not there.";
    retention_days "RETENTION_DAYS" = "30", "Older archives go, only ever after a verified success.";
    retention_min_keep "RETENTION_MIN_KEEP" = "3", "Never fewer verified archives than this, however old.";
    retention_daily "RETENTION_DAILY" = "0", "Keep one archive per day for this many days.";
    retention_weekly "RETENTION_WEEKLY" = "0", "Keep one per week for this many weeks.";
    retention_monthly "RETENTION_MONTHLY" = "0", "Keep one per month for this many months.";
    retention_yearly "RETENTION_YEARLY" = "0", "Keep one per year for this many years.";
    drill_uri "DRILL_URI" = "" secret, "A scratch server on which drills restore.";
    drill_schedule "DRILL_SCHEDULE" = "", "When to drill by itself; empty means only when asked.";
    smtp_host "SMTP_HOST" = "", "The mail server, such as smtp.gmail.com; empty turns mail off.";
    smtp_port "SMTP_PORT" = "587", "Its port; 465 when not set and SMTP_SECURITY is tls.";
    smtp_security "SMTP_SECURITY" = "starttls", "Encryption: starttls, tls, or none if you really mean it.";
    smtp_username "SMTP_USERNAME" = "", "Who signs in, often the mail address.";
    smtp_password "SMTP_PASSWORD" = "" secret, "For Gmail an app password, spaces and all.";
    email_from "EMAIL_FROM" = "", "The sender; SMTP_USERNAME if that is an address.";
    email_to "EMAIL_TO" = "", "Who gets the mail, with commas between.";
    notify_on "NOTIFY_ON" = "failure", "When to mail: failure, always or never.";
    log_level "LOG_LEVEL" = "info", "How much to log: error, warn, info, debug or trace.";
    log_format "LOG_FORMAT" = "text", "For people (text) or for machines (json).";
    log_max_size "LOG_MAX_SIZE" = "10MB", "A log file that grows beyond this starts anew.";
    log_keep "LOG_KEEP" = "5", "How many full log files stay.";
}

/// Everything that was typed, where it came from, and what could not even be read.
pub(super) struct Gathered {
    pub(super) raw: RawSettings,
    /// The settings whose text came from a file.
    pub(super) files: BTreeMap<&'static str, PathBuf>,
    /// With each the position of its setting in the table; unknown names come after all known ones.
    pub(super) faults: Vec<(usize, Fault)>,
    secrets: Vec<Secret>,
}

impl Gathered {
    pub(super) fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut by_name: BTreeMap<String, OsString> = BTreeMap::new();
        for (name, value) in vars {
            if let Ok(name) = name.into_string() {
                // Of two equal names the first counts, as in getenv.
                by_name.entry(name).or_insert(value);
            }
        }
        let mut gathered = Self {
            raw: RawSettings::default(),
            files: BTreeMap::new(),
            faults: Vec::new(),
            secrets: Vec::new(),
        };
        let mut texts = Vec::new();
        for (position, setting) in TABLE.iter().enumerate() {
            match gathered.text_of(setting, &by_name) {
                Ok(Some(text)) => texts.push((setting.name.to_owned(), text)),
                Ok(None) => {}
                Err(fault) => gathered.faults.push((position, *fault)),
            }
        }
        match envy::from_iter(texts) {
            Ok(raw) => gathered.raw = raw,
            // Every field is an optional text under a name of its own, so this cannot fail for any input; and if it
            // did, the start must stop.
            Err(_) => gathered.faults.push((
                0,
                fault("settings", None, "cannot be read", "report this as a bug"),
            )),
        }
        let unknown = unknown(&by_name);
        gathered
            .faults
            .extend(unknown.map(|fault| (TABLE.len(), fault)));
        gathered
    }

    /// Hides all secrets that were given, in faulty settings too.
    pub(super) fn redactor(&self) -> Redactor {
        Redactor::new(self.secrets.iter().cloned())
    }

    fn text_of(
        &mut self,
        setting: &Setting,
        vars: &BTreeMap<String, OsString>,
    ) -> Result<Option<String>, Box<Fault>> {
        let name = setting.name;
        let file_name = format!("{name}{FILE_SUFFIX}");
        let typed = match vars.get(name).map(|value| value.to_str()) {
            Some(Some(text)) if is_blank(text) || is_link(name, text) => None,
            Some(Some(text)) => {
                self.remember(setting, text);
                Some(text)
            }
            Some(None) => {
                let accepted = "write it in UTF-8";
                return Err(fault(name, None, "is not valid UTF-8", accepted).into());
            }
            None => None,
        };
        let path = vars
            .get(&file_name)
            .filter(|path| !path.to_str().is_some_and(is_blank));
        let Some(path) = path.map(Path::new) else {
            return Ok(typed.map(|text| normalised(setting, text)));
        };
        if typed.is_some() {
            let problem = format!("is set together with {name}");
            return Err(fault(&file_name, None, problem, "keep one of the two").into());
        }
        let given = Some(path.display().to_string());
        let text = match read(path) {
            Ok(text) => text,
            Err(problem) => {
                let accepted = "give the path of a readable file that holds the value alone";
                return Err(fault(&file_name, given, problem, accepted).into());
            }
        };
        self.remember(setting, &text);
        if is_blank(&text) {
            // Whoever names a file means its content: an empty one is a secret that was lost, not a default.
            let accepted = "put the value into it, or drop the setting";
            return Err(fault(&file_name, given, "is empty", accepted).into());
        }
        self.files.insert(name, path.to_owned());
        Ok(Some(normalised(setting, &text)))
    }

    fn remember(&mut self, setting: &Setting, text: &str) {
        if !setting.secret {
            return;
        }
        if setting.name == "SMTP_PASSWORD" {
            self.secrets.push(Secret::new(text));
            return;
        }
        match MongoUri::parse(text.trim()) {
            Ok(uri) => self.secrets.extend(uri.secrets()),
            Err(_) => self.secrets.extend(uri::possible_passwords(text.trim())),
        }
    }
}

fn fault(
    setting: &str,
    given: Option<String>,
    problem: impl Into<String>,
    accepted: impl Into<String>,
) -> Fault {
    Fault {
        setting: setting.to_owned(),
        given,
        problem: problem.into(),
        accepted: accepted.into(),
    }
}

/// What to show of a value.
pub(super) fn shown(setting: &Setting, text: &str) -> String {
    if setting.secret { MASK } else { text }.to_owned()
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn normalised(setting: &Setting, text: &str) -> String {
    // A password may begin or end with a space; nothing else does on purpose.
    if setting.name == "SMTP_PASSWORD" {
        text.to_owned()
    } else {
        text.trim().to_owned()
    }
}

/// The content without one trailing newline, or a phrase on why there is none; never the content itself.
fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // Opening a named pipe would wait for ever for someone to write into it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > FILE_MAX_BYTES) {
        return Err("is larger than 64 KiB".to_owned());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "is not valid UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn unknown(vars: &BTreeMap<String, OsString>) -> impl Iterator<Item = Fault> {
    vars.iter().filter_map(move |(name, value)| {
        let base = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
        let is_known = TABLE
            .iter()
            .any(|setting| setting.name == name || setting.name == base);
        let is_ours = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if is_known || !is_ours || is_injected(name, &value.to_string_lossy(), vars) {
            return None;
        }
        let suffix = &name[base.len()..];
        let accepted = match suggest::setting(base, TABLE.iter().map(|setting| setting.name)) {
            Some(near) => format!("did you mean {near}{suffix}?"),
            None => "remove it; .env.example lists every setting".to_owned(),
        };
        Some(fault(name, None, "is not a setting", accepted))
    })
}

/// Docker links and Kubernetes describe a service called `smtp` as `SMTP_PORT=tcp://…`.
fn is_link(name: &str, value: &str) -> bool {
    let value = value.trim();
    name.ends_with("_PORT") && (value.starts_with("tcp://") || value.starts_with("udp://"))
}

/// Whether systemd set this, or Docker or Kubernetes for a service whose name happens to start like a prefix of ours.
fn is_injected(name: &str, value: &str, vars: &BTreeMap<String, OsString>) -> bool {
    let of_systemd = name == "NOTIFY_SOCKET";
    let of_service = name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_");
    // MONGODB_NAME and MONGODB_ENV_… come only together with MONGODB_PORT=tcp://….
    let has_link = |service: &str| {
        let port = format!("{service}_PORT");
        vars.get(&port)
            .is_some_and(|value| is_link(&port, &value.to_string_lossy()))
    };
    let of_link = name
        .strip_suffix("_NAME")
        .or_else(|| name.split_once("_ENV_").map(|(service, _)| service))
        .is_some_and(has_link);
    of_systemd || of_service || of_link || is_link(name, value) || is_link_port(name)
}

/// `…_PORT_27017_TCP`, and that with `_PROTO`, `_PORT` or `_ADDR`.
fn is_link_port(name: &str) -> bool {
    let name = ["_PROTO", "_PORT", "_ADDR"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    ["_TCP", "_UDP", "_SCTP"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .and_then(|name| name.rsplit_once("_PORT_"))
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}
