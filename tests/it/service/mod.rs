//! The scheduler as it runs in a container: for weeks, over restarts, under a clock that does as it pleases.

mod clock;
mod instances;
mod mails;
mod stalls;
mod start;
mod stopping;
mod systemd;
mod waiting;

use crate::support::{Outcome, Running, Site, shared};
use rustix::process::Signal;
use std::time::Duration;

/// Backs up one small database of the shared server.
fn site() -> Site {
    Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with("TZ", "Europe/Madrid")
}

/// Asks it to end, which must be as asked and in time.
pub(crate) fn stop(running: Running) -> Outcome {
    running.signal(Signal::TERM);
    running.end(Duration::from_secs(60)).done()
}
