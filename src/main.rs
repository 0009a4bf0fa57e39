//! The program: what it is started with goes to the library, what comes back is the exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    // All that is created below is for its owner only.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    ExitCode::from(pantry_keeper::cli::run(
        std::env::args_os().collect(),
        std::env::vars_os().collect(),
    ))
}
