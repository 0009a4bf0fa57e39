//! Signals: SIGTERM and SIGINT end the program, SIGUSR1 asks the scheduler for a backup.

use super::exit::ExitStatus;
use crate::sys::cancel::{Cancel, Canceller};
use futures_util::StreamExt;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long after a signal the program is gone, even if something hangs. Docker kills what is left after ten seconds.
const LAST_MOMENT: Duration = Duration::from_millis(9500);

/// Turns SIGTERM and SIGINT into a cancellation. SIGUSR1 goes to `backup_now`, if given.
pub(super) fn listen(backup_now: Option<mpsc::Sender<()>>) -> Cancel {
    let (canceller, cancel) = Canceller::new();
    let signals = [SIGTERM, SIGINT]
        .into_iter()
        .chain(backup_now.is_some().then_some(SIGUSR1));
    match signal_hook_tokio::Signals::new(signals) {
        Ok(mut signals) => {
            tokio::spawn(async move {
                while let Some(signal) = signals.next().await {
                    if signal == SIGUSR1 {
                        // One that waits already is enough.
                        let _ = backup_now
                            .as_ref()
                            .map(|backup_now| backup_now.try_send(()));
                    } else if !canceller.is_cancelled() {
                        tracing::info!("stopping");
                        canceller.cancel();
                    }
                }
            });
        }
        Err(error) => tracing::warn!("signals cannot be caught: {error}"),
    }
    if let Err(error) = force_exit_after(LAST_MOMENT) {
        tracing::warn!("signals cannot be caught: {error}");
    }
    cancel
}

/// Ends the process when a cancellation has not: `limit` after the first signal, at once with the second. A system call
/// that hangs on a dying disk keeps everything else from noticing.
fn force_exit_after(limit: Duration) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    std::thread::spawn(move || {
        let failed = i32::from(ExitStatus::Failed.code());
        let mut signals = signals.forever();
        signals.next();
        std::thread::spawn(move || {
            std::thread::sleep(limit);
            std::process::exit(failed);
        });
        signals.next();
        std::process::exit(failed);
    });
    Ok(())
}
