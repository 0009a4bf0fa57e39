//! Indexes are built after the documents, by our own hand: one that the server refuses costs no other one, and each that
//! is not there in the end is named, with the command that makes it.

mod catalog;
mod spec;

pub(crate) use catalog::IndexCatalog;
pub(super) use spec::IndexSpec;

use crate::archive::namespace::{Namespace, printable};
use crate::mongo::error::ServerError;
use crate::mongo::indexes::IndexBuildError;
use crate::mongo::target::Target;
use crate::report::IndexProblem;
use crate::restore::mongosh::script;
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::humanize;
use crate::sys::progress::{Meter, Screen, Unit, showing};
use futures_util::StreamExt;
use mongodb::bson::{Bson, Document};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Indexes named for each legacy option; the rest are counted.
const NAMED: usize = 3;
/// Collections whose indexes are built at once. MongoDB itself builds no more, and each takes up to 200 MB of its memory.
const BUILT_AT_ONCE: usize = 3;

/// What became of one index when it was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IndexState {
    Built,
    /// Why, in the server's words.
    Refused(String),
    /// Its collection is not there.
    NoCollection,
    /// It was not its turn yet when building ended.
    NotBuilt,
}

/// How building ended.
#[derive(Debug)]
pub(crate) enum BuildEnd {
    /// Each was tried.
    Complete,
    Interrupted(Interruption),
    Server(ServerError),
}

/// What became of all indexes.
#[derive(Debug)]
pub(crate) struct BuildOutcome {
    /// In the order of the catalog.
    states: BTreeMap<Namespace, Vec<IndexState>>,
    pub end: BuildEnd,
}

impl BuildOutcome {
    /// Nothing has been built yet, or nothing is to be.
    pub(crate) fn unbuilt(catalog: &IndexCatalog) -> Self {
        let states = catalog.collections().map(|(namespace, indexes)| {
            (namespace.clone(), vec![IndexState::NotBuilt; indexes.len()])
        });
        BuildOutcome {
            states: states.collect(),
            end: BuildEnd::Complete,
        }
    }

    pub(crate) fn built(&self) -> u64 {
        let all = self.states.values().flatten();
        all.filter(|state| **state == IndexState::Built).count() as u64
    }

    /// What is wrong with the indexes of a collection, held against those that the server has, where it says.
    pub(crate) fn problems(
        &self,
        namespace: &Namespace,
        indexes: &[IndexSpec],
        found: Option<&[Document]>,
    ) -> Vec<IndexProblem> {
        let states = self.states.get(namespace).map(Vec::as_slice);
        let states = states.unwrap_or_default();
        let problem = |(index, state): (&IndexSpec, &IndexState)| {
            Some(IndexProblem {
                namespace: namespace.clone(),
                name: index.name().to_owned(),
                problem: problem(index, state, found)?,
                refused: matches!(state, IndexState::Refused(_)),
                command: index.command(namespace),
            })
        };
        indexes.iter().zip(states).filter_map(problem).collect()
    }
}

fn problem(index: &IndexSpec, state: &IndexState, found: Option<&[Document]>) -> Option<String> {
    let same_name = |there: &&Document| there.get_str("name").unwrap_or_default() == index.name();
    let there = found.map(|found| found.iter().find(same_name));
    if let Some(Some(there)) = there {
        let differs = || {
            let shown = |document: &Document| script(&Bson::Document(document.clone()));
            format!("is {}, not {}", shown(there), shown(index.document()))
        };
        return (!index.is_met_by(there)).then(differs);
    }
    match state {
        IndexState::Refused(reason) => Some(format!("could not be built: {}", printable(reason))),
        IndexState::NoCollection => Some("was not built: its collection is not there".into()),
        IndexState::NotBuilt => Some("was not built".into()),
        IndexState::Built if there.is_some() => Some("is missing".into()),
        // The server does not say, and it has said that it built it.
        IndexState::Built => None,
    }
}

/// Builds what a catalog holds.
pub(crate) struct IndexBuilder<'b> {
    pub target: &'b Target,
    /// Of this machine's, to be used.
    pub threads: NonZeroUsize,
    /// How long a server may answer nothing at all.
    pub limit: Duration,
    pub screen: &'b Screen,
    pub cancel: &'b Cancel,
}

