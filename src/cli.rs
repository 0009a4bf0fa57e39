//! The command line: what was asked for, and what to print about it.

mod notify;
mod print;

use crate::catalog::{Catalog, CatalogError, LockOrCatalogError};
use crate::job::{self, JobError, Surroundings};
use crate::lock::LockError;
use crate::logging;
use crate::name;
use crate::process;
use crate::progress::{Meter, Screen, Unit};
use crate::report::{ListReport, VerifyReport};
use crate::secret::Redactor;
use crate::settings::{self, Needs, Settings};
use crate::stop::{Stop, Stopper};
use crate::verify;
use chrono::Utc;
use clap::{Args, Parser, Subcommand};
use futures_util::StreamExt;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

/// Exit codes.
pub const DONE: u8 = 0;
pub const FAILED: u8 = 1;
pub const WRONG: u8 = 2;
pub const BUSY: u8 = 3;

/// MongoDB backups that prove themselves. Settings come from the environment; see .env.example.
#[derive(Parser)]
#[command(name = "pantry-keeper", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make one backup now: dumped, compressed, read back, verified
    Backup(Output),
    /// Show the archives
    List(Output),
    /// Read archives from end to end and prove them sound
    Verify(VerifyArguments),
    /// Send a test mail, to see whether mail arrives
    NotifyTest,
}

impl Command {
    fn wants_json(&self) -> bool {
        match self {
            Command::Backup(output) | Command::List(output) => output.json,
            Command::Verify(arguments) => arguments.output.json,
            Command::NotifyTest => false,
        }
    }
}

