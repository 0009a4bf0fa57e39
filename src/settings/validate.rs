//! From what was typed to what was meant: every setting is checked before any fault is returned.

use super::fault::{Fault, Faults, Refusal};
use super::parse;
use super::raw::{Gathered, Setting, TABLE, shown};
use super::{
    DrillSettings, LogFormat, LogSettings, MailSecurity, MailSettings, Needs, NotifyOn, OplogMode,
    RetentionPolicy, Settings,
};
use crate::mongo::uri::MongoUri;
use crate::sys::redact::Secret;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use tracing::Level;

const OPLOG: [(&str, OplogMode); 3] = [
    ("auto", OplogMode::Auto),
    ("on", OplogMode::On),
    ("off", OplogMode::Off),
];
const SECURITY: [(&str, MailSecurity); 3] = [
    ("starttls", MailSecurity::StartTls),
    ("tls", MailSecurity::Tls),
    ("none", MailSecurity::None),
];
const NOTIFY: [(&str, NotifyOn); 3] = [
    ("failure", NotifyOn::Failure),
    ("always", NotifyOn::Always),
    ("never", NotifyOn::Never),
];
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// The port of SMTP over TLS; the default of `SMTP_PORT` is that of STARTTLS.
const SMTPS_PORT: u16 = 465;
const MAX_THREADS: usize = 256;
const MAX_DAYS: u32 = 36_500;
const MAX_COUNT: u32 = 10_000;

pub(super) fn validate(gathered: Gathered, needs: Needs) -> Result<Settings, Faults> {
    let redactor = gathered.redactor();
    let mut checker = Checker { gathered };
    let settings = settings(&mut checker, needs);
    let mut faults = checker.gathered.faults;
    match settings {
        Some(settings) if faults.is_empty() => Ok(settings),
        _ => {
            faults.sort_by_key(|(position, _)| *position);
            let redacted = faults.into_iter().map(|(_, f)| f.redacted(&redactor));
            Err(Faults(redacted.collect()))
        }
    }
}

/// Reads one setting after the other and keeps the faults; `None` stands for a value whose fault is kept.
struct Checker {
    gathered: Gathered,
}

impl Checker {
    /// The value given, or else the default of the table.
    fn value<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let default = TABLE.iter().find(|setting| setting.name == name)?.default;
        let text = self.gathered.raw.get(name).unwrap_or(default).to_owned();
        self.parsed(name, &text, parse)
    }

    /// The value given, if any; the outer `None` stands for a fault.
    fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<Option<T>> {
        match self.gathered.raw.get(name).map(str::to_owned) {
            Some(text) => self.parsed(name, &text, parse).map(Some),
            None => Some(None),
        }
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refuse(name, Some(text), refusal);
                None
            }
        }
    }

    fn refuse(&mut self, name: &str, text: Option<&str>, refusal: Refusal) {
        let Some((position, setting)) = position(name) else {
            return;
        };
        let fault = match (self.gathered.files.get(name), text) {
            // The path is shown, not what the file holds: it may be the wrong file, with someone else's secret.
            (Some(path), Some(_)) => Fault {
                setting: format!("{name}_FILE"),
                given: Some(path.display().to_string()),
                problem: format!("holds a value that {}", refusal.problem),
                accepted: refusal.accepted,
            },
            _ => Fault {
                setting: name.to_owned(),
                given: text.map(|text| shown(setting, refusal.item.as_deref().unwrap_or(text))),
                problem: refusal.problem,
                accepted: refusal.accepted,
            },
        };
        self.gathered.faults.push((position, fault));
    }

    /// A setting that another one makes necessary. One that was given but has a fault of its own is not missing.
    fn missing(&mut self, name: &str, problem: &str, accepted: &str) {
        let at = position(name).map(|(position, _)| position);
        let has_fault = self.gathered.faults.iter().any(|(p, _)| Some(*p) == at);
        if !has_fault {
            self.refuse(name, None, Refusal::new(problem, accepted));
        }
    }

    fn is_given(&self, name: &str) -> bool {
        self.gathered.raw.get(name).is_some()
    }
}

fn position(name: &str) -> Option<(usize, &'static Setting)> {
    TABLE
        .iter()
        .enumerate()
        .find(|(_, setting)| setting.name == name)
}

