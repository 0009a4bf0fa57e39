//! The MongoDB server, asked directly: is it there, may we, what is it, and what does it hold.

use super::driver_options::{DriverUri, missing_tls_file};
use super::error::ServerError;
use super::host_failure::HostFailure;
use super::login;
use super::privileges;
use super::topology::{self, Heartbeats, SelectionFailure};
use crate::archive::manifest::{Server, Topology};
use crate::archive::namespace::{Kind, Namespace};
use crate::mongo::uri::MongoUri;
use crate::sys::humanize;
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use std::time::Duration;

/// How long to look for a server when the connection string does not say.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST_CLOSE: Duration = Duration::from_secs(1);
/// The server's code for what a user may not do.
pub(super) const NOT_AUTHORIZED: i32 = 13;
/// Codes of a server that is going away or has lost its place: they say nothing about what was sent.
pub(super) const GOING_AWAY: [i32; 10] =
    [89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436];
/// Counts asked for at the same time.
const COUNTS_AT_ONCE: usize = 8;

/// A collection, view or time series on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub namespace: Namespace,
    pub kind: Kind,
}

/// What the server holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub server: Server,
    /// All databases the user may see, without `local`.
    pub databases: Vec<String>,
    pub found: Vec<Found>,
    /// Whether mongodump refuses the database admin: on a free or shared cluster of Atlas.
    pub admin_withheld: bool,
}

/// Connects, asks, and disconnects again: a dump may take hours, and needs the memory.
///
/// A user who may not list databases may still read those that were `chosen` by name.
/// A server that takes longer than `limit` to answer is treated as unreachable.
pub(crate) async fn ask(
    uri: &MongoUri,
    chosen: &[String],
    limit: Duration,
) -> Result<Facts, ServerError> {
    let asked = async {
        let client = connect(uri).await?;
        let facts = match chosen {
            [] => all_facts(&client, uri).await,
            _ => facts(&client, uri, chosen).await,
        };
        close(client).await;
        facts
    };
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(silent(uri, limit)))
}

/// The same where everything is wanted: a list of some databases must not pass for a list of all.
async fn all_facts(client: &Client, uri: &MongoUri) -> Result<Facts, ServerError> {
    let facts = facts(client, uri, &[]).await?;
    let access = privileges::access(client).await;
    match privileges::grant(uri).filter(|_| access.lists_all == Some(false)) {
        Some(grant) => Err(ServerError::Role {
            setting: uri.setting(),
            action: "list all databases",
            grant,
            readable: access.readable,
        }),
        None => Ok(facts),
    }
}

pub(super) fn silent(uri: &MongoUri, limit: Duration) -> ServerError {
    let reason = format!("it did not answer within {}", humanize::duration(limit));
    unreachable(uri, SelectionFailure::Unknown(reason))
}

/// About how many documents there are, from the collections' own statistics. What the server will not tell counts as
/// nothing. For progress only: a server may take its time, so nothing waits for it.
pub(crate) async fn estimate(
    uri: &MongoUri,
    namespaces: Vec<Namespace>,
) -> Result<u64, ServerError> {
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
    close(client).await;
    Ok(total)
}

/// Connects, which the driver does not do by itself until something is asked.
pub(super) async fn connect(uri: &MongoUri) -> Result<Client, ServerError> {
    if let Some(reason) = missing_tls_file(uri) {
        let setting = uri.setting();
        return Err(ServerError::Uri { setting, reason });
    }
    let heartbeats = Heartbeats::default();
    let client = client(uri, &heartbeats)
        .await
        .map_err(|error| explain(uri, "connect", error))?;
    let hello = hello(&client)
        .await
        .map_err(|error| explain_selection(uri, &heartbeats, error))?;
    // Asked for by name, it is taken for a server of its own, and would refuse whatever is asked next.
    if topology::has_no_set(&hello) {
        close(client).await;
        let host = uri.hosts().to_owned();
        return Err(unreachable(uri, SelectionFailure::NotInitiated { host }));
    }
    let member = hello.contains_key("setName");
    if member && !topology::is_readable(&hello) {
        close(client).await;
        return Err(member_error(uri, &hello, false));
    }
    Ok(client)
}

/// A server that hangs is not waited for: there is nothing left that it should know. Nor is the driver, which goes on looking
/// for new members of a `mongodb+srv` cluster once a minute, and would only end then.
pub(super) async fn close(client: Client) {
    let _ = tokio::time::timeout(LONGEST_CLOSE, client.shutdown().immediate(true)).await;
}

