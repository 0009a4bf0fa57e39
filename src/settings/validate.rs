//! From what was typed to what was meant: every setting is checked before any fault is returned.

use super::descriptor::{Descriptor, Setting};
use super::fault::{Fault, Faults, Refusal};
use super::raw::{Gathered, shown};
use super::table::{self, TABLE};
use super::{DrillSettings, LogSettings, Needs, OplogMode, RetentionPolicy, Settings};
use std::num::NonZeroUsize;

mod mail;
mod server;

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
    fn value<T>(&mut self, descriptor: &Descriptor<T>) -> Option<T> {
        let typed = (descriptor.setting.typed)(&self.gathered.raw);
        let text = typed.unwrap_or(descriptor.setting.default).to_owned();
        self.parsed(descriptor, &text)
    }

    /// The value given, if any; the outer `None` stands for a fault.
    fn optional<T>(&mut self, descriptor: &Descriptor<T>) -> Option<Option<T>> {
        let typed = (descriptor.setting.typed)(&self.gathered.raw);
        match typed.map(str::to_owned) {
            Some(text) => self.parsed(descriptor, &text).map(Some),
            None => Some(None),
        }
    }

    fn parsed<T>(&mut self, descriptor: &Descriptor<T>, text: &str) -> Option<T> {
        let refuse = |refusal| self.refuse(&descriptor.setting, Some(text), refusal);
        (descriptor.parse)(text).map_err(refuse).ok()
    }

    fn refuse(&mut self, setting: &Setting, text: Option<&str>, refusal: Refusal) {
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
    }

    /// A setting that another one makes necessary. One that was given but has a fault of its own is not missing.
    fn missing(&mut self, setting: &Setting, problem: impl Into<String>, accepted: &str) {
        let at = position(setting);
        let has_fault = self.gathered.faults.iter().any(|(p, _)| *p == at);
        if !has_fault {
            self.refuse(setting, None, Refusal::new(problem, accepted));
        }
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
        (setting.typed)(&self.gathered.raw).is_some()
    }
}

/// Where it stands in the table, after all of which unknown names come.
fn position(setting: &Setting) -> usize {
    let found = TABLE.iter().position(|other| other.name == setting.name);
    found.unwrap_or(TABLE.len())
}

/// Everything is read into a variable first, so that no fault hides another; only then does a `?` give up.
fn settings(checker: &mut Checker, needs: Needs) -> Option<Settings> {
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
    let compression_level = checker.value(&table::BACKUP_COMPRESSION_LEVEL);
    let threads = checker.optional(&table::BACKUP_THREADS);
    let timeout = checker.value(&table::BACKUP_TIMEOUT);
    let stall_timeout = checker.value(&table::BACKUP_STALL_TIMEOUT);
    let retries = checker.value(&table::BACKUP_RETRIES);
    let require_mount = checker.value(&table::BACKUP_REQUIRE_MOUNT);
    let retention = retention(checker);
    let drill = drill(checker);
    let mail = mail::mail(checker);
    let notify_on = checker.value(&table::NOTIFY_ON);
    let log = log(checker);
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
        compression_level: compression_level?,
        threads: threads?.unwrap_or_else(all_cores),
        timeout: timeout?,
        stall_timeout: stall_timeout?,
        retries: retries?,
        require_mount: require_mount?,
        retention: retention?,
        drill: drill?,
        mail: mail?,
        notify_on: notify_on?,
        log: log?,
    })
}

fn all_cores() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    cores.min(table::MAX_THREADS)
}

fn oplog(checker: &mut Checker) -> Option<OplogMode> {
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
        checker.refuse(&table::BACKUP_OPLOG.setting, Some("on"), refusal);
        return None;
    }
    Some(mode)
}

fn retention(checker: &mut Checker) -> Option<RetentionPolicy> {
    let days = checker.value(&table::RETENTION_DAYS);
    let min_keep = checker.value(&table::RETENTION_MIN_KEEP);
    let daily = checker.value(&table::RETENTION_DAILY);
    let weekly = checker.value(&table::RETENTION_WEEKLY);
    let monthly = checker.value(&table::RETENTION_MONTHLY);
    let yearly = checker.value(&table::RETENTION_YEARLY);
    Some(RetentionPolicy {
        days: days?,
        min_keep: min_keep?,
        daily: daily?,
        weekly: weekly?,
        monthly: monthly?,
        yearly: yearly?,
    })
}

fn drill(checker: &mut Checker) -> Option<DrillSettings> {
    let uri = checker.optional(&table::DRILL_URI);
    let schedule = checker.optional(&table::DRILL_SCHEDULE);
    if matches!(schedule, Some(Some(_))) && matches!(uri, Some(None)) {
        checker.missing(
            &table::DRILL_URI.setting,
            format!("is not set, but {} is", table::DRILL_SCHEDULE.name()),
            "give a scratch server; that of MONGODB_URI will do, since drills use databases of their own",
        );
    }
    Some(DrillSettings {
        uri: uri?,
        schedule: schedule?,
    })
}

fn log(checker: &mut Checker) -> Option<LogSettings> {
    let level = checker.value(&table::LOG_LEVEL);
    let format = checker.value(&table::LOG_FORMAT);
    let max_size_bytes = checker.value(&table::LOG_MAX_SIZE);
    let keep = checker.value(&table::LOG_KEEP);
    Some(LogSettings {
        level: level?,
        format: format?,
        max_size_bytes: max_size_bytes?,
        keep: keep?,
    })
}
