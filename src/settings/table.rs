//! Every setting, in the order in which they are documented. A new one needs an entry here, a field in `Settings` and a
//! line in `validate`; `UPDATE=1 cargo test --lib settings` then writes it into `.env.example` and the docs.

#[cfg(test)]
use super::descriptor::Docs;
use super::descriptor::{Descriptor, Secrecy, Setting, settings};
use super::names::NamespacePattern;
use super::parse;
use super::{LogFormat, MailSecurity, NotifyOn, OplogMode};
use crate::mongo::uri::MongoUri;
use crate::schedule::Schedule;
use crate::sys::redact::Secret;
use chrono_tz::Tz;
use serde::Deserialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use tracing::Level;

const OPLOG: &[(&str, OplogMode)] = &[
    ("auto", OplogMode::Auto),
    ("on", OplogMode::On),
    ("off", OplogMode::Off),
];
const SECURITY: &[(&str, MailSecurity)] = &[
    ("starttls", MailSecurity::StartTls),
    ("tls", MailSecurity::Tls),
    ("none", MailSecurity::None),
];
const NOTIFY: &[(&str, NotifyOn)] = &[
    ("failure", NotifyOn::Failure),
    ("always", NotifyOn::Always),
    ("never", NotifyOn::Never),
];
const LEVELS: &[(&str, Level)] = &[
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];
const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

pub(super) const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(256).unwrap();
const MAX_DAYS: u32 = 36_500;
const MAX_COUNT: u32 = 10_000;

