//! Whether all that should be there is there: mongorestore's figures and the server's, against the archive's.

mod definitions;

use super::definition::StoredDefinition;
use super::diff::{self, Pair};
use super::plan::RestorePlan;
use super::preflight;
use super::steps::RestoreStep;
use super::system;
use crate::archive::namespace::{Kind, Namespace};
use crate::archive::verify::ArchivedNamespace;
use crate::context::Context;
use crate::mongo::error::ServerError;
use crate::mongo::mongorestore::LoadOutcome;
use crate::report::{Differences, IndexReport, RestoreReport, Restored};
use crate::sys::humanize::{count, counted};
use crate::sys::progress::{Meter, Unit};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Complaints of mongorestore that are passed on.
const COMPLAINTS: usize = 5;
/// A server that takes longer to say that it is there is not asked what it holds.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// What became of one namespace.
#[derive(Debug, Default)]
struct NamespaceOutcome {
    /// As mongorestore counted.
    inserted: Option<u64>,
    failures: Option<u64>,
    /// On the target afterwards.
    on_server: Option<u64>,
    /// What is wrong with it; none when all is there.
    problem: Option<String>,
    differences: Option<Differences>,
}

/// What became of a plan.
pub(super) struct Reconciliation<'p> {
    pub plan: &'p RestorePlan,
    pub ctx: &'p Context,
    /// Why not everything is there.
    pub problems: Vec<String>,
    /// One for each step.
    outcomes: Vec<NamespaceOutcome>,
    unchecked: Vec<String>,
    warnings: Vec<String>,
    indexes: IndexReport,
    /// The server did not answer once the documents had been sent.
    silent: bool,
}

impl<'p> Reconciliation<'p> {
    /// What mongorestore says of itself.
    pub(super) fn new(plan: &'p RestorePlan, ctx: &'p Context, loaded: &LoadOutcome) -> Self {
        let outcomes = plan.steps.iter();
        let outcomes: Vec<NamespaceOutcome> = outcomes
            .map(|step| outcome_of(step, plan, loaded))
            .collect();
        let problems = problems_of(plan, loaded, &outcomes);
        Reconciliation {
            plan,
            ctx,
            problems,
            outcomes,
            unchecked: Vec::new(),
            warnings: Vec::new(),
            indexes: plan.preview().indexes,
            silent: false,
        }
    }

