//! The server's own collections, some of which are restored like no other.

use super::error::RestoreError;
use super::steps::RestoreStep;
use crate::archive::namespace::Namespace;
use crate::mongo::target::Target;
use crate::sys::cancel::Cancel;
use std::collections::{BTreeSet, HashSet};

/// Collections of the server's own begin so.
pub(super) const SYSTEM: &str = "system.";

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

/// Whether mongorestore looks for a namespace at the head of the stream: once anything else has come, it takes the users
/// without the version that says how they are stored, and refuses them. Dumps of MongoDB 8.1 and later spare it the version.
pub(super) fn is_taken_first(namespace: &Namespace) -> bool {
    is_users_or_roles(namespace) || is_auth_version(namespace)
}

/// Collections of the server's own that are on the target, in the databases where such are to be restored.
pub(super) async fn system_collections(
    steps: &[RestoreStep],
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
