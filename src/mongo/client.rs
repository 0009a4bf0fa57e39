//! The MongoDB server, asked directly: is it there, may we, what is it, and what does it hold.

pub use super::inventory::{Examination, examine};
pub use super::target::{Definition, Target};

use crate::archive::manifest::{Server, Topology};
use crate::archive::namespace::{Kind, Namespace};
use crate::mongo::uri::MongoUri;
use crate::sys::humanize;
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ClientOptions;
use mongodb::results::CollectionType;
use mongodb::{Client, Database};
use std::time::Duration;

/// How long to look for a server when the connection string does not say.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The server's code for what a user may not do.
pub(super) const NOT_AUTHORIZED: i32 = 13;
/// Counts asked for at the same time.
const COUNTS_AT_ONCE: usize = 8;

/// Why the server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "cannot reach MongoDB at {hosts}: {reason}; check that it runs and that {setting} names it"
    )]
    Unreachable {
        setting: &'static str,
        hosts: String,
        reason: String,
    },
    #[error(
        "MongoDB at {hosts} refused the user name or the password in {setting}; check both, and authSource"
    )]
    Credentials {
        setting: &'static str,
        hosts: String,
    },
    #[error("the user in {setting} may not {action}; in mongosh, as an administrator: {grant}")]
    Role {
        setting: &'static str,
        action: &'static str,
        grant: String,
    },
    #[error("{setting} cannot be used: {reason}")]
    Uri {
        setting: &'static str,
        reason: String,
    },
    #[error("MongoDB at {hosts} answered with an error: {reason}")]
    Other { hosts: String, reason: String },
}

impl ServerError {
    /// Whether it may pass by itself.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            ServerError::Unreachable { .. } | ServerError::Other { .. }
        )
    }
}

/// A collection, view or time series on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub namespace: Namespace,
    pub kind: Kind,
}

/// What the server holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub server: Server,
    /// All databases the user may see, without `local`.
    pub databases: Vec<String>,
    pub found: Vec<Found>,
}

/// Connects, asks, and disconnects again: a dump may take hours, and needs the memory.
///
/// A user who may not list databases may still read those that were `chosen` by name.
/// A server that takes longer than `limit` to answer is as good as away.
pub async fn ask(uri: &MongoUri, chosen: &[String], limit: Duration) -> Result<Facts, ServerError> {
    let asked = async {
        let client = connect(uri).await?;
        let facts = facts(&client, uri, chosen).await;
        client.shutdown().immediate(true).await;
        facts
    };
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(silent(uri, limit)))
}

pub(super) fn silent(uri: &MongoUri, limit: Duration) -> ServerError {
    let reason = format!("it did not answer within {}", humanize::duration(limit));
    ServerError::Unreachable {
        setting: uri.setting(),
        hosts: uri.hosts().to_owned(),
        reason,
    }
}

/// About how many documents there are, from the collections' own statistics. What the server will not tell counts as
/// nothing. For progress only: a server may take its time, so nothing waits for it.
pub async fn estimate(uri: &MongoUri, namespaces: Vec<Namespace>) -> Result<u64, ServerError> {
    let client = connect(uri).await?;
    let counts = stream::iter(namespaces).map(async |namespace| {
        let collection = client
            .database(&namespace.database)
            .collection::<Document>(&namespace.collection);
        collection
            .estimated_document_count()
            .await
            .unwrap_or_default()
    });
    let total = counts
        .buffer_unordered(COUNTS_AT_ONCE)
        .fold(0, async |total, count| total + count)
        .await;
    client.shutdown().immediate(true).await;
    Ok(total)
}

/// The line that gives the user of the connection string what a backup needs, for an administrator's `mongosh`.
pub fn grant(uri: &MongoUri) -> String {
    let auth = uri
        .option("authSource")
        .or_else(|| uri.database())
        .unwrap_or("admin");
    let user = uri.user().unwrap_or("(nobody)");
    format!(
        "db.getSiblingDB(\"{auth}\").grantRolesToUser(\"{user}\", [{{ role: \"backup\", db: \"admin\" }}])"
    )
}

pub(super) async fn connect(uri: &MongoUri) -> Result<Client, ServerError> {
    let connected = async {
        let mut options = ClientOptions::parse(uri.expose()).await?;
        options
            .app_name
            .get_or_insert_with(|| "pantry-keeper".into());
        options
            .server_selection_timeout
            .get_or_insert(SELECTION_TIMEOUT);
        Client::with_options(options)
    };
    connected
        .await
        .map_err(|error| explain(uri, "connect", error))
}

