//! What became different between two archives, or between one and the server.
//!
//! ```text
//! both lists of collections → the same totals and checksum? equal, unread
//!                           → else: two readers → comparison.rs → counts, and each document that differs
//! ```

mod comparison;
mod definitions;
mod key;
mod side;

pub(crate) use comparison::Tell;

use super::{Archive, InspectError, warn_once};
use crate::archive::namespace::{Kind, Namespace, Totals};
use crate::context::Context;
use crate::mongo::target::Target;
use crate::report::{CollectionDifference, DiffReport, DifferenceState};
use crate::restore::StoredDefinition;
use crate::sys::cancel::Cancel;
use crate::sys::humanize::{counted, first_and_more};
use comparison::{Comparison, Counts};
use definitions::Definition;
use side::{Documents, Source, pipe};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an archive is compared with.
pub(crate) enum Other {
    Archive(Arc<Archive>),
    Live(Box<Target>),
}

/// Makes whoever is told of a collection's documents; none when only counts are wanted.
pub(crate) type Teller<'t> = dyn Fn(&Namespace) -> Option<Tell> + 't;

/// A collection on one side.
struct Held<'t> {
    source: Source<'t>,
    kind: Kind,
    /// Not known of a time series on a server, and of what the user may not count.
    documents: Option<u64>,
    /// Not known of a collection on a server.
    totals: Option<Totals>,
}

impl Held<'_> {
    /// Whether the documents of both are compared one by one.
    fn is_read_against(&self, other: &Held) -> bool {
        let same = self.totals.is_some() && self.totals == other.totals;
        !same && self.kind != Kind::View && other.kind != Kind::View
    }
}

type Collections<'t> = BTreeMap<Namespace, Held<'t>>;

/// Compares an archive with what became of it.
pub(crate) async fn diff(
    ctx: &Context,
    from: &Arc<Archive>,
    to: &Other,
    teller: &Teller<'_>,
) -> Result<DiffReport, InspectError> {
    let cancel = &ctx.cancel;
    let mut warnings: Vec<String> = from.notes.clone();
    let one = archived(from, to);
    let two = match to {
        Other::Archive(archive) => {
            warnings.extend(archive.notes.iter().cloned());
            archived(archive, to)
        }
        Other::Live(target) => live(target, &one, cancel, &mut warnings).await?,
    };
    let one_definitions = definitions(from, cancel, &mut warnings).await?;
    let two_definitions = match to {
        Other::Archive(archive) => definitions(archive, cancel, &mut warnings).await?,
        Other::Live(target) => live_definitions(target, &one, &two, cancel, &mut warnings).await?,
    };
    let names: BTreeSet<&Namespace> = one.keys().chain(two.keys()).collect();
    let mut collections = Vec::new();
    for name in names {
        let (here, there) = (one.get(name), two.get(name));
        let mut difference = empty(name, here, there);
        if let (Some(here), Some(there)) = (here, there) {
            let counts = documents(here, there, teller(name), cancel).await?;
            if counts.twins > 0 {
                let twins = counted(counts.twins, "document");
                warnings.push(format!(
                    "{name}: {twins} of an _id that another one has too"
                ));
            }
            difference.added = counts.added;
            difference.removed = counts.removed;
            difference.changed = counts.changed;
            if there.is_read_against(here) {
                difference.documents_to = Some(counted_there(there.documents, &counts));
            }
            compare_definitions(
                &mut difference,
                one_definitions.get(name),
                two_definitions.get(name),
            );
            difference.settle();
        }
        collections.push(difference);
    }
    Ok(DiffReport {
        from: from.name.clone(),
        to: match to {
            Other::Archive(archive) => archive.name.clone(),
            Other::Live(target) => target.hosts().to_owned(),
        },
        live: matches!(to, Other::Live(_)),
        equal: collections
            .iter()
            .all(|one| one.state == DifferenceState::Equal),
        collections,
        warnings,
    })
}

