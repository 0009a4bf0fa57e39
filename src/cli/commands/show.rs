//! `pantry-keeper show`.

use crate::archive::verify;
use crate::cli::args::{Matching, ShowArguments};
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::inspect::{self, Archive, InspectError, JsonStyle, SelectEnd, Selected, Wanted};
use crate::offsite::{self, Within};
use crate::query::Query;
use crate::report::Explain;
use crate::settings::Settings;
use crate::store::repository::Repository;
use crate::sys::cancel::Interruption;
use crate::sys::humanize;
use crate::sys::progress::{Meter, Unit};
use std::io::{BufWriter, ErrorKind, Write};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Told to stop, reading ends soon; but writing may wait for somebody who reads no more.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// Gathered before it is written, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

pub(crate) async fn show(
    settings: &Settings,
    ctx: &Context,
    arguments: &ShowArguments,
) -> Result<ExitStatus, CommandError> {
    match &arguments.collection {
        None if arguments.matching.query.is_some() => Err(CommandError::usage(
            "--match needs a collection: show NAME DB.COLL --match QUERY",
        )),
        None => summary(settings, ctx, arguments).await,
        Some(collection) => documents(settings, ctx, arguments, collection).await,
    }
}

async fn summary(
    settings: &Settings,
    ctx: &Context,
    arguments: &ShowArguments,
) -> Result<ExitStatus, CommandError> {
    let report = with_archive(
        settings,
        ctx,
        (&arguments.name, arguments.source.within()),
        |repository, stem, archive, _| inspect::summarize(repository, stem, &archive),
    );
    let report = report.await?;
    if arguments.json {
        output::json(&report)?;
    } else {
        output::print(&output::inspect::show(&report, settings.time_zone))?;
    }
    Ok(ExitStatus::Done)
}

async fn documents(
    settings: &Settings,
    ctx: &Context,
    arguments: &ShowArguments,
    collection: &str,
) -> Result<ExitStatus, CommandError> {
    let wanted = Wanted {
        query: query(&arguments.matching)?,
        skip: arguments.skip,
        limit: arguments.limit,
    };
    let style = match arguments.canonical {
        true => JsonStyle::Canonical,
        false => JsonStyle::Relaxed,
    };
    let collection = collection.to_owned();
    let reading = with_archive(
        settings,
        ctx,
        (&arguments.name, arguments.source.within()),
        move |_, _, archive, cancelled| {
            let index = archive.find(&collection)?;
            let mut lines = JsonLines::new(std::io::stdout().lock(), style);
            let selected = inspect::select(&archive, index, &wanted, cancelled, &mut |document| {
                lines.write(document)
            });
            // What was read before damage was met is shown.
            let ended = lines.end();
            let mut selected = selected?;
            let lossy = settle(&mut selected, ended)?;
            let namespace = archive.collections[index].namespace.to_string();
            Ok((namespace, selected, lossy))
        },
    );
    let (namespace, selected, lossy) = reading.await?;
    tell(&namespace, &selected, lossy);
    Ok(ExitStatus::Done)
}

/// The query of `--match`.
pub(super) fn query(matching: &Matching) -> Result<Option<Query>, CommandError> {
    let parsed = matching.query.as_deref().map(Query::parse).transpose();
    parsed.map_err(|error| CommandError::usage(format!("--match: {error}")))
}

/// Opens an archive, and looks into it on a thread that may block.
pub(super) async fn with_archive<T: Send + 'static>(
    settings: &Settings,
    ctx: &Context,
    (name, within): (&str, Within),
    look: impl FnOnce(&Repository, &str, Archive, &AtomicBool) -> Result<T, InspectError>
    + Send
    + 'static,
) -> Result<T, CommandError> {
    let repository = Repository::of(settings);
    let located = offsite::locate(settings, ctx, name, within).await;
    let located = located.map_err(|error| failure(&error.into(), ctx))?;
    let threads = settings.threads;
    let meter = Meter::new("reading", Unit::Bytes, None, &ctx.screen);
    let looking = ctx
        .cancel
        .blocking_to_its_end(ENDS_WITHIN, move |cancelled| {
            let options = verify::Options {
                threads,
                cancelled,
                moved: &|bytes| meter.set(bytes),
            };
            let archive = Archive::open(&located, &options)?;
            look(&repository, located.stem(), archive, cancelled)
        });
    let found = match looking.await {
        Some(Ok(found)) => return Ok(found),
        Some(Err(error)) if !ctx.cancel.is_cancelled() => error,
        _ => Interruption::Cancelled.into(),
    };
    Err(failure(&found, ctx))
}

/// How a command ends that could not look into an archive.
pub(super) fn failure(error: &InspectError, ctx: &Context) -> CommandError {
    let problem = error.problem(ctx.runtime).to_string();
    let message = ctx.redactor.redact(&problem).into_owned();
    match error.is_usage() {
        true => CommandError::usage(message),
        false => CommandError::failed("", message),
    }
}

/// Says what reading has shown, and what it has not.
pub(super) fn tell(namespace: &str, selected: &Selected, lossy: u64) {
    let documents = humanize::counted(selected.documents, "document");
    let read = humanize::counted(selected.documents_read, "document");
    match selected.end {
        SelectEnd::Whole => tracing::info!(
            "{documents} of {namespace}; all of its {read} were read, and their checksum is right"
        ),
        SelectEnd::Limit => tracing::info!(
            "{documents} of {namespace}; {read} were read, and as the rest was not, its checksum was not compared"
        ),
        SelectEnd::Refused => tracing::debug!("{namespace}: nobody wants more"),
    }
    if lossy > 0 {
        let lossy = humanize::counted(lossy, "document");
        tracing::warn!(
            "{lossy} with something that JSON cannot hold: texts that are not UTF-8 were replaced, and of a key that is there \
             twice the first was taken (`extract` keeps all of it)"
        );
    }
}

/// A reader that has gone away wants no more, and is told nothing. Else, how many documents hold what JSON cannot.
pub(super) fn settle(
    selected: &mut Selected,
    ended: std::io::Result<u64>,
) -> Result<u64, InspectError> {
    match ended {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            selected.end = SelectEnd::Refused;
            Ok(0)
        }
        ended => ended.map_err(InspectError::Write),
    }
}

/// Documents as Extended JSON, one a line.
pub(super) struct JsonLines<W: Write> {
    output: BufWriter<W>,
    style: JsonStyle,
    lossy: u64,
}

impl<W: Write> JsonLines<W> {
    pub(super) fn new(output: W, style: JsonStyle) -> Self {
        JsonLines {
            output: BufWriter::with_capacity(BUFFER_BYTES, output),
            style,
            lossy: 0,
        }
    }

    pub(super) fn write(&mut self, document: &[u8]) -> std::io::Result<()> {
        let (line, whole) = inspect::to_json(document, self.style)
            .map_err(|problem| std::io::Error::new(ErrorKind::InvalidData, problem))?;
        self.lossy += u64::from(!whole);
        writeln!(self.output, "{line}")
    }

    /// Writes out what was gathered. Documents that hold what JSON cannot.
    pub(super) fn end(&mut self) -> std::io::Result<u64> {
        self.output.flush()?;
        Ok(self.lossy)
    }
}
