//! The command line: what was asked for, and what to print about it.

mod args;
mod commands;
mod exit;
mod output;
mod signals;

use crate::context::Context;
use crate::mongo::uri::MongoUri;
use crate::settings::{self, Settings};
use crate::status::textfile;
use crate::sys::logging::{self, LogFiles};
use crate::sys::process;
use crate::sys::progress::Screen;
use crate::sys::redact::Redactor;
use crate::sys::runtime::Runtime;
use args::{Arguments, Command};
use chrono::Utc;
use clap::Parser;
use exit::{CommandError, ExitStatus};
use std::ffi::OsString;
use std::io::ErrorKind;
use tokio::sync::mpsc;

/// The environment as the program was started with.
type Environment = Vec<(OsString, OsString)>;

/// Runs the program and returns its exit code. `environment` is read here and nowhere else.
pub fn run(arguments: Vec<OsString>, environment: Environment) -> u8 {
    if arguments
        .get(1)
        .is_some_and(|argument| argument == process::CHILD_ARGUMENT)
    {
        let error = process::become_child(arguments.into_iter().skip(2));
        output::complain(&format!("Failed: cannot start: {error}\n"));
        return 127;
    }
    if let Some(restart) = commands::restore::without_passwords(&arguments) {
        let error = process::start_again(
            restart.arguments,
            commands::restore::HIDDEN,
            &restart.hidden,
        );
        let problem = format!("cannot hide the password of --to: {error}; give a file instead");
        output::complain(&logging::one_event(&problem));
        return ExitStatus::Failed.code();
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors to the parser, but not to the person who asked.
            let status = match (error.use_stderr(), error.print()) {
                (true, _) => ExitStatus::Usage,
                (false, Err(lost)) if lost.kind() != ErrorKind::BrokenPipe => ExitStatus::Failed,
                (false, _) => ExitStatus::Done,
            };
            return status.code();
        }
    };
    let command = arguments.command.unwrap_or(Command::Run);
    let as_json = command.wants_json();
    let ended = prepare_and_run(&command, environment);
    ended.unwrap_or_else(|error| error.report(as_json)).code()
}

/// Reads the settings, opens the logs and runs the command.
fn prepare_and_run(
    command: &Command,
    environment: Environment,
) -> Result<ExitStatus, CommandError> {
    if let Command::Keygen(arguments) = command {
        return commands::keygen::keygen(arguments, Runtime::of(&environment), Utc::now());
    }
    let to = command.target().map(commands::restore::target);
    let mut redactor = settings::redactor(environment.clone());
    // A target of its own is a secret like those of the settings.
    if let Some(Ok(uri)) = &to {
        redactor = redactor.with(uri.secrets());
    }
    hide_secrets_of_panics(redactor.clone());
    let to = to
        .transpose()
        .map_err(|problem| CommandError::usage(redactor.redact(&problem)))?;
    let settings = Settings::load(environment.clone(), command.needs())
        .map_err(|faults| CommandError::usage(redactor.redact(&faults.to_string())))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::usage(format!("cannot start: {error}")))?;
    let screen = Screen::of_stderr();
    let folder = command
        .logs_to_files()
        .then_some(settings.log_dir.as_path());
    let (tail, log_files) = logging::start(
        &settings.log,
        settings.time_zone,
        folder,
        &redactor,
        &screen,
    );
    let ended = runtime.block_on(async {
        let (asked, backup_now) = mpsc::channel(1);
        let cancel = signals::listen(matches!(command, Command::Run).then_some(asked));
        let ctx = Context {
            environment,
            redactor,
            screen,
            now: Utc::now,
            cancel,
            tail,
            runtime: settings.runtime,
        };
        let scheduling = Scheduling {
            backup_now,
            log_files: &log_files,
        };
        let ended = dispatch(command, &settings, &ctx, to.as_ref(), scheduling).await;
        if command.is_a_run() {
            textfile::write(&settings, (ctx.now)());
        }
        ended
    });
    // A thread that is stuck in a system call (a dying disk) must not keep us from ending.
    runtime.shutdown_background();
    ended
}

/// What the scheduler is given beside the settings.
struct Scheduling<'l> {
    backup_now: mpsc::Receiver<()>,
    log_files: &'l LogFiles,
}

async fn dispatch(
    command: &Command,
    settings: &Settings,
    ctx: &Context,
    to: Option<&MongoUri>,
    scheduling: Scheduling<'_>,
) -> Result<ExitStatus, CommandError> {
    // The scheduler opens them itself, once it would notice that their disk hangs.
    if !matches!(command, Command::Run) {
        scheduling.log_files.open();
    }
    match command {
        Command::Run => {
            let Scheduling {
                backup_now,
                log_files,
            } = scheduling;
            commands::run::run(settings, ctx, backup_now, log_files).await
        }
        Command::Worker => commands::worker::worker(settings, ctx).await,
        Command::Send => commands::send::send(settings, ctx).await,
        Command::ServeStatus => commands::status::serve(settings, ctx).await,
        Command::Status(output) => commands::status::status(settings, ctx, output),
        Command::Backup(output) => commands::backup::backup(settings, ctx, output).await,
        Command::List(arguments) if arguments.offsite => {
            commands::offsite::list(settings, ctx, &arguments.output).await
        }
        Command::List(arguments) => commands::list::list(settings, ctx, &arguments.output),
        Command::Fetch(arguments) => commands::offsite::fetch(settings, ctx, arguments).await,
        Command::Verify(arguments) if arguments.offsite => {
            commands::offsite::verify(settings, ctx, arguments).await
        }
        Command::Verify(arguments) => commands::verify::verify(settings, ctx, arguments).await,
        Command::Show(arguments) => commands::show::show(settings, ctx, arguments).await,
        Command::Extract(arguments) => commands::extract::extract(settings, ctx, arguments).await,
        Command::Diff(arguments) => commands::diff::diff(settings, ctx, arguments).await,
        Command::Restore(arguments) => match &arguments.query {
            Some(query) => {
                commands::restore_matched::restore(settings, ctx, arguments, query, to).await
            }
            None => commands::restore::restore(settings, ctx, arguments, to).await,
        },
        Command::Drill(arguments) => commands::drill::drill(settings, ctx, arguments).await,
        Command::Prune(arguments) => commands::prune::prune(settings, ctx, arguments),
        Command::Doctor(output) => commands::doctor::doctor(settings, ctx, output).await,
        // Done before there were settings.
        Command::Keygen(_) => Ok(ExitStatus::Done),
        Command::NotifyTest => commands::notify_test::notify_test(settings, ctx).await,
        Command::Health(output) => commands::health::health(settings, ctx, output),
    }
}

/// A panic's message may quote anything.
fn hide_secrets_of_panics(redactor: Redactor) {
    std::panic::set_hook(Box::new(move |panic| {
        let text = format!("this is a defect, please report it: {panic}");
        output::complain(&logging::one_event(&redactor.redact(&text)));
    }));
}
