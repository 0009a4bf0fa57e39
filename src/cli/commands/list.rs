//! `pantry-keeper list`.

use crate::cli::args::Output;
use crate::cli::exit::{CommandError, ExitStatus};
use crate::cli::output;
use crate::context::Context;
use crate::offsite;
use crate::settings::Settings;
use crate::state::StateStore;
use crate::status::snapshot;
use crate::store::repository::Repository;

pub(crate) fn list(
    settings: &Settings,
    ctx: &Context,
    output: &Output,
) -> Result<ExitStatus, CommandError> {
    let (repository, now) = (Repository::of(settings), (ctx.now)());
    let state = StateStore::new(repository.own_folder()).state();
    let report = snapshot::list(settings, &repository, repository.list()?, &state, now);
    if output.json {
        output::json(&report)?;
    } else {
        output::print(&output::archives::list(&report, settings.time_zone, now))?;
        let record = offsite::record::read(&repository, &settings.offsite.places);
        for problem in offsite::problems(settings, &record, &report.archives, now) {
            output::print(&format!("{problem}\n"))?;
        }
    }
    Ok(ExitStatus::Done)
}
