//! Every setting, in the order in which they are documented. A new one needs an entry here, a field in `Settings` and a
//! line in `validate`; `UPDATE=1 cargo test --lib settings` then writes it into `.env.example` and the docs.

#[cfg(test)]
use super::descriptor::Docs;
use super::descriptor::{Descriptor, Secrecy, Setting, settings};
use super::encrypt;
use super::names::NamespacePattern;
use super::offsite::{self, OffsitePlace, OffsiteVerify};
use super::parse;
use super::urls::{self, NotifyUrl, PingUrl};
use super::{Compression, LogFormat, MailSecurity, NotifyOn, OplogMode};
use crate::archive::seal::Recipient;
use crate::mongo::uri::MongoUri;
use crate::schedule::Schedule;
use crate::sys::redact::Secret;
use crate::sys::time_zone::Tz;
use serde::Deserialize;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use tracing::Level;

const OPLOG: &[(&str, OplogMode)] = &[
    ("auto", OplogMode::Auto),
    ("on", OplogMode::On),
    ("off", OplogMode::Off),
];
const COMPRESSIONS: &[(&str, Compression)] =
    &[("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
const COMPRESSION_LEVELS: &[(&str, u8)] = &[("fast", 1), ("balanced", 6), ("small", 9)];
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
const VERIFY: &[(&str, OffsiteVerify)] = &[
    ("checksum", OffsiteVerify::Checksum),
    ("read", OffsiteVerify::Read),
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
            docs "how archive names start: `{prefix}_backup_YYYYMMDD_HHMMSS.tar.gz` (or `.tar.zst`), in local time. One to a `BACKUP_DIR`: see [below](#what-is-kept)";
        BACKUP_COMPRESSION backup_compression: Compression = "gzip", Open, |text| parse::choice(text, COMPRESSIONS),
            why "How archives are compressed: gzip, which everything reads, or zstd, smaller and faster.",
            docs "or `zstd`, which makes smaller archives (`.tar.zst`) in less time and reads them faster; a machine that unpacks them by hand needs `zstd`. Both kinds are read at any time, whatever is set here";
        BACKUP_COMPRESSION_LEVEL backup_compression_level: u8 = "6", Open, |text| parse::number_or_name(text, 1..=9, COMPRESSION_LEVELS),
            why "From 1 (fast) to 9 (small), or fast, balanced, small.",
            docs "1 (fast) to 9 (small), or by name: `fast` (1), `balanced` (6), `small` (9); while the processors cannot keep up with the server, up to two less";
        BACKUP_THREADS backup_threads: NonZeroUsize = "", Open, |text| parse::whole_number(text, NonZeroUsize::MIN..=MAX_THREADS),
            why "How many cores may compress; empty means all.",
            docs "how many cores may compress; empty means all";
        BACKUP_TIMEOUT backup_timeout: Duration = "6h", Open, parse::duration,
            why "A run that takes longer in all is ended and counts as failed.",
            docs "a run that takes longer in all is ended and counts as failed";
        BACKUP_STALL_TIMEOUT backup_stall_timeout: Duration = "5m", Open, parse::duration,
            why "So does a run in which nothing moves for this long.",
            docs "so does a backup or a restore in which nothing moves for this long; less than 2 kB a second is nothing";
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
    section "Copies elsewhere" {
        OFFSITE_URL offsite_url: Vec<OffsitePlace> = "", ConnectionString, offsite::places,
            sample "'s3://BUCKET/PREFIX?region=REGION&endpoint=https://HOST'",
            why "Where every verified archive is copied to: s3:// sftp:// webdavs:// file:// or rclone:, several with commas between.",
            docs "where every verified archive is copied to: `s3://BUCKET/PREFIX?region=…&endpoint=…`, `sftp://USER@HOST:PORT/PATH`, `webdavs://HOST/PATH`, `file:///PATH` or `rclone:REMOTE:PATH`; several with commas between. See [copies elsewhere](offsite.md)";
        OFFSITE_VERIFY offsite_verify: OffsiteVerify = "checksum", Open, |text| parse::choice(text, VERIFY),
            why "How a copy is proven: by the service's checksum, or read back (read).",
            docs "how a copy is proven to be there: by the service's `checksum`, where it has one, or by reading it back (`read`)";
        OFFSITE_BANDWIDTH offsite_bandwidth: u64 = "", Open, parse::bandwidth,
            sample "2MB",
            why "Send no more than this per second; empty means as fast as it goes.",
            docs "send no more than this in a second, such as `2MB`; empty means as fast as it goes";
        OFFSITE_MAX_LAG offsite_max_lag: Duration = "2d", Open, parse::duration,
            why "How long an archive may wait for its copy before mails and health say so.",
            docs "an archive that has waited longer than this for its copy makes `health` unhealthy, and is told in mails";
        OFFSITE_RETENTION_DAYS offsite_retention_days: u32 = "", Open, |text| parse::whole_number(text, 1..=MAX_DAYS),
            sample "90",
            why "Copies older than this go; as RETENTION_DAYS when empty.",
            docs "older copies go; as `RETENTION_DAYS` when empty. This and the next five are for the copies what `RETENTION_…` is for the archives";
        OFFSITE_RETENTION_MIN_KEEP offsite_retention_min_keep: u32 = "", Open, |text| parse::whole_number(text, 1..=MAX_COUNT),
            sample "3",
            why "Never fewer proven copies than this.",
            docs "never fewer proven copies than this";
        OFFSITE_RETENTION_DAILY offsite_retention_daily: u32 = "", Open, |text| parse::whole_number(text, 0..=MAX_COUNT),
            sample "7",
            why "Keep one copy per day for this many days.",
            docs "also keep the newest copy of each of so many days";
        OFFSITE_RETENTION_WEEKLY offsite_retention_weekly: u32 = "", Open, |text| parse::whole_number(text, 0..=MAX_COUNT),
            sample "4",
            why "Keep one per week for this many weeks.",
            docs "of each of so many ISO weeks";
        OFFSITE_RETENTION_MONTHLY offsite_retention_monthly: u32 = "", Open, |text| parse::whole_number(text, 0..=MAX_COUNT),
            sample "12",
            why "Keep one per month for this many months.",
            docs "of each of so many months";
        OFFSITE_RETENTION_YEARLY offsite_retention_yearly: u32 = "", Open, |text| parse::whole_number(text, 0..=MAX_COUNT),
            sample "3",
            why "Keep one per year for this many years.",
            docs "of each of so many years";
        AWS_ACCESS_KEY_ID aws_access_key_id: String = "", Open, parse::text,
            why "For s3://: the key's name.",
            docs "for `s3://`: the key's name";
        AWS_SECRET_ACCESS_KEY aws_secret_access_key: Secret = "", Password, parse::password,
            why "For s3://: the key itself.",
            docs "for `s3://`: the key itself";
        AWS_SESSION_TOKEN aws_session_token: Secret = "", Password, parse::password,
            why "For s3:// with temporary credentials.",
            docs "for `s3://` with temporary credentials";
        AWS_REGION aws_region: String = "", Open, parse::text,
            sample "eu-central-1",
            why "For s3://: the region, where the address does not name it.",
            docs "for `s3://`: the region, where the address does not name it";
        AWS_ENDPOINT_URL aws_endpoint_url: String = "", Open, offsite::endpoint,
            sample "https://s3.eu-central-003.backblazeb2.com",
            why "For s3://: the service, where it is not AWS and the address does not name it.",
            docs "for `s3://`: the service, where it is not AWS and the address does not name it";
        SSH_IDENTITY_FILE ssh_identity_file: PathBuf = "", Open, parse::path,
            sample "/run/secrets/backup_key",
            why "For sftp://: the private key, without a passphrase; empty leaves it to ssh.",
            docs "for `sftp://`: the file of the private key, which has no passphrase; empty leaves it to ssh";
        SSH_KNOWN_HOSTS_FILE ssh_known_hosts_file: PathBuf = "", Open, parse::path,
            sample "/config/known_hosts",
            why "For sftp://: the file with the server's host key; empty leaves it to ssh.",
            docs "for `sftp://`: the file with the server's host key (`ssh-keyscan HOST`, compared with what the provider publishes); empty leaves it to ssh";
        WEBDAV_USERNAME webdav_username: String = "", Open, parse::text,
            why "For webdavs://: who signs in.",
            docs "for `webdavs://`: who signs in";
        WEBDAV_PASSWORD webdav_password: Secret = "", Password, parse::password,
            sample "'pa$word #1'",
            why "For webdavs://: an app password, in single quotes.",
            docs "for `webdavs://`: the password, best an app password";
        RCLONE_CONFIG rclone_config: PathBuf = "", Open, parse::path,
            sample "/config/rclone.conf",
            why "For rclone: its configuration; empty means rclone's own place.",
            docs "for `rclone:`: its configuration; empty means rclone's own place for it";
    }
    section "Encryption" {
        ENCRYPT_TO encrypt_to: Vec<Recipient> = "", Open, encrypt::recipients,
            why "Who can open sealed archives; with it, copies elsewhere are sealed on their way: age recipients or SSH public keys, with commas between.",
            docs "who can open what is sealed; copies elsewhere then are, on their way there: age recipients (`age1…`) or SSH public keys (`ssh-ed25519 …`, `ssh-rsa …`), with commas between; `pantry-keeper keygen` makes a key; see [encryption](encryption.md)";
        ENCRYPT_LOCAL encrypt_local: bool = "false", Open, parse::boolean,
            why "Seal the archives in BACKUP_DIR as well.",
            docs "seal the archives in `BACKUP_DIR` as well: they are called `….tar.gz.age`";
        AGE_IDENTITY_FILE age_identity_file: PathBuf = "", KeyFile, parse::path,
            sample "'/run/secrets/pantry-keeper.key'",
            why "The private key, to look into sealed archives; backups do without, and it is safer elsewhere.",
            docs "the file with the private key that opens sealed archives, for `verify`, `restore` and `drill`; backups do without it, and it is safer elsewhere";
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
            why "When to notify, by mail and in other ways: failure, always or never.",
            docs "`failure`, `always` or `never`; see [below](#mails)";
    }
    section "Messages and pings" {
        NOTIFY_URLS notify_urls: Vec<NotifyUrl> = "", NotifyUrls, urls::notify_urls,
            sample "'ntfy://TOPIC,gotifys://HOST/TOKEN'",
            why "Messages to your phone: ntfy, gotify, discord, slack, telegram, matrix, pushover, json, with commas between.",
            docs "messages by `ntfy://`, `gotify://`, `discord://`, `slack://`, `telegram://`, `matrix://`, `pushover://` or `json://`, with commas between: [recipes](notifications.md)";
        PING_URL ping_url: PingUrl = "", PingUrl, urls::ping_url,
            sample "'https://hc-ping.com/UUID'",
            why "Told how each backup ended, so that silence raises an alarm: of healthchecks.io, or a push monitor of Uptime Kuma.",
            docs "told how each backup ended, so that silence raises an alarm: the address of a check of healthchecks.io, or of a push monitor of Uptime Kuma; see [pings](notifications.md#pings)";
        DRILL_PING_URL drill_ping_url: PingUrl = "", PingUrl, urls::ping_url,
            sample "'https://hc-ping.com/UUID'",
            why "The same for drills.",
            docs "the same for drills";
    }
    section "Seen from outside" {
        STATUS_LISTEN status_listen: SocketAddr = "", Open, parse::listen,
            sample "127.0.0.1:8080",
            why "Where the status page listens; empty means there is none. docker-compose.yml sets it.",
            docs "where the [status page](status.md) listens, such as `127.0.0.1:8080`; empty means there is none. `docker-compose.yml` turns it on";
        STATUS_PASSWORD status_password: Secret = "", Password, parse::password,
            sample "'a few words'",
            why "What the page asks for, under any user name; empty lets everyone read it who reaches it.",
            docs "what the page asks for, under any user name; empty lets everyone read it who reaches it";
        STATUS_HOSTS status_hosts: Vec<String> = "", Open, parse::hosts,
            sample "backups.example.org",
            why "Names under which the page is reached, beside addresses and names without a dot.",
            docs "names under which the page is reached, with commas between; addresses and names without a dot always do. `*` takes any";
        METRICS_FILE metrics_file: PathBuf = "", Open, parse::path,
            sample "/var/lib/node_exporter/pantry_keeper.prom",
            why "A file for Prometheus' node_exporter, written after every run.",
            docs "a file for the textfile collector of Prometheus' node_exporter, written after every run; for [runs without a page](status.md#metrics)";
    }
    section "Logs" {
        LOG_LEVEL log_level: Level = "info", Open, |text| parse::choice(text, LEVELS),
            why "How much to log: error, warn, info, debug or trace.",
            docs "`error`, `warn`, `info`, `debug` or `trace`";
        LOG_FORMAT log_format: LogFormat = "text", Open, |text| parse::choice(text, FORMATS),
            why "For people (text) or for machines (json).",
            docs "for people (`text`) or for machines (`json`)";
        LOG_MAX_SIZE log_max_size: u64 = "10MB", Open, parse::log_size,
            why "A log file that grows beyond this starts anew.",
            docs "`backup.log` and `scheduler.log` start anew beyond this; the same lines go to stderr";
        LOG_KEEP log_keep: u32 = "5", Open, |text| parse::whole_number(text, 0..=1_000),
            why "How many full log files stay.",
            docs "how many full log files stay";
    }
}
