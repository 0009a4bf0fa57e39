//! A closer look at the server, for `doctor`: may we read all that a backup reads, and does its clock agree with ours?

use super::client::{Facts, ask, close, connect, silent};
use super::error::ServerError;
use super::privileges::{self, Access};
use crate::archive::manifest::Topology;
use crate::mongo::uri::MongoUri;
use chrono::{DateTime, Utc};
use mongodb::bson::{Document, doc};
use std::time::Duration;

/// What a server says about itself and about us, beside what it holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Examination {
    pub facts: Facts,
    /// Our roles as `(role, database)`; none when the server did not ask who we are.
    pub roles: Option<Vec<(String, String)>>,
    /// What the user may read.
    pub access: Access,
    /// The server's clock.
    pub clock: Option<DateTime<Utc>>,
    /// Whether the oplog may be read; none where there is none.
    pub oplog: Option<bool>,
}

/// Roles with which everything can be read.
const READS_ALL: [&str; 4] = ["backup", "root", "__system", "atlasAdmin"];
/// Roles with which one database can be read.
const READS_ONE: [&str; 4] = ["read", "readWrite", "dbOwner", "backup"];

/// What a user may not read of what is to be backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Nothing,
    /// All databases were chosen, and the user may not read every one.
    AllDatabases,
    /// Of those that were chosen.
    Databases(Vec<String>),
}

impl Examination {
    /// Whether our roles let us restore into any database and read all of it, as far as they are known.
    pub(crate) fn restores(&self) -> bool {
        let Some(roles) = &self.roles else {
            return true;
        };
        let holds = |names: &[&str]| {
            roles
                .iter()
                .any(|(role, database)| database == "admin" && names.contains(&role.as_str()))
        };
        let known = |role: &String| {
            [&READS_ALL[..], &READS_ONE, BUILT_IN]
                .concat()
                .contains(&role.as_str())
        };
        let own = roles.iter().any(|(role, _)| !known(role));
        let all = ["root", "__system", "atlasAdmin"];
        own || holds(&all)
            // mongorestore goes round validators, for which one has to be allowed to.
            || ((holds(&["restore"])
                || (holds(&["readWriteAnyDatabase"]) && holds(&["dbAdminAnyDatabase"])))
                && holds(&["backup", "readAnyDatabase", "readWriteAnyDatabase"]))
    }

    /// What our roles do not show to be readable of what was chosen. Roles that someone made up are taken to be what is
    /// needed.
    pub(crate) fn unreadable(&self, chosen: &[String]) -> Unreadable {
        let Some(roles) = &self.roles else {
            return Unreadable::Nothing;
        };
        let known = |role: &String| {
            [&READS_ALL[..], &READS_ONE, BUILT_IN]
                .concat()
                .contains(&role.as_str())
        };
        let reads_all = |(role, database): &(String, String)| {
            !known(role) || (database == "admin" && READS_ALL.contains(&role.as_str()))
        };
        if roles.iter().any(reads_all) {
            return Unreadable::Nothing;
        }
        if chosen.is_empty() {
            return Unreadable::AllDatabases;
        }
        let any = roles
            .iter()
            .any(|(role, _)| role.starts_with("read") && role.ends_with("AnyDatabase"));
        let reads = |wanted: &String| {
            any || roles
                .iter()
                .any(|(role, database)| database == wanted && READS_ONE.contains(&role.as_str()))
        };
        let unreadable: Vec<String> = chosen
            .iter()
            .filter(|database| !reads(database))
            .cloned()
            .collect();
        match unreadable.is_empty() {
            true => Unreadable::Nothing,
            false => Unreadable::Databases(unreadable),
        }
    }
}

/// Built-in roles that do not let their holder read what a backup needs.
const BUILT_IN: &[&str] = &[
    "clusterAdmin",
    "clusterManager",
    "clusterMonitor",
    "dbAdmin",
    "dbAdminAnyDatabase",
    "enableSharding",
    "hostManager",
    "readAnyDatabase",
    "readWriteAnyDatabase",
    "restore",
    "userAdmin",
    "userAdminAnyDatabase",
];

