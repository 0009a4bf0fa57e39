//! The command line: what was asked for, and what to print about it.

mod args;
mod commands;

mod output;

use crate::context::Context;
use crate::scheduler;
use crate::settings::{self, Settings};
use crate::store::repository::RepositoryError;
use crate::sys::cancel::{Cancel, Canceller};
use crate::sys::logging;
use crate::sys::process;
use crate::sys::progress::Screen;
use crate::sys::redact::Redactor;
use args::{Arguments, Command, Output, RestoreArguments};
use chrono::Utc;
use clap::Parser;
use futures_util::StreamExt;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;
use tokio::sync::mpsc;

/// Exit codes.
pub const DONE: u8 = 0;
pub const FAILED: u8 = 1;
pub const WRONG: u8 = 2;
pub const BUSY: u8 = 3;

/// How long after a signal we are gone, whatever hangs. Docker kills what is left after ten seconds.
const LAST_MOMENT: Duration = Duration::from_millis(9500);

/// Runs the program and returns its exit code. `environment` is read here and nowhere else.
pub fn run(arguments: Vec<OsString>, environment: Vec<(OsString, OsString)>) -> u8 {
    if arguments
        .get(1)
        .is_some_and(|argument| argument == process::CHILD_ARGUMENT)
    {
        let error = process::become_child(arguments.into_iter().skip(2));
        eprintln!("Failed: cannot start: {error}");
        return 127;
    }
    if let Some((kept, hidden)) = commands::restore::without_passwords(&arguments) {
        let error = process::start_again(kept, commands::restore::HIDDEN, &hidden);
        eprint!(
            "{}",
            logging::one_event(&format!(
                "cannot hide the password of --to: {error}; give a file instead"
            ))
        );
        return FAILED;
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors to the parser, but not to the person who asked.
            let code = if error.use_stderr() { WRONG } else { DONE };
            let _ = error.print();
            return code;
        }
    };
    let command = arguments.command.unwrap_or(Command::Run);
    // A target of its own is a secret like those of the settings.
    let to = match &command {
        Command::Restore(RestoreArguments { to: Some(to), .. }) => {
            Some(commands::restore::target(to))
        }
        _ => None,
    };
    let redactor = settings::redactor(environment.clone());
    let redactor = match &to {
        Some(Ok(uri)) => redactor.with(uri.secrets()),
        _ => redactor,
    };
    hide_secrets_of_panics(redactor.clone());
    let to = match to.transpose() {
        Ok(to) => to,
        Err(problem) => {
            eprint!("{}", logging::one_event(&redactor.redact(&problem)));
            if command.wants_json() {
                failure(&problem);
            }
            return WRONG;
        }
    };
    let settings = match Settings::load(environment.clone(), command.needs()) {
        Ok(settings) => settings,
        Err(faults) => {
            let text = faults.to_string();
            let text = redactor.redact(&text);
            eprint!("{}", logging::one_event(&text));
            if command.wants_json() {
                failure(&text);
            }
            return WRONG;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return FAILED;
        }
    };
    let screen = Screen::of_stderr();
    let folder = command
        .logs_to_files()
        .then_some(settings.log_dir.as_path());
    let (tail, problems) = logging::start(
        &settings.log,
        settings.time_zone,
        folder,
        &redactor,
        &screen,
    );
    for problem in problems {
        tracing::warn!("{problem}; going on without that file");
    }
    let code = runtime.block_on(async {
        let (asked, now) = mpsc::channel(1);
        let stop = listen(matches!(command, Command::Run).then_some(asked));
        let ctx = Context {
            environment,
            redactor,
            screen,
            now: Utc::now,
            stop,
            tail,
        };
        match command {
            Command::Run => serve(&settings, &ctx, now).await,
            Command::Once => commands::once(&settings, &ctx).await,
            Command::Backup(output) => commands::backup(&settings, &ctx, &output).await,
            Command::List(output) => commands::list(&settings, &ctx, &output),
            Command::Verify(arguments) => {
                commands::verify::verify(&settings, &ctx, &arguments).await
            }
            Command::Restore(arguments) => {
                commands::restore::restore(&settings, &ctx, &arguments, to.as_ref()).await
            }
            Command::Drill(arguments) => commands::drill::drill(&settings, &ctx, &arguments).await,
            Command::Prune(arguments) => commands::prune(&settings, &ctx, &arguments),
            Command::Doctor(output) => commands::doctor(&settings, &ctx, &output).await,
            Command::NotifyTest => commands::notify_test::test(&settings, &ctx).await,
            Command::Health(output) => commands::health(&settings, &ctx, &output),
        }
    });
    // A thread that is stuck in a system call (a dying disk) must not keep us from ending.
    runtime.shutdown_background();
    code
}

/// A panic's message may quote anything.
fn hide_secrets_of_panics(redactor: Redactor) {
    std::panic::set_hook(Box::new(move |panic| {
        let text = format!("this is a defect, please report it: {panic}");
        eprint!("{}", logging::one_event(&redactor.redact(&text)));
    }));
}

/// Turns SIGTERM and SIGINT into a request to stop. SIGUSR1 goes to `asked`, if given.
fn listen(asked: Option<mpsc::Sender<()>>) -> Cancel {
    let (stopper, stop) = Canceller::new();
    let signals = [SIGTERM, SIGINT]
        .into_iter()
        .chain(asked.is_some().then_some(SIGUSR1));
    match signal_hook_tokio::Signals::new(signals) {
        Ok(mut signals) => {
            tokio::spawn(async move {
                while let Some(signal) = signals.next().await {
                    if signal == SIGUSR1 {
                        // One that waits already is enough.
                        let _ = asked.as_ref().map(|asked| asked.try_send(()));
                    } else if !stopper.asked() {
                        tracing::info!("stopping");
                        stopper.stop();
                    }
                }
            });
        }
        Err(error) => tracing::warn!("signals cannot be caught: {error}"),
    }
    if let Err(error) = end_at_last() {
        tracing::warn!("signals cannot be caught: {error}");
    }
    stop
}

/// Ends us when asking has not: soon after the first signal, at once with the second. A system call that hangs on a
/// dying disk keeps everything else of ours from noticing.
fn end_at_last() -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        signals.next();
        std::thread::spawn(|| {
            std::thread::sleep(LAST_MOMENT);
            std::process::exit(i32::from(FAILED));
        });
        signals.next();
        std::process::exit(i32::from(FAILED));
    });
    Ok(())
}

async fn serve(settings: &Settings, ctx: &Context, asked: mpsc::Receiver<()>) -> u8 {
    // Settings::load made sure of it.
    let Some(uri) = &settings.mongodb else {
        return WRONG;
    };
    match scheduler::run(settings, uri, ctx, asked).await {
        scheduler::End::Stopped => DONE,
        scheduler::End::Failed => FAILED,
        scheduler::End::Busy => BUSY,
    }
}

fn refuse(error: &RepositoryError, output: &Output) -> u8 {
    eprint!("{}", logging::one_event(&error.to_string()));
    if output.json {
        failure(&error.to_string());
    }
    match error {
        RepositoryError::NotAName(_) | RepositoryError::NoSuchArchive { .. } => WRONG,
        _ => FAILED,
    }
}

fn failure(message: &str) {
    json(&serde_json::json!({ "error": message }));
}

fn json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => say(&format!("{text}\n")),
        Err(error) => tracing::error!("the JSON document could not be made: {error}"),
    }
}

/// Prints on stdout; a reader that has gone away (`| head`) is no reason to panic.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
