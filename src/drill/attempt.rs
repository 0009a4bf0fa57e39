//! One archive, restored into scratch databases and held against what came back.

use crate::archive::namespace::{Kind, Namespace, printable};
use crate::context::Context;
use crate::mongo::definitions::{Definition, NAMES_AT_ONCE};
use crate::mongo::target::Target;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::report::{DrillReport, IndexProblem};
use crate::restore::{
    self, BuildEnd, BuildOutcome, CompareError, Contents, IndexBuilder, IndexCatalog, Load,
    RestoreError, RestoreStep, StoredDefinition,
};
use crate::settings::Settings;
use crate::sys::cancel::Cancel;
use crate::sys::progress::{Meter, Unit};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// Problems that are told in full; the rest are counted.
const PROBLEMS: usize = 20;

pub(super) struct Attempt<'d> {
    pub settings: &'d Settings,
    pub uri: &'d MongoUri,
    pub ctx: &'d Context,
    pub cancel: &'d Cancel,
    pub contents: &'d Arc<Contents>,
    pub tool: Tool,
    pub target: &'d Target,
    pub steps: Arc<[RestoreStep]>,
}

impl Attempt<'_> {
    pub(super) async fn run(&self, begun: Instant) -> Result<DrillReport, RestoreError> {
        let load = Load {
            contents: Arc::clone(self.contents),
            steps: Arc::clone(&self.steps),
            uri: self.uri.clone(),
            tool: self.tool.clone(),
            drop: false,
            readers: restore::most_readers(self.settings),
            // What is proven is the archive; operations during the dump would make it another one.
            operations: None,
        };
        let loaded = load.run(self.settings, self.ctx, self.cancel).await;
        loaded.result?;
        let restore_seconds = begun.elapsed().as_secs_f64();
        let mut problems: Vec<String> = loaded
            .output
            .complaints
            .iter()
            .map(|line| format!("mongorestore: {line}"))
            .collect();
        let compare_begun = Instant::now();
        problems.extend(self.documents().await?);
        let catalog = IndexCatalog::new(self.contents, &self.steps);
        let built = self.build_indexes(&catalog).await?;
        let (indexes, differences) = self.definitions(&catalog, &built).await?;
        problems.extend(differences);
        let compare_seconds = compare_begun.elapsed().as_secs_f64();
        if let Some(more @ 1..) = problems.len().checked_sub(PROBLEMS) {
            problems.truncate(PROBLEMS);
            problems.push(format!("and {more} more"));
        }
        let holdings = self.steps.iter().map(|step| &self.contents[step.source]);
        Ok(DrillReport {
            archive: self.contents.name.clone(),
            place: self.contents.place(),
            hosts: self.target.hosts().to_owned(),
            proven: problems.is_empty(),
            documents: holdings.clone().map(|one| one.totals.documents).sum(),
            bytes: holdings.map(|one| one.totals.bytes).sum(),
            namespaces: self.steps.len() as u64,
            indexes,
            problems,
            warnings: self.warnings(&catalog).await?,
            server_version: Some(self.target.facts.server.version.clone()),
            restore_seconds,
            compare_seconds,
            elapsed_seconds: 0.0,
        })
    }

    /// Every document, by `_id` and content.
    async fn documents(&self) -> Result<Vec<String>, RestoreError> {
        let contents = self.contents;
        let with_documents = self
            .steps
            .iter()
            .filter(|step| contents[step.source].kind != Kind::View);
        // Time series keep theirs elsewhere, and what is options only has none.
        let pairs: Vec<_> = with_documents
            .map(|step| (step.source, step.to.clone()))
            .collect();
        let bytes = pairs
            .iter()
            .map(|(source, _)| contents[*source].totals.bytes)
            .sum();
        let meter = Meter::new("comparing", Unit::Bytes, Some(bytes), &self.ctx.screen);
        let differences =
            match restore::compare(self.contents, &pairs, self.target, &meter, self.cancel).await {
                Ok(differences) => differences,
                Err(CompareError::Interrupted(reason)) => return Err(reason.into()),
                Err(CompareError::Server(error)) => return Err(error.into()),
                Err(CompareError::Archive(problem)) => {
                    return Err(self.contents.no_longer_sound(problem));
                }
            };
        let differ = self.steps.iter().filter_map(|step| {
            let found = differences.get(&step.source)?;
            let holding = &contents[step.source];
            let named = found.to_string();
            let named = if named.is_empty() {
                String::new()
            } else {
                format!(": {named}")
            };
            Some(format!(
                "{}: {} came back of {}{named}",
                holding.namespace,
                crate::sys::humanize::count(found.on_server),
                crate::sys::humanize::counted(found.documents, "document")
            ))
        });
        Ok(differ.collect())
    }

    /// All indexes, and the expiry that collections have by their options: nothing has to stay any longer.
    async fn build_indexes(&self, catalog: &IndexCatalog) -> Result<BuildOutcome, RestoreError> {
        let builder = IndexBuilder {
            target: self.target,
            threads: self.settings.threads,
            limit: self.settings.stall_timeout,
            screen: &self.ctx.screen,
            cancel: self.cancel,
        };
        let mut built = builder.run(catalog).await;
        match std::mem::replace(&mut built.end, BuildEnd::Complete) {
            BuildEnd::Complete => {}
            BuildEnd::Interrupted(reason) => return Err(reason.into()),
            BuildEnd::Server(error) => return Err(error.into()),
        }
        for step in self.steps.iter() {
            if let Ok(stored) = self.stored(step)
                && let Some(expiry) = stored.expiry()
            {
                let set = self.target.set_expiry(&step.to, expiry.clone());
                // What the server does not take is found when options are compared.
                if let Err(error) = self.cancel.or(set).await? {
                    tracing::debug!("{}: its expiry cannot be set: {error}", step.to);
                }
            }
        }
        Ok(built)
    }

    fn stored(&self, step: &RestoreStep) -> Result<StoredDefinition, String> {
        StoredDefinition::parse(&self.contents[step.source].metadata)
    }

    async fn warnings(&self, catalog: &IndexCatalog) -> Result<Vec<String>, RestoreError> {
        let names: HashMap<&Namespace, &Namespace> = self
            .steps
            .iter()
            .map(|step| (&step.to, &self.contents[step.source].namespace))
            .collect();
        let name = |scratch: &Namespace| (*names.get(scratch).unwrap_or(&scratch)).clone();
        let mut warnings = self.contents.warnings.clone();
        warnings.extend(restore::describe_left_out(catalog, &name));
        if let Some(problem) = restore::problem_of_oplog(self.contents, self.cancel).await? {
            warnings.push(format!("{problem}; restore it with --no-oplog"));
        }
        Ok(warnings)
    }

    /// Options and indexes of every collection. How many indexes were compared, and what differs.
    async fn definitions(
        &self,
        catalog: &IndexCatalog,
        built: &BuildOutcome,
    ) -> Result<(u64, Vec<String>), RestoreError> {
        let (mut indexes, mut problems) = (0, Vec::new());
        for steps in self.steps.chunks(NAMES_AT_ONCE) {
            let restored: Vec<_> = steps.iter().map(|step| &step.to).collect();
            let asking = self.target.definitions(&restored);
            let there = self.cancel.or(asking).await??;
            for step in steps {
                let holding = &self.contents[step.source];
                let found = match (there.get(&step.to), self.stored(step)) {
                    (None, _) => vec!["it did not come back".into()],
                    (Some(_), Err(problem)) => vec![problem],
                    (Some(definition), Ok(stored)) => {
                        indexes += stored.indexes.len() as u64;
                        self.differences(step, &stored, catalog, built, definition)
                    }
                };
                let named = |problem| format!("{}: {problem}", holding.namespace);
                problems.extend(found.into_iter().map(named));
            }
        }
        Ok((indexes, problems))
    }

    fn differences(
        &self,
        step: &RestoreStep,
        stored: &StoredDefinition,
        catalog: &IndexCatalog,
        built: &BuildOutcome,
        found: &Definition,
    ) -> Vec<String> {
        let mut problems: Vec<String> = stored.option_difference(found).into_iter().collect();
        let wanted = catalog.indexes(&step.to);
        let Some(there) = &found.indexes else {
            problems.push("its indexes cannot be compared: the user may not list them".into());
            return problems;
        };
        let of_indexes = built.problems(&step.to, wanted, Some(there));
        let named =
            |one: IndexProblem| format!("its index {} {}", printable(&one.name), one.problem);
        problems.extend(of_indexes.into_iter().map(named));
        // Newer servers give time series an index that older ones did not.
        if self.contents[step.source].kind != Kind::TimeSeries {
            let known = |name: &str| name == "_id_" || wanted.iter().any(|one| one.name() == name);
            let names = there.iter().filter_map(|index| index.get_str("name").ok());
            let extra = names.filter(|name| !known(name));
            let named = |name| format!("its index {} is not in the archive", printable(name));
            problems.extend(extra.map(named));
        }
        problems
    }
}
