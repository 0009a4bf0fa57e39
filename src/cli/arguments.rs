//! What can be asked for.

use crate::service;
use crate::settings::Needs;
use clap::{Args, Parser, Subcommand};

/// MongoDB backups that prove themselves. Settings come from the environment; see .env.example.
#[derive(Parser)]
#[command(name = "pantry-keeper", version, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Back up on schedule until told to stop; what happens without a command
    Run,
    /// One run of the scheduler
    #[command(name = service::child::ARGUMENT, hide = true)]
    Once,
    /// Make one backup now: dumped, compressed, read back, verified; then remove what is old enough
    Backup(Output),
    /// Show the archives
    List(Output),
    /// Read archives from end to end and prove them sound
    Verify(VerifyArguments),
    /// Remove the archives that retention lets go
    Prune(PruneArguments),
    /// Look at everything a backup depends on, and say what to do about it
    Doctor(Output),
    /// Send a test mail
    NotifyTest,
    /// Whether the newest backup is as fresh as the schedule promises
    Health(Output),
}

impl Command {
    pub fn wants_json(&self) -> bool {
        match self {
            Command::Backup(output) | Command::List(output) | Command::Doctor(output) | Command::Health(output) => {
                output.json
            }
            Command::Verify(arguments) => arguments.output.json,
            Command::Prune(arguments) => arguments.output.json,
            Command::Run | Command::Once | Command::NotifyTest => false,
        }
    }

    pub fn needs(&self) -> Needs {
        match self {
            Command::Run | Command::Once | Command::Backup(_) | Command::Doctor(_) => Needs::Server,
            _ => Needs::Folder,
        }
    }

    /// Those that only look write no log files.
    pub fn logs_to_files(&self) -> bool {
        !matches!(self, Command::List(_) | Command::Health(_) | Command::Doctor(_))
    }
}

#[derive(Args)]
pub struct Output {
    /// Print one JSON document on stdout (logs go to stderr)
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct VerifyArguments {
    /// An archive's file name, with or without .tar.gz
    #[arg(value_name = "NAME|latest", default_value = "latest", conflicts_with = "all")]
    pub name: String,
    /// All archives
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub struct PruneArguments {
    /// Only show what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// What the last backup lost is meant to be gone: let old archives go again
    #[arg(long, conflicts_with = "dry_run")]
    pub accept_shrink: bool,
    #[command(flatten)]
    pub output: Output,
}
