//! What a user may do, as `connectionStatus` tells it, and the lines for mongosh that give what is missing.

use crate::mongo::uri::MongoUri;
use mongodb::Client;
use mongodb::bson::{Document, doc};

/// Databases of the server's own; nobody means them when they ask what may be read.
const INTERNAL: [&str; 3] = ["admin", "config", "local"];

/// The line that gives the user of the connection string what a backup needs, for an administrator's `mongosh`; none
/// when the connection string names no user.
pub fn grant(uri: &MongoUri) -> Option<String> {
    let auth = uri
        .option("authSource")
        .or_else(|| uri.database())
        .unwrap_or("admin");
    let user = uri.user()?;
    Some(format!(
        "db.getSiblingDB(\"{auth}\").grantRolesToUser(\"{user}\", [{{ role: \"backup\", db: \"admin\" }}])"
    ))
}

/// The same for a server that is restored into and read back.
pub fn grant_restore(uri: &MongoUri) -> Option<String> {
    let user = uri.user()?;
    let auth = uri
        .option("authSource")
        .or_else(|| uri.database())
        .unwrap_or("admin");
    Some(format!(
        "db.getSiblingDB(\"{auth}\").grantRolesToUser(\"{user}\", [{{ role: \"restore\", db: \"admin\" }}, {{ role: \
         \"backup\", db: \"admin\" }}])"
    ))
}

/// Databases that the user may read whole, without the server's own; empty where it is not known. For advice only.
pub async fn readable_databases(client: &Client) -> Vec<String> {
    let command = doc! { "connectionStatus": 1, "showPrivileges": true };
    let status = client.database("admin").run_command(command).await;
    let Ok(status) = status else {
        return Vec::new();
    };
    let mut databases = readable_in(&status);
    databases.retain(|name| !INTERNAL.contains(&name.as_str()));
    databases.sort();
    databases.dedup();
    databases
}

fn readable_in(status: &Document) -> Vec<String> {
    let listed = status
        .get_document("authInfo")
        .and_then(|info| info.get_array("authenticatedUserPrivileges"));
    let privileges = listed.into_iter().flatten().filter_map(|p| p.as_document());
    let readable = |privilege: &Document| {
        let resource = privilege.get_document("resource").ok()?;
        let database = resource.get_str("db").ok()?;
        let whole = resource.get_str("collection").is_ok_and(str::is_empty);
        let actions = privilege.get_array("actions").ok()?;
        let find = actions.iter().any(|action| action.as_str() == Some("find"));
        (whole && find && !database.is_empty()).then(|| database.to_owned())
    };
    privileges.filter_map(readable).collect()
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
        assert_eq!(readable_in(&status), ["shop"]);
    }

    #[test]
    fn without_a_user_there_is_no_one_to_grant_to() {
        assert_eq!(
            MongoUri::parse("mongodb://h/").map(|uri| grant(&uri)),
            Ok(None)
        );
        let uri = MongoUri::parse("mongodb://u:p@h/shop").unwrap();
        assert!(grant(&uri).unwrap().starts_with("db.getSiblingDB(\"shop\")"));
    }
}
