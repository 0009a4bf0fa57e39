//! What every command is given: the clock, the request to stop, the environment, where to print.

use crate::sys::cancel::Cancel;
use crate::sys::logging::Tail;
use crate::sys::progress::Screen;
use crate::sys::redact::Redactor;
use crate::sys::runtime::Runtime;
use chrono::{DateTime, Utc};
use std::ffi::{OsStr, OsString};

/// What work needs besides the settings.
pub(crate) struct Context {
    pub environment: Vec<(OsString, OsString)>,
    pub redactor: Redactor,
    pub screen: Screen,
    /// The clock.
    pub now: fn() -> DateTime<Utc>,
    pub stop: Cancel,
    /// The end of the log.
    pub tail: Tail,
}

impl Context {
    /// What the program runs under.
    pub(crate) fn runtime(&self) -> Runtime {
        Runtime::of(&self.environment)
    }

    /// Where programs are looked for.
    pub(crate) fn path(&self) -> &OsStr {
        let given = self
            .environment
            .iter()
            .find(|(name, _)| name == "PATH")
            .map(|(_, path)| path.as_os_str());
        given.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"))
    }
}
