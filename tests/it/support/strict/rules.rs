//! What MongoDB refuses and its stand-in takes, or refuses in other words. Each rule has its rows in `refusals.json`.

use super::{Manner, Refusal, Upstream, Version};
use mongodb::bson::{Bson, Document, doc};
use std::time::{SystemTime, UNIX_EPOCH};

/// In bytes, of a database and a collection together.
const LONGEST_NAMESPACE: usize = 255;

/// What an index may have beside its name and key. `dropDups`, `ns` and `background` are taken and do nothing.
const INDEX_OPTIONS: [&str; 27] = [
    "2dsphereIndexVersion",
    "background",
    "bits",
    "bucketSize",
    "coarsestIndexedLevel",
    "collation",
    "default_language",
    "dropDups",
    "expireAfterSeconds",
    "finestIndexedLevel",
    "force",
    "hidden",
    "key",
    "language_override",
    "max",
    "min",
    "name",
    "ns",
    "partialFilterExpression",
    "sparse",
    "storageEngine",
    "textIndexVersion",
    "unique",
    "v",
    "weights",
    "wildcardProjection",
    "prepareUnique",
];

/// What `create` takes on every version, beside what belongs to every command.
const CREATE_OPTIONS: [&str; 15] = [
    "create",
    "capped",
    "autoIndexId",
    "idIndex",
    "size",
    "max",
    "storageEngine",
    "validator",
    "validationLevel",
    "validationAction",
    "indexOptionDefaults",
    "viewOn",
    "pipeline",
    "collation",
    "temp",
];

/// And what later versions brought.
const LATER_CREATE_OPTIONS: [(&str, Version); 5] = [
    ("timeseries", Version::V7_0),
    ("expireAfterSeconds", Version::V7_0),
    ("clusteredIndex", Version::V7_0),
    ("changeStreamPreAndPostImages", Version::V7_0),
    ("encryptedFields", Version::V7_0),
];

/// What every command may have.
const GENERIC: [&str; 14] = [
    "$db",
    "lsid",
    "$clusterTime",
    "$readPreference",
    "writeConcern",
    "readConcern",
    "comment",
    "maxTimeMS",
    "txnNumber",
    "autocommit",
    "startTransaction",
    "apiVersion",
    "apiStrict",
    "apiDeprecationErrors",
];

/// Commands that a member answers in any state.
const ALWAYS: [&str; 14] = [
    "hello",
    "ismaster",
    "isMaster",
    "buildInfo",
    "buildinfo",
    "ping",
    "saslStart",
    "saslContinue",
    "connectionStatus",
    "endSessions",
    "getParameter",
    "hostInfo",
    "replSetGetStatus",
    "getLog",
];

