//! A clock that shows what a test wants, for the real binary.

use super::site::Site;
use super::tools::needed;
use chrono::{DateTime, Utc};
use std::fs;
use std::path::PathBuf;

/// Intercepts the system's clock in one process, not in its children.
fn library() -> PathBuf {
    needed("faketime", "run scripts/setup first");
    let folders = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let found = folders
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.is_file());
    found.expect("libfaketime beside faketime")
}

impl Site {
    /// Runs see this time, which goes on from here; the time that the program measures by itself stays real.
    pub(crate) fn with_clock(self, at: &str) -> Self {
        self.set_clock(at);
        let file = self.path("clock").display().to_string();
        self.with("LD_PRELOAD", library().display())
            .with("FAKETIME_TIMESTAMP_FILE", file)
            .with("FAKETIME_NO_CACHE", 1)
            .with("FAKETIME_DONT_FAKE_MONOTONIC", 1)
            .with("NO_FAKE_STAT", 1)
    }

    /// Sets the clock, as a network or a person does, also under a run that is going on.
    pub(crate) fn set_clock(&self, at: &str) {
        let at = DateTime::parse_from_rfc3339(at).unwrap().to_utc();
        let offset = (at - Utc::now()).num_milliseconds() as f64 / 1000.0;
        let new = self.path("clock.new");
        fs::write(&new, format!("{offset:+.3}\n")).unwrap();
        fs::rename(new, self.path("clock")).unwrap();
    }
}

/// A system call that hangs for a quarter of a minute.
pub(crate) struct Hang {
    /// The file that it is about.
    pub path: PathBuf,
    pub call: &'static str,
    /// The first of its kind that hangs.
    pub from: u32,
}

impl Hang {
    /// The first log, while it is opened.
    pub(crate) fn of_the_log(site: &Site) -> Self {
        Hang {
            path: site.path("logs/scheduler.log"),
            call: "openat",
            from: 1,
        }
    }
}

impl Site {
    /// Hangs once, in a process for which two minutes go by in a second.
    pub(crate) fn hanging(self, hang: &Hang) -> Self {
        let strace = needed("strace", "run scripts/setup first");
        let preload = format!("LD_PRELOAD={}", library().display());
        let inject = format!(
            "inject={}:delay_enter=15000000:when={}",
            hang.call, hang.from
        );
        // Not for strace itself, whose clock is to be real.
        self.started_by(&[
            &strace.display().to_string(),
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-E",
            &preload,
            "-E",
            "FAKETIME=+0 x120",
            "-P",
            &hang.path.display().to_string(),
            "-e",
            &inject,
        ])
    }
}
