//! `pantry-keeper list`.

use crate::archive::file_name;
use crate::backup;
use crate::cli::args::Output;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::prune;
use crate::report::ListReport;
use crate::settings::Settings;
use crate::state::StateStore;
use crate::store::repository::Repository;

pub(crate) fn list(
    settings: &Settings,
    ctx: &Context,
    output: &Output,
) -> Result<ExitStatus, CommandError> {
    let (repository, now) = (Repository::of(settings), (ctx.now)());
    let mut archives = repository.list()?;
    let state = StateStore::new(repository.own_folder()).state();
    let plan = prune::plan(settings, &archives, &state, now);
    let halted = plan.halt.as_ref().map(ToString::to_string);
    prune::explain(&mut archives, &plan);
    let free_bytes = repository.free_bytes();
    let safety_stems = repository.safety_stems().unwrap_or_default();
    let report = ListReport {
        folder: repository.folder().display().to_string(),
        archives_bytes: archives.iter().map(|archive| archive.archive_bytes).sum(),
        full_at: backup::full_at(settings, &archives, free_bytes, now),
        archives,
        free_bytes,
        halted,
        before_restores: safety_stems
            .iter()
            .map(|stem| file_name::archive(stem))
            .collect(),
    };
    if output.json {
        output::json(&report);
    } else {
        output::print(&output::list(&report, settings.time_zone, now));
    }
    Ok(ExitStatus::Done)
}
