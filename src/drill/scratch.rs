//! The databases that a drill makes, and makes sure to drop.

use crate::archive::json;
use crate::archive::namespace::{BUCKETS_PREFIX, Namespace};
use crate::context::Context;
use crate::mongo::scratch_name;
use crate::mongo::target::Target;
use crate::restore::{self, Contents, RestoreError, RestoreStep, Selection};
use crate::state::{LeftOver, StateStore};
use crate::sys::humanize;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use tokio::time::Instant;

/// How long dropping may take; Docker kills us ten seconds after it asked us to stop.
const LONGEST_DROP: Duration = Duration::from_secs(60);
const LONGEST_DROP_WHEN_ASKED: Duration = Duration::from_secs(3);
/// Bytes of `database.collection` that every server takes.
const LONGEST_NAMESPACE: usize = 255;

/// Scratch databases by the name of the database whose place they take.
pub(super) struct Scratch {
    databases: BTreeMap<String, String>,
}

impl Scratch {
    /// Names that cannot collide: a time, a random number, and a look at the server besides.
    pub(super) fn plan(
        contents: &Contents,
        target: &Target,
        now: DateTime<Utc>,
    ) -> Result<(Self, Vec<RestoreStep>), RestoreError> {
        let random = RandomState::new().build_hasher().finish() as u32;
        let stem = scratch_name::stem(now, random);
        let steps = restore::steps(contents, &Selection::default())?;
        let names: BTreeSet<&String> = steps.iter().map(|step| &step.to.database).collect();
        let databases: BTreeMap<String, String> = names
            .iter()
            .enumerate()
            .map(|(number, name)| ((*name).clone(), format!("{stem}_{number}")))
            .collect();
        if databases
            .values()
            .any(|name| target.facts.databases.contains(name))
        {
            // Twice the same second and random number: more likely a clock and a generator that stand still.
            return Err(RestoreError::ScratchTaken { stem });
        }
        let steps = steps
            .into_iter()
            .enumerate()
            .map(|(number, step)| RestoreStep {
                to: scratch(&databases[&step.to.database], step.to.collection, number),
                metadata: without_expiry(&contents[step.source].metadata),
                ..step
            })
            .collect();
        Ok((Scratch { databases }, steps))
    }

    /// `3 scratch databases`.
    pub(super) fn label(&self) -> String {
        humanize::counted(self.databases.len() as u64, "scratch database")
    }

    /// Before they are made: a drill that is killed must not leave them for ever.
    pub(super) fn write_down(&self, status: &mut StateStore, target: &Target) {
        let left = LeftOver {
            hosts: target.hosts().to_owned(),
            databases: self.databases.values().cloned().collect(),
        };
        if let (_, Err(error)) = status.change(|state| state.left_over.push(left)) {
            tracing::warn!(
                "could not save the names of the scratch databases; if the drill is interrupted, drop them by hand: {error}"
            );
        }
    }

    /// Drops them; what could not be dropped stays written down. `asked` says that we are to end soon.
    pub(super) async fn drop_all(
        &self,
        target: &Target,
        status: &mut StateStore,
        asked: bool,
        ctx: &Context,
    ) -> Result<(), String> {
        let mut left = Vec::new();
        // For all of them together: a server that hangs hangs at each.
        let by = Instant::now()
            + if asked {
                LONGEST_DROP_WHEN_ASKED
            } else {
                LONGEST_DROP
            };
        for name in self.databases.values() {
            let dropped = tokio::time::timeout_at(by, target.drop_database(name)).await;
            match dropped
                .map_err(|_| "the server did not answer".to_owned())
                .and_then(|done| done.map_err(|error| ctx.explain(&error)))
            {
                Ok(()) => forget(status, target.hosts(), name),
                Err(problem) => left.push((name, problem)),
            }
        }
        match left.first() {
            None => Ok(()),
            Some((name, problem)) => Err(format!(
                "{} left on {}, such as {name}, for the next drill to drop: {problem}",
                humanize::counted(left.len() as u64, "scratch database"),
                target.hosts()
            )),
        }
    }
}

/// Drops what a drill before left on this server.
pub(super) async fn sweep(status: &mut StateStore, target: &Target) {
    let left: Vec<String> = status
        .state()
        .left_over
        .into_iter()
        .filter(|left| left.hosts == target.hosts())
        .flat_map(|left| left.databases)
        // A changed state file must not choose what is dropped.
        .filter(|name| scratch_name::is_scratch(name))
        .collect();
    for name in left {
        match tokio::time::timeout(LONGEST_DROP_WHEN_ASKED, target.drop_database(&name)).await {
            Ok(Ok(())) => {
                tracing::info!("dropped {name}, which an interrupted drill had left");
                forget(status, target.hosts(), &name);
            }
            Ok(Err(error)) => tracing::warn!(
                "{name}, which an interrupted drill had left, is still there: {error}"
            ),
            Err(_) => tracing::warn!("{name}, which an interrupted drill had left, is still there"),
        }
    }
}

/// Where a collection goes. A name that its own database's short name left room for gets a shorter one.
fn scratch(database: &str, collection: String, number: usize) -> Namespace {
    let fits = database.len() + 1 + BUCKETS_PREFIX.len() + collection.len() <= LONGEST_NAMESPACE;
    Namespace::new(
        database,
        if fits {
            collection
        } else {
            format!("long_name_{number}")
        },
    )
}

fn forget(status: &mut StateStore, hosts: &str, name: &str) {
    let (_, saved) = status.change(|state| {
        for left in state
            .left_over
            .iter_mut()
            .filter(|left| left.hosts == hosts)
        {
            left.databases.retain(|database| database != name);
        }
        state.left_over.retain(|left| !left.databases.is_empty());
    });
    if let Err(error) = saved {
        tracing::debug!("could not save state, will retry: {error}");
    }
}

/// Options under which nothing expires while it is compared, where it would. Indexes are built after that.
fn without_expiry(metadata: &str) -> Option<String> {
    let mut json = json::from_slice::<Value>(metadata.as_bytes()).ok()?;
    let options = json.get_mut("options").and_then(Value::as_object_mut)?;
    options.remove("expireAfterSeconds")?;
    Some(json.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_expires_during_a_drill_and_everything_else_stays_to_the_letter() {
        let plain = r#"{ "options": {"capped":true},  "indexes": [{"name": "a_1"}] }"#;
        assert_eq!(without_expiry(plain), None);
        assert_eq!(without_expiry(""), None);
        let expiring = r#"{"options":{"expireAfterSeconds":5,"timeseries":{}},"indexes":[{"key":{"z":1,"a":-1}}]}"#;
        let changed: Value = serde_json::from_str(&without_expiry(expiring).unwrap()).unwrap();
        assert_eq!(changed["options"], json!({ "timeseries": {} }));
    }
}
