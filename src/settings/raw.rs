//! The settings as they were typed: their texts from the environment and from files.

use super::descriptor::{Secrecy, Setting};
use super::fault::Fault;
use super::suggest;
use super::table::{RawSettings, TABLE};
use super::urls;
use crate::archive::seal;
use crate::mongo::uri::{self, MongoUri};
use crate::sys::redact::{MASK, Redactor, Secret};
use crate::sys::runtime::Runtime;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const FILE_SUFFIX: &str = "_FILE";
/// No setting comes near it; a path to something huge must not fill the memory of a small machine.
const FILE_MAX_BYTES: u64 = 64 * 1024;
/// A name that starts like this is meant for us, so an unknown one is a slip that would go unnoticed.
const PREFIXES: &[&str] = &[
    "BACKUP_",
    "RETENTION_",
    "SMTP_",
    "EMAIL_",
    "NOTIFY_",
    "LOG_",
    "DRILL_",
    "MONGODB_",
    "ENCRYPT_",
    "OFFSITE_",
    "PING_",
    "STATUS_",
];

/// What other programs call the same; the name of ours.
const FOREIGN_NAMES: &[(&str, &str)] = &[
    ("HEALTHCHECKS_URL", "PING_URL"),
    ("HEALTHCHECK_URL", "PING_URL"),
    ("UPTIME_KUMA_URL", "PING_URL"),
    ("NOTIFICATION_URLS", "NOTIFY_URLS"),
    ("NOTIFICATION_URL", "NOTIFY_URLS"),
];

/// Everything that was typed, where it came from, and what could not even be read.
pub(super) struct Gathered {
    pub(super) raw: RawSettings,
    /// The settings whose text came from a file.
    pub(super) files: BTreeMap<&'static str, PathBuf>,
    /// With each the position of its setting in the table; unknown names come after all known ones.
    pub(super) faults: Vec<(usize, Fault)>,
    secrets: Vec<Secret>,
    pub(super) runtime: Runtime,
}

impl Gathered {
    pub(super) fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let vars: Vec<(OsString, OsString)> = vars.into_iter().collect();
        let runtime = Runtime::of(&vars);
        let mut by_name: BTreeMap<String, OsString> = BTreeMap::new();
        for (name, value) in vars {
            if let Ok(name) = name.into_string() {
                // Of two equal names the first counts, as in getenv.
                let name = without_bom(&name).to_owned();
                by_name.entry(name).or_insert(value);
            }
        }
        let mut gathered = Self {
            raw: RawSettings::default(),
            files: BTreeMap::new(),
            faults: Vec::new(),
            secrets: Vec::new(),
            runtime,
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
        let typed = match vars.get(name).map(|value| value.to_str().map(without_bom)) {
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
            // An empty file is a secret that was lost, not a default.
            let accepted = "put the value into it, or drop the setting";
            return Err(fault(&file_name, given, "is empty", accepted).into());
        }
        self.files.insert(name, path.to_owned());
        Ok(Some(normalised(setting, &text)))
    }

    fn remember(&mut self, setting: &Setting, text: &str) {
        match setting.secrecy {
            Secrecy::Open => {}
            Secrecy::KeyFile => {
                let content = read(Path::new(text.trim())).unwrap_or_default();
                self.secrets.extend(seal::secrets_in(&content));
            }
            Secrecy::Password => self.secrets.push(Secret::new(text)),
            Secrecy::NotifyUrls => self.secrets.extend(urls::secrets_of_notify_urls(text)),
            Secrecy::PingUrl => self.secrets.extend(urls::secrets_of_ping_url(text)),
            Secrecy::ConnectionString => match MongoUri::parse(text.trim()) {
                Ok(uri) => self.secrets.extend(uri.secrets()),
                Err(_) => self.secrets.extend(uri::possible_passwords(text.trim())),
            },
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
    match setting.secrecy {
        Secrecy::Open | Secrecy::KeyFile => text.to_owned(),
        Secrecy::ConnectionString | Secrecy::Password | Secrecy::NotifyUrls | Secrecy::PingUrl => {
            MASK.to_owned()
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn normalised(setting: &Setting, text: &str) -> String {
    match setting.secrecy {
        // It may begin or end with a space; nothing else does on purpose.
        Secrecy::Password => text.to_owned(),
        Secrecy::Open
        | Secrecy::KeyFile
        | Secrecy::ConnectionString
        | Secrecy::NotifyUrls
        | Secrecy::PingUrl => text.trim().to_owned(),
    }
}

/// Editors on Windows begin a file with a byte order mark, which is no part of what it holds.
pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
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
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        // What PowerShell writes with `>`.
        return Err("is UTF-16, not UTF-8".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not valid UTF-8".to_owned())?;
    let mut text = without_bom(&text).to_owned();
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
        let foreign = FOREIGN_NAMES.iter().find(|(foreign, _)| *foreign == base);
        let is_ours = foreign.is_some() || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if is_known || !is_ours || is_injected(name, &value.to_string_lossy(), vars) {
            return None;
        }
        let suffix = &name[base.len()..];
        let near = foreign.map(|(_, ours)| *ours);
        let near =
            near.or_else(|| suggest::setting(base, TABLE.iter().map(|setting| setting.name)));
        let accepted = match near {
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