settings! {
    section "What to back up" {
        MONGODB_URI mongodb_uri: MongoUri = "", ConnectionString, parse::mongo_uri,
            sample "'mongodb://USER:PASSWORD@HOST:27017/?authSource=admin'",
            why "The server to back up; special characters in the password percent-encoded.",
            docs "the server to back up: this or `MONGODB_HOST` is required for `run`, `backup` and `doctor`. A database in it only says where the user lives; what is dumped is chosen below";
        DATABASE_URL database_url: MongoUri = "", ConnectionString, parse::mongo_uri,
            why "The same under another name, for apps that already have it.",
            docs "the same under another name, for apps that already have it";
        MONGODB_HOST mongodb_host: String = "", Open, parse::mongo_hosts,
            sample "mongodb:27017",
            why "Instead of MONGODB_URI: HOST or HOST:PORT, several with commas between. docker-compose.yml sets these three.",
            docs "instead of `MONGODB_URI`: `HOST` or `HOST:PORT`, or all members of a replica set with commas between";
        MONGODB_USERNAME mongodb_username: String = "", Open, parse::text,
            sample "backup",
            why "Who signs in to MONGODB_HOST, a user of the database admin; none for a server without users.",
            docs "who signs in to `MONGODB_HOST`, a user of the database `admin`; none for a server without users";
        MONGODB_PASSWORD mongodb_password: Secret = "", Password, parse::password,
            sample "'pa$word #1'",
            why "The password as it is, nothing encoded, in single quotes.",
            docs "the password as it is, nothing encoded; [in single quotes](#the-env-file) in `.env`";
        BACKUP_DATABASES backup_databases: Vec<String> = "", Open, parse::databases,
            why "Only these databases, with commas between; empty means all.",
            docs "only these databases, with commas between; empty means all";
        BACKUP_EXCLUDE backup_exclude: Vec<NamespacePattern> = "", Open, parse::exclude,
            why "Leave out what can be made again, such as shop.sessions,*.cache.",
            docs "leave these namespaces out; `*` stands for anything: `*.sessions,shop.cache_*`";
        BACKUP_OPLOG backup_oplog: OplogMode = "auto", Open, |text| parse::choice(text, OPLOG),
            why "One point in time for everything, where the server can: auto, on or off.",
            docs "one point in time for everything, where the server is a replica set and everything is dumped; `on` insists on it, `off` does without";
    }
    section "When" {
        BACKUP_SCHEDULE backup_schedule: Schedule = "0 2 * * SUN", Open, parse::schedule,
            why "When to back up: cron with 5 or 6 fields, or @daily and the like.",
            docs "when to back up: cron with 5 or 6 fields, or `@daily` and the like; see [below](#when-it-runs)";
        TZ tz: Tz = "UTC", Open, parse::time_zone,
            why "The time zone of the schedule and of archive names, such as Europe/Madrid.",
            docs "the time zone of the schedule and of archive names, such as `Europe/Madrid`";
        BACKUP_ON_START backup_on_start: bool = "false", Open, parse::boolean,
            why "Back up at every start too.",
            docs "back up at every start too";
        BACKUP_CATCH_UP backup_catch_up: bool = "true", Open, parse::boolean,
            why "Make up at start for a run missed while the machine was off.",
            docs "a run missed while the machine was off happens once, at start";
    }
    section "Where and how" {
        BACKUP_DIR backup_dir: PathBuf = "backups", Open, parse::path,
            why "Where the archives go; created if missing.",
            docs "where the archives go; made if missing";
        LOG_DIR log_dir: PathBuf = "logs", Open, parse::path,
            why "Where the log files go; created if missing.",
            docs "where the log files go; made if missing";
        BACKUP_PREFIX backup_prefix: String = "jorbites", Open, parse::prefix,
            why "How the names of the archives start.",
            docs "how archive names start: `{prefix}_backup_YYYYMMDD_HHMMSS.tar.gz`, in local time";
        BACKUP_COMPRESSION_LEVEL backup_compression_level: u8 = "6", Open, |text| parse::whole_number(text, 1..=9),
            why "From 1 (fast) to 9 (small).",
            docs "1 (fast) to 9 (small), as gzip counts them; while the processors cannot keep up with the server, up to two less";
        BACKUP_THREADS backup_threads: NonZeroUsize = "", Open, |text| parse::whole_number(text, NonZeroUsize::MIN..=MAX_THREADS),
            why "How many cores may compress; empty means all.",
            docs "how many cores may compress; empty means all";
        BACKUP_TIMEOUT backup_timeout: Duration = "6h", Open, parse::duration,
            why "A run that takes longer in all is ended and counts as failed.",
            docs "a run that takes longer in all is ended and counts as failed";
        BACKUP_STALL_TIMEOUT backup_stall_timeout: Duration = "5m", Open, parse::duration,
            why "So does a run in which nothing moves for this long.",
            docs "so does a run in which no byte moves for this long";
        BACKUP_RETRIES backup_retries: u32 = "2", Open, |text| parse::whole_number(text, 0..=100),
            why "Further attempts when the cause may pass, such as a server that restarts.",
            docs "further attempts for what may pass (server away), never for what won't (wrong password)";
        BACKUP_REQUIRE_MOUNT backup_require_mount: bool = "false", Open, parse::boolean,
            why "Refuse to write when the disk of BACKUP_DIR is not there.",
            docs "refuse a folder where no backup was ever made: the USB disk is not mounted";
    }
    section "How long to keep archives" {
        RETENTION_DAYS retention_days: u32 = "30", Open, |text| parse::whole_number(text, 1..=MAX_DAYS),
            why "Older archives go, only ever after a verified success.",
            docs "older archives go, only ever after a verified success; see [below](#what-is-kept)";
        RETENTION_MIN_KEEP retention_min_keep: u32 = "3", Open, |text| parse::whole_number(text, 1..=MAX_COUNT),
            why "Never fewer verified archives than this, however old.",
            docs "but never the newest 3 that were verified, however old";
        RETENTION_DAILY retention_daily: u32 = "0", Open, |text| parse::whole_number(text, 0..=MAX_COUNT),
            why "Keep one archive per day for this many days.",
            docs "also keep the newest archive of each of so many days";
        RETENTION_WEEKLY retention_weekly: u32 = "0", Open, |text| parse::whole_number(text, 0..=MAX_COUNT),
            why "Keep one per week for this many weeks.",
            docs "of each of so many ISO weeks";
        RETENTION_MONTHLY retention_monthly: u32 = "0", Open, |text| parse::whole_number(text, 0..=MAX_COUNT),
            why "Keep one per month for this many months.",
            docs "of each of so many months";
        RETENTION_YEARLY retention_yearly: u32 = "0", Open, |text| parse::whole_number(text, 0..=MAX_COUNT),
            why "Keep one per year for this many years.",
            docs "of each of so many years";
    }
    section "Trial restores" {
        DRILL_URI drill_uri: MongoUri = "", ConnectionString, |text| parse::mongo_uri(text).map(|uri| uri.given_as("DRILL_URI")),
            sample "'mongodb://USER:PASSWORD@HOST:27017/?authSource=admin'",
            why "A scratch server on which drills restore.",
            docs "a connection string: a scratch server for [drills](restore.md#drills); the server that is backed up will do";
        DRILL_SCHEDULE drill_schedule: Schedule = "", Open, parse::schedule,
            why "When to drill by itself; empty means only when asked.",
            docs "when drills happen by themselves; empty means only when asked";
    }
    section "Mail" {
        SMTP_HOST smtp_host: String = "", Open, parse::mail_host,
            why "The mail server, such as smtp.gmail.com; empty turns mail off.",
            docs "the mail server, such as `smtp.gmail.com`; empty turns mail off";
        SMTP_PORT smtp_port: u16 = "587", Open, |text| parse::whole_number(text, 1..=u16::MAX),
            why "Its port; 465 when not set and SMTP_SECURITY is tls.",
            docs "its port; 465 when not set and `SMTP_SECURITY` is `tls`";
        SMTP_SECURITY smtp_security: MailSecurity = "starttls", Open, |text| parse::choice(text, SECURITY),
            why "Encryption: starttls, tls, or none if you really mean it.",
            docs "or `tls` (port 465), or `none` if you really mean it";
        SMTP_USERNAME smtp_username: String = "", Open, parse::text,
            why "Who signs in, often the mail address.",
            docs "who signs in, often the mail address";
        SMTP_PASSWORD smtp_password: Secret = "", Password, parse::password,
            sample "'abcd efgh ijkl mnop'",
            why "For Gmail an app password, spaces and all; in single quotes.",
            docs "for Gmail an [app password](https://myaccount.google.com/apppasswords), spaces and all";
        EMAIL_FROM email_from: String = "", Open, parse::address,
            sample "'\"Keeper, Pantry\" <me@example.org>'",
            why "The sender; SMTP_USERNAME if that is an address.",
            docs "the sender, written like a recipient; `SMTP_USERNAME` if that is an address";
        EMAIL_TO email_to: Vec<String> = "", Open, parse::addresses,
            why "Who gets the mail, with commas or semicolons between.",
            docs "who gets the mail, with commas or semicolons between: `me@example.org`, `Name <me@example.org>` or `\"Last, First\" <me@example.org>`";
        NOTIFY_ON notify_on: NotifyOn = "failure", Open, |text| parse::choice(text, NOTIFY),
            why "When to mail: failure, always or never.",
            docs "`failure`, `always` or `never`; see [below](#mails)";
    }
    section "Logs" {
        LOG_LEVEL log_level: Level = "info", Open, |text| parse::choice(text, LEVELS),
            why "How much to log: error, warn, info, debug or trace.",
            docs "`error`, `warn`, `info`, `debug` or `trace`";
        LOG_FORMAT log_format: LogFormat = "text", Open, |text| parse::choice(text, FORMATS),
            why "For people (text) or for machines (json).",
            docs "for people (`text`) or for machines (`json`)";
        LOG_MAX_SIZE log_max_size: u64 = "10MB", Open, parse::size_bytes,
            why "A log file that grows beyond this starts anew.",
            docs "`backup.log` and `scheduler.log` start anew beyond this; the same lines go to stderr";
        LOG_KEEP log_keep: u32 = "5", Open, |text| parse::whole_number(text, 0..=1_000),
            why "How many full log files stay.",
            docs "how many full log files stay";
    }
}
