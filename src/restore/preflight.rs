//! What ends a restore before anything is written: what is there already, and what the user may not do.

use super::{Prepared, RestoreError, Step};
use crate::archive::namespace::Namespace;
use crate::mongo::client::Target;
use crate::mongo::replay_access;
use crate::report::Restored;
use crate::sys::cancel::Cancel;
use std::collections::{BTreeSet, HashSet};

/// Namespaces named in a refusal; the rest are counted.
const NAMED: usize = 10;
/// Collections of the server's own begin so.
const SYSTEM: &str = "system.";

/// Whether a namespace holds the server's users or roles, which mongorestore hands to the server as a whole.
pub(super) fn is_users_or_roles(namespace: &Namespace) -> bool {
    namespace.database == "admin"
        && matches!(
            namespace.collection.as_str(),
            "system.users" | "system.roles"
        )
}

/// Whether a namespace is the one from which mongorestore learns how users are stored. It is never written.
pub(crate) fn is_auth_version(namespace: &Namespace) -> bool {
    namespace.database == "admin" && namespace.collection == "system.version"
}

/// Collections of the server's own that are on the target, in the databases where such are to be restored.
pub(super) async fn system_collections(
    steps: &[Step],
    target: &Target,
    cancel: &Cancel,
) -> Result<HashSet<Namespace>, RestoreError> {
    let databases: BTreeSet<&str> = steps
        .iter()
        .filter(|step| step.to.collection.starts_with(SYSTEM))
        .map(|step| step.to.database.as_str())
        .collect();
    let mut found = HashSet::new();
    for database in databases {
        let listed = cancel.or(target.system_collections(database)).await??;
        found.extend(listed);
    }
    Ok(found)
}

impl Prepared {
    /// What stands in the way on the target.
    pub(crate) fn refusal(&self) -> Option<RestoreError> {
        let namespaces = self.report.namespaces.iter();
        let existing: Vec<&Restored> = namespaces
            .filter(|one| one.exists && !is_auth_version(&one.to))
            .collect();
        if existing.is_empty() {
            return None;
        }
        match self.selection.drop {
            true => self.refuse_to_drop(&existing),
            false => Some(self.refuse_to_merge(&existing)),
        }
    }

    fn refuse_to_merge(&self, existing: &[&Restored]) -> RestoreError {
        let hosts = self.report.hosts.clone();
        let names = listed(existing.iter().map(|one| &one.to));
        let owners = existing.iter().find(|one| !is_users_or_roles(&one.to));
        match owners {
            Some(first) => {
                let database = &first.namespace.database;
                RestoreError::Exists {
                    hosts,
                    existing: names,
                    rename: format!("--rename '{database}={database}_restored'"),
                }
            }
            None => RestoreError::UsersExist {
                hosts,
                existing: names,
            },
        }
    }

    /// What mongorestore would not drop, or after which it could not go on.
    fn refuse_to_drop(&self, existing: &[&Restored]) -> Option<RestoreError> {
        let kept = existing
            .iter()
            .find(|one| one.to.collection.starts_with(SYSTEM) && !is_users_or_roles(&one.to));
        if let Some(one) = kept {
            return Some(RestoreError::NeverDropped {
                namespace: one.to.clone(),
                command: format!(
                    "db.getSiblingDB({:?}).getCollection({:?}).drop()",
                    one.to.database, one.to.collection
                ),
            });
        }
        let replaces_users = existing.iter().any(|one| is_users_or_roles(&one.to));
        let owners = self.report.namespaces.iter().map(|one| &one.to);
        let mut owners = owners.filter(|to| !is_users_or_roles(to) && !is_auth_version(to));
        (replaces_users && owners.next().is_some()).then_some(RestoreError::UsersBesideOthers)
    }

    /// A replay that the server refuses would end the restore in the middle.
    pub(super) async fn check_replay(&self, cancel: &Cancel) -> Result<(), RestoreError> {
        if self.operations_fed == 0 || cancel.or(self.target.may_replay()).await?? {
            return Ok(());
        }
        Err(RestoreError::ReplayNotAllowed {
            setting: self.uri.setting(),
            grant: replay_access::replay_grant(&self.uri),
        })
    }

    /// Said before users and roles are replaced.
    pub(super) fn warn_of_users(&mut self) {
        let replaced = |one: &Restored| one.exists && is_users_or_roles(&one.to);
        if self.selection.drop && self.report.namespaces.iter().any(replaced) {
            self.report.warnings.push(format!(
                "users and roles of {} are replaced by those of the archive, the user who restores included: log in with \
                 the archive's users and passwords afterwards",
                self.report.hosts
            ));
        }
    }
}

/// The first names, and how many more there are.
fn listed<'n>(namespaces: impl ExactSizeIterator<Item = &'n Namespace>) -> String {
    let more = namespaces.len().saturating_sub(NAMED);
    let mut named: Vec<String> = namespaces.take(NAMED).map(ToString::to_string).collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join(", ")
}

/// How to find out by hand whether users or roles are there that could not be counted.
pub(super) fn how_to_count(one: &Restored) -> String {
    let Restored { to, documents, .. } = one;
    format!(
        "{to}: not checked, since the server no longer answers the user who restored; log in as a user of the archive, and \
         in mongosh db.getSiblingDB(\"admin\").getCollection({:?}).countDocuments() gives {documents}",
        to.collection
    )
}