pub(super) async fn facts(
    client: &Client,
    uri: &MongoUri,
    chosen: &[String],
) -> Result<Facts, ServerError> {
    let admin = client.database("admin");
    let run = async |command: Document| admin.run_command(command).await;
    let hello = match run(doc! { "hello": 1 }).await {
        // Servers before 4.4.2 do not know it by this name.
        Err(error) if is_command(&error, 59) => run(doc! { "isMaster": 1 }).await,
        result => result,
    };
    let hello = hello.map_err(|error| explain(uri, "connect", error))?;
    let build = run(doc! { "buildInfo": 1 })
        .await
        .map_err(|error| explain(uri, "ask for the server's version", error))?;
    let topology = if hello
        .get_str("msg")
        .is_ok_and(|message| message == "isdbgrid")
    {
        Topology::Sharded
    } else if hello.contains_key("setName") {
        Topology::ReplicaSet
    } else {
        Topology::Standalone
    };
    let version = build.get_str("version").unwrap_or("unknown").to_owned();
    // Names only: for sizes, some servers read all their files.
    let (listed, guessed) = match client.list_database_names().await {
        Err(error) if is_command(&error, NOT_AUTHORIZED) && !chosen.is_empty() => {
            (chosen.to_vec(), true)
        }
        result => (
            result.map_err(|error| explain(uri, "list databases", error))?,
            false,
        ),
    };
    let mut databases: Vec<String> = listed.into_iter().filter(|name| name != "local").collect();
    databases.sort();
    let mut found = Vec::new();
    for name in &databases {
        found.extend(
            collections(&client.database(name))
                .await
                .map_err(|error| explain(uri, "list collections", error))?,
        );
    }
    if guessed {
        // Nobody has said that they are there; a database without collections is not.
        databases.retain(|name| {
            found
                .iter()
                .any(|found: &Found| found.namespace.database == *name)
        });
    }
    Ok(Facts {
        server: Server {
            version,
            hosts: uri.hosts().to_owned(),
            topology,
        },
        databases,
        found,
    })
}

pub(super) async fn collections(database: &Database) -> Result<Vec<Found>, Error> {
    let mut listed = Vec::new();
    let mut cursor = database.list_collections().await?;
    while let Some(collection) = cursor.try_next().await? {
        let kind = match collection.collection_type {
            CollectionType::View => Kind::View,
            CollectionType::Timeseries => Kind::TimeSeries,
            _ => Kind::Collection,
        };
        listed.push((collection.name, kind));
    }
    // The server's own collections are dumped where mongodump dumps them; nobody asks for them.
    listed.retain(|(name, _)| !name.starts_with("system."));
    listed.sort();
    let named = |(name, kind)| Found {
        namespace: Namespace::new(database.name(), name),
        kind,
    };
    Ok(listed.into_iter().map(named).collect())
}

pub(super) fn is_command(error: &Error, code: i32) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if command.code == code)
}

/// Turns the driver's words into ours. Nothing of the connection string but its hosts is ever repeated.
pub(super) fn explain(uri: &MongoUri, action: &'static str, error: Error) -> ServerError {
    let (setting, hosts) = (uri.setting(), uri.hosts().to_owned());
    let credentials =
        matches!(*error.kind, ErrorKind::Authentication { .. }) || is_command(&error, 18);
    if credentials {
        let setting = uri.password_setting();
        return ServerError::Credentials { setting, hosts };
    }
    if is_command(&error, NOT_AUTHORIZED) {
        return ServerError::Role {
            setting,
            action,
            grant: grant(uri),
        };
    }
    match &*error.kind {
        ErrorKind::ServerSelection { message, .. } => ServerError::Unreachable {
            setting,
            hosts,
            reason: selection_reason(message),
        },
        ErrorKind::Io(reason) => ServerError::Unreachable {
            setting,
            hosts,
            reason: reason.to_string(),
        },
        ErrorKind::DnsResolve { message, .. } => ServerError::Unreachable {
            setting,
            hosts,
            reason: message.clone(),
        },
        ErrorKind::ConnectionPoolCleared { message, .. } => ServerError::Unreachable {
            setting,
            hosts,
            reason: message.clone(),
        },
        ErrorKind::InvalidArgument { message, .. } => ServerError::Uri {
            setting,
            reason: message.clone(),
        },
        ErrorKind::InvalidTlsConfig { message, .. } => ServerError::Uri {
            setting,
            reason: message.clone(),
        },
        other => ServerError::Other {
            hosts,
            reason: other.to_string(),
        },
    }
}

/// The driver describes its whole view of the topology; what a person needs is why the first server did not answer.
fn selection_reason(message: &str) -> String {
    let Some((_, cause)) = message.split_once("Error: ") else {
        return "no server answered in time".into();
    };
    let cause = cause.split(", labels:").next().unwrap_or(cause);
    cause
        .trim_start_matches("Kind: ")
        .trim_end_matches([' ', '}', ']'])
        .to_owned()
}