/// Fails unless the server takes writes.
pub(super) async fn require_primary(client: &Client, uri: &MongoUri) -> Result<(), ServerError> {
    let hello = hello(client)
        .await
        .map_err(|error| explain(uri, "connect", error))?;
    match topology::is_primary(&hello) {
        true => Ok(()),
        false => Err(member_error(uri, &hello, true)),
    }
}

fn member_error(uri: &MongoUri, hello: &Document, writing: bool) -> ServerError {
    ServerError::Member {
        setting: uri.setting(),
        hosts: uri.hosts().to_owned(),
        state: topology::state(hello),
        writing,
    }
}

async fn client(uri: &MongoUri, heartbeats: &Heartbeats) -> Result<Client, Error> {
    let driver = DriverUri::of(uri);
    if !driver.dropped.is_empty() {
        let (setting, names) = (uri.setting(), driver.dropped.join(", "));
        tracing::debug!("options in {setting} that have no meaning here are left out: {names}");
    }
    let mut options = ClientOptions::parse(driver.text).await?;
    if uri.is_direct() {
        options.direct_connection.get_or_insert(true);
    }
    options
        .app_name
        .get_or_insert_with(|| "pantry-keeper".into());
    options
        .server_selection_timeout
        .get_or_insert(SELECTION_TIMEOUT);
    options.sdam_event_handler = Some(heartbeats.handler());
    Client::with_options(options)
}

async fn hello(client: &Client) -> Result<Document, Error> {
    let admin = client.database("admin");
    match admin.run_command(doc! { "hello": 1 }).await {
        // Servers before 4.4.2 do not know it by this name.
        Err(error) if is_command(&error, 59) => admin.run_command(doc! { "isMaster": 1 }).await,
        result => result,
    }
}

fn topology(hello: &Document) -> Topology {
    if hello.get_str("msg").is_ok_and(|text| text == "isdbgrid") {
        Topology::Sharded
    } else if hello.contains_key("setName") {
        Topology::ReplicaSet
    } else {
        Topology::Standalone
    }
}

pub(super) async fn facts(
    client: &Client,
    uri: &MongoUri,
    chosen: &[String],
) -> Result<Facts, ServerError> {
    let hello = hello(client)
        .await
        .map_err(|error| explain(uri, "connect", error))?;
    let build = client
        .database("admin")
        .run_command(doc! { "buildInfo": 1 })
        .await
        .map_err(|error| explain(uri, "ask for the server's version", error))?;
    let version = build.get_str("version").unwrap_or("unknown").to_owned();
    // Names only: for sizes, some servers read all their files.
    let (listed, guessed) = match client.list_database_names().await {
        Err(error) if is_command(&error, NOT_AUTHORIZED) && !chosen.is_empty() => {
            (chosen.to_vec(), true)
        }
        Err(error) => return Err(explain_role(client, uri, "list databases", error).await),
        Ok(names) => (names, false),
    };
    let mut databases: Vec<String> = listed.into_iter().filter(|name| name != "local").collect();
    databases.sort();
    let mut found = Vec::new();
    let wanted = |name: &&String| chosen.is_empty() || chosen.contains(*name);
    // Of the others the user may see the name alone.
    for name in databases.iter().filter(wanted) {
        match collections(&client.database(name)).await {
            Ok(listed) => found.extend(listed),
            Err(error) => {
                return Err(explain_role(client, uri, "list collections", error).await);
            }
        }
    }
    if guessed {
        // The server has not said that they are there; a database without collections is not.
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
            topology: topology(&hello),
        },
        databases,
        found,
        admin_withheld: privileges::withholds_admin(client).await,
    })
}

/// Everything in a database, the server's own collections included.
pub(super) async fn listed(database: &Database) -> Result<Vec<(String, Kind)>, Error> {
    let mut listed = Vec::new();
    // Without their options, which for thousands of collections would be much to send and to hold.
    let command = doc! { "listCollections": 1, "nameOnly": true };
    let mut cursor = database.run_cursor_command(command).await?;
    while let Some(collection) = cursor.try_next().await? {
        let kind = match collection.get_str("type") {
            Ok("view") => Kind::View,
            Ok("timeseries") => Kind::TimeSeries,
            _ => Kind::Collection,
        };
        listed.push((
            collection.get_str("name").unwrap_or_default().to_owned(),
            kind,
        ));
    }
    Ok(listed)
}

