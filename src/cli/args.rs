//! What can be asked for.

use crate::offsite::Within;
use crate::report::IndexPolicy;
use crate::scheduler;
use crate::settings::Needs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// MongoDB backups that prove themselves. Settings come from the environment; see .env.example.
#[derive(Parser)]
#[command(name = "pantry-keeper", version, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// The status page of the scheduler
    #[command(name = scheduler::status_page::ARGUMENT, hide = true)]
    ServeStatus,
    /// Back up on schedule until told to stop; what happens without a command
    Run,
    /// One run of the scheduler
    #[command(name = scheduler::worker::ARGUMENT, hide = true)]
    Worker,
    /// One notification of the scheduler
    #[command(name = scheduler::delivery::ARGUMENT, hide = true)]
    Send,
    /// Make one backup now: dumped, compressed, read back, verified; then remove what is old enough
    Backup(Output),
    /// How things are, at one look
    Status(Output),
    /// Show the archives
    List(ListArguments),
    /// Read archives from end to end and prove them sound
    Verify(VerifyArguments),
    /// Bring a copy home from elsewhere: whole, and verified like an archive just made
    Fetch(FetchArguments),
    /// Look into an archive: what it holds, or the documents of one of its collections
    Show(ShowArguments),
    /// Take the documents of one collection out of an archive, for other tools
    Extract(ExtractArguments),
    /// Compare two archives, or one with the server: documents, indexes and options
    Diff(DiffArguments),
    /// Bring an archive back, or some of its collections, after showing what will happen
    Restore(RestoreArguments),
    /// Prove an archive by restoring it into scratch databases and comparing every document
    Drill(DrillArguments),
    /// Remove the archives that retention lets go
    Prune(PruneArguments),
    /// Look at everything a backup depends on, and say what to do about it
    Doctor(Output),
    /// Send a test by mail and every other channel
    NotifyTest,
    /// Make a key that opens sealed archives, and say what to do with it
    Keygen(KeygenArguments),
    /// Whether the newest backup is as fresh as the schedule promises
    Health(Output),
}

impl Command {
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Command::List(arguments) => arguments.output.json,
            Command::Fetch(arguments) => arguments.output.json,
            Command::Backup(output)
            | Command::Status(output)
            | Command::Doctor(output)
            | Command::Health(output) => output.json,
            Command::Verify(arguments) => arguments.output.json,
            Command::Show(arguments) => arguments.json,
            Command::Extract(arguments) => arguments.json,
            Command::Diff(arguments) => arguments.output.json,
            Command::Prune(arguments) => arguments.output.json,
            Command::Restore(arguments) => arguments.output.json,
            Command::Drill(arguments) => arguments.output.json,
            Command::Run
            | Command::Worker
            | Command::Send
            | Command::ServeStatus
            | Command::NotifyTest
            | Command::Keygen(_) => false,
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
            Command::Diff(arguments) if arguments.live => Needs::Server,
            Command::ServeStatus => Needs::Knowledge,
            _ => Needs::Folder,
        }
    }

    /// Those after which figures are others than before. After a run of the scheduler it is the scheduler that writes them.
    pub(super) fn is_a_run(&self) -> bool {
        matches!(
            self,
            Command::Backup(_) | Command::Verify(_) | Command::Drill(_) | Command::Prune(_)
        )
    }

    /// Those that only look write no log files.
    pub(super) fn logs_to_files(&self) -> bool {
        !matches!(
            self,
            Command::List(_)
                | Command::Status(_)
                | Command::ServeStatus
                | Command::Send
                | Command::Health(_)
                | Command::Doctor(_)
                | Command::Show(_)
                | Command::Extract(_)
                | Command::Diff(_)
        )
    }
}

#[derive(Args)]
pub(super) struct Output {
    /// Print one JSON document on stdout (logs go to stderr)
    #[arg(long)]
    pub json: bool,
}

/// Where archives are looked for.
#[derive(Args)]
pub(super) struct Source {
    /// Read the copy at the first place of OFFSITE_URL that has it; otherwise that happens only when the archive is not here
    #[arg(long, value_enum, value_name = "WHERE")]
    pub from: Option<From>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    Offsite,
}

impl Source {
    pub(super) fn within(&self) -> Within {
        match self.from {
            Some(From::Offsite) => Within::Offsite,
            None => Within::Anywhere,
        }
    }
}