impl IndexBuilder<'_> {
    /// Builds all of them, as far as the server takes them, with progress.
    pub(crate) async fn run(&self, catalog: &IndexCatalog) -> BuildOutcome {
        let mut outcome = BuildOutcome::unbuilt(catalog);
        if catalog.len() == 0 {
            return outcome;
        }
        tracing::info!("building {}", humanize::indexes(catalog.len() as u64));
        let total = Some(catalog.len() as u64);
        let meter = Meter::new("building", Unit::Indexes, total, self.screen);
        let building = self.build_all(catalog, &mut outcome, &meter);
        let ended = self.cancel.or(showing(&meter, building)).await;
        outcome.end = match ended {
            Ok(Ok(())) => BuildEnd::Complete,
            Ok(Err(error)) => BuildEnd::Server(error),
            Err(reason) => BuildEnd::Interrupted(reason),
        };
        outcome
    }

    /// What became of a collection's indexes is noted once all of them were tried: of one that was under way when building
    /// ended, the server tells.
    async fn build_all(
        &self,
        catalog: &IndexCatalog,
        outcome: &mut BuildOutcome,
        meter: &Meter,
    ) -> Result<(), ServerError> {
        let done = AtomicU64::new(0);
        let show = |namespace: &Namespace, index: &IndexSpec| {
            let shown = format!("{namespace} {}", printable(index.name()));
            tracing::debug!("building {shown}");
            meter.set_at(done.load(Ordering::Relaxed) + 1, &shown);
        };
        let builds = catalog.collections().map(|(namespace, indexes)| {
            let show = &show;
            async move {
                let states = self.build_collection(namespace, indexes, show).await;
                (namespace, states)
            }
        });
        let at_once = self.threads.get().min(BUILT_AT_ONCE);
        let mut builds = futures_util::stream::iter(builds).buffer_unordered(at_once);
        while let Some((namespace, states)) = builds.next().await {
            let states = states?;
            done.fetch_add(states.len() as u64, Ordering::Relaxed);
            outcome.states.insert(namespace.clone(), states);
        }
        Ok(())
    }

    /// All indexes of a collection at once, since the server then reads its documents once. Only when it refuses one of
    /// them, one by one.
    async fn build_collection(
        &self,
        namespace: &Namespace,
        indexes: &[IndexSpec],
        show: &impl Fn(&Namespace, &IndexSpec),
    ) -> Result<Vec<IndexState>, ServerError> {
        // A server would make the collection, and it would look as if it were restored.
        if self.target.existing(&[namespace]).await?.is_empty() {
            return Ok(vec![IndexState::NoCollection; indexes.len()]);
        }
        if let [first, _, ..] = indexes {
            show(namespace, first);
            let all: Vec<Document> = indexes.iter().map(|one| one.document().clone()).collect();
            match self.target.build_indexes(namespace, &all, self.limit).await {
                Ok(()) => return Ok(vec![IndexState::Built; indexes.len()]),
                Err(IndexBuildError::Server(error)) => return Err(error),
                Err(IndexBuildError::Refused(reason)) => {
                    tracing::debug!("{namespace}: one by one, since one was refused: {reason}");
                }
            }
        }
        let mut states = Vec::with_capacity(indexes.len());
        for index in indexes {
            show(namespace, index);
            let one = std::slice::from_ref(index.document());
            let built = self.target.build_indexes(namespace, one, self.limit).await;
            states.push(match built {
                Ok(()) => IndexState::Built,
                Err(IndexBuildError::Refused(reason)) => IndexState::Refused(reason),
                Err(IndexBuildError::Server(error)) => return Err(error),
            });
        }
        Ok(states)
    }
}

/// What was left out of which indexes, in one sentence; none when nothing was. `name` tells what a collection is called
/// in the archive.
pub(crate) fn describe_left_out(
    catalog: &IndexCatalog,
    name: &dyn Fn(&Namespace) -> Namespace,
) -> Option<String> {
    let mut by_option: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in catalog.left_out() {
        let shown = format!("{} {}", name(&one.namespace), printable(&one.index));
        by_option.entry(one.option).or_default().push(shown);
    }
    if by_option.is_empty() {
        return None;
    }
    let options = by_option.into_iter().map(|(option, indexes)| {
        let more = match indexes.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = &indexes[..indexes.len().min(NAMED)];
        format!("{option} (of {}{more})", named.join(", "))
    });
    let options: Vec<String> = options.collect();
    Some(format!(
        "options of old servers that no index needs are left out: {}",
        options.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    #[test]
    fn what_is_not_there_is_a_problem_and_what_is_there_is_none() {
        let index = IndexSpec::parse(&doc! { "key": { "n": 1 }, "name": "n_1" }, false);
        let index = index.unwrap().0;
        let equal = [doc! { "v": 2, "key": { "n": 1 }, "name": "n_1" }];
        let other = [doc! { "v": 2, "key": { "m": 1 }, "name": "n_1" }];
        let refused = IndexState::Refused("no".into());
        for (state, found, wanted) in [
            (&IndexState::Built, Some(&equal[..]), None),
            (&refused, Some(&equal[..]), None),
            (&IndexState::Built, None, None),
            (&IndexState::Built, Some(&[][..]), Some("is missing")),
            (&IndexState::Built, Some(&other[..]), Some("is {\"v\": 2")),
            (&refused, Some(&[][..]), Some("could not be built: no")),
            (&refused, None, Some("could not be built: no")),
            (&IndexState::NotBuilt, None, Some("was not built")),
        ] {
            let problem = problem(&index, state, found);
            match (wanted, problem) {
                (None, None) => {}
                (Some(wanted), Some(problem)) => assert!(problem.starts_with(wanted), "{problem}"),
                (wanted, problem) => panic!("{state:?}, {found:?}: {problem:?}, not {wanted:?}"),
            }
        }
    }
}
