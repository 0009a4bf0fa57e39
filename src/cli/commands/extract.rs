//! `pantry-keeper extract`.

use super::show::{JsonLines, query, settle, tell, with_archive};
use crate::archive::namespace::Namespace;
use crate::cli::args::{DocumentFormat, ExtractArguments};
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::inspect::{self, Archive, InspectError, JsonStyle, SelectEnd, Selected, Wanted};
use crate::report::ExtractReport;
use crate::settings::Settings;
use crate::sys::atomic_file::Partial;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Gathered before it is written, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

pub(crate) async fn extract(
    settings: &Settings,
    ctx: &Context,
    arguments: &ExtractArguments,
) -> Result<ExitStatus, CommandError> {
    let to_terminal = arguments.output.is_none() && std::io::stdout().is_terminal();
    if to_terminal && arguments.format == DocumentFormat::Bson {
        return Err(CommandError::usage(
            "BSON is not for terminals: give a file with --output, a pipe, or --format jsonl",
        ));
    }
    if let Some(file) = arguments
        .output
        .as_deref()
        .filter(|file| file.symlink_metadata().is_ok())
    {
        let file = file.display();
        return Err(CommandError::usage(format!(
            "{file} is there already, and is not replaced"
        )));
    }
    let wanted = Wanted {
        query: query(&arguments.matching)?,
        ..Wanted::default()
    };
    let (collection, format) = (arguments.collection.clone(), arguments.format);
    let file = arguments.output.clone();
    let extracting = with_archive(
        settings,
        ctx,
        (&arguments.name, arguments.source.within()),
        move |_, _, archive, cancelled| {
            let source = Source {
                archive: &archive,
                index: archive.find(&collection)?,
                wanted: &wanted,
                format,
            };
            let extracted = match &file {
                Some(file) => source.write_file(file, cancelled),
                None => source.write_to(std::io::stdout().lock(), cancelled),
            };
            let namespace = archive.collections[source.index].namespace.clone();
            Ok((archive.name.clone(), namespace, extracted?))
        },
    );
    let (archive, namespace, extracted) = extracting.await?;
    tell(&namespace.to_string(), &extracted.selected, extracted.lossy);
    if arguments.json {
        output::json(&report(arguments, archive, namespace, &extracted))?;
    }
    Ok(ExitStatus::Done)
}

fn report(
    arguments: &ExtractArguments,
    archive: String,
    namespace: Namespace,
    extracted: &Extracted,
) -> ExtractReport {
    let file = arguments.output.as_deref().unwrap_or(Path::new(""));
    ExtractReport {
        archive,
        namespace,
        file: file.display().to_string(),
        documents_read: extracted.selected.documents_read,
        documents: extracted.selected.documents,
        file_bytes: file.metadata().map_or(0, |metadata| metadata.len()),
    }
}

struct Extracted {
    selected: Selected,
    lossy: u64,
}

/// What is to be taken out of an archive.
struct Source<'a> {
    archive: &'a Archive,
    index: usize,
    wanted: &'a Wanted,
    format: DocumentFormat,
}

impl Source<'_> {
    /// Into a file that gets its name when all is in it, and on the disk.
    fn write_file(&self, file: &Path, cancelled: &AtomicBool) -> Result<Extracted, InspectError> {
        let partial = Partial::create(file)?;
        let extracted = self.write_to(&*partial.file(), cancelled)?;
        partial.sync()?;
        partial.commit()?;
        Ok(extracted)
    }

    fn write_to(
        &self,
        output: impl Write,
        cancelled: &AtomicBool,
    ) -> Result<Extracted, InspectError> {
        let (archive, index, wanted) = (self.archive, self.index, self.wanted);
        let (selected, ended) = match self.format {
            DocumentFormat::Jsonl => {
                let mut lines = JsonLines::new(output, JsonStyle::Canonical);
                let take = &mut |document: &[u8]| lines.write(document);
                let selected = inspect::select(archive, index, wanted, cancelled, take);
                (selected, lines.end())
            }
            DocumentFormat::Bson => {
                let mut output = BufWriter::with_capacity(BUFFER_BYTES, output);
                let take = &mut |document: &[u8]| output.write_all(document);
                let selected = inspect::select(archive, index, wanted, cancelled, take);
                (selected, output.flush().map(|()| 0))
            }
        };
        let mut selected = selected?;
        let lossy = settle(&mut selected, ended)?;
        // What is taken out is meant to be kept, and half of it is not to pass for all.
        if selected.end == SelectEnd::Refused {
            return Err(InspectError::ReaderGone);
        }
        Ok(Extracted { selected, lossy })
    }
}
