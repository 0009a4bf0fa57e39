//! Options and indexes of all that was restored, held against the archive's.

use super::Reconciliation;
use crate::archive::namespace::Namespace;
use crate::mongo::definitions::{Definition, NAMES_AT_ONCE};
use crate::report::{Explain, IndexPolicy};
use crate::restore::definition::StoredDefinition;
use crate::restore::indexes::{BuildEnd, BuildOutcome};
use crate::restore::system::SYSTEM;
use crate::sys::humanize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;

impl Reconciliation<'_> {
    /// Holds options and indexes of all that was restored against the archive's, and says how building ended.
    pub(in crate::restore) async fn definitions(&mut self, built: &BuildOutcome) {
        let mut asks = match &built.end {
            // Told already.
            BuildEnd::Complete => !self.silent,
            BuildEnd::Interrupted(reason) => {
                self.problems.push(format!(
                    "{reason}, while indexes were built: the documents are there. Build the missing indexes with the \
                     commands below, or run it again with --drop"
                ));
                false
            }
            BuildEnd::Server(error) => {
                self.problems.push(format!(
                    "the documents are there, but not all indexes could be built: {}",
                    error.problem(self.ctx.runtime)
                ));
                false
            }
        };
        self.indexes.built = built.built();
        self.tell_left_out();
        let plan = self.plan;
        let steps = plan.steps.iter().enumerate();
        let steps: HashMap<&Namespace, usize> = steps.map(|(at, step)| (&step.to, at)).collect();
        let indexed = plan.indexes.collections().map(|(namespace, _)| namespace);
        let all: BTreeSet<&Namespace> = steps.keys().copied().chain(indexed).collect();
        let all: Vec<&Namespace> = all.into_iter().collect();
        // What the server says of thousands is not held at once.
        for some in all.chunks(NAMES_AT_ONCE) {
            let mut asked = some.to_vec();
            asked.retain(|one| asks && self.is_compared(one));
            let found = self.ask(&asked).await.unwrap_or_else(|problem| {
                self.tell(&*problem);
                asks = false;
                BTreeMap::new()
            });
            for namespace in some {
                let there = found.get(*namespace);
                if let Some(&at) = steps.get(namespace) {
                    let is_lost = asks && there.is_none() && self.is_compared(namespace);
                    self.compare_options(at, there, is_lost);
                }
                self.compare_indexes(namespace, there, built);
            }
        }
    }

    async fn ask(
        &self,
        namespaces: &[&Namespace],
    ) -> Result<BTreeMap<Namespace, Definition>, Box<dyn Error>> {
        if namespaces.is_empty() {
            return Ok(BTreeMap::new());
        }
        let definitions = self.plan.target.definitions(namespaces);
        Ok(self.ctx.cancel.or(definitions).await??)
    }

    /// The server's own collections have the options that it gives them.
    fn is_compared(&self, namespace: &Namespace) -> bool {
        let indexes = self.plan.indexes.indexes(namespace);
        !namespace.collection.starts_with(SYSTEM) || !indexes.is_empty()
    }

    /// `is_lost`: the server was asked, and does not have it.
    fn compare_options(&mut self, at: usize, there: Option<&Definition>, is_lost: bool) {
        let (plan, one) = (self.plan, &mut self.outcomes[at]);
        let step = &plan.steps[at];
        let problem = match StoredDefinition::parse(&plan.contents[step.source].metadata) {
            Err(problem) => Some(problem),
            // What the oplog changed, it may have dropped, or changed the options of.
            Ok(_) if plan.oplog.replayed.contains(&step.to) => None,
            Ok(_) if is_lost => Some("it is no longer there".into()),
            Ok(stored) => there.and_then(|there| stored.option_difference(there)),
        };
        if let Some(problem) = problem {
            one.problem.get_or_insert(problem);
        }
    }

    fn compare_indexes(
        &mut self,
        namespace: &Namespace,
        there: Option<&Definition>,
        built: &BuildOutcome,
    ) {
        if self.indexes.policy == IndexPolicy::None {
            return;
        }
        let there = there.and_then(|there| there.indexes.as_deref());
        let specs = self.plan.indexes.indexes(namespace);
        let problems = built.problems(namespace, specs, there);
        self.indexes.problems.extend(problems);
    }

    fn tell_left_out(&mut self) {
        if self.indexes.policy == IndexPolicy::None && self.indexes.archived > 0 {
            let left_out = humanize::indexes(self.indexes.archived);
            self.warnings.push(format!(
                "{left_out} of the archive not built, as asked with --indexes none: only those of _id are there"
            ));
        }
    }
}
