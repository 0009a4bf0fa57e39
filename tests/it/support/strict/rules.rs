//! What MongoDB refuses and its stand-in takes, or refuses in other words. Each rule has its rows in `refusals.json`.

use super::indexes::{conflict, expiry, first_batch, index_specification, indexes};
use super::shell::{shown, value};
use super::{Manner, Refusal, Upstream, Version};
use mongodb::bson::{Bson, Document, doc};

/// In bytes, of a database and a collection together.
const LONGEST_NAMESPACE: usize = 255;

/// What `create` takes on every version, beside what belongs to every command.
const CREATE_OPTIONS: &str = "create capped autoIndexId idIndex size max storageEngine validator validationLevel \
    validationAction indexOptionDefaults viewOn pipeline collation temp";

/// And what later versions brought.
const LATER_CREATE_OPTIONS: [(&str, Version); 5] = [
    ("timeseries", Version::V7_0),
    ("expireAfterSeconds", Version::V7_0),
    ("clusteredIndex", Version::V7_0),
    ("changeStreamPreAndPostImages", Version::V7_0),
    ("encryptedFields", Version::V7_0),
];

/// What every command may have.
const GENERIC: &str = "$db lsid $clusterTime $readPreference writeConcern readConcern comment maxTimeMS \
    txnNumber autocommit startTransaction apiVersion apiStrict apiDeprecationErrors";

/// Commands that a member answers in any state.
const ALWAYS: &str = "hello ismaster isMaster buildInfo buildinfo ping saslStart saslContinue \
    connectionStatus endSessions getParameter hostInfo replSetGetStatus getLog";

/// Why this command is refused, if it is.
pub(super) fn refuse(
    manner: &Manner,
    database: &str,
    command: &Document,
    server: &mut Upstream,
) -> Option<Refusal> {
    let (name, value) = command.iter().next()?;
    let collection = value.as_str().unwrap_or_default();
    if !manner.has_primary && !is_in(ALWAYS, name) {
        return Some(Refusal::new(
            13436,
            "NotPrimaryOrSecondary",
            "node is not in primary or recovering state",
        ));
    }
    if let Some(roles) = &manner.roles
        && !is_in(ALWAYS, name)
        && !allowed(roles, name, database, collection)
    {
        let words = match roles.is_empty() {
            true => format!("command {name} requires authentication"),
            false => format!(
                "not authorized on {database} to execute command {}",
                shown(command)
            ),
        };
        return Some(Refusal::new(13, "Unauthorized", words));
    }
    match name.as_str() {
        "create" => create(manner.version, database, collection, command),
        "createIndexes" => {
            if is_view(database, collection, server) {
                let words =
                    format!("Namespace {database}.{collection} is a view, not a collection");
                return Some(Refusal::new(166, "CommandNotSupportedOnView", words));
            }
            let indexes = command.get_array("indexes").ok()?;
            indexes
                .iter()
                .filter_map(Bson::as_document)
                .find_map(|index| {
                    index_specification(manner.version, index)
                        .or_else(|| conflict(database, collection, index, server))
                })
        }
        "collMod" => collection_change(manner.version, database, collection, command, server),
        "drop" => drop_collection(manner.version, database, collection, server),
        _ => None,
    }
}

/// Whether one of the roles allows a command. Only what was recorded is held back; the rest is the server's own affair.
fn allowed(roles: &[String], command: &str, database: &str, collection: &str) -> bool {
    if roles.is_empty() {
        return false;
    }
    let any = |wanted: &[&str]| roles.iter().any(|role| wanted.contains(&role.as_str()));
    if any(&["root", "anything"]) {
        return true;
    }
    match (command, database, collection) {
        ("applyOps", ..) => false,
        ("dropDatabase", ..) | ("drop", _, "system.views") if any(&["backup", "restore"]) => {
            any(&["dbAdminAnyDatabase"])
        }
        // Others are shown the names of those databases alone that they may look into.
        ("listCollections", ..) if any(&["clusterMonitor"]) && !any(&["backup", "restore"]) => {
            let mut databases = roles.iter().filter_map(|role| role.split_once('@'));
            databases.clone().next().is_none() || databases.any(|(_, one)| one == database)
        }
        ("find" | "aggregate" | "count", "local" | "config", _) => any(&["backup"]),
        ("insert", "admin", "system.users" | "system.roles") => any(&["restore"]),
        ("dbStats", ..) => {
            let of_it =
                |role: &String| role.split_once('@').is_some_and(|(_, one)| one == database);
            any(&["clusterMonitor", "dbAdminAnyDatabase", "readAnyDatabase"])
                || roles.iter().any(of_it)
        }
        _ => true,
    }
}

