//! Which namespaces a backup is about, how mongodump is told, and whether they all came.

use super::JobError;
use crate::archive::manifest::{Entry, Manifest, Topology};
use crate::archive::namespace::{Kind, Namespace};
use crate::mongo::client::{Facts, Found};
use crate::mongo::mongodump::Part;
use crate::mongo::scratch_name::is_scratch;
use crate::settings::{NamespacePattern, OplogMode, Settings};
use crate::sys::humanize;
use std::collections::HashSet;

/// Collections named in a warning; the rest are counted.
const MISSING_NAMED: usize = 10;

/// What is dumped, and by how many calls of mongodump.
pub(super) struct DumpSelection {
    pub parts: Vec<Part>,
    databases: Vec<String>,
    exclude: Vec<NamespacePattern>,
}

impl DumpSelection {
    pub(super) fn new(
        settings: &Settings,
        facts: &Facts,
        oplog: OplogMode,
    ) -> Result<Self, JobError> {
        let (databases, exclude) = (settings.databases.clone(), settings.exclude.clone());
        for name in &databases {
            if !facts.databases.contains(name) {
                let known = facts.databases.iter().map(String::as_str);
                let near = known
                    .map(|known| (strsim::damerau_levenshtein(known, name), known))
                    .min();
                let near = near.filter(|(distance, _)| *distance <= 2);
                let hint = near
                    .map(|(_, near)| format!(" (there is {near:?})"))
                    .unwrap_or_default();
                return Err(JobError::NoDatabase {
                    name: name.clone(),
                    hosts: facts.server.hosts.clone(),
                    hint,
                });
            }
        }
        let whole = databases.is_empty() && exclude.is_empty();
        let oplog = match (oplog, facts.server.topology) {
            (OplogMode::Off, _) => false,
            (OplogMode::Auto, topology) => whole && topology == Topology::ReplicaSet,
            (OplogMode::On, Topology::ReplicaSet) => true,
            (OplogMode::On, Topology::Standalone) => {
                return Err(JobError::NoOplog("a standalone server has no oplog"));
            }
            (OplogMode::On, Topology::Sharded) => {
                return Err(JobError::NoOplog("mongos has no oplog"));
            }
        };
        let selection = DumpSelection {
            parts: Vec::new(),
            databases,
            exclude,
        };
        // Of the server's own databases only what nobody lists may be left: users and roles.
        let only_beside = selection.databases.iter().any(|name| is_servers_own(name));
        let server_has_some = facts
            .found
            .iter()
            .map(|found| &found.namespace.database)
            .any(|name| !is_servers_own(name) && !is_scratch(name));
        if selection.expected(facts).next().is_none() && server_has_some && !only_beside {
            return Err(JobError::NothingChosen);
        }
        let parts = if whole {
            vec![Part {
                oplog,
                ..Part::default()
            }]
        } else {
            selection.split(facts)
        };
        Ok(DumpSelection { parts, ..selection })
    }

    /// One call for each database: mongodump takes one name, and leaves collections out only within it.
    fn split(&self, facts: &Facts) -> Vec<Part> {
        let chosen = |name: &String| match self.databases.as_slice() {
            // A sharded cluster's configuration is of use only with everything else of it; and where mongodump refuses admin,
            // it leaves it out of everything, too.
            [] => {
                let withheld = name == "admin" && facts.admin_withheld;
                name != "config" && !withheld && !is_scratch(name)
            }
            some => some.contains(name),
        };
        let databases = facts.databases.iter().filter(|name| chosen(name));
        let parts = databases.map(|database| {
            let of_it = facts
                .found
                .iter()
                .filter(|found| found.namespace.database == *database);
            let (out, kept): (Vec<_>, Vec<_>) =
                of_it.partition(|found| self.excludes(&found.namespace));
            let without = out
                .iter()
                .map(|found| found.namespace.collection.clone())
                .collect::<Vec<_>>();
            let nothing_left = !without.is_empty() && kept.is_empty();
            (
                nothing_left,
                Part {
                    database: Some(database.clone()),
                    without,
                    ..Part::default()
                },
            )
        });
        parts
            .filter(|(nothing_left, _)| !nothing_left)
            .map(|(_, part)| part)
            .collect()
    }

    fn excludes(&self, namespace: &Namespace) -> bool {
        is_excluded(&self.databases, &self.exclude, namespace)
    }