pub(super) async fn collections(database: &Database) -> Result<Vec<Found>, Error> {
    let mut listed = listed(database).await?;
    // The server's own collections are dumped where mongodump dumps them; they are not chosen.
    listed.retain(|(name, _)| !name.starts_with("system."));
    listed.sort();
    let named = |(name, kind)| Found {
        namespace: Namespace::new(database.name(), name),
        kind,
    };
    Ok(listed.into_iter().map(named).collect())
}

pub(super) fn is_command(error: &Error, code: i32) -> bool {
    let ErrorKind::Command(command) = &*error.kind else {
        return false;
    };
    let by_atlas = || is_refused_by_atlas(command.code, &command.message);
    command.code == code || (code == NOT_AUTHORIZED && by_atlas())
}

/// The proxy before a free or shared cluster of Atlas has one code for all it refuses.
fn is_refused_by_atlas(code: i32, message: &str) -> bool {
    code == 8000 && message.contains("not allowed to do action")
}

/// The same as [`explain`], with the databases that the user may read where it is the role that is missing.
async fn explain_role(
    client: &Client,
    uri: &MongoUri,
    action: &'static str,
    error: Error,
) -> ServerError {
    match explain(uri, action, error) {
        ServerError::Role {
            setting,
            action,
            grant,
            ..
        } => ServerError::Role {
            setting,
            action,
            grant,
            readable: privileges::access(client).await.readable,
        },
        other => other,
    }
}

/// The same as [`explain`], with what the heartbeats say when no server could be selected.
fn explain_selection(uri: &MongoUri, heartbeats: &Heartbeats, error: Error) -> ServerError {
    let selection = matches!(
        *error.kind,
        ErrorKind::ServerSelection { .. }
            | ErrorKind::Io(_)
            | ErrorKind::ConnectionPoolCleared { .. }
    );
    match heartbeats.diagnose(uri) {
        Some(cause) if selection => unreachable(uri, cause),
        _ => explain(uri, "connect", error),
    }
}

fn unreachable(uri: &MongoUri, cause: SelectionFailure) -> ServerError {
    ServerError::Unreachable {
        setting: uri.setting(),
        hosts: uri.hosts().to_owned(),
        cause,
    }
}

/// Turns the driver's words into ours. Nothing of the connection string but its hosts is ever repeated.
pub(super) fn explain(uri: &MongoUri, action: &'static str, error: Error) -> ServerError {
    let (setting, hosts) = (uri.setting(), uri.hosts().to_owned());
    if login::is_refused(&error) {
        let setting = uri.password_setting();
        return ServerError::Credentials { setting, hosts };
    }
    if is_command(&error, NOT_AUTHORIZED) {
        return match privileges::grant(uri) {
            Some(grant) => ServerError::Role {
                setting,
                action,
                grant,
                readable: Vec::new(),
            },
            None => ServerError::NoUser { setting, hosts },
        };
    }
    let reason = match &*error.kind {
        ErrorKind::ServerSelection { .. } => "no server answered in time".into(),
        ErrorKind::Io(reason) => reason.to_string(),
        ErrorKind::DnsResolve { message, .. } if HostFailure::is_unknown_cluster(message) => {
            let (host, failure) = (hosts, HostFailure::UnknownCluster);
            return unreachable(uri, SelectionFailure::Host { host, failure });
        }
        ErrorKind::DnsResolve { message, .. } => message.clone(),
        ErrorKind::ConnectionPoolCleared { message, .. } => message.clone(),
        ErrorKind::InvalidArgument { message, .. }
        | ErrorKind::InvalidTlsConfig { message, .. } => {
            let reason = message.clone();
            return ServerError::Uri { setting, reason };
        }
        other => {
            let reason = other.to_string();
            return ServerError::Other { hosts, reason };
        }
    };
    unreachable(uri, SelectionFailure::Unknown(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_atlas_does_not_allow_is_a_matter_of_roles() {
        let refusal = "user is not allowed to do action [dropDatabase] on [shop.]";
        assert!(is_refused_by_atlas(8000, refusal));
        assert!(!is_refused_by_atlas(
            8000,
            "db name must be at most 38 characters"
        ));
        assert!(!is_refused_by_atlas(1, refusal));
    }
}
