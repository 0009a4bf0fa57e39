//! As what the relay passes: a version of MongoDB, a member of a replica set, a user with roles.

use mongodb::bson::{Bson, Document, doc};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V4_4,
    V7_0,
    V8_0,
}

impl Version {
    pub(crate) const ALL: [Version; 3] = [Version::V4_4, Version::V7_0, Version::V8_0];

    pub(crate) fn named(name: &str) -> Self {
        let found = Self::ALL
            .into_iter()
            .find(|version| version.label() == name);
        found.unwrap_or_else(|| panic!("no such version: {name}"))
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Version::V4_4 => "4.4",
            Version::V7_0 => "7.0",
            Version::V8_0 => "8.0",
        }
    }

    fn numbers(self) -> [i32; 4] {
        match self {
            Version::V4_4 => [4, 4, 6, 0],
            Version::V7_0 => [7, 0, 14, 0],
            Version::V8_0 => [8, 0, 4, 0],
        }
    }

    fn wire(self) -> i32 {
        match self {
            Version::V4_4 => 9,
            Version::V7_0 => 21,
            Version::V8_0 => 25,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Manner {
    pub version: Version,
    /// Another wire version than the version's own.
    wire: Option<i32>,
    /// The name under which the member is known in its set.
    advertised: Option<String>,
    pub has_primary: bool,
    /// Of the user who is connected; none when everything is allowed.
    pub roles: Option<Vec<String>>,
    shows_users: bool,
    /// Bytes of its disk: used, and in all.
    disk: Option<(i64, i64)>,
}

impl Manner {
    pub(crate) fn of(version: Version) -> Self {
        Manner {
            version,
            wire: None,
            advertised: None,
            has_primary: true,
            roles: None,
            shows_users: false,
            disk: None,
        }
    }

    /// Lists the collections of users and roles, as MongoDB does, and takes the user away who replaces them.
    pub(crate) fn showing_users(self) -> Self {
        Manner {
            shows_users: true,
            ..self
        }
    }

    /// MongoDB's list of the collections of `admin`.
    pub(crate) fn admin_collections(&self) -> Option<Document> {
        let names = ["system.users", "system.version", "system.roles"];
        let named = names.map(|name| doc! { "name": name, "type": "collection", "options": {}, "info": { "readOnly": false } });
        self.shows_users.then(|| {
            let cursor = doc! { "id": 0_i64, "ns": "admin.$cmd.listCollections", "firstBatch": named.to_vec() };
            doc! { "cursor": cursor, "ok": 1.0 }
        })
    }

    /// Has a disk of so many bytes, so many of them used.
    pub(crate) fn with_disk(self, used: i64, total: i64) -> Self {
        Manner {
            disk: Some((used, total)),
            ..self
        }
    }

    /// What MongoDB says of a database that is there.
    pub(crate) fn statistics(&self, database: &str) -> Option<Document> {
        let (used, total) = self.disk?;
        let (used, total) = (used as f64, total as f64);
        Some(
            doc! { "db": database, "collections": 1, "fsUsedSize": used, "fsTotalSize": total, "ok": 1.0 },
        )
    }

    /// Says that it speaks no newer protocol than this.
    pub(crate) fn speaking(self, wire: i32) -> Self {
        Manner {
            wire: Some(wire),
            ..self
        }
    }

    /// A set of one that was initiated under this `HOST:PORT`.
    pub(crate) fn advertising(self, name: &str) -> Self {
        Manner {
            advertised: Some(name.to_owned()),
            ..self
        }
    }

    /// A set whose only member is neither primary nor secondary.
    pub(crate) fn without_primary(self) -> Self {
        Manner {
            has_primary: false,
            ..self
        }
    }

    /// The user has these roles, each as `ROLE` of `admin` or as `ROLE@DATABASE`, and what they do not allow is refused.
    pub(crate) fn with_roles(self, roles: &[&str]) -> Self {
        Manner {
            roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
            ..self
        }
    }

    /// Changes what a server says about itself; none when this is about something else.
    pub(crate) fn dress(&self, mut document: Document, server: u16, port: u16) -> Option<Document> {
        if document.contains_key("maxWireVersion") {
            document.insert("maxWireVersion", self.wire.unwrap_or(self.version.wire()));
            let (real, known) = (format!("127.0.0.1:{server}"), format!("127.0.0.1:{port}"));
            let known = self.advertised.as_deref().unwrap_or(&known);
            document = document
                .into_iter()
                .map(|(name, value)| (name, renamed(value, &real, known)))
                .collect();
            if !self.has_primary {
                for name in ["isWritablePrimary", "ismaster"] {
                    if document.contains_key(name) {
                        document.insert(name, false);
                    }
                }
                document.remove("primary");
            }
            return Some(document);
        }
        if document.contains_key("versionArray") {
            let numbers = self.version.numbers();
            document.insert(
                "version",
                format!("{}.{}.{}", numbers[0], numbers[1], numbers[2]),
            );
            document.insert("versionArray", numbers.map(Bson::Int32).to_vec());
            return Some(document);
        }
        None
    }

    /// Who is connected, and what he may do: by the roles, if there are any.
    pub(crate) fn connection_status(&self, command: &Document) -> Option<Document> {
        let roles: Vec<(&str, &str)> = self
            .roles
            .as_ref()?
            .iter()
            .map(|role| role.split_once('@').unwrap_or((role, "admin")))
            .collect();
        let named: Vec<Document> = roles
            .iter()
            .map(|(role, db)| doc! { "role": *role, "db": *db })
            .collect();
        let mut info = doc! {
            "authenticatedUsers": [{ "user": "keeper", "db": "admin" }],
            "authenticatedUserRoles": named,
        };
        if command.get_bool("showPrivileges").unwrap_or(false) {
            let privileges: Vec<Bson> = roles
                .iter()
                .flat_map(|(role, db)| privileges(role, db))
                .collect();
            info.insert("authenticatedUserPrivileges", privileges);
        }
        Some(doc! { "authInfo": info, "ok": 1.0 })
    }
}

/// What a built-in role allows, as far as backups and restores need it.
fn privileges(role: &str, database: &str) -> Vec<Bson> {
    let normal = doc! { "db": "", "collection": "" };
    let of = |resource: &Document, actions: &[&str]| {
        Bson::from(doc! { "resource": resource, "actions": actions.to_vec() })
    };
    let system = |name: &str| doc! { "db": "", "collection": name };
    match role {
        "backup" => vec![
            of(
                &doc! { "anyResource": true },
                &["listCollections", "listIndexes"],
            ),
            of(
                &doc! { "cluster": true },
                &["appendOplogNote", "getParameter", "listDatabases"],
            ),
            of(&normal, &["find"]),
            of(&doc! { "db": "local", "collection": "" }, &["find"]),
            of(&doc! { "db": "config", "collection": "" }, &["find"]),
            of(&system("system.users"), &["find"]),
        ],
        "restore" => vec![
            of(&doc! { "anyResource": true }, &["listCollections"]),
            of(
                &normal,
                &[
                    "collMod",
                    "createCollection",
                    "createIndex",
                    "dropCollection",
                    "insert",
                ],
            ),
            of(
                &doc! { "db": "admin", "collection": "system.users" },
                &[
                    "collMod",
                    "createCollection",
                    "createIndex",
                    "dropCollection",
                    "find",
                    "insert",
                    "remove",
                    "update",
                ],
            ),
        ],
        "readAnyDatabase" => {
            vec![
                of(&normal, &["find", "listCollections", "listIndexes"]),
                of(&doc! { "cluster": true }, &["listDatabases"]),
            ]
        }
        "anything" => vec![of(&doc! { "anyResource": true }, &["anyAction"])],
        _ => {
            vec![of(
                &doc! { "db": database, "collection": "" },
                &["find", "insert", "listCollections", "listIndexes"],
            )]
        }
    }
}

/// A text, or a list of them, in which a host has another name.
fn renamed(value: Bson, old: &str, new: &str) -> Bson {
    match value {
        Bson::String(text) if text == old => Bson::from(new),
        Bson::Array(values) => values
            .into_iter()
            .map(|value| renamed(value, old, new))
            .collect(),
        other => other,
    }
}
