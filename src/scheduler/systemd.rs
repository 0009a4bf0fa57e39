//! What systemd is told, where it is systemd that started us: that we are ready, what we wait for, that we are alive.
//!
//! `sd_notify` is a datagram with a few words to the socket that NOTIFY_SOCKET names. The crates for it read the environment
//! themselves, wherever they are called; here it is a parameter like everything else. Where nobody asked to be told (Docker,
//! a terminal), nothing is.

use crate::sys::humanize;
use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// What systemd puts into our environment. It is meant for us alone, so that no child gets it.
const VARIABLES: [&str; 3] = [SOCKET, WATCHDOG, WATCHDOG_OF];
const SOCKET: &str = "NOTIFY_SOCKET";
/// In microseconds: without a sign of life for that long we are killed and started again.
const WATCHDOG: &str = "WATCHDOG_USEC";
/// The process whose signs count.
const WATCHDOG_OF: &str = "WATCHDOG_PID";

/// A manager that does not listen must not hold us up.
const LONGEST_TELLING: Duration = Duration::from_secs(1);
/// Signs of life are never given more often, even if systemd asks for it.
const SHORTEST: Duration = Duration::from_millis(10);

/// Whoever started us and wants to know how we are, if anybody does.
pub(super) struct Systemd {
    line: Option<(UnixDatagram, SocketAddr)>,
    pulse: Option<Duration>,
    /// When the last sign of life was given.
    last: Cell<Option<Instant>>,
    told_of_the_end: Cell<bool>,
}

impl Systemd {
    pub(super) fn of(environment: &[(OsString, OsString)]) -> Self {
        let value = |name| {
            environment
                .iter()
                .find(|(other, _)| other == name)
                .map(|(_, value)| value.as_os_str())
        };
        let number = |name| {
            value(name)
                .and_then(OsStr::to_str)
                .and_then(|text| text.parse::<u64>().ok())
        };
        let for_us = number(WATCHDOG_OF).is_none_or(|id| id == u64::from(std::process::id()));
        // Three in the time allowed, so that one may come late.
        let pulse = number(WATCHDOG)
            .filter(|_| for_us)
            .map(|usec| (Duration::from_micros(usec) / 3).max(SHORTEST));
        let line = value(SOCKET).and_then(|name| {
            let address = address(name)?;
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_write_timeout(Some(LONGEST_TELLING)).ok()?;
            Some((socket, address))
        });
        Systemd {
            line,
            pulse,
            last: Cell::new(None),
            told_of_the_end: Cell::new(false),
        }
    }

    /// We wait for the first run.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// What we are doing, for `systemctl status`.
    pub(super) fn status(&self, words: &str) {
        self.tell(&format!("STATUS={}", one_line(words)));
    }

    /// We cannot start yet, and try again within `time`.
    pub(super) fn not_yet(&self, problem: &str, time: Duration) {
        let words = format!(
            "cannot start: {}; trying again every {}",
            one_line(problem),
            humanize::duration(time)
        );
        self.tell(&format!(
            "STATUS={words}\nEXTEND_TIMEOUT_USEC={}",
            (time * 2).as_micros()
        ));
    }

    /// We wait for a disk, may do so for `time` more, and are not to be killed for it.
    pub(super) fn waits_for_disk(&self, time: Duration) {
        self.tell(&format!(
            "STATUS=waiting for a disk or network share that does not answer\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC={}",
            time.as_micros()
        ));
    }

    /// We end. Told once.
    pub(super) fn stopping(&self) {
        if !self.told_of_the_end.replace(true) {
            self.tell("STOPPING=1\nSTATUS=stopping");
        }
    }

    pub(super) fn is_told_of_the_end(&self) -> bool {
        self.told_of_the_end.get()
    }

    /// Gives a sign of life, if one is due.
    pub(super) fn alive(&self) {
        // Asked at every pulse, a little early or late: half of it is near enough.
        let due = self.pulse.is_some_and(|pulse| {
            self.last
                .get()
                .is_none_or(|last| last.elapsed() >= pulse / 2)
        });
        if due && self.tell("WATCHDOG=1") {
            self.last.set(Some(Instant::now()));
        }
    }

    /// How often a sign of life is due, and never less often than `otherwise`.
    pub(super) fn pulse_or(&self, otherwise: Duration) -> Duration {
        self.pulse.map_or(otherwise, |pulse| pulse.min(otherwise))
    }

    /// False when nobody was told.
    fn tell(&self, words: &str) -> bool {
        self.line
            .as_ref()
            .is_some_and(|(socket, address)| socket.send_to_addr(words.as_bytes(), address).is_ok())
    }
}

/// A path, or with an `@` in front a name of Linux's own, which no file system holds.
fn address(name: &OsStr) -> Option<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name).ok();
    }
    SocketAddr::from_pathname(name).ok()
}

/// A new line would begin another message.
fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A child, but for what systemd told us alone.
pub(super) fn hidden_from(child: &mut Command) -> &mut Command {
    for variable in VARIABLES {
        child.env_remove(variable);
    }
    child
}