/// Everything is read into a variable first, so that no fault hides another; only then does a `?` give up.
fn settings(checker: &mut Checker, needs: Needs) -> Option<Settings> {
    let mongodb = mongodb(checker, needs);
    let databases = checker.value("BACKUP_DATABASES", parse::databases);
    let exclude = checker.value("BACKUP_EXCLUDE", parse::exclude);
    let oplog = oplog(checker);
    let schedule = checker.value("BACKUP_SCHEDULE", parse::schedule);
    let time_zone = checker.value("TZ", parse::time_zone);
    let on_start = checker.value("BACKUP_ON_START", parse::boolean);
    let catch_up = checker.value("BACKUP_CATCH_UP", parse::boolean);
    let backup_dir = checker.value("BACKUP_DIR", |text| Ok(PathBuf::from(text)));
    let log_dir = checker.value("LOG_DIR", |text| Ok(PathBuf::from(text)));
    let prefix = checker.value("BACKUP_PREFIX", parse::prefix);
    let level = checker.value("BACKUP_COMPRESSION_LEVEL", |text| {
        parse::whole_number(text, 1..=9)
    });
    let threads = checker.optional("BACKUP_THREADS", |text| {
        parse::whole_number(text, NonZeroUsize::MIN..=MAX_THREADS_NON_ZERO)
    });
    let timeout = checker.value("BACKUP_TIMEOUT", parse::duration);
    let stall_timeout = checker.value("BACKUP_STALL_TIMEOUT", parse::duration);
    let retries = checker.value("BACKUP_RETRIES", |text| parse::whole_number(text, 0..=100));
    let require_mount = checker.value("BACKUP_REQUIRE_MOUNT", parse::boolean);
    let retention = retention(checker);
    let drill_uri = checker.optional("DRILL_URI", |text| {
        parse::mongo_uri(text).map(|uri| uri.given_as("DRILL_URI"))
    });
    let drill_schedule = checker.optional("DRILL_SCHEDULE", parse::schedule);
    if matches!(drill_schedule, Some(Some(_))) && matches!(drill_uri, Some(None)) {
        checker.missing(
            "DRILL_URI",
            "is not set, but DRILL_SCHEDULE is",
            "give a scratch server; that of MONGODB_URI will do, since drills use databases of their own",
        );
    }
    let mail = mail(checker);
    let notify_on = checker.value("NOTIFY_ON", |text| parse::choice(text, &NOTIFY));
    let log_level = checker.value("LOG_LEVEL", |text| parse::choice(text, &LEVELS));
    let log_format = checker.value("LOG_FORMAT", |text| parse::choice(text, &FORMATS));
    let max_size_bytes = checker.value("LOG_MAX_SIZE", parse::size_bytes);
    let keep = checker.value("LOG_KEEP", |text| parse::whole_number(text, 0..=1_000));
    Some(Settings {
        mongodb: mongodb?,
        databases: databases?,
        exclude: exclude?,
        oplog: oplog?,
        schedule: schedule?,
        time_zone: time_zone?,
        on_start: on_start?,
        catch_up: catch_up?,
        backup_dir: backup_dir?,
        log_dir: log_dir?,
        prefix: prefix?,
        compression_level: level?,
        threads: threads?.unwrap_or_else(all_cores),
        timeout: timeout?,
        stall_timeout: stall_timeout?,
        retries: retries?,
        require_mount: require_mount?,
        retention: retention?,
        drill: DrillSettings {
            uri: drill_uri?,
            schedule: drill_schedule?,
        },
        mail: mail?,
        notify_on: notify_on?,
        log: LogSettings {
            level: log_level?,
            format: log_format?,
            max_size_bytes: max_size_bytes?,
            keep: keep?,
        },
    })
}

const MAX_THREADS_NON_ZERO: NonZeroUsize = match NonZeroUsize::new(MAX_THREADS) {
    Some(threads) => threads,
    None => NonZeroUsize::MIN,
};

fn all_cores() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    cores.min(MAX_THREADS_NON_ZERO)
}

fn mongodb(checker: &mut Checker, needs: Needs) -> Option<Option<MongoUri>> {
    let uri = checker.optional("MONGODB_URI", parse::mongo_uri);
    let url = checker.optional("DATABASE_URL", parse::mongo_uri);
    let raw = &checker.gathered.raw;
    if let (Some(one), Some(other)) = (&raw.mongodb_uri, &raw.database_url)
        && one != other
    {
        let refusal = Refusal::new("differs from MONGODB_URI", "keep one of the two");
        checker.refuse("DATABASE_URL", Some(""), refusal);
        return None;
    }
    let found = uri?.or(url?);
    if found.is_none() && needs == Needs::Server {
        checker.missing(
            "MONGODB_URI",
            "is not set",
            "write it like mongodb://HOST:27017/, with USER:PASSWORD@ before HOST if it asks for them",
        );
        return None;
    }
    Some(found)
}