    /// Turns down what appeared after the server was asked and is not wanted either.
    pub(super) fn filter(&self) -> impl Fn(&Namespace) -> bool + Send + 'static {
        let (databases, exclude) = (self.databases.clone(), self.exclude.clone());
        move |namespace| !is_excluded(&databases, &exclude, namespace)
    }

    /// The owner's collections that are to be dumped, as far as the server named them.
    pub(super) fn expected<'f>(&'f self, facts: &'f Facts) -> impl Iterator<Item = &'f Found> {
        facts.found.iter().filter(|found| {
            let database = &found.namespace.database;
            let chosen = self.databases.is_empty() || self.databases.contains(database);
            chosen && !self.is_beside(&found.namespace) && !self.excludes(&found.namespace)
        })
    }

    /// Those of them that have documents to count.
    pub(super) fn collections(&self, facts: &Facts) -> Vec<Namespace> {
        let collections = self
            .expected(facts)
            .filter(|found| found.kind == Kind::Collection);
        collections.map(|found| found.namespace.clone()).collect()
    }

    pub(super) fn announce(&self, facts: &Facts) {
        let server = &facts.server;
        let oplog = if self.parts.iter().any(|part| part.oplog) {
            ", at one point in time"
        } else {
            ""
        };
        tracing::info!(
            "backing up {} (MongoDB {}, {}): {}{oplog}",
            server.hosts,
            server.version,
            server.topology.label(),
            humanize::counted(self.expected(facts).count() as u64, "collection"),
        );
    }

    /// Holds the archive against what the server named before; what the owner should know of the difference.
    pub(super) fn missing(
        &self,
        facts: &Facts,
        manifest: &Manifest,
    ) -> Result<Vec<String>, JobError> {
        let expected: Vec<&Namespace> =
            self.expected(facts).map(|found| &found.namespace).collect();
        let dumped: HashSet<&Namespace> = manifest
            .namespaces
            .iter()
            .map(|entry| &entry.namespace)
            .collect();
        let beside = |entry: &Entry| entry.kind == Kind::Oplog || self.is_beside(&entry.namespace);
        if manifest.namespaces.iter().all(beside) {
            return match expected.len() {
                0 => Ok(vec![
                    "the server holds no collections: this backup is empty".into(),
                ]),
                some => Err(JobError::Nothing(some)),
            };
        }
        let missing: Vec<String> = expected
            .iter()
            .filter(|namespace| !dumped.contains(*namespace) && !namespace.is_temporary())
            .map(ToString::to_string)
            .collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let missing = humanize::first_and_more(&missing, MISSING_NAMED);
        // mongodump leaves out names with a dollar sign.
        Ok(vec![format!(
            "not in this backup, since dropped or of a name that mongodump leaves out: {missing}"
        )])
    }

    /// Dumped with everything else, but not what a backup is made for, unless it was asked for.
    fn is_beside(&self, namespace: &Namespace) -> bool {
        is_servers_own(&namespace.database) && !self.databases.contains(&namespace.database)
    }
}

/// What the owner should know of collections that came without an index also when mongodump looked again.
pub(super) fn unindexed_warning(unindexed: &[Namespace]) -> Option<String> {
    let lasting = unindexed.iter().filter(|one| !one.is_temporary());
    let names: Vec<String> = lasting.map(ToString::to_string).collect();
    (!names.is_empty()).then(|| {
        format!(
            "mongodump found no index of these, not even that of _id; if they were dropped or made anew during the backup, the next \
             one has all of them: {}",
            humanize::first_and_more(&names, MISSING_NAMED)
        )
    })
}

/// Whether a backup leaves this out because its settings say so.
pub(crate) fn leaves_out(settings: &Settings, namespace: &Namespace) -> bool {
    let databases = &settings.databases;
    let chosen = databases.is_empty() || databases.contains(&namespace.database);
    !chosen || is_excluded(databases, &settings.exclude, namespace)
}

/// Whether it matches a pattern, or is a drill's: those come and go, and are copies of what a backup holds anyway.
fn is_excluded(databases: &[String], exclude: &[NamespacePattern], namespace: &Namespace) -> bool {
    let (database, collection) = (&namespace.database, &namespace.collection);
    let of_drill = is_scratch(database) && !databases.contains(database);
    of_drill
        || exclude
            .iter()
            .any(|pattern| pattern.matches(database, collection))
}

/// Users, roles and a cluster's configuration.
fn is_servers_own(database: &str) -> bool {
    matches!(database, "admin" | "config")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::manifest::Server;

    #[test]
    fn admin_is_left_out_where_mongodump_refuses_it_unless_it_was_asked_for() {
        let mut facts = Facts {
            server: Server {
                version: "8.0.4".into(),
                hosts: "cluster0.example.net".into(),
                topology: Topology::ReplicaSet,
            },
            databases: vec!["admin".into(), "config".into(), "shop".into()],
            found: Vec::new(),
            admin_withheld: false,
        };
        let dumped = |facts: &Facts, databases: &[&str]| -> Vec<String> {
            let selection = DumpSelection {
                parts: Vec::new(),
                databases: databases.iter().map(ToString::to_string).collect(),
                exclude: NamespacePattern::exactly("shop", "cache")
                    .into_iter()
                    .collect(),
            };
            let parts = selection.split(facts).into_iter();
            parts.filter_map(|part| part.database).collect()
        };
        assert_eq!(dumped(&facts, &[]), ["admin", "shop"]);
        facts.admin_withheld = true;
        assert_eq!(dumped(&facts, &[]), ["shop"]);
        // mongodump's refusal is the answer then.
        assert_eq!(dumped(&facts, &["admin"]), ["admin"]);
    }
}
