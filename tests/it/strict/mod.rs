//! The relay before test servers refuses what MongoDB refuses, and takes what MongoDB takes.

mod chosen;
mod drill;

use crate::support::{Manner, Server, Strict, Version};
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What was recorded, and no row is about.
const ELSEWHERE: [&str; 2] = ["wrong password", "create db with dot"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    versions: Vec<String>,
    what: String,
    db: String,
    command: serde_json::Map<String, Value>,
    #[serde(default)]
    setup: Vec<serde_json::Map<String, Value>>,
    roles: Option<Vec<String>>,
    #[serde(default = "yes")]
    primary: bool,
    #[serde(default)]
    stand_in_lacks: bool,
    code: Option<i32>,
    #[serde(rename = "codeName")]
    code_name: Option<String>,
    message: Option<String>,
    source: String,
}

fn yes() -> bool {
    true
}

impl Row {
    fn manner(&self, version: &str) -> Manner {
        let manner = Manner::of(Version::named(version));
        let manner = if self.primary {
            manner
        } else {
            manner.without_primary()
        };
        match &self.roles {
            Some(roles) => manner.with_roles(&roles.iter().map(String::as_str).collect::<Vec<_>>()),
            None => manner,
        }
    }

    fn recorded(&self) -> Option<&str> {
        self.source.strip_prefix("recorded: ")
    }

    /// Whether a message is the row's.
    fn fits(&self, message: &str) -> bool {
        let expected = self.message.as_deref().unwrap_or_default();
        match expected.strip_suffix('…') {
            Some(beginning) => message.starts_with(beginning),
            None => message == expected,
        }
    }
}

fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("refusals.json")).unwrap()
}

fn replies() -> BTreeMap<String, Value> {
    serde_json::from_str(include_str!(
        "../../fixtures/real/mongod-4.4.6-replies.json"
    ))
    .unwrap()
}

fn bson(json: &serde_json::Map<String, Value>) -> Document {
    json.clone().try_into().unwrap()
}

fn is_fine(answer: &Document) -> bool {
    matches!(answer.get("ok"), Some(Bson::Double(1.0) | Bson::Int32(1)))
        && !answer.contains_key("writeErrors")
}

#[test]
fn every_row_is_refused_or_taken_as_it_says() {
    let server = Server::start();
    let mut wrong = Vec::new();
    for (number, row) in rows().iter().enumerate() {
        for version in &row.versions {
            let plain = Strict::before(server.port, Manner::of(Version::V8_0));
            if row.db == "odd" || row.db == "ttl" {
                assert!(is_fine(&plain.ask(&row.db, doc! { "dropDatabase": 1 })));
            }
            let strict = Strict::before(server.port, row.manner(version));
            for command in &row.setup {
                let answer = strict.ask(&row.db, bson(command));
                assert!(
                    is_fine(&answer),
                    "row {number} on {version}: {command:?}: {answer}"
                );
            }
            let answer = strict.ask(&row.db, bson(&row.command));
            let code = answer.get_i32("code").ok();
            let fits = match row.code {
                None => strict.refused().is_empty() && (is_fine(&answer) || row.stand_in_lacks),
                Some(_) => {
                    code == row.code
                        && answer.get_str("codeName").ok() == row.code_name.as_deref()
                        && row.fits(answer.get_str("errmsg").unwrap_or_default())
                }
            };
            if !fits {
                wrong.push(format!("row {number} on {version}, {}: {answer}", row.what));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn recorded_rows_are_equal_to_what_was_recorded_and_nothing_recorded_is_left_out() {
    let (rows, replies) = (rows(), replies());
    for row in &rows {
        let Some(key) = row.recorded() else {
            assert_eq!(row.source, "documentation", "{}", row.what);
            continue;
        };
        let reply = replies
            .get(key)
            .unwrap_or_else(|| panic!("{key} was not recorded"));
        assert_eq!(row.versions, ["4.4"], "{key}");
        assert_eq!(reply["code"].as_i64(), row.code.map(i64::from), "{key}");
        assert_eq!(
            reply["codeName"].as_str(),
            row.code_name.as_deref(),
            "{key}"
        );
        if let Some(error) = reply["error"].as_str() {
            let message = error
                .split_once(", full error: ")
                .map_or(error, |(message, _)| message);
            assert!(row.fits(message), "{key}: {message}");
        }
    }
    for key in replies
        .iter()
        .filter(|(_, reply)| reply.get("error").is_some())
        .map(|(key, _)| key)
    {
        let has_row = rows.iter().any(|row| row.recorded() == Some(key));
        assert!(has_row != ELSEWHERE.contains(&key.as_str()), "{key}");
    }
}

/// As drivers and tools see it.
#[test]
fn a_server_behind_the_relay_passes_for_the_version() {
    let server = Server::start();
    let recorded = replies();
    for version in Version::ALL {
        let strict = Strict::before(server.port, Manner::of(version));
        let (hello, build) = (doc! { "hello": 1 }, doc! { "buildInfo": 1 });
        let (hello, build) = (strict.ask("admin", hello), strict.ask("admin", build));
        assert!(
            build
                .get_str("version")
                .unwrap()
                .starts_with(version.label()),
            "{build}"
        );
        assert_eq!(
            hello.get_str("me").unwrap(),
            format!("127.0.0.1:{}", strict.port)
        );
        if version == Version::V4_4 {
            assert_eq!(hello.get_i32("maxWireVersion").ok(), Some(9));
            assert_eq!(recorded["hello"]["maxWireVersion"], 9);
            assert_eq!(
                recorded["buildInfo"]["version"],
                build.get_str("version").unwrap()
            );
        }
    }
}

/// Who is connected is said as the server says it.
#[test]
fn users_behind_the_relay_have_their_roles_and_privileges() {
    let server = Server::start();
    let manner = Manner::of(Version::V4_4).with_roles(&["restore", "backup"]);
    let strict = Strict::before(server.port, manner);
    let status = strict.ask(
        "admin",
        doc! { "connectionStatus": 1, "showPrivileges": true },
    );
    let info: Value = serde_json::to_value(status.get_document("authInfo").unwrap()).unwrap();
    let recorded = &replies()["keeper: connectionStatus"]["authInfo"];
    assert_eq!(
        info["authenticatedUserRoles"],
        recorded["authenticatedUserRoles"]
    );
    assert_eq!(info["authenticatedUsers"], recorded["authenticatedUsers"]);
    assert!(
        !info["authenticatedUserPrivileges"]
            .to_string()
            .contains("anyAction"),
        "{info}"
    );
}
