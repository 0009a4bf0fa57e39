//! What can be asked for.

use crate::report::IndexPolicy;
use crate::scheduler;
use crate::settings::Needs;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// MongoDB backups that prove themselves. Settings come from the environment; see .env.example.
#[derive(Parser)]
#[command(name = "pantry-keeper", version, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Back up on schedule until told to stop; what happens without a command
    Run,
    /// One run of the scheduler
    #[command(name = scheduler::worker::ARGUMENT, hide = true)]
    Worker,
    /// Make one backup now: dumped, compressed, read back, verified; then remove what is old enough
    Backup(Output),
    /// Show the archives
    List(Output),
    /// Read archives from end to end and prove them sound
    Verify(VerifyArguments),
    /// Bring an archive back, or some of its collections, after showing what will happen
    Restore(RestoreArguments),
    /// Prove an archive by restoring it into scratch databases and comparing every document
    Drill(DrillArguments),
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
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Command::Backup(output)
            | Command::List(output)
            | Command::Doctor(output)
            | Command::Health(output) => output.json,
            Command::Verify(arguments) => arguments.output.json,
            Command::Prune(arguments) => arguments.output.json,
            Command::Restore(arguments) => arguments.output.json,
            Command::Drill(arguments) => arguments.output.json,
            Command::Run | Command::Worker | Command::NotifyTest => false,
        }
    }

    /// The target of a restore that is not the server of the settings.
    pub(super) fn target(&self) -> Option<&str> {
        match self {
            Command::Restore(arguments) => arguments.to.as_deref(),
            _ => None,
        }
    }

    pub(super) fn needs(&self) -> Needs {
        match self {
            Command::Run | Command::Worker | Command::Backup(_) | Command::Doctor(_) => {
                Needs::Server
            }
            Command::Restore(arguments) if arguments.to.is_none() => Needs::Server,
            Command::Drill(arguments) if arguments.same_server => Needs::Server,
            _ => Needs::Folder,
        }
    }

    /// Those that only look write no log files.
    pub(super) fn logs_to_files(&self) -> bool {
        !matches!(
            self,
            Command::List(_) | Command::Health(_) | Command::Doctor(_)
        )
    }
}

#[derive(Args)]
pub(super) struct Output {
    /// Print one JSON document on stdout (logs go to stderr)
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub(super) struct VerifyArguments {
    /// An archive's file name, with or without .tar.gz
    #[arg(
        value_name = "NAME|latest",
        default_value = "latest",
        conflicts_with = "all"
    )]
    pub name: String,
    /// All archives
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub(super) struct RestoreArguments {
    /// An archive's file name, with or without .tar.gz
    #[arg(value_name = "NAME|latest")]
    pub name: String,
    /// Restore into this server, or the one whose connection string is in a file; otherwise into that of MONGODB_URI
    #[arg(long, value_name = "URI|FILE")]
    pub to: Option<String>,
    /// Only these collections, such as shop.orders or shop.*
    #[arg(long, value_name = "NS", value_delimiter = ',')]
    pub include: Vec<String>,
    /// Not these
    #[arg(long, value_name = "NS", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Under another name, such as shop=shop_old or shop.orders=shop.orders_of_may
    #[arg(long, value_name = "FROM=TO")]
    pub rename: Vec<String>,
    /// Replace collections that exist; they are backed up first
    #[arg(long)]
    pub drop: bool,
    /// Leave out the operations that happened during the dump
    #[arg(long)]
    pub no_oplog: bool,
    /// Which indexes are built, after the documents: all of the archive (one that the server refuses makes it exit 1), those
    /// that are possible (a refused one is only reported), or none. Each that is not there is named, with the command for it
    #[arg(long, value_enum, value_name = "WHICH", default_value = "all")]
    pub indexes: Indexes,
    /// Only show what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Indexes {
    All,
    Possible,
    None,
}

impl From<Indexes> for IndexPolicy {
    fn from(indexes: Indexes) -> Self {
        match indexes {
            Indexes::All => IndexPolicy::All,
            Indexes::Possible => IndexPolicy::Possible,
            Indexes::None => IndexPolicy::None,
        }
    }
}

#[derive(Args)]
pub(super) struct DrillArguments {
    /// An archive's file name, with or without .tar.gz
    #[arg(value_name = "NAME|latest", default_value = "latest")]
    pub name: String,
    /// Use the server of MONGODB_URI, in databases of other names, instead of that of DRILL_URI
    #[arg(long)]
    pub same_server: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub(super) struct PruneArguments {
    /// Only show what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// What the last backup lost is meant to be gone: let old archives go again
    #[arg(long, conflicts_with = "dry_run")]
    pub accept_shrink: bool,
    #[command(flatten)]
    pub output: Output,
}
