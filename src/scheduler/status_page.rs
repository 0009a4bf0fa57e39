//! The status page: a process of its own, a child like a run, which a backup neither waits for nor shares a secret with.

use crate::context::Context;
use crate::settings::Settings;
use crate::sys::humanize;
use crate::sys::logging::SCHEDULER;
use crate::sys::process;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The hidden command by which it is started.
pub(crate) const ARGUMENT: &str = "__status";
/// The first wait before it is started again; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// What has served for so long has started well.
const STARTED: Duration = Duration::from_secs(60);

/// The settings that it needs, also as files. It talks to no server, so that it gets no connection string.
const SETTINGS: &[&str] = &[
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "BACKUP_DIR",
    "BACKUP_PREFIX",
    "BACKUP_REQUIRE_MOUNT",
    "BACKUP_SCHEDULE",
    "BACKUP_TIMEOUT",
    "DRILL_SCHEDULE",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "OFFSITE_MAX_LAG",
    "OFFSITE_URL",
    "OFFSITE_VERIFY",
    "RETENTION_DAILY",
    "RETENTION_DAYS",
    "RETENTION_MIN_KEEP",
    "RETENTION_MONTHLY",
    "RETENTION_WEEKLY",
    "RETENTION_YEARLY",
    "STATUS_HOSTS",
    "STATUS_LISTEN",
    "STATUS_PASSWORD",
    "TZ",
];
/// What tells under what it runs, and what the system itself goes by.
const SURROUNDINGS: &[&str] = &[
    "INVOCATION_ID",
    "KUBERNETES_SERVICE_HOST",
    "PATH",
    "XDG_RUNTIME_DIR",
    "container",
];
/// Stands for the owner's scratch server: a schedule of drills must come with one, and without one a failed drill is history.
const NO_SERVER: (&str, &str) = ("DRILL_URI", "mongodb://127.0.0.1:1/");

/// Serves for as long as it is kept.
pub(super) struct StatusPage(Option<JoinHandle<()>>);

impl StatusPage {
    /// Starts it, where the settings ask for one.
    pub(super) fn start(settings: &Settings, ctx: &Context) -> Self {
        let environment = environment(&ctx.environment, settings.drill.is_set_up());
        let serving = settings
            .status
            .listen
            .map(|_| tokio::spawn(keep_up(environment)));
        StatusPage(serving)
    }
}

impl Drop for StatusPage {
    /// Its child is killed with it: it has nothing to bring to an end.
    fn drop(&mut self) {
        if let Some(serving) = &self.0 {
            serving.abort();
        }
    }
}

fn environment(all: &[(OsString, OsString)], has_drills: bool) -> Vec<(OsString, OsString)> {
    let wanted = |(name, _): &&(OsString, OsString)| {
        let name = name.to_str().unwrap_or_default();
        let setting = name.strip_suffix("_FILE").unwrap_or(name);
        SETTINGS.contains(&setting) || SURROUNDINGS.contains(&name)
    };
    let mut environment: Vec<_> = all.iter().filter(wanted).cloned().collect();
    if has_drills {
        environment.push((NO_SERVER.0.into(), NO_SERVER.1.into()));
    }
    environment
}

async fn keep_up(environment: Vec<(OsString, OsString)>) {
    let mut wait = FIRST_WAIT;
    loop {
        let begun = Instant::now();
        let ended = match start(&environment) {
            Ok(mut child) => child.wait().await,
            Err(error) => Err(error),
        };
        if begun.elapsed() > STARTED {
            wait = FIRST_WAIT;
        }
        let again = humanize::duration(wait);
        match ended {
            Ok(status) => {
                tracing::warn!(target: SCHEDULER, "the status page ended with {status}; starting it again in {again}");
            }
            Err(error) => {
                tracing::warn!(target: SCHEDULER, "the status page cannot be started: {error}; trying again in {again}");
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn start(environment: &[(OsString, OsString)]) -> std::io::Result<Child> {
    process::own_command(ARGUMENT)?
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_but_its_own_is_passed_on() {
        let all = [
            ("MONGODB_URI", "mongodb://u:secret@h/"),
            ("MONGODB_PASSWORD_FILE", "/run/secrets/p"),
            ("SMTP_PASSWORD", "secret"),
            ("DRILL_URI", "mongodb://u:secret@h/"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("STATUS_PASSWORD_FILE", "/run/secrets/s"),
            ("BACKUP_DIR", "/backups"),
        ];
        let all = all.map(|(name, value)| (name.into(), value.into()));
        let mut names: Vec<OsString> = Vec::new();
        for (name, value) in environment(&all, true) {
            assert!(!value.to_str().unwrap().contains("secret@"));
            names.push(name);
        }
        assert_eq!(names, ["STATUS_PASSWORD_FILE", "BACKUP_DIR", "DRILL_URI"]);
        assert_eq!(environment(&all, false).len(), 2);
    }
}
