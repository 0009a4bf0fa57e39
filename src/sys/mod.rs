//! What the program needs of the operating system: processes, files, locks, signals, logs, the terminal.

pub mod atomic_file;
pub mod cancel;
pub mod certificate;
pub mod humanize;
pub mod lock;
pub mod logging;
pub mod process;
pub mod progress;
pub mod redact;
pub mod runtime;
