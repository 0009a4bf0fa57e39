//! What a user may do, as `connectionStatus` tells it, and the lines for mongosh that give what is missing.

use crate::mongo::uri::MongoUri;
use mongodb::Client;
use mongodb::bson::{Document, doc};

/// Databases of the server's own; they are not meant by what may be read.
const INTERNAL: [&str; 3] = ["admin", "config", "local"];
/// Built-in roles that let their holder read the database they are of.
const READING_ROLES: [&str; 3] = ["read", "readWrite", "dbOwner"];

/// The line that gives the user of the connection string what a backup needs, for an administrator's `mongosh`; none
/// when the connection string names no user.
pub(crate) fn grant(uri: &MongoUri) -> Option<String> {
    Some(grant_roles(uri, user(uri)?, &["backup"]))
}

/// The same for a server that is restored into and read back.
pub(crate) fn grant_restore(uri: &MongoUri) -> Option<String> {
    Some(grant_roles(uri, user(uri)?, &["restore", "backup"]))
}

/// The same for what is dropped whole.
pub(super) fn grant_drop(uri: &MongoUri) -> String {
    grant_roles(uri, user(uri).unwrap_or("USER"), &["dbAdminAnyDatabase"])
}

/// The line for `mongosh` that gives `user` these roles of `admin`.
pub(super) fn grant_roles(uri: &MongoUri, user: &str, roles: &[&str]) -> String {
    let database = quoted(uri.user_database());
    let user = quoted(user);
    let roles: Vec<String> = roles
        .iter()
        .map(|role| format!("{{ role: \"{role}\", db: \"admin\" }}"))
        .collect();
    format!(
        "db.getSiblingDB({database}).grantRolesToUser({user}, [{}])",
        roles.join(", ")
    )
}

/// As mongosh reads it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The user's name; a certificate or a cloud's account signs in without one in the connection string.
fn user(uri: &MongoUri) -> Option<&str> {
    let elsewhere = uri.option("authMechanism").map(|_| "USER");
    uri.user().or(elsewhere)
}

/// Asks the server who is signed in, and what he may do.
pub(super) async fn connection_status(client: &Client) -> mongodb::error::Result<Document> {
    let command = doc! { "connectionStatus": 1, "showPrivileges": true };
    client.database("admin").run_command(command).await
}

/// One of the lists in an answer to `connectionStatus`; none when it is not there.
pub(super) fn auth_info<'s>(status: &'s Document, list: &str) -> Option<Vec<&'s Document>> {
    let listed = status.get_document("authInfo").ok()?.get_array(list).ok()?;
    Some(listed.iter().filter_map(|one| one.as_document()).collect())
}

/// What a user may do, as far as the server tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Access {
    /// Databases that may be read whole, without the server's own.
    pub readable: Vec<String>,
    /// Whether the server lists all its databases; it lists only some to a user of one database, without an error.
    pub lists_all: Option<bool>,
}

/// Asks for it. A server that does not answer is one of which nothing is known.
pub(crate) async fn access(client: &Client) -> Access {
    let status = connection_status(client).await;
    status.map(|status| access_in(&status)).unwrap_or_default()
}

pub(super) fn access_in(status: &Document) -> Access {
    let privileges = auth_info(status, "authenticatedUserPrivileges").unwrap_or_default();
    let roles = auth_info(status, "authenticatedUserRoles").unwrap_or_default();
    let by_privilege = privileges.iter().filter_map(|one| readable_by(one));
    let by_role = roles.iter().filter_map(|role| {
        let reads = READING_ROLES.contains(&role.get_str("role").ok()?);
        role.get_str("db").ok().filter(|_| reads)
    });
    let mut readable: Vec<String> = by_privilege.chain(by_role).map(str::to_owned).collect();
    readable.retain(|name| !name.is_empty() && !INTERNAL.contains(&name.as_str()));
    readable.sort();
    readable.dedup();
    let lists = |one: &&Document| allows(one, "listDatabases") || allows(one, "anyAction");
    let lists_all = (!privileges.is_empty()).then(|| privileges.iter().any(lists));
    Access {
        readable,
        lists_all,
    }
}

