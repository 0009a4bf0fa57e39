//! Whether the user of a connection string may replay an oplog, by the answer to `connectionStatus`.

use super::client::explain;
use super::error::ServerError;
use super::privileges::{self, auth_info};
use super::target::Target;
use super::uri::MongoUri;
use mongodb::bson::Document;
use mongodb::error::ErrorKind;

/// Roles of `admin` that allow `applyOps` and every operation in it.
const REPLAYING_ROLES: [&str; 3] = ["root", "__system", "atlasAdmin"];
/// Built-in roles that do not, not even together.
const OTHER_ROLES: [&str; 16] = [
    "backup",
    "clusterAdmin",
    "clusterManager",
    "clusterMonitor",
    "dbAdmin",
    "dbOwner",
    "enableSharding",
    "hostManager",
    "read",
    "readAnyDatabase",
    "readWrite",
    "readWriteAnyDatabase",
    "restore",
    "searchCoordinator",
    "userAdmin",
    "userAdminAnyDatabase",
];
/// What the operations of an oplog do to documents, beside inserting them.
const OPERATIONS: [&str; 2] = ["update", "remove"];

/// Whether an answer to `connectionStatus` shows a user who may replay an oplog. One who is not known to be short of
/// anything may.
pub(crate) fn may_replay(status: &Document) -> bool {
    // Without users, everybody may do everything.
    if auth_info(status, "authenticatedUsers").is_none_or(|users| users.is_empty()) {
        return true;
    }
    let roles = auth_info(status, "authenticatedUserRoles").unwrap_or_default();
    let is_replaying = |role: &&Document| {
        role.get_str("db").is_ok_and(|database| database == "admin")
            && role
                .get_str("role")
                .is_ok_and(|name| REPLAYING_ROLES.contains(&name))
    };
    if roles.iter().any(is_replaying) {
        return true;
    }
    match auth_info(status, "authenticatedUserPrivileges") {
        Some(held) => allow_replay(&held),
        None => roles.iter().any(|role| {
            role.get_str("role")
                .is_ok_and(|name| !OTHER_ROLES.contains(&name))
        }),
    }
}

fn allow_replay(held: &[&Document]) -> bool {
    let is_any = |privilege: &Document| {
        privilege
            .get_document("resource")
            .is_ok_and(|resource| resource.get_bool("anyResource").unwrap_or(false))
    };
    let allows = |privilege: &Document, action: &str| {
        [action, "anyAction"]
            .iter()
            .any(|one| privileges::allows(privilege, one))
    };
    let everything = |privilege: &&&Document| is_any(privilege) && allows(privilege, "anyAction");
    if held.iter().any(|privilege| everything(&privilege)) {
        return true;
    }
    let on_cluster = |privilege: &&&Document| {
        let resource = privilege.get_document("resource");
        let cluster = resource.is_ok_and(|resource| resource.get_bool("cluster").unwrap_or(false));
        (cluster || is_any(privilege)) && allows(privilege, "applyOps")
    };
    held.iter().any(|privilege| on_cluster(&privilege))
        && OPERATIONS
            .iter()
            .all(|action| held.iter().any(|privilege| allows(privilege, action)))
}

/// The line that lets the user of a connection string replay an oplog, for an administrator's `mongosh`.
pub(crate) fn replay_grant(uri: &MongoUri) -> String {
    let user = uri.user().unwrap_or("USER");
    format!(
        "db.getSiblingDB(\"admin\").createRole({{ role: \"replayOplog\", privileges: [{{ resource: {{ anyResource: true }}, \
         actions: [\"anyAction\"] }}], roles: [] }}); {}",
        privileges::grant_roles(uri, user, &["replayOplog"])
    )
}

impl Target {
    /// Whether our user may replay an oplog, as far as the server says.
    pub(crate) async fn may_replay(&self) -> Result<bool, ServerError> {
        match privileges::connection_status(&self.client).await {
            Ok(status) => Ok(may_replay(&status)),
            // A server that does not know the command will say at the replay what it thinks of it.
            Err(error) if matches!(*error.kind, ErrorKind::Command(_)) => Ok(true),
            Err(error) => Err(explain(&self.uri, "ask what it may do", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{Bson, doc};

    fn status(roles: &[&str], privileges: Option<Vec<Document>>) -> Document {
        let roles: Vec<Document> = roles
            .iter()
            .map(|role| doc! { "role": *role, "db": "admin" })
            .collect();
        let mut info = doc! { "authenticatedUsers": [{ "user": "keeper", "db": "admin" }], "authenticatedUserRoles": roles };
        if let Some(privileges) = privileges {
            info.insert("authenticatedUserPrivileges", privileges);
        }
        doc! { "authInfo": info, "ok": 1.0 }
    }

    /// MongoDB 4.4.6 refused `applyOps` to each of these, with code 13.
    #[test]
    fn users_who_were_refused_may_not() {
        for recorded in [
            r#"{"authInfo": {"authenticatedUsers": [{"user": "backup", "db": "admin"}], "authenticatedUserRoles": [{"role": "backup", "db": "admin"}]}, "ok": 1.0}"#,
            r#"{"authInfo": {"authenticatedUsers": [{"user": "reader", "db": "admin"}], "authenticatedUserRoles": [{"role": "readAnyDatabase", "db": "admin"}]}, "ok": 1.0}"#,
            r#"{"authInfo": {"authenticatedUsers": [{"user": "keeper", "db": "admin"}], "authenticatedUserRoles": [{"role": "restore", "db": "admin"}, {"role": "backup", "db": "admin"}]}, "ok": 1.0}"#,
        ] {
            let json: serde_json::Value = serde_json::from_str(recorded).unwrap();
            let Bson::Document(status) = Bson::try_from(json).unwrap() else {
                panic!("no document")
            };
            assert!(!may_replay(&status), "{recorded}");
        }
    }

    #[test]
    fn privileges_decide_where_the_server_names_them() {
        let privilege = |resource: Document, actions: &[&str]| doc! { "resource": resource, "actions": actions.to_vec() };
        let any = || doc! { "anyResource": true };
        let everything = privilege(any(), &["anyAction"]);
        let apply = privilege(doc! { "cluster": true }, &["applyOps"]);
        let insert = privilege(doc! { "db": "", "collection": "" }, &["insert"]);
        let write = privilege(
            doc! { "db": "", "collection": "" },
            &["insert", "update", "remove"],
        );
        for (privileges, may) in [
            (vec![everything], true),
            (vec![apply.clone(), write.clone()], true),
            (vec![apply, insert], false),
            (vec![write], false),
            (vec![privilege(any(), &["listCollections"])], false),
            (vec![], false),
        ] {
            let answer = status(&["own"], Some(privileges));
            assert_eq!(may_replay(&answer), may, "{answer}");
        }
        assert!(may_replay(&status(&["own"], None)));
        assert!(may_replay(&status(&["root"], Some(vec![]))));
    }

    #[test]
    fn who_is_not_asked_who_he_is_may() {
        assert!(may_replay(&doc! { "ok": 1.0 }));
        assert!(may_replay(
            &doc! { "authInfo": { "authenticatedUsers": [], "authenticatedUserRoles": [] } }
        ));
    }
}