/// Asks all that [`ask`] asks, and what may keep a backup from succeeding one day.
pub(crate) async fn examine(
    uri: &MongoUri,
    chosen: &[String],
    limit: Duration,
) -> Result<Examination, ServerError> {
    let facts = ask(uri, chosen, limit).await?;
    let asked = async {
        let client = connect(uri).await?;
        let admin = client.database("admin");
        let status = privileges::connection_status(&client).await.ok();
        let hello = admin.run_command(doc! { "hello": 1 }).await.ok();
        let oplog = match facts.server.topology {
            Topology::ReplicaSet => {
                let oplog = client.database("local").collection::<Document>("oplog.rs");
                Some(
                    oplog
                        .find_one(doc! {})
                        .projection(doc! { "ts": 1 })
                        .await
                        .is_ok(),
                )
            }
            _ => None,
        };
        close(client).await;
        let clock = hello.and_then(|hello| {
            hello
                .get_datetime("localTime")
                .ok()
                .and_then(|time| DateTime::from_timestamp_millis(time.timestamp_millis()))
        });
        Ok(Examination {
            roles: status.as_ref().and_then(roles),
            access: status
                .as_ref()
                .map(privileges::access_in)
                .unwrap_or_default(),
            clock,
            oplog,
            facts,
        })
    };
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(silent(uri, limit)))
}

/// The roles in an answer to `connectionStatus`; none without a login.
fn roles(status: &Document) -> Option<Vec<(String, String)>> {
    if privileges::auth_info(status, "authenticatedUsers")?.is_empty() {
        return None;
    }
    let roles = privileges::auth_info(status, "authenticatedUserRoles")?;
    let roles = roles.into_iter().filter_map(|role| {
        Some((
            role.get_str("role").ok()?.to_owned(),
            role.get_str("db").ok()?.to_owned(),
        ))
    });
    Some(roles.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::manifest::Server;

    fn with_roles(roles: &[(&str, &str)]) -> Examination {
        let server = Server {
            version: "8.0.4".into(),
            hosts: "db".into(),
            topology: Topology::Standalone,
        };
        let roles = roles
            .iter()
            .map(|(role, database)| ((*role).to_owned(), (*database).to_owned()))
            .collect();
        let facts = Facts {
            server,
            databases: Vec::new(),
            found: Vec::new(),
            admin_withheld: false,
        };
        Examination {
            facts,
            roles: Some(roles),
            access: Access::default(),
            clock: None,
            oplog: None,
        }
    }

    #[test]
    fn a_drill_has_to_write_and_to_read() {
        for (roles, may) in [
            (&[("root", "admin")][..], true),
            (&[("restore", "admin"), ("backup", "admin")], true),
            (&[("readWriteAnyDatabase", "admin")], false),
            (
                &[
                    ("readWriteAnyDatabase", "admin"),
                    ("dbAdminAnyDatabase", "admin"),
                ],
                true,
            ),
            (&[("ourOwn", "admin")], true),
            (&[("restore", "admin")], false),
            (&[("backup", "admin")], false),
            (&[("root", "shop")], false),
            (&[], false),
        ] {
            assert_eq!(with_roles(roles).restores(), may, "{roles:?}");
        }
        assert!(
            Examination {
                roles: None,
                ..with_roles(&[])
            }
            .restores()
        );
    }

    #[test]
    fn what_may_be_read_is_told_from_the_roles() {
        use Unreadable::{AllDatabases, Databases, Nothing};
        let shop = ["shop".to_owned(), "blog".to_owned()];
        for (roles, all, some) in [
            (&[("backup", "admin")][..], Nothing, Nothing),
            (&[("root", "admin"), ("read", "shop")], Nothing, Nothing),
            // The role of that name in another database is another role.
            (&[("root", "shop")], AllDatabases, Databases(shop.to_vec())),
            (&[("readAnyDatabase", "admin")], AllDatabases, Nothing),
            (
                &[("read", "shop"), ("readWrite", "blog")],
                AllDatabases,
                Nothing,
            ),
            (
                &[("read", "shop"), ("dbAdmin", "blog")],
                AllDatabases,
                Databases(vec!["blog".to_owned()]),
            ),
            (&[("ourOwn", "admin")], Nothing, Nothing),
            (&[], AllDatabases, Databases(shop.to_vec())),
        ] {
            let examination = with_roles(roles);
            assert_eq!(examination.unreadable(&[]), all, "{roles:?}");
            assert_eq!(examination.unreadable(&shop), some, "{roles:?}");
        }
        assert_eq!(
            Examination {
                roles: None,
                ..with_roles(&[])
            }
            .unreadable(&[]),
            Nothing
        );
    }
}
