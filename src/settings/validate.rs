//! From what was typed to what was meant: every setting is checked before any fault is returned.

use super::descriptor::{Descriptor, Secrecy, Setting};
use super::env_file::is_quoted;
use super::fault::{Fault, Faults, Refusal};
use super::raw::{Gathered, shown};
use super::table::{self, TABLE};
use super::{
    DrillSettings, LogSettings, Needs, OplogMode, RetentionPolicy, Settings, StatusSettings,
};
use std::num::NonZeroUsize;

mod encrypt;
mod mail;
mod offsite;
mod server;

pub(super) fn validate(gathered: Gathered, needs: Needs) -> Result<Settings, Faults> {
    let redactor = gathered.redactor();
    let mut checker = Checker { gathered };
    let settings = settings(&mut checker, needs);
    let mut faults = checker.gathered.faults;
    match settings {
        Ok(settings) if faults.is_empty() => Ok(settings),
        _ => {
            faults.sort_by_key(|(position, _)| *position);
            let redacted = faults.into_iter().map(|(_, f)| f.redacted(&redactor));
            Err(Faults(redacted.collect()))
        }
    }
}

/// A value that was refused: the checker has kept why.
#[derive(Debug, Clone, Copy)]
struct Faulty;

/// Reads one setting after the other and keeps the faults.
struct Checker {
    gathered: Gathered,
}

impl Checker {
    /// The value given, or else the default of the table.
    fn value<T>(&mut self, descriptor: &Descriptor<T>) -> Result<T, Faulty> {
        let typed = self.gathered.raw.typed(&descriptor.setting);
        let text = typed.unwrap_or(descriptor.setting.default).to_owned();
        self.parsed(descriptor, &text)
    }

    /// The value given, if any.
    fn optional<T>(&mut self, descriptor: &Descriptor<T>) -> Result<Option<T>, Faulty> {
        let typed = self.gathered.raw.typed(&descriptor.setting);
        match typed.map(str::to_owned) {
            Some(text) => self.parsed(descriptor, &text).map(Some),
            None => Ok(None),
        }
    }

    fn parsed<T>(&mut self, descriptor: &Descriptor<T>, text: &str) -> Result<T, Faulty> {
        let setting = &descriptor.setting;
        if setting.secrecy == Secrecy::Open && is_quoted(text) {
            let refusal = Refusal::new(
                "begins and ends with a quote",
                "leave the quotes out: `docker run --env-file` takes them for a part of the value, Docker Compose does not",
            );
            return Err(self.refuse(setting, Some(text), refusal));
        }
        let refuse = |refusal| self.refuse(setting, Some(text), refusal);
        (descriptor.parse)(text).map_err(refuse)
    }

    fn refuse(&mut self, setting: &Setting, text: Option<&str>, refusal: Refusal) -> Faulty {
        let name = setting.name;
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
        self.gathered.faults.push((position(setting), fault));
        Faulty
    }

    /// A setting that another one makes necessary. One that was given but has a fault of its own is not missing.
    fn missing(&mut self, setting: &Setting, problem: impl Into<String>, accepted: &str) -> Faulty {
        let at = position(setting);
        let has_fault = self.gathered.faults.iter().any(|(p, _)| *p == at);
        if !has_fault {
            self.refuse(setting, None, Refusal::new(problem, accepted));
        }
        Faulty
    }

    /// Refuses one of two settings without the other.
    fn together(&mut self, one: &Setting, other: &Setting) {
        let (lacking, given) = match (self.is_given(one), self.is_given(other)) {
            (true, false) => (other, one),
            (false, true) => (one, other),
            _ => return,
        };
        let problem = format!("is not set, but {} is", given.name);
        self.missing(lacking, problem, "set both, or neither");
    }

    fn is_given(&self, setting: &Setting) -> bool {
        self.gathered.raw.typed(setting).is_some()
    }
}

/// Where it stands in the table, after all of which unknown names come.
fn position(setting: &Setting) -> usize {
    let found = TABLE.iter().position(|other| other.name == setting.name);
    found.unwrap_or(TABLE.len())
}