#[derive(Args)]
pub(super) struct KeygenArguments {
    /// Write the key into this file, readable for you alone, instead of printing it; one that is there stays
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ListArguments {
    /// The copies elsewhere instead
    #[arg(long)]
    pub offsite: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub(super) struct FetchArguments {
    /// An archive's file name, with or without .tar.gz
    #[arg(value_name = "NAME|latest")]
    pub name: String,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub(super) struct VerifyArguments {
    /// An archive's file name, with or without its extension
    #[arg(
        value_name = "NAME|latest",
        default_value = "latest",
        conflicts_with = "all"
    )]
    pub name: String,
    /// All archives
    #[arg(long, conflicts_with = "from")]
    pub all: bool,
    /// Copies elsewhere instead, at every place that has one, by their checksums
    #[arg(long, conflicts_with = "from")]
    pub offsite: bool,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args)]
pub(super) struct RestoreArguments {
    /// An archive's file name, with or without its extension
    #[arg(value_name = "NAME|latest")]
    pub name: String,
    #[command(flatten)]
    pub source: Source,
    /// Restore into this server, or the one whose connection string is in a file; otherwise into the server that is backed up
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
    /// Only the documents of one collection, named with --include, that fit this MongoDB query, in Extended JSON, next to what
    /// is there: absent ones are inserted; those that are there and differ are listed, and left
    #[arg(long = "match", value_name = "QUERY", conflicts_with_all = ["drop", "indexes"])]
    pub query: Option<String>,
    /// With --match, replace documents that differ; each is saved first
    #[arg(long, requires = "query")]
    pub replace: bool,
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

impl std::convert::From<Indexes> for IndexPolicy {
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
    /// An archive's file name, with or without its extension
    #[arg(value_name = "NAME|latest", default_value = "latest")]
    pub name: String,
    #[command(flatten)]
    pub source: Source,
    /// Use the server that is backed up, in databases of other names, instead of that of DRILL_URI
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

#[derive(Args)]
pub(super) struct ShowArguments {
    /// An archive's file name, with or without .tar.gz
    #[arg(value_name = "NAME|latest")]
    pub name: String,
    /// Show the documents of this collection, one a line
    #[arg(value_name = "DB.COLL")]
    pub collection: Option<String>,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub matching: Matching,
    /// At most so many
    #[arg(long, value_name = "N", requires = "collection")]
    pub limit: Option<u64>,
    /// Pass over so many first
    #[arg(long, value_name = "N", requires = "collection", default_value_t = 0)]
    pub skip: u64,
    /// With every type by its name, so that nothing is lost on the way back
    #[arg(long, requires = "collection")]
    pub canonical: bool,
    /// Print one JSON document on stdout; documents of a collection are JSON anyway
    #[arg(long, conflicts_with = "collection")]
    pub json: bool,
}

#[derive(Args)]
pub(super) struct Matching {
    /// Only documents that fit this MongoDB query, in Extended JSON
    #[arg(long = "match", value_name = "QUERY")]
    pub query: Option<String>,
}

#[derive(Args)]
pub(super) struct ExtractArguments {
    /// An archive's file name, with or without .tar.gz
    #[arg(value_name = "NAME|latest")]
    pub name: String,
    /// The collection whose documents are wanted
    #[arg(value_name = "DB.COLL")]
    pub collection: String,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub matching: Matching,
    /// As mongodump writes documents, or as Extended JSON, one a line
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "bson")]
    pub format: DocumentFormat,
    /// Into this file, which appears only when all is in it; otherwise to stdout
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long, requires = "output")]
    pub json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    Bson,
    Jsonl,
}

#[derive(Args)]
pub(super) struct DiffArguments {
    /// An archive's file name, with or without .tar.gz
    #[arg(value_name = "NAME|latest")]
    pub name: String,
    /// The archive to compare it with: what became of it
    #[arg(
        value_name = "NAME|latest",
        required_unless_present = "live",
        conflicts_with = "live"
    )]
    pub other: Option<String>,
    #[command(flatten)]
    pub source: Source,
    /// Compare it with what is on the server now
    #[arg(long)]
    pub live: bool,
    /// Name each document that differs, and its fields that do
    #[arg(long)]
    pub documents: bool,
    #[command(flatten)]
    pub output: Output,
}