fn create(
    version: Version,
    database: &str,
    collection: &str,
    command: &Document,
) -> Option<Refusal> {
    let known = |field: &str| {
        let later = LATER_CREATE_OPTIONS.iter().find(|(name, _)| *name == field);
        later.map_or(
            is_in(CREATE_OPTIONS, field) || is_in(GENERIC, field),
            |(_, since)| version >= *since,
        )
    };
    if let Some(field) = command.keys().find(|field| !known(field)) {
        let words = format!("BSON field 'create.{field}' is an unknown field.");
        return Some(Refusal::new(40415, "Location40415", words));
    }
    let namespace = format!("{database}.{collection}");
    if namespace.len() > LONGEST_NAMESPACE {
        let words = format!(
            "Fully qualified namespace is too long. Namespace: {namespace} Max: {LONGEST_NAMESPACE}"
        );
        return Some(Refusal::new(4862100, "Location4862100", words));
    }
    if collection.contains('$') {
        let words = match version {
            Version::V4_4 => "invalid collection name".to_owned(),
            _ => format!("Invalid collection name: {collection}"),
        };
        return Some(Refusal::new(73, "InvalidNamespace", words));
    }
    if command.get_bool("capped").unwrap_or(false) && !command.contains_key("size") {
        return Some(Refusal::new(
            72,
            "InvalidOptions",
            "the 'size' field is required when 'capped' is true",
        ));
    }
    None
}

fn collection_change(
    version: Version,
    database: &str,
    collection: &str,
    command: &Document,
    server: &mut Upstream,
) -> Option<Refusal> {
    let change = command.get_document("index").ok()?;
    let seconds = change.get("expireAfterSeconds")?;
    if let Some(words) = expiry(version, seconds) {
        return Some(Refusal::new(72, "InvalidOptions", words));
    }
    let meant =
        |index: &&Document| match (change.get_str("name"), change.get_document("keyPattern")) {
            (Ok(name), _) => index.get_str("name").is_ok_and(|its| its == name),
            (_, Ok(key)) => index
                .get_document("key")
                .is_ok_and(|its| shown(its) == shown(key)),
            _ => false,
        };
    let there = indexes(database, collection, server);
    let Some(index) = there.iter().find(meant) else {
        let which = change
            .get("name")
            .or(change.get("keyPattern"))
            .map(value)
            .unwrap_or_default();
        let words = format!(
            "cannot find index {} for ns {database}.{collection}",
            which.trim_matches('"')
        );
        return Some(Refusal::new(27, "IndexNotFound", words));
    };
    // Later versions make a TTL index of any.
    let lacks = version == Version::V4_4 && !index.contains_key("expireAfterSeconds");
    lacks.then(|| {
        Refusal::new(
            72,
            "InvalidOptions",
            "no expireAfterSeconds field to update",
        )
    })
}

fn drop_collection(
    version: Version,
    database: &str,
    collection: &str,
    server: &mut Upstream,
) -> Option<Refusal> {
    const MAY_GO: [&str; 4] = [
        "system.views",
        "system.profile",
        "system.healthlog",
        "system.keys",
    ];
    let own = collection.starts_with("system.") && !collection.starts_with("system.buckets.");
    if own && !MAY_GO.contains(&collection) {
        let words = format!("can't drop system collection {database}.{collection}");
        return Some(Refusal::new(20, "IllegalOperation", words));
    }
    // Later versions are content when there is nothing to drop.
    if version == Version::V4_4 && collection != "system.views" {
        let nothing = catalog(database, collection, server).is_empty();
        return nothing.then(|| Refusal::new(26, "NamespaceNotFound", "ns not found"));
    }
    None
}

fn is_view(database: &str, collection: &str, server: &mut Upstream) -> bool {
    let found = catalog(database, collection, server);
    found
        .iter()
        .any(|entry| entry.get_str("type").is_ok_and(|kind| kind == "view"))
}

/// What `listCollections` says of a name.
fn catalog(database: &str, collection: &str, server: &mut Upstream) -> Vec<Document> {
    let named = doc! { "listCollections": 1, "filter": { "name": collection } };
    first_batch(&server.ask(database, named))
}

/// Whether a word is in a list.
pub(super) fn is_in(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|one| one == word)
}