fn compare_definitions(
    difference: &mut CollectionDifference,
    one: Option<&Definition>,
    two: Option<&Definition>,
) {
    let nothing = Definition::default();
    let found = definitions::difference(one.unwrap_or(&nothing), two.unwrap_or(&nothing));
    difference.indexes_added = found.indexes_added;
    difference.indexes_removed = found.indexes_removed;
    difference.indexes_changed = found.indexes_changed;
    difference.options_changed = found.options_changed;
}

/// Documents of the second side: as it says, or as they were read.
fn counted_there(said: Option<u64>, counts: &Counts) -> u64 {
    said.unwrap_or(counts.equal + counts.changed + counts.added)
}

fn empty(name: &Namespace, here: Option<&Held>, there: Option<&Held>) -> CollectionDifference {
    let documents = |held: Option<&Held>| held.and_then(|held| held.documents);
    let (kind, state) = match (here, there) {
        (Some(one), None) => (one.kind, DifferenceState::Removed),
        (_, Some(two)) => (
            two.kind,
            match here {
                None => DifferenceState::Added,
                Some(one) if one.kind != two.kind => DifferenceState::Changed,
                Some(_) => DifferenceState::Equal,
            },
        ),
        (None, None) => (Kind::Collection, DifferenceState::Equal),
    };
    CollectionDifference {
        namespace: name.clone(),
        kind,
        state,
        documents_from: documents(here),
        documents_to: documents(there),
        added: if here.is_none() {
            documents(there).unwrap_or_default()
        } else {
            0
        },
        removed: if there.is_none() {
            documents(here).unwrap_or_default()
        } else {
            0
        },
        changed: 0,
        indexes_added: Vec::new(),
        indexes_removed: Vec::new(),
        indexes_changed: Vec::new(),
        options_changed: Vec::new(),
        differences: None,
        differences_left_out: 0,
    }
}

/// What of an archive is compared: of the server's own databases, nothing of a server that is in use.
fn archived<'t>(archive: &Arc<Archive>, to: &Other) -> Collections<'t> {
    let held = archive.collections.iter().enumerate().filter(|(_, one)| {
        one.kind != Kind::Oplog
            && (matches!(to, Other::Archive(_)) || !one.namespace.is_servers_own())
    });
    let held = held.map(|(index, one)| {
        let held = Held {
            source: Source::Archived(Arc::clone(archive), index),
            kind: one.kind,
            documents: Some(one.totals.documents),
            totals: Some(one.totals),
        };
        (one.namespace.clone(), held)
    });
    held.collect()
}

/// The collections of the server, in the databases that the archive holds.
async fn live<'t>(
    target: &'t Target,
    archived: &Collections<'_>,
    cancel: &Cancel,
    warnings: &mut Vec<String>,
) -> Result<Collections<'t>, InspectError> {
    let known: BTreeSet<&str> = archived.keys().map(|one| one.database.as_str()).collect();
    let mut found = Collections::new();
    let mut others = BTreeSet::new();
    for one in &target.facts.found {
        if one.namespace.is_servers_own() {
            continue;
        }
        if !known.contains(one.namespace.database.as_str()) {
            others.insert(one.namespace.database.clone());
            continue;
        }
        let documents = match one.kind {
            Kind::Collection => cancel.or(target.estimate(&one.namespace)).await??,
            Kind::TimeSeries => None,
            _ => Some(0),
        };
        let held = Held {
            source: Source::Live(target, one.namespace.clone(), one.kind),
            kind: one.kind,
            documents,
            totals: None,
        };
        found.insert(one.namespace.clone(), held);
    }
    if !others.is_empty() {
        let others: Vec<String> = others.into_iter().collect();
        let others = first_and_more(&others, 12);
        warnings.push(format!(
            "databases of which the archive holds nothing were not compared: {others}"
        ));
    }
    warnings
        .push("the server was in use while it was read: what changed meanwhile may count".into());
    Ok(found)
}