fn oplog(checker: &mut Checker) -> Option<OplogMode> {
    let mode = checker.value("BACKUP_OPLOG", |text| parse::choice(text, &OPLOG))?;
    let narrowed = ["BACKUP_DATABASES", "BACKUP_EXCLUDE"]
        .into_iter()
        .find(|name| checker.is_given(name));
    if let (OplogMode::On, Some(name)) = (mode, narrowed) {
        let refusal = Refusal::new(
            format!("cannot be combined with {name}: a point-in-time dump covers the whole server"),
            format!("use auto, or leave {name} empty"),
        );
        checker.refuse("BACKUP_OPLOG", Some("on"), refusal);
        return None;
    }
    Some(mode)
}

fn retention(checker: &mut Checker) -> Option<RetentionPolicy> {
    let mut count =
        |name, range| checker.value(name, |text| parse::whole_number::<u32>(text, range));
    let days = count("RETENTION_DAYS", 1..=MAX_DAYS);
    let min_keep = count("RETENTION_MIN_KEEP", 1..=MAX_COUNT);
    let daily = count("RETENTION_DAILY", 0..=MAX_COUNT);
    let weekly = count("RETENTION_WEEKLY", 0..=MAX_COUNT);
    let monthly = count("RETENTION_MONTHLY", 0..=MAX_COUNT);
    let yearly = count("RETENTION_YEARLY", 0..=MAX_COUNT);
    Some(RetentionPolicy {
        days: days?,
        min_keep: min_keep?,
        daily: daily?,
        weekly: weekly?,
        monthly: monthly?,
        yearly: yearly?,
    })
}

/// The outer `None` stands for a fault, the inner one for mail that is off.
fn mail(checker: &mut Checker) -> Option<Option<MailSettings>> {
    let host = checker.optional("SMTP_HOST", parse::mail_host);
    let port = checker.value("SMTP_PORT", |text| parse::whole_number(text, 1..=u16::MAX));
    let port_given = checker.is_given("SMTP_PORT");
    let security = checker.value("SMTP_SECURITY", |text| parse::choice(text, &SECURITY));
    let username = checker.optional("SMTP_USERNAME", |text| Ok(text.to_owned()));
    let password = checker.optional("SMTP_PASSWORD", parse::mail_password);
    let from = checker.optional("EMAIL_FROM", parse::address);
    let to = checker.optional("EMAIL_TO", parse::addresses);
    if !checker.is_given("SMTP_HOST") {
        // Mail is off; what else was given is still checked, so that turning it on brings no surprise.
        let _ = (host?, port?, security?, username?, password?, from?, to?);
        return Some(None);
    }
    match (
        checker.is_given("SMTP_USERNAME"),
        checker.is_given("SMTP_PASSWORD"),
    ) {
        (true, false) => checker.missing(
            "SMTP_PASSWORD",
            "is not set, but SMTP_USERNAME is",
            "set both, or neither",
        ),
        (false, true) => checker.missing(
            "SMTP_USERNAME",
            "is not set, but SMTP_PASSWORD is",
            "set both, or neither",
        ),
        _ => {}
    }
    let from_user = || username.clone().flatten().map(|user| parse::address(&user));
    let from = from.and_then(|from| from.or_else(|| from_user().and_then(Result::ok)));
    if from.is_none() {
        checker.missing(
            "EMAIL_FROM",
            "is not set, but SMTP_HOST is",
            "set the sender's address, or SMTP_USERNAME to one",
        );
    }
    if !checker.is_given("EMAIL_TO") {
        checker.missing(
            "EMAIL_TO",
            "is not set, but SMTP_HOST is",
            "set the address that gets the mail",
        );
    }
    let security = security?;
    let port = match security {
        MailSecurity::Tls if !port_given => SMTPS_PORT,
        _ => port?,
    };
    Some(Some(MailSettings {
        host: host??,
        port,
        security,
        username: username?,
        password: password?.map(Secret::new),
        from: from?,
        to: to??,
    }))
}