/// Everything is read into a variable first, so that no fault hides another; only then does a `?` give up.
fn settings(checker: &mut Checker, needs: Needs) -> Result<Settings, Faulty> {
    let mongodb = server::server(checker, needs);
    let databases = checker.value(&table::BACKUP_DATABASES);
    let exclude = checker.value(&table::BACKUP_EXCLUDE);
    let oplog = oplog(checker);
    let schedule = checker.value(&table::BACKUP_SCHEDULE);
    let time_zone = checker.value(&table::TZ);
    let on_start = checker.value(&table::BACKUP_ON_START);
    let catch_up = checker.value(&table::BACKUP_CATCH_UP);
    let backup_dir = checker.value(&table::BACKUP_DIR);
    let log_dir = checker.value(&table::LOG_DIR);
    let prefix = checker.value(&table::BACKUP_PREFIX);
    let compression = checker.value(&table::BACKUP_COMPRESSION);
    let compression_level = checker.value(&table::BACKUP_COMPRESSION_LEVEL);
    let threads = checker.optional(&table::BACKUP_THREADS);
    let timeout = checker.value(&table::BACKUP_TIMEOUT);
    let stall_timeout = checker.value(&table::BACKUP_STALL_TIMEOUT);
    let retries = checker.value(&table::BACKUP_RETRIES);
    let require_mount = checker.value(&table::BACKUP_REQUIRE_MOUNT);
    let retention = retention(checker);
    let encrypt = encrypt::encrypt(checker);
    let offsite = offsite::offsite(checker, needs, backup_dir.as_deref().ok(), retention);
    let drill = drill(checker);
    let mail = mail::mail(checker);
    let notify_on = checker.value(&table::NOTIFY_ON);
    let notify_urls = checker.optional(&table::NOTIFY_URLS);
    let ping = checker.optional(&table::PING_URL);
    let status = status(checker);
    let metrics_file = checker.optional(&table::METRICS_FILE);
    let log = log(checker);
    Ok(Settings {
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
        compression: compression?,
        compression_level: compression_level?,
        threads: threads?.unwrap_or_else(all_cores),
        timeout: timeout?,
        stall_timeout: stall_timeout?,
        retries: retries?,
        require_mount: require_mount?,
        retention: retention?,
        encrypt: encrypt?,
        offsite: offsite?,
        drill: drill?,
        mail: mail?,
        notify_urls: notify_urls?.unwrap_or_default(),
        notify_on: notify_on?,
        ping: ping?,
        status: status?,
        metrics_file: metrics_file?,
        log: log?,
        runtime: checker.gathered.runtime,
    })
}

fn all_cores() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    cores.min(table::MAX_THREADS)
}

fn oplog(checker: &mut Checker) -> Result<OplogMode, Faulty> {
    let mode = checker.value(&table::BACKUP_OPLOG)?;
    let narrowing = [
        &table::BACKUP_DATABASES.setting,
        &table::BACKUP_EXCLUDE.setting,
    ];
    let narrowed = narrowing
        .into_iter()
        .find(|setting| checker.is_given(setting));
    if let (OplogMode::On, Some(Setting { name, .. })) = (mode, narrowed) {
        let refusal = Refusal::new(
            format!("cannot be combined with {name}: a point-in-time dump covers the whole server"),
            format!("use auto, or leave {name} empty"),
        );
        return Err(checker.refuse(&table::BACKUP_OPLOG.setting, Some("on"), refusal));
    }
    Ok(mode)
}

fn retention(checker: &mut Checker) -> Result<RetentionPolicy, Faulty> {
    let days = checker.value(&table::RETENTION_DAYS);
    let min_keep = checker.value(&table::RETENTION_MIN_KEEP);
    let daily = checker.value(&table::RETENTION_DAILY);
    let weekly = checker.value(&table::RETENTION_WEEKLY);
    let monthly = checker.value(&table::RETENTION_MONTHLY);
    let yearly = checker.value(&table::RETENTION_YEARLY);
    Ok(RetentionPolicy {
        days: days?,
        min_keep: min_keep?,
        daily: daily?,
        weekly: weekly?,
        monthly: monthly?,
        yearly: yearly?,
    })
}

fn drill(checker: &mut Checker) -> Result<DrillSettings, Faulty> {
    let uri = checker.optional(&table::DRILL_URI);
    let schedule = checker.optional(&table::DRILL_SCHEDULE);
    let ping = checker.optional(&table::DRILL_PING_URL);
    if matches!(schedule, Ok(Some(_))) && matches!(uri, Ok(None)) {
        checker.missing(
            &table::DRILL_URI.setting,
            format!("is not set, but {} is", table::DRILL_SCHEDULE.name()),
            "give a scratch server; the one that is backed up will do, since drills use databases of their own",
        );
    }
    Ok(DrillSettings {
        uri: uri?,
        schedule: schedule?,
        ping: ping?,
    })
}

fn status(checker: &mut Checker) -> Result<StatusSettings, Faulty> {
    let listen = checker.optional(&table::STATUS_LISTEN);
    let password = checker.optional(&table::STATUS_PASSWORD);
    let hosts = checker.value(&table::STATUS_HOSTS);
    Ok(StatusSettings {
        listen: listen?,
        password: password?,
        hosts: hosts?,
    })
}

fn log(checker: &mut Checker) -> Result<LogSettings, Faulty> {
    let level = checker.value(&table::LOG_LEVEL);
    let format = checker.value(&table::LOG_FORMAT);
    let max_size_bytes = checker.value(&table::LOG_MAX_SIZE);
    let keep = checker.value(&table::LOG_KEEP);
    Ok(LogSettings {
        level: level?,
        format: format?,
        max_size_bytes: max_size_bytes?,
        keep: keep?,
    })
}