    /// Nobody has seen the data since it was sent, so not to have looked is a problem. It is none that a user may not look,
    /// nor that the user who restores went with the users who were replaced.
    fn tell(&mut self, problem: &(dyn Error + 'static)) {
        let mut steps = self.plan.steps.iter();
        let may_not = match problem.downcast_ref::<ServerError>() {
            Some(ServerError::Role { .. } | ServerError::NoUser { .. }) => true,
            Some(ServerError::Credentials { .. }) => {
                steps.any(|step| system::is_users_or_roles(&step.to))
            }
            _ => false,
        };
        let told = match may_not {
            true => &mut self.warnings,
            false => &mut self.problems,
        };
        told.push(not_compared(problem));
    }

    /// Inspects what documents the server holds now, and names what is missing.
    pub(super) async fn documents(&mut self) {
        let plan = self.plan;
        let mut expiring = Vec::new();
        if !plan.target.answers(LONGEST_SILENCE).await {
            self.silent = true;
            let problem = format!("{} does not answer any more", plan.target.hosts());
            self.problems.push(not_compared(&problem));
        } else if let Err(problem) = self.inspect_documents(&mut expiring).await {
            self.tell(&*problem);
        }
        for (step, one) in plan.steps.iter().zip(&mut self.outcomes) {
            if system::is_auth_version(&step.to) {
                continue;
            }
            let documents = plan.contents[step.source].totals.documents;
            // Their own replacement may have taken our user away.
            if system::is_users_or_roles(&step.to)
                && one.on_server.is_none()
                && one.problem.is_none()
            {
                self.unchecked
                    .push(preflight::how_to_count(&step.to, documents));
                continue;
            }
            let counted = one.inserted == Some(documents);
            let there = one.on_server.is_some_and(|there| there >= documents);
            if !counted && !there && one.problem.is_none() && !expiring.contains(&step.to) {
                one.problem =
                    Some("neither mongorestore nor the server says that all of it is there".into());
            }
        }
    }

    /// `expiring` becomes the targets from which documents have begun to expire.
    async fn inspect_documents(
        &mut self,
        expiring: &mut Vec<Namespace>,
    ) -> Result<(), Box<dyn Error>> {
        let (plan, cancel) = (self.plan, &self.ctx.cancel);
        let mut uncounted: BTreeSet<&Namespace> = BTreeSet::new();
        for (step, one) in plan.steps.iter().zip(&mut self.outcomes) {
            if system::is_auth_version(&step.to) {
                continue;
            }
            let archived = &plan.contents[step.source];
            let documents = archived.totals.documents;
            if is_counted_alone(step, plan) {
                let mut there = cancel.or(plan.target.estimate(&step.to)).await??;
                if there.is_some_and(|there| there != documents) {
                    there = cancel.or(plan.target.count(&step.to)).await??;
                }
                one.on_server = there;
                if there.is_some_and(|there| there < documents)
                    && has_begun_to_expire(one, archived)
                {
                    expiring.push(step.to.clone());
                    self.warnings.push(format!(
                        "{}: {} of {} are there: by its options, what has expired is removed",
                        step.to,
                        count(there.unwrap_or_default()),
                        counted(documents, "document")
                    ));
                } else {
                    self.warnings.extend(compare_counts(step, one, documents));
                }
            }
            // What is not there counts zero as well.
            if (!is_counted_alone(step, plan) || documents == 0)
                && !system::is_users_or_roles(&step.to)
            {
                uncounted.insert(&step.to);
            }
        }
        let asked: Vec<_> = uncounted.iter().copied().collect();
        let existing = plan.target.existing(&asked);
        let existing = cancel.or(existing).await??;
        let mut suspects: Vec<Pair> = Vec::new();
        for (step, one) in plan.steps.iter().zip(&mut self.outcomes) {
            if uncounted.contains(&step.to) && !existing.contains(&step.to) {
                one.problem.get_or_insert_with(|| "it is not there".into());
            }
            if one.problem.is_some() && is_counted_alone(step, plan) {
                suspects.push((step.source, step.to.clone()));
            }
        }
        if suspects.is_empty() {
            return Ok(());
        }
        self.name_differences(&suspects).await
    }

    async fn name_differences(&mut self, suspects: &[Pair]) -> Result<(), Box<dyn Error>> {
        let (plan, ctx) = (self.plan, self.ctx);
        let meter = Meter::new("comparing", Unit::Bytes, None, &ctx.screen);
        let comparing = diff::run(&plan.contents, suspects, &plan.target, &meter, &ctx.cancel);
        let mut differences = comparing.await?;
        for (step, one) in plan.steps.iter().zip(&mut self.outcomes) {
            one.differences = differences.remove(&step.source);
        }
        Ok(())
    }

    /// All of it, beside what was planned.
    pub(super) fn into_report(self, safety_archive: Option<String>) -> RestoreReport {
        let preview = self.plan.preview();
        let restored = self.problems.is_empty()
            && self.outcomes.iter().all(|one| one.problem.is_none())
            && self.indexes.is_as_asked();
        let namespaces = preview.namespaces.into_iter().zip(self.outcomes);
        let mut warnings = preview.warnings;
        warnings.extend(self.warnings);
        RestoreReport {
            dry_run: false,
            restored,
            safety_archive,
            namespaces: namespaces
                .map(|(planned, one)| Restored {
                    inserted: one.inserted,
                    failures: one.failures,
                    on_server: one.on_server,
                    problem: one.problem,
                    differences: one.differences,
                    ..planned
                })
                .collect(),
            indexes: self.indexes,
            problems: self.problems,
            unchecked: self.unchecked,
            warnings,
            elapsed_seconds: self.plan.begun.elapsed().as_secs_f64(),
            ..preview
        }
    }
}

fn outcome_of(step: &RestoreStep, plan: &RestorePlan, loaded: &LoadOutcome) -> NamespaceOutcome {
    let archived = &plan.contents[step.source];
    let documents = archived.totals.documents;
    let name = format!("{}.{}", step.to.database, step.to.collection);
    let finished = loaded.output.finished.get(&name);
    let problem = match finished {
        Some(finished) if finished.failures > 0 => Some(format!(
            "{} could not be inserted",
            counted(finished.failures, "document")
        )),
        Some(finished) if finished.inserted != documents => Some(format!(
            "mongorestore inserted {} of {}",
            count(finished.inserted),
            counted(documents, "document")
        )),
        None if loaded.result.is_err() && archived.kind != Kind::View => {
            Some("not restored, or not to its end".into())
        }
        _ => None,
    };
    NamespaceOutcome {
        inserted: finished.map(|finished| finished.inserted),
        failures: finished.map(|finished| finished.failures),
        problem,
        ..NamespaceOutcome::default()
    }
}

/// What mongorestore complains of, and what it should have said.
fn problems_of(
    plan: &RestorePlan,
    loaded: &LoadOutcome,
    outcomes: &[NamespaceOutcome],
) -> Vec<String> {
    let output = &loaded.output;
    let complaints = output.complaints.iter().take(COMPLAINTS);
    let mut problems: Vec<String> = complaints
        .map(|complaint| format!("mongorestore: {complaint}"))
        .collect();
    let more = output.complaints.len().saturating_sub(COMPLAINTS) as u64 + output.more_complaints;
    if more > 0 {
        let more = count(more);
        problems.push(format!("mongorestore: and {more} more like these"));
    }
    if loaded.result.is_err() {
        return problems;
    }
    let failures = output.total.as_ref().map_or(0, |total| total.failures);
    if failures > 0 && outcomes.iter().all(|one| one.problem.is_none()) {
        let failures = counted(failures, "document");
        problems.push(format!(
            "{failures} could not be inserted; mongorestore does not say where"
        ));
    }
    if plan.oplog.fed > 0 && output.applied.unwrap_or_default() == 0 {
        problems.push("the oplog was not replayed".into());
    }
    problems
}

/// Not where the oplog has made it another collection, nor a time series, which counts in another way than it stores.
fn is_counted_alone(step: &RestoreStep, plan: &RestorePlan) -> bool {
    plan.contents[step.source].kind == Kind::Collection
        && !plan.oplog.replayed.contains(&step.to)
        && !system::is_auth_version(&step.to)
}

fn not_compared(problem: impl fmt::Display) -> String {
    format!("what the server holds now could not be compared: {problem}")
}

/// Holds the count of the server against the archive's. What should be known though nothing is missing.
fn compare_counts(
    step: &RestoreStep,
    one: &mut NamespaceOutcome,
    documents: u64,
) -> Option<String> {
    let there = one.on_server?;
    if there < documents {
        one.problem.get_or_insert_with(|| {
            format!(
                "the server holds {} of {}",
                count(there),
                counted(documents, "document")
            )
        });
    }
    (there > documents).then(|| {
        format!(
            "{}: {} are there, {} more than the archive holds: somebody else is writing",
            step.to,
            counted(there, "document"),
            count(there - documents)
        )
    })
}

/// Whether documents may be gone again because they expired. TTL indexes are built only after this was asked; by its own
/// options, a collection's documents expire as soon as they are inserted, which mongorestore must have said of them all.
fn has_begun_to_expire(one: &NamespaceOutcome, archived: &ArchivedNamespace) -> bool {
    one.inserted == Some(archived.totals.documents)
        && StoredDefinition::parse(&archived.metadata).is_ok_and(|stored| stored.expiry().is_some())
}