#[derive(Args)]
struct Output {
    /// Print one JSON document on stdout (logs go to stderr)
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct VerifyArguments {
    /// An archive's file name, with or without .tar.gz
    #[arg(value_name = "NAME|latest", default_value = "latest", conflicts_with = "all")]
    name: String,
    /// All archives
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

/// Runs the program and returns its exit code. `environment` is read here and nowhere else.
pub fn run(arguments: Vec<OsString>, environment: Vec<(OsString, OsString)>) -> u8 {
    if arguments.get(1).is_some_and(|argument| argument == process::CHILD_ARGUMENT) {
        let error = process::become_child(arguments.into_iter().skip(2));
        eprintln!("Failed: cannot start: {error}");
        return 127;
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
    let redactor = settings::redactor(environment.clone());
    hide_secrets_of_panics(redactor.clone());
    let needs = match arguments.command {
        Command::Backup(_) => Needs::Server,
        Command::List(_) | Command::Verify(_) | Command::NotifyTest => Needs::Folder,
    };
    let settings = match Settings::load(environment.clone(), needs) {
        Ok(settings) => settings,
        Err(faults) => {
            let text = faults.to_string();
            let text = redactor.redact(&text);
            eprint!("{}", logging::one_event(&text));
            if arguments.command.wants_json() {
                failure(&text);
            }
            return WRONG;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return FAILED;
        }
    };
    let screen = Screen::of_stderr();
    let folder = (!matches!(arguments.command, Command::List(_))).then_some(settings.log_dir.as_path());
    for problem in logging::start(&settings.log, settings.time_zone, folder, &redactor, &screen) {
        tracing::warn!("{problem}; going on without that file");
    }
    let code = runtime.block_on(async {
        let stop = listen();
        let around = Surroundings { environment, redactor, screen, now: Utc::now, stop };
        match arguments.command {
            Command::Backup(output) => backup(&settings, &around, &output).await,
            Command::List(output) => list(&settings, &output),
            Command::Verify(arguments) => verify(&settings, &around, &arguments).await,
            Command::NotifyTest => notify::test(&settings, &around).await,
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

/// Turns SIGTERM and SIGINT into a request to stop; the second one ends us at once.
fn listen() -> Stop {
    let (stopper, stop) = Stopper::new();
    match signal_hook_tokio::Signals::new([SIGTERM, SIGINT]) {
        Ok(mut signals) => {
            tokio::spawn(async move {
                while signals.next().await.is_some() {
                    if stopper.asked() {
                        std::process::exit(i32::from(FAILED));
                    }
                    tracing::info!("stopping");
                    stopper.stop();
                }
            });
        }
        Err(error) => tracing::warn!("signals cannot be caught: {error}"),
    }
    stop
}

async fn backup(settings: &Settings, around: &Surroundings, output: &Output) -> u8 {
    // Settings::load made sure of it.
    let Some(uri) = &settings.mongodb else { return WRONG };
    match job::backup(settings, uri, around).await {
        Ok(report) => {
            tracing::info!("{}", print::backup(&report));
            if output.json {
                json(&report);
            }
            DONE
        }
        Err(error) => {
            tracing::error!("the backup failed: {error}");
            if output.json {
                failure(&around.redactor.redact(&error.to_string()));
            }
            match error {
                JobError::Lock(LockOrCatalogError::Lock(LockError::Held(_))) => BUSY,
                _ => FAILED,
            }
        }
    }
}

fn list(settings: &Settings, output: &Output) -> u8 {
    let catalog = job::catalog(settings);
    let archives = match catalog.list() {
        Ok(archives) => archives,
        Err(error) => return refuse(&error, output),
    };
    let report = ListReport {
        folder: catalog.folder().display().to_string(),
        archives_bytes: archives.iter().map(|archive| archive.archive_bytes).sum(),
        archives,
        free_bytes: catalog.free_bytes(),
    };
    if output.json {
        json(&report);
    } else {
        say(&print::list(&report, settings.time_zone));
    }
    DONE
}

async fn verify(settings: &Settings, around: &Surroundings, arguments: &VerifyArguments) -> u8 {
    let catalog = job::catalog(settings);
    let stems = if arguments.all {
        catalog.stems().and_then(|stems| match stems.is_empty() {
            true => Err(CatalogError::Empty(catalog.folder().to_owned())),
            false => Ok(stems),
        })
    } else {
        catalog.find(&arguments.name).map(|stem| vec![stem])
    };
    let stems = match stems {
        Ok(stems) => stems,
        Err(error) => return refuse(&error, &arguments.output),
    };
    let mut reports = Vec::new();
    for stem in stems {
        let Some(report) = verify_one(settings, around, &catalog, &stem).await else {
            tracing::error!("verifying was not finished: stopped as asked");
            if arguments.output.json {
                failure("stopped as asked");
            }
            return FAILED;
        };
        job::note(&catalog, &stem, &report, (around.now)());
        let (line, lines) = print::verify(&report);
        if report.sound {
            tracing::info!(target: logging::RECORD, "{line}");
        } else {
            tracing::error!(target: logging::RECORD, "{line}");
        }
        if !arguments.output.json {
            say(&lines);
        }
        reports.push(report);
    }
    let sound = reports.iter().all(|report| report.sound);
    if arguments.output.json {
        #[derive(Serialize)]
        struct Verified<'r> {
            sound: bool,
            archives: &'r [VerifyReport],
        }
        json(&Verified { sound, archives: &reports });
    }
    if sound { DONE } else { FAILED }
}

/// None when it was stopped.
async fn verify_one(settings: &Settings, around: &Surroundings, catalog: &Catalog, stem: &str) -> Option<VerifyReport> {
    let begun = Instant::now();
    let name = name::archive(stem);
    let opened = catalog.open(stem);
    let sidecar = catalog.sidecar(stem);
    let bytes = opened.as_ref().ok().and_then(|file| file.metadata().ok()).map(|metadata| metadata.len());
    let meter = Meter::new("verifying", Unit::Bytes, bytes, &around.screen);
    let (threads, shown) = (settings.threads, Arc::clone(&meter));
    let reading = around.stop.blocking(move |stop| {
        let moved = |bytes| shown.set(bytes);
        let options = verify::Options { threads, stop, moved: &moved };
        match opened {
            Ok(file) => verify::verify(&name, file, &sidecar, &options),
            Err(error) => Ok(VerifyReport::unreadable(&name, error.to_string())),
        }
    });
    let outcome = job::showing(&meter, reading).await.ok()?;
    let mut report = match outcome {
        Some(result) => result.ok()?,
        None => VerifyReport::unreadable(stem, "a part of Pantry Keeper stopped early; please report this".into()),
    };
    report.elapsed_seconds = begun.elapsed().as_secs_f64();
    Some(report)
}

fn refuse(error: &CatalogError, output: &Output) -> u8 {
    eprint!("{}", logging::one_event(&error.to_string()));
    if output.json {
        failure(&error.to_string());
    }
    match error {
        CatalogError::NotAName(_) | CatalogError::NoSuchArchive { .. } => WRONG,
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