async fn definitions(
    archive: &Arc<Archive>,
    cancel: &Cancel,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<Namespace, Definition>, InspectError> {
    let archive = Arc::clone(archive);
    let reading = cancel.blocking(move |_| {
        let (mut found, mut unreadable) = (BTreeMap::new(), Vec::new());
        archive.metadata(&|_| true, &mut |index, text| {
            let Some(one) = archive.collections.get(index).filter(|_| !text.is_empty()) else {
                return;
            };
            let definition = match StoredDefinition::parse(text) {
                Ok(stored) => Definition {
                    options: stored.options,
                    indexes: Some(stored.indexes),
                    unreadable: None,
                },
                Err(problem) => {
                    unreadable.push(format!("{}: {problem}", one.namespace));
                    Definition {
                        unreadable: Some(text.to_owned()),
                        ..Definition::default()
                    }
                }
            };
            found.insert(one.namespace.clone(), definition);
        })?;
        Ok::<_, InspectError>((found, unreadable))
    });
    let (found, unreadable) = reading.await??;
    for warning in unreadable {
        warn_once(warnings, warning);
    }
    Ok(found)
}

async fn live_definitions(
    target: &Target,
    archived: &Collections<'_>,
    live: &Collections<'_>,
    cancel: &Cancel,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<Namespace, Definition>, InspectError> {
    let mut found = BTreeMap::new();
    let on_both_sides = live.keys().filter(|name| archived.contains_key(name));
    let on_both_sides: Vec<_> = on_both_sides.collect();
    let listed = cancel.or(target.definitions(&on_both_sides)).await??;
    for (name, there) in listed {
        if there.indexes.is_none() {
            warnings.push(format!(
                "{name}: its indexes were not compared: the user may not list them"
            ));
        }
        let definition = Definition {
            options: there.options,
            indexes: there.indexes,
            unreadable: None,
        };
        found.insert(name, definition);
    }
    Ok(found)
}

/// Compares the documents of a collection that both sides have.
async fn documents(
    one: &Held<'_>,
    two: &Held<'_>,
    tell: Option<Tell>,
    cancel: &Cancel,
) -> Result<Counts, InspectError> {
    if !one.is_read_against(two) {
        return Ok(Counts::default());
    }
    let expected = one.documents.max(two.documents).unwrap_or_default();
    let mut comparison = Comparison::new(expected, tell);
    while comparison.has_more() {
        let step =
            |mut comparison: Comparison, one, two| comparison.pass(one, two).map(|()| comparison);
        comparison = together(one, two, cancel, comparison, step).await?;
        if comparison.has_unnamed() {
            let step = |mut comparison: Comparison, one, two| {
                comparison.name(one)?;
                comparison.name(two).map(|()| comparison)
            };
            comparison = together(one, two, cancel, comparison, step).await?;
        }
    }
    Ok(comparison.counts)
}

/// Reads both sides at the same time, and what `step` makes of them on a third thread.
async fn together(
    one: &Held<'_>,
    two: &Held<'_>,
    cancel: &Cancel,
    comparison: Comparison,
    step: impl FnOnce(Comparison, Documents, Documents) -> Result<Comparison, InspectError>
    + Send
    + 'static,
) -> Result<Comparison, InspectError> {
    let ((send_one, from_one), (send_two, from_two)) = (pipe(), pipe());
    let comparing = cancel.blocking(move |_| {
        step(
            comparison,
            Documents::new(from_one),
            Documents::new(from_two),
        )
    });
    let (_, _, compared) = tokio::join!(
        one.source.clone().send(cancel, send_one),
        two.source.clone().send(cancel, send_two),
        comparing,
    );
    compared?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_does_not_say_is_what_was_read_and_not_nothing() {
        let counts = Counts {
            equal: 40,
            added: 50,
            removed: 7,
            changed: 3,
            twins: 0,
        };
        assert_eq!(counted_there(None, &counts), 93);
        assert_eq!(counted_there(Some(90), &counts), 90);
        let difference = empty(&Namespace::new("shop", "measured"), None, None);
        assert_eq!(difference.documents_to, None);
    }
}