pub(super) fn allows(privilege: &Document, wanted: &str) -> bool {
    let actions = privilege.get_array("actions");
    actions.is_ok_and(|actions| actions.iter().any(|action| action.as_str() == Some(wanted)))
}

/// The database that a privilege lets its holder read whole.
fn readable_by(privilege: &Document) -> Option<&str> {
    let resource = privilege.get_document("resource").ok()?;
    let whole = resource.get_str("collection").is_ok_and(str::is_empty);
    resource
        .get_str("db")
        .ok()
        .filter(|_| whole && allows(privilege, "find"))
}

/// Whether mongodump refuses the database admin here. Only the proxy before a free or shared cluster of Atlas knows this
/// command: so mongodump tells one.
pub(super) async fn withholds_admin(client: &Client) -> bool {
    let admin = client.database("admin");
    admin.run_command(doc! { "atlasVersion": 1 }).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_databases_with_find_are_readable() {
        let privilege = |database: &str, collection: &str, action: &str| {
            doc! { "resource": { "db": database, "collection": collection }, "actions": [action, "listIndexes"] }
        };
        let status = doc! { "authInfo": { "authenticatedUserPrivileges": [
            privilege("shop", "", "find"),
            privilege("shop", "system.js", "find"),
            privilege("blog", "posts", "find"),
            privilege("logs", "", "insert"),
            privilege("", "", "find"),
            { "resource": { "cluster": true }, "actions": ["find"] },
        ] } };
        let access = access_in(&status);
        assert_eq!(access.readable, ["shop"]);
        assert_eq!(access.lists_all, Some(false));
        // Where the server tells no privileges, the roles have to do.
        let roles = doc! { "authInfo": { "authenticatedUserPrivileges": [], "authenticatedUserRoles": [
            { "role": "read", "db": "shop" }, { "role": "read", "db": "admin" }, { "role": "dbAdmin", "db": "blog" },
        ] } };
        let access = access_in(&roles);
        assert_eq!(
            (access.readable, access.lists_all),
            (vec!["shop".to_owned()], None)
        );
        let all = doc! { "authInfo": { "authenticatedUserPrivileges": [
            { "resource": { "cluster": true }, "actions": ["listDatabases"] },
        ] } };
        assert_eq!(access_in(&all).lists_all, Some(true));
    }

    #[test]
    fn without_a_user_there_is_no_one_to_grant_to() {
        assert_eq!(
            MongoUri::parse("mongodb://h/").map(|uri| grant(&uri)),
            Ok(None)
        );
        let uri = MongoUri::parse("mongodb://u:p@h/shop").unwrap();
        assert!(
            grant(&uri)
                .unwrap()
                .starts_with("db.getSiblingDB(\"shop\")")
        );
    }

    #[test]
    fn roles_are_given_where_the_user_is_kept_whatever_the_name_holds() {
        let line = |uri: &str| grant(&MongoUri::parse(uri).unwrap()).unwrap();
        for (uri, begins) in [
            (
                "mongodb://u:p@h/",
                r#"db.getSiblingDB("admin").grantRolesToUser("u", "#,
            ),
            (
                "mongodb://h/shop?authMechanism=MONGODB-X509&tls=true",
                r#"db.getSiblingDB("$external").grantRolesToUser("USER", "#,
            ),
            (
                "mongodb://u:p@h/?authMechanism=PLAIN",
                r#"db.getSiblingDB("$external").grantRolesToUser("u", "#,
            ),
            (
                "mongodb://u:p@h/ldap?authMechanism=plain",
                r#"db.getSiblingDB("ldap").grantRolesToUser("u", "#,
            ),
            (
                "mongodb://u:p@h/?authMechanism=PLAIN&authSource=users",
                r#"db.getSiblingDB("users").grantRolesToUser("u", "#,
            ),
            (
                "mongodb://a%22b%5C:p@h/",
                r#"db.getSiblingDB("admin").grantRolesToUser("a\"b\\", "#,
            ),
        ] {
            assert!(line(uri).starts_with(begins), "{uri}: {}", line(uri));
        }
    }
}