/// Why this command is refused, if it is.
pub fn refuse(
    manner: &Manner,
    database: &str,
    command: &Document,
    server: &mut Upstream,
) -> Option<Refusal> {
    let (name, value) = command.iter().next()?;
    let collection = value.as_str().unwrap_or_default();
    if !manner.has_primary && !ALWAYS.contains(&name.as_str()) {
        return Some(Refusal::new(
            13436,
            "NotPrimaryOrSecondary",
            "node is not in primary or recovering state",
        ));
    }
    if let Some(roles) = &manner.roles
        && !allowed(roles, name, database, collection)
    {
        let words = format!(
            "not authorized on {database} to execute command {}",
            shown(command)
        );
        return Some(Refusal::new(13, "Unauthorized", words));
    }
    match name.as_str() {
        "create" => create(manner.version, database, collection, command),
        "createIndexes" => {
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
        "drop" => drop_collection(database, collection),
        _ => None,
    }
}

/// Whether one of the roles allows a command. Only what was recorded is held back; the rest is the server's own affair.
fn allowed(roles: &[String], command: &str, database: &str, collection: &str) -> bool {
    let any = |wanted: &[&str]| roles.iter().any(|role| wanted.contains(&role.as_str()));
    if any(&["root", "anything"]) {
        return true;
    }
    match (command, database, collection) {
        ("applyOps", ..) => false,
        ("find" | "aggregate" | "count", "local" | "config", _) => any(&["backup"]),
        ("insert", "admin", "system.users" | "system.roles") => any(&["restore"]),
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
            CREATE_OPTIONS.contains(&field) || GENERIC.contains(&field),
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

fn index_specification(version: Version, index: &Document) -> Option<Refusal> {
    let refusal = |words: &str| Some(Refusal::new(67, "CannotCreateIndex", words));
    let within = |words: &str| {
        format!(
            "Error in specification {} :: caused by :: {words}",
            shown(index)
        )
    };
    if let Some(field) = index
        .keys()
        .find(|field| !INDEX_OPTIONS.contains(&field.as_str()))
    {
        let words = format!(
            "The field '{field}' is not valid for an index specification. Specification: {}",
            shown(index)
        );
        return Some(Refusal::new(
            197,
            "InvalidIndexSpecificationOption",
            within(&words),
        ));
    }
    let format = index.get("v").and_then(number).unwrap_or(2.0);
    if format != 1.0 && format != 2.0 {
        let words = format!(
            "Invalid index specification {}; cannot create an index with v={format}",
            shown(index)
        );
        return refusal(&within(&words));
    }
    let key = index.get_document("key").ok()?;
    if key.is_empty() {
        return refusal(&within("Index keys cannot be empty."));
    }
    if let Some(words) = key.values().find_map(|value| key_value(value, format)) {
        return refusal(&within(&words));
    }
    if version >= Version::V7_0
        && key
            .values()
            .any(|value| value.as_str() == Some("geoHaystack"))
    {
        return refusal(&within(
            "GeoHaystack indexes cannot be created in version 4.9 and above",
        ));
    }
    let seconds = index.get("expireAfterSeconds")?;
    let words = match expiry(version, seconds) {
        Some(words) => words,
        None if key.len() > 1 => {
            "TTL indexes are single-field indexes, compound indexes do not support TTL".to_owned()
        }
        None => return None,
    };
    refusal(&format!("{words}. Index spec: {}", shown(index)))
}

fn key_value(value: &Bson, format: f64) -> Option<String> {
    match (number(value), value) {
        // The old format took nearly everything.
        _ if format < 2.0 => None,
        (Some(0.0), _) => Some("Values in the index key pattern cannot be 0.".into()),
        (Some(_), _) | (_, Bson::String(_)) => None,
        (_, other) => Some(format!(
            "Values in v:2 index key pattern cannot be of type {}. Only numbers > 0, numbers < 0, and strings are allowed.",
            type_name(other)
        )),
    }
}

/// What is wrong with a time to live.
fn expiry(version: Version, seconds: &Bson) -> Option<String> {
    let option = "TTL index 'expireAfterSeconds' option";
    let Some(seconds) = number(seconds) else {
        return Some(format!(
            "{option} must be numeric, but received a type of '{}'",
            type_name(seconds)
        ));
    };
    let most = match version {
        Version::V4_4 => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64(),
        _ => f64::from(i32::MAX),
    };
    if seconds < 0.0 {
        return Some(format!("{option} cannot be less than 0"));
    }
    (seconds > most)
        .then(|| format!("{option} must be within an acceptable range, try a lower number"))
}

/// Whether there is another index of that name, or of that key.
fn conflict(
    database: &str,
    collection: &str,
    index: &Document,
    server: &mut Upstream,
) -> Option<Refusal> {
    let (name, key) = (index.get_str("name").ok()?, index.get_document("key").ok()?);
    let same = |one: &Document, option: &str| {
        let plain = |value: Option<&Bson>| {
            value
                .cloned()
                .filter(|value| *value != Bson::Boolean(false))
        };
        plain(one.get(option)) == plain(index.get(option))
    };
    for there in indexes(database, collection, server) {
        let (its_name, its_key) = (
            there.get_str("name").unwrap_or_default(),
            there.get_document("key").ok()?,
        );
        let same_key = shown(its_key) == shown(key);
        let same_options = ["unique", "sparse", "partialFilterExpression", "collation"]
            .iter()
            .all(|one| same(&there, one));
        if its_name == name && !(same_key && same_options) {
            let words = format!(
                "An existing index has the same name as the requested index. When index names are not specified, they are \
                 auto generated and can cause conflicts. Please refer to our documentation. Requested index: {}, existing \
                 index: {}",
                shown(index),
                shown(&there)
            );
            return Some(Refusal::new(86, "IndexKeySpecsConflict", words));
        }
        if its_name != name && same_key && same_options {
            let words = format!("Index already exists with a different name: {its_name}");
            return Some(Refusal::new(85, "IndexOptionsConflict", words));
        }
        if its_name == name
            && number_of(&there, "expireAfterSeconds") != number_of(index, "expireAfterSeconds")
        {
            let words = format!(
                "An equivalent index already exists with the same name but different options. Requested index: {}, \
                 existing index: {}",
                shown(index),
                shown(&there)
            );
            return Some(Refusal::new(85, "IndexOptionsConflict", words));
        }
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

fn drop_collection(database: &str, collection: &str) -> Option<Refusal> {
    const MAY_GO: [&str; 4] = [
        "system.views",
        "system.profile",
        "system.healthlog",
        "system.keys",
    ];
    let own = collection.starts_with("system.") && !collection.starts_with("system.buckets.");
    (own && !MAY_GO.contains(&collection)).then(|| {
        Refusal::new(
            20,
            "IllegalOperation",
            format!("can't drop system collection {database}.{collection}"),
        )
    })
}

fn indexes(database: &str, collection: &str, server: &mut Upstream) -> Vec<Document> {
    let answer = server.ask(database, doc! { "listIndexes": collection });
    let cursor = answer.get_document("cursor").ok();
    let batch = cursor.and_then(|cursor| cursor.get_array("firstBatch").ok());
    batch
        .into_iter()
        .flatten()
        .filter_map(|index| index.as_document().cloned())
        .collect()
}

fn number_of(document: &Document, field: &str) -> Option<f64> {
    document.get(field).and_then(number)
}

fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        _ => None,
    }
}

fn type_name(value: &Bson) -> &'static str {
    match value {
        Bson::Boolean(_) => "bool",
        Bson::String(_) => "string",
        Bson::Document(_) => "object",
        Bson::Array(_) => "array",
        Bson::Null => "null",
        Bson::DateTime(_) => "date",
        _ => "other",
    }
}

/// A document in the words in which MongoDB shows it.
fn shown(document: &Document) -> String {
    let fields: Vec<String> = document
        .iter()
        .map(|(name, its)| format!("{name}: {}", value(its)))
        .collect();
    if fields.is_empty() {
        "{}".into()
    } else {
        format!("{{ {} }}", fields.join(", "))
    }
}

fn value(value: &Bson) -> String {
    let list = |values: &[Bson]| {
        values
            .iter()
            .map(self::value)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match value {
        Bson::String(text) => format!("\"{text}\""),
        Bson::Document(document) => shown(document),
        Bson::Array(values) if values.is_empty() => "[]".into(),
        Bson::Array(values) => format!("[ {} ]", list(values)),
        Bson::Null => "null".into(),
        other => other.to_string(),
    }
}
