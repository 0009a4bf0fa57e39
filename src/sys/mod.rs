//! What the program needs of the operating system: processes, files, locks, signals, logs, the terminal.

pub(crate) mod atomic_file;
pub(crate) mod cancel;
pub(crate) mod certificate;
pub(crate) mod child_lines;
pub(crate) mod http;
pub(crate) mod humanize;
pub(crate) mod lock;
pub(crate) mod lock_holder;
pub(crate) mod logging;
pub(crate) mod mail_address;
pub(crate) mod piped;
pub(crate) mod process;
pub(crate) mod progress;
pub(crate) mod redact;
pub(crate) mod runtime;
pub(crate) mod stall;
pub(crate) mod terminal;
pub(crate) mod time_zone;
pub(crate) mod tls;
