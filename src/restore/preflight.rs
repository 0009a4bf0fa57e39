//! What ends a restore before anything is written: what is there already, and what the user may not do.

use super::error::RestoreError;
use super::plan::RestorePlan;
use super::system::{SYSTEM, is_auth_version, is_users_or_roles};
use crate::archive::namespace::Namespace;
use crate::mongo::replay_access;
use crate::sys::cancel::Cancel;
use crate::sys::humanize::{self, first_and_more};

/// Namespaces named in a refusal; the rest are counted.
pub(super) const NAMED: usize = 10;

impl RestorePlan {
    /// What stands in the way on the target.
    pub(crate) fn refusal(&self) -> Option<RestoreError> {
        let existing = self.existing();
        if existing.is_empty() {
            return None;
        }
        match self.selection.drop {
            true => self.refuse_to_drop(&existing),
            false => Some(self.refuse_to_merge(&existing)),
        }
    }

    fn refuse_to_merge(&self, existing: &[&Namespace]) -> RestoreError {
        let hosts = self.target.hosts().to_owned();
        let names: Vec<String> = existing.iter().map(ToString::to_string).collect();
        let names = first_and_more(&names, NAMED);
        match existing.iter().find(|to| !is_users_or_roles(to)) {
            Some(Namespace { database, .. }) => RestoreError::Exists {
                hosts,
                existing: names,
                rename: format!("--rename '{database}={database}_restored'"),
            },
            None => RestoreError::UsersExist {
                hosts,
                existing: names,
            },
        }
    }

    /// What mongorestore would not drop, or after which it could not go on.
    fn refuse_to_drop(&self, existing: &[&Namespace]) -> Option<RestoreError> {
        let kept = existing
            .iter()
            .find(|to| to.collection.starts_with(SYSTEM) && !is_users_or_roles(to));
        if let Some(&to) = kept {
            let Namespace {
                database,
                collection,
            } = to;
            return Some(RestoreError::NeverDropped {
                namespace: to.clone(),
                command: format!(
                    "db.getSiblingDB({database:?}).getCollection({collection:?}).drop()"
                ),
            });
        }
        let replaces_users = existing.iter().any(|to| is_users_or_roles(to));
        let mut owners = self.steps.iter().map(|step| &step.to);
        let has_others = owners.any(|to| !is_users_or_roles(to) && !is_auth_version(to));
        (replaces_users && has_others).then_some(RestoreError::UsersBesideOthers)
    }
}

/// A replay that the server refuses would end the restore in the middle.
pub(super) async fn check_replay(plan: &RestorePlan, cancel: &Cancel) -> Result<(), RestoreError> {
    if plan.oplog.fed == 0 || cancel.or(plan.target.may_replay()).await?? {
        return Ok(());
    }
    Err(RestoreError::ReplayNotAllowed {
        setting: plan.uri.setting(),
        grant: replay_access::replay_grant(&plan.uri),
    })
}

/// Said before users and roles are replaced.
pub(super) fn warning_of_users(plan: &RestorePlan) -> Option<String> {
    let replaced = plan.existing().into_iter().any(is_users_or_roles);
    (plan.selection.drop && replaced).then(|| {
        format!(
            "users and roles of {} are replaced by those of the archive, the user who restores included: log in with \
             the archive's users and passwords afterwards",
            plan.target.hosts()
        )
    })
}

/// Said before the server's disk may become full, where the server tells of it.
pub(super) async fn warning_of_room(plan: &RestorePlan) -> Option<String> {
    let steps = plan.steps.iter();
    let sizes = steps
        .clone()
        .map(|step| plan.contents[step.source].totals.bytes);
    let documents = sizes.sum();
    let databases = steps.map(|step| step.to.database.as_str());
    let free = plan.target.short_of_room(documents, databases).await?;
    Some(format!(
        "the disk of {} has {} free, and {} of documents are to come, before the server compresses them: MongoDB ends \
         when its disk becomes full",
        plan.target.hosts(),
        humanize::bytes(free),
        humanize::bytes(documents)
    ))
}

/// How to find out by hand whether users or roles are there that could not be counted.
pub(super) fn how_to_count(to: &Namespace, documents: u64) -> String {
    format!(
        "{to}: not checked, since the server no longer answers the user who restored; log in as a user of the archive, and \
         in mongosh db.getSiblingDB(\"admin\").getCollection({:?}).countDocuments() gives {documents}",
        to.collection
    )
}
