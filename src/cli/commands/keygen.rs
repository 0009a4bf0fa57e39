//! `pantry-keeper keygen`: a key that opens what is sealed.

use crate::archive::seal;
use crate::cli::args::KeygenArguments;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::sys::atomic_file::{FileError, Partial};
use crate::sys::logging;
use crate::sys::runtime::Runtime;
use chrono::{DateTime, SecondsFormat, Utc};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Makes a key. It needs no settings: it is best made on another machine than the one that is backed up.
pub(in crate::cli) fn keygen(
    arguments: &KeygenArguments,
    runtime: Runtime,
    now: DateTime<Utc>,
) -> Result<ExitStatus, CommandError> {
    let (recipient, secret) = seal::generate();
    let file = format!(
        "# created: {}\n# public key: {recipient}\n{}\n",
        now.to_rfc3339_opts(SecondsFormat::Secs, true),
        secret.expose()
    );
    match &arguments.output {
        Some(path) => {
            write_new(path, &file).map_err(|error| told(error.to_string()))?;
            let shown = path.display().to_string();
            // A key that is made stays: it may be in use, and only its owner can tell.
            let made = |error| {
                told(format!(
                    "the key is made, and is in {shown}, its public half in the second line; but {error}"
                ))
            };
            output::deliver(&format!("{recipient}\n")).map_err(made)?;
            output::say(&advice(&recipient, &shown, &trial(runtime, &shown))).map_err(made)?;
        }
        None => {
            output::deliver(&file)?;
            let trial = trial(runtime, "key.txt");
            output::say(&advice(&recipient, "what was printed, in a file", &trial))?;
        }
    }
    Ok(ExitStatus::Done)
}

/// There is no log yet that it could be told in.
fn told(message: String) -> CommandError {
    output::complain(&logging::one_event(&message));
    CommandError::told(message)
}

/// Writes a file for its owner alone, whole and synced; one that is there stays as it is.
fn write_new(path: &Path, content: &str) -> Result<(), FileError> {
    if fs::symlink_metadata(path).is_ok() {
        let error = io::Error::other("it is there already, and a key is never overwritten");
        return Err(FileError::new("create", path, error));
    }
    let partial = Partial::create(path)?;
    let written = (&*partial.file()).write_all(content.as_bytes());
    written.map_err(|error| FileError::new("write", path, error))?;
    partial.sync()?;
    partial.commit()
}

/// A command that opens an archive with the key in `file`, and changes nothing.
fn trial(runtime: Runtime, file: &str) -> String {
    match runtime {
        // The file is on the host, where there is no such program.
        Runtime::Container => "docker compose run --rm -v ./key.txt:/key.txt:ro -e AGE_IDENTITY_FILE=/key.txt pantry-keeper restore \
             latest --dry-run"
            .to_owned(),
        _ => format!("AGE_IDENTITY_FILE={file} pantry-keeper restore latest --dry-run"),
    }
}

/// What to do with it, in plain words.
fn advice(recipient: &str, file: &str, trial: &str) -> String {
    format!(
        "\nThis key has two halves.\n\
         \n\
         The public half seals, and opens nothing. It belongs into the settings of the machine that is backed up:\n\
         \n    ENCRYPT_TO={recipient}\n\
         \n\
         The private half opens every archive that is sealed for it: {file}.\n\
         - Whoever has it can read your backups. Whoever lost it cannot: nobody can help then, and neither can we.\n\
         - Keep it away from the machine that is backed up, twice: in a password manager, and on paper in a drawer.\n\
         - Backups never need it. To look into sealed archives (verify, restore, drill), name its file: AGE_IDENTITY_FILE.\n\
         - Try it once before you need it: {trial}\n"
    )
}
