//! `docs/json.md` and `docs/schemas`: what every `--json` prints is as the schemas say, and they promise nothing else.

use super::{code_blocks, page};
use crate::support::{
    Craft, Hang, OLDER, Outcome, Place, Reply, Server, Site, Web, empty_port, in_project, needed,
    path_with_tools, python, rewrite, shared, succeed,
};
use mongodb::bson::doc;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// What cannot be brought about here, and why.
const UNSEEN: &[(&str, &str)] = &[
    ("backup#/warnings/*", "needs a server that misbehaves"),
    ("drill#/warnings/*", "needs an archive with an oplog"),
    (
        "restore#/unchecked",
        "needs a server that takes the user away who restores",
    ),
    (
        "restore#/unchecked/*",
        "needs a server that takes the user away who restores",
    ),
    (
        "drill#/server_version null",
        "every server says its version",
    ),
    ("list#/free_bytes null", "every disk says how much is free"),
    (
        "status#/free_bytes null",
        "every disk says how much is free",
    ),
    (
        "status#/full_at",
        "takes archives that fill a disk within a year",
    ),
    (
        "status#/running_since",
        "takes a backup that is being made at that moment",
    ),
    (
        "list#/full_at",
        "takes archives that fill a disk within a year",
    ),
    (
        "restore#/namespaces/*/type timeseries",
        "only a real mongod has them",
    ),
    (
        "restore#/namespaces/*/type oplog",
        "an oplog is not a namespace to restore",
    ),
    (
        "show#/collections/*/type timeseries",
        "only a real mongod has them",
    ),
    (
        "show#/collections/*/type oplog",
        "only a real mongod dumps one",
    ),
    (
        "diff#/collections/*/type timeseries",
        "only a real mongod has them",
    ),
    (
        "diff#/collections/*/type oplog",
        "operations are not compared",
    ),
    (
        "verify#/archives/*/namespaces/*/type timeseries",
        "only a real mongod has them",
    ),
    (
        "verify#/archives/*/namespaces/*/type oplog",
        "only a real mongod dumps one",
    ),
    (
        "health#/next_run_at null",
        "takes a schedule that never comes again",
    ),
    (
        "prune#/removed/*/made_at null",
        "what has no date is never removed",
    ),
];

/// An archive of an hour that there was not in Madrid.
const UNDATED: &str = "jorbites_backup_20260329_023000.tar.gz";

/// Documents that the program printed, each with its command.
#[derive(Default)]
struct Printed(Vec<Value>);

impl Printed {
    /// Keeps what a run printed, which is a report; the command is its first argument.
    fn report(&mut self, site: &Site, arguments: &[&str], code: i32) -> Value {
        self.keep(arguments[0], arguments, run(site, arguments, code))
    }

    /// The same for what has a schema of its own with `--offsite`.
    fn offsite(&mut self, site: &Site, schema: &str, arguments: &[&str], code: i32) {
        self.keep(schema, arguments, run(site, arguments, code));
    }

    /// The same for a run that could not do its work.
    fn error(&mut self, site: &Site, arguments: &[&str], code: i32) {
        self.keep("error", arguments, run(site, arguments, code));
    }

    fn keep(&mut self, command: &str, arguments: &[&str], outcome: Outcome) -> Value {
        let document = outcome.json();
        let from = arguments.join(" ");
        self.0
            .push(json!({ "command": command, "from": from, "document": document }));
        document
    }
}

fn run(site: &Site, arguments: &[&str], code: i32) -> Outcome {
    site.run(&[arguments, &["--json"]].concat())
        .ended_with(code)
}

/// What `tests/support/check_json.py` finds wrong with documents.
fn problems(documents: &[Value], unseen: Option<Value>) -> String {
    let mut child = Command::new(python())
        .arg(in_project("tests/support/check_json.py"))
        .arg(in_project("docs/schemas"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = json!({ "documents": documents, "unseen": unseen }).to_string();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.success(), errors.is_empty(), "{errors}");
    errors
}

#[test]
fn what_is_printed_is_as_the_schemas_say_and_nothing_else_is_promised() {
    let parts = [
        errors,
        backups_over_time,
        restores_and_drills,
        single_documents,
        checkups,
        notifications,
        looks,
        known_copies,
        elsewhere,
    ];
    let printed: Vec<Value> = thread::scope(|scope| {
        let threads: Vec<_> = parts.map(|part| scope.spawn(part)).into_iter().collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap().0)
            .collect()
    });
    let unseen = UNSEEN.iter().map(|(place, why)| (*place, *why));
    let unseen: serde_json::Map<String, Value> = unseen
        .map(|(place, why)| (place.to_owned(), why.into()))
        .collect();
    let found = problems(&printed, Some(unseen.into()));
    assert!(found.is_empty(), "{found}");
}

/// What a list says of copies: one is there, one is not.
fn known_copies() -> Printed {
    let mut printed = Printed::default();
    let site = Site::of(shared()).with("BACKUP_DATABASES", "blog");
    let (disk, gone) = (site.path("disk"), site.path("gone"));
    fs::create_dir(&disk).unwrap();
    let places = [&disk, &gone].map(|path| format!("file://{}", path.display()));
    let site = site.with("OFFSITE_URL", places.join(","));
    site.run(&["backup"]).done();
    printed.report(&site, &["list"], 0);
    let path = site.backups().join(".pantry-keeper/offsite.json");
    let record = fs::read_to_string(&path).unwrap();
    for other in [
        record.replace(r#""proof": "read""#, r#""proof": "sent""#),
        record.replace(r#""proof": "read""#, r#""proof": "confirmed""#),
        record.replace(r#""damage": null"#, r#""damage": "is not what was sent""#),
    ] {
        assert_ne!(other, record);
        fs::write(&path, other).unwrap();
        printed.report(&site, &["list"], 0);
    }
    printed
}

/// Every command without its settings, and what else goes wrong before anything is done.
fn errors() -> Printed {
    let mut printed = Printed::default();
    let wrong = Site::new().with("TZ", "Nowhere/Special");
    for command in [
        &["backup"][..],
        &["status"],
        &["list"],
        &["verify"],
        &["fetch", "latest"],
        &["show", "latest"],
        &["extract", "latest", "a.b", "--output", "x"],
        &["diff", "latest", "latest"],
        &["restore", "latest"],
        &["drill"],
        &["prune"],
        &["doctor"],
        &["health"],
    ] {
        printed.error(&wrong, command, 2);
    }
    let site = Site::new();
    printed.error(&site, &["list"], 1);
    printed.error(&site, &["prune"], 1);
    printed.error(&site, &["drill"], 2);
    printed.error(&site, &["verify", "../x"], 2);
    printed.error(&site, &["list", "--offsite"], 2);
    printed.error(
        &site,
        &["restore", "latest", "--from", "offsite", "--yes"],
        2,
    );
    let uri = format!(
        "mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=50",
        empty_port()
    );
    let away = site.with("MONGODB_URI", &uri);
    away.with_older(Craft::dump().packed());
    printed.error(&away, &["backup"], 1);
    printed.error(&away, &["restore", OLDER, "--yes"], 1);
    printed.error(
        &away,
        &["restore", "latest", "--to", "nonsense", "--yes"],
        2,
    );
    printed
}

/// Backups, retention and verification, over a month.
fn backups_over_time() -> Printed {
    let mut printed = Printed::default();
    let mut site = Site::of(shared())
        .with("BACKUP_DATABASES", "blog")
        .with("RETENTION_MIN_KEEP", 1)
        .with("TZ", "Europe/Madrid");
    for day in ["2026-02-01", "2026-02-20"] {
        site = site.with_clock(&format!("{day}T12:00:00Z"));
        site.run(&["backup"]).done();
    }
    let [first, second] = &site.archives()[..] else {
        panic!("two archives")
    };
    site.set_clock("2026-03-02T12:00:00Z");
    printed.report(&site, &["list"], 0);

    fs::write(site.backups().join(UNDATED), "").unwrap();
    site.set_clock("2026-03-05T12:00:00Z");
    printed.report(&site, &["prune", "--dry-run"], 0);
    let strace = needed("strace", "run scripts/setup first");
    let path = site.backups().join(first).display().to_string();
    let inject = "inject=unlink,unlinkat:error=EIO";
    let words = [
        &strace.display().to_string(),
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        &path,
        "-e",
        inject,
    ];
    let site = site.started_by(&words);
    printed.report(&site, &["prune"], 1);
    let site = site.started_by(&[]);
    printed.report(&site, &["backup"], 0);
    printed.report(&site, &["list"], 0);

    site.with_older(Craft::dump().packed());
    rewrite(&site.backups().join(second), |bytes| bytes[400] ^= 1);
    printed.report(&site, &["verify", "--all"], 1);
    printed.report(&site, &["list"], 0);
    let failing = site.with("BACKUP_DATABASES", "nowhere");
    printed.error(&failing, &["backup"], 1);
    printed.report(&failing, &["prune", "--dry-run"], 0);
    printed.report(&failing, &["list"], 0);
    printed.report(&failing, &["health"], 1);
    printed
}

/// After a restore that went well, somebody deletes two documents, changes one, and adds one that a unique index forbids.
const MEDDLE: &str = "import pymongo, sys\nproducts = pymongo.MongoClient(sys.argv[1], directConnection=True).shop.products\n\
    products.drop_indexes()\nproducts.delete_many({'_id': {'$in': [3, 4]}})\nproducts.update_one({'_id': 5}, {'$set': {'price': -1}})\n\
    products.insert_one({'_id': 'extra', 'name': 'product 1'})";

fn restores_and_drills() -> Printed {
    let mut printed = Printed::default();
    let server = Server::standalone();
    for set in ["small", "options"] {
        server.seed(set);
    }
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    printed.report(&site, &["verify"], 0);
    printed.report(&site, &["drill", "--same-server"], 0);
    printed.report(&site, &["list"], 0);

    server.clear();
    let with = |options: &[&'static str]| [&["restore", "latest", "--yes"], options].concat();
    printed.report(&site, &with(&["--dry-run", "--indexes", "none"]), 0);
    printed.report(&site, &with(&[]), 0);
    printed.error(&site, &with(&[]), 1);
    printed.error(&site, &with(&["--include", "nothing.*"]), 2);
    let library = ["--drop", "--include", "library.*", "--indexes", "possible"];
    printed.report(&site, &with(&library), 0);
    printed.report(&site, &["list"], 0);

    // An archive that says nowhere of when it is: no manifest, and a time in its name that did not exist.
    let site = site.with("TZ", "Europe/Madrid");
    fs::write(site.backups().join(UNDATED), Craft::dump().packed()).unwrap();
    let renamed = ["restore", UNDATED, "--dry-run", "--rename", "shop=then"];
    printed.report(&site, &renamed, 0);
    fs::remove_file(site.backups().join(UNDATED)).unwrap();

    // Two documents that a unique index does not allow.
    let unique = r#"{"v":2,"key":{"n":1},"name":"n_1","unique":true}"#;
    let documents = [doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 1 }];
    let twice = Craft::default().indexed("twice", "orders", &documents, unique);
    site.with_older(twice.packed());
    let uri = server.uri();
    let twice = ["restore", OLDER, "--to", &uri, "--yes", "--drop"];
    printed.report(&site, &twice, 1);
    for policy in ["possible", "none"] {
        printed.report(&site, &[&twice[..], &["--indexes", policy]].concat(), 0);
    }

    let stream = include_bytes!("../../fixtures/cases/legacy-index.archive");
    site.with_older(stream);
    printed.report(&site, &["verify", OLDER], 1);
    fs::remove_file(site.older()).unwrap();

    fs::write(site.path("meddle.py"), MEDDLE).unwrap();
    let meddle = format!(
        "\"$REAL\" \"$@\" || exit 1; {} {} '{}'",
        python().display(),
        site.path("meddle.py").display(),
        server.uri()
    );
    let site = site.with_false_mongorestore(&meddle);
    printed.report(&site, &with(&["--drop", "--include", "shop.products"]), 1);
    let site = site.with_false_mongorestore("cat > /dev/null; echo x >&2; exit 1");
    printed.report(&site, &with(&["--drop", "--include", "shop.sessions"]), 1);
    let site = site.with_false_mongorestore("cat > /dev/null");
    printed.report(&site, &["drill", "--same-server"], 1);
    printed.report(&site, &["health"], 1);
    printed
}

/// Documents that are gone, changed and equal, and one whose place is taken.
fn single_documents() -> Printed {
    let mut printed = Printed::default();
    let server = Server::standalone();
    server.seed("small");
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    let lines = [
        json!({ "remove": 3 }),
        json!({ "remove": 4 }),
        json!({ "replace": { "_id": 5, "price": 1, "new": true } }),
        json!({ "insert": { "_id": "x", "name": "product 3" } }),
    ];
    server.write("shop.products", &lines.map(|line| line.to_string()));
    let only = ["--include", "shop.products", "--match"];
    let with =
        |options: &[&'static str]| [&["restore", "latest", "--yes"][..], &only, options].concat();
    printed.report(
        &site,
        &with(&["{\"_id\": {\"$in\": [4, 5, 6]}}", "--dry-run"]),
        0,
    );
    printed.report(&site, &with(&["{\"_id\": {\"$lt\": 9}}", "--replace"]), 1);
    printed.error(&site, &with(&["{\"_id\": 9999}"]), 2);
    printed
}

/// Some of everything becomes different.
const CHANGE: &str = "import pymongo, sys\nserver = pymongo.MongoClient(sys.argv[1], directConnection=True)\nshop = server.shop\n\
    shop.products.drop_indexes()\nshop.products.create_index('name', name='name_1')\nserver['options'].indexed.drop_indexes()\nshop.orders.create_index('late')\n\
    shop.products.delete_one({'_id': 3})\nshop.products.replace_one({'_id': 5}, {'_id': 5, 'fresh': 1})\n\
    shop.products.insert_one({'_id': 'extra'})\nshop.drop_collection('sessions')\nshop.late.insert_one({'_id': 1})\n\
    server.library.drop_collection('books')\nserver.library.create_collection('books', validator={'x': {'$exists': True}})\n\
    server.library.books.create_index('by')";

fn looks() -> Printed {
    let mut printed = Printed::default();
    let server = Server::standalone();
    for set in ["small", "options"] {
        server.seed(set);
    }
    server.write(
        "shop.orders",
        &[json!({ "insert": { "_id": "i" } }).to_string()],
    );
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    let first = site.archives().remove(0);
    printed.report(&site, &["show", "latest"], 0);
    fs::write(site.path("change.py"), CHANGE).unwrap();
    let change = site.path("change.py").display().to_string();
    crate::support::command(python(), [change, server.uri()]);
    site.run(&["backup"]).done();
    printed.report(&site, &["show", "latest"], 0);
    printed.report(&site, &["diff", &first, "latest", "--documents"], 0);
    printed.report(&site, &["diff", &first, "latest"], 0);
    printed.report(&site, &["diff", &first, "--live"], 0);
    let file = site.path("orders.bson").display().to_string();
    let extract = ["extract", "latest", "shop.orders", "--output", &file];
    printed.report(&site, &extract, 0);
    site.with_older(Craft::dump().packed());
    printed.report(&site, &["show", OLDER], 0);
    printed
}
/// Copies at a service, and on a disk that fails.
fn elsewhere() -> Printed {
    let mut printed = Printed::default();
    let (server, place) = (Server::standalone(), Place::s3());
    server.seed("small");
    let site = Site::of(&server)
        .with_place(&place)
        .with("OFFSITE_RETENTION_MIN_KEEP", 1)
        .with("TZ", "Europe/Madrid");
    let disk = site.path("disk2");
    fs::create_dir(&disk).unwrap();
    let places = format!("{},file://{}", place.url(), disk.display());
    let site = site
        .with("OFFSITE_URL", places)
        .with_clock("2026-02-01T12:00:00Z");
    site.run(&["backup"]).done();
    site.set_clock("2026-02-20T12:00:00Z");
    site.run(&["backup"]).done();
    let first = site.archives().remove(0);
    fs::write(disk.join(UNDATED), "").unwrap();
    printed.offsite(&site, "list-offsite", &["list", "--offsite"], 0);
    let read = ["verify", "--offsite", &first];
    printed.offsite(&site, "verify-offsite", &read, 0);
    rewrite(&disk.join(&first), |bytes| bytes[400] ^= 1);
    printed.offsite(&site, "verify-offsite", &read, 1);
    printed.offsite(&site, "list-offsite", &["list", "--offsite"], 0);
    fs::remove_file(site.backups().join(&first)).unwrap();
    printed.report(&site, &["show", &first], 0);
    printed.report(&site, &["drill", &first, "--same-server"], 0);
    let restored = ["restore", &first, "--dry-run", "--rename", "shop=then"];
    let restored = [&restored[..], &["--include", "shop.*"]].concat();
    printed.report(&site, &restored, 0);
    printed.report(&site, &["fetch", &first], 0);
    // The disk goes, and the next archive waits.
    fs::rename(&disk, site.path("unplugged")).unwrap();
    site.set_clock("2026-03-05T12:00:00Z");
    site.run(&["backup"]).done();
    printed.offsite(&site, "list-offsite", &["list", "--offsite"], 1);
    printed
}

/// Runs that ended in every way there is.
const HISTORY: &str = r#"[
    { "began_at": "2026-03-20T01:30:00Z", "ended_at": "2026-03-20T01:31:00Z", "trigger": "scheduled",
      "ended": { "outcome": "failed", "stage": "dumping", "error": "it broke" } },
    { "began_at": "2026-03-21T01:30:00Z", "ended_at": "2026-03-21T01:31:00Z", "trigger": "scheduled",
      "ended": { "outcome": "interrupted" } },
    { "began_at": "2026-03-22T01:30:00Z", "ended_at": "2026-03-22T01:31:00Z", "trigger": "scheduled",
      "ended": { "outcome": "done", "archive": "a.tar.gz", "archive_bytes": 1, "documents": 1, "bytes": 1, "removed": ["b.tar.gz"],
                 "warnings": ["a collection was dropped"], "steps": [{ "step": "dump", "seconds": 1.5 }] } },
    { "began_at": "2026-03-23T01:30:00Z", "ended_at": "2026-03-23T01:31:00Z", "trigger": "scheduled drill",
      "ended": { "outcome": "drilled", "archive": "a.tar.gz", "documents": 1, "bytes": 1 } },
    { "began_at": "2026-03-24T01:30:00Z", "ended_at": "2026-03-24T01:31:00Z", "trigger": "scheduled drill",
      "ended": { "outcome": "drill_failed", "archive": "a.tar.gz", "error": "1 document is missing" } }
]"#;

fn checkups() -> Printed {
    let mut printed = Printed::default();
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with("BACKUP_SCHEDULE", "30 2 * * *")
        .with("TZ", "Europe/Madrid")
        .with_clock("2026-03-27T12:00:00Z");
    printed.report(&site, &["health"], 1);
    printed.report(&site, &["status"], 0);
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    printed.report(&site, &["health"], 0);
    printed.report(&site, &["status"], 0);
    site.run(&["backup"]).done();
    printed.report(&site, &["status"], 0);
    fs::write(site.backups().join(".pantry-keeper/history.json"), HISTORY).unwrap();
    let site = site
        .with("DRILL_URI", "mongodb://127.0.0.1:1/")
        .with("DRILL_SCHEDULE", "@monthly");
    printed.report(&site, &["status"], 0);
    running.signal(Signal::TERM);
    running.end(Duration::from_secs(20)).done();
    // The clock is off the server's.
    printed.report(&site, &["doctor"], 1);
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    printed.report(&site, &["doctor"], 0);
    printed
}

/// What `json://` posts: a backup and drills that fail, go on failing and recover, and receipts of both.
fn notifications() -> Printed {
    let web = Web::start(|_| Reply::ok());
    let site = Site::of(shared())
        .with("NOTIFY_URLS", format!("json://127.0.0.1:{}/", web.port))
        .with("NOTIFY_ON", "always")
        .with("RETENTION_MIN_KEEP", 1)
        .with("DRILL_URI", shared().uri())
        .with("BACKUP_DATABASES", "blog")
        .with_clock("2026-01-01T12:00:00Z");
    site.run(&["notify-test"]).done();
    site.run(&["backup"]).done();
    let site = site.with("BACKUP_DATABASES", "nowhere");
    site.set_clock("2026-03-01T12:00:00Z");
    site.run(&["backup"]).ended_with(1);
    site.set_clock("2026-03-02T12:00:00Z");
    site.run(&["backup"]).ended_with(1);
    let site = site.with("BACKUP_DATABASES", "blog");
    site.run(&["backup"]).done();
    site.set_clock("2026-06-01T12:00:00Z");
    site.run(&["backup"]).done();
    site.run(&["drill"]).done();
    let broken = site.with_false_mongorestore("cat > /dev/null; echo x >&2; exit 1");
    broken.run(&["drill"]).ended_with(1);
    broken.set_clock("2026-06-02T12:00:00Z");
    broken.run(&["drill"]).ended_with(1);
    let site = broken.with("PATH", path_with_tools());
    site.run(&["drill"]).done();
    // Without a folder, and with one in which there is nothing.
    let site = site
        .with("BACKUP_DATABASES", "nowhere")
        .with("BACKUP_DIR", "/dev/null/backups");
    site.run(&["backup"]).ended_with(1);
    shrunk(&web);
    differing(&web);
    started_again(&web);
    stalled(&web);
    let documents = web.seen().into_iter().map(|request| {
        json!({ "command": "notification", "from": "json://", "document": request.json() })
    });
    Printed(documents.collect())
}

/// A scheduler that cannot start, and then can.
fn started_again(web: &Web) {
    let site = Site::of(shared()).with("NOTIFY_URLS", format!("json://127.0.0.1:{}/", web.port));
    let mut site = site.with("PATH", "/nowhere");
    for _ in 0..2 {
        let running = site.start(&["run"]);
        // It is sent once more unless it is noted that it was.
        running.until_it_says("1 message sent");
        running.signal(Signal::TERM);
        running.end(Duration::from_secs(60)).done();
        site = site.with("PATH", path_with_tools());
    }
}

/// A scheduler whose disk hangs for a while.
fn stalled(web: &Web) {
    let site = Site::of(shared()).with("NOTIFY_URLS", format!("json://127.0.0.1:{}/", web.port));
    let hang = Hang::of_the_log(&site);
    let site = site.hanging(&hang);
    let running = site.start(&["run"]);
    running.until_it_says("the scheduler goes on");
    running.until_it_says("1 message sent");
    running.tell_child(Signal::TERM);
    running.end(Duration::from_secs(60)).done();
}

/// A copy elsewhere that is not the archive, until its owner has removed it.
fn differing(web: &Web) {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "blog");
    let disk = site.path("disk2");
    let site = site
        .with("NOTIFY_URLS", format!("json://127.0.0.1:{}/", web.port))
        .with("OFFSITE_URL", format!("file://{}", disk.display()));
    site.run(&["backup"]).done();
    fs::create_dir(&disk).unwrap();
    let other = disk.join(site.archives().remove(0));
    fs::write(&other, "something else").unwrap();
    // The alarm; then the concern, which is over when all is there.
    site.run(&["backup"]).done();
    site.run(&["backup"]).done();
    fs::remove_file(&other).unwrap();
    site.run(&["backup"]).done();
}

/// A backup by the scheduler that lacks what the one before it had.
fn shrunk(web: &Web) {
    let server = Server::standalone();
    server.seed("small");
    let site = Site::of(&server).with("NOTIFY_URLS", format!("json://127.0.0.1:{}/", web.port));
    site.run(&["backup"]).done();
    let drop = "import pymongo, sys\nclient = pymongo.MongoClient(sys.argv[1], directConnection=True)\n\
                client.drop_database('shop')";
    let mut dropping = Command::new(python());
    dropping.args(["-c", drop, &server.uri()]);
    succeed(dropping);
    let sent = web.seen().len();
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    web.until_seen(sent + 1);
    running.signal(Signal::TERM);
    running.end(Duration::from_secs(60)).done();
}

#[test]
fn the_examples_on_the_page_are_as_the_schemas_say() {
    let page = page("json.md");
    let mut examples = Vec::new();
    for (info, block) in code_blocks(&page) {
        if let Some(command) = info.strip_prefix("json ") {
            let document: Value = serde_json::from_str(&block)
                .unwrap_or_else(|error| panic!("{command}: {error}:\n{block}"));
            examples.push(json!({ "command": command, "from": "json.md", "document": document }));
        }
    }
    let found = problems(&examples, None);
    assert!(found.is_empty(), "{found}");
    for file in fs::read_dir(in_project("docs/schemas")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let command = name.strip_suffix(".schema.json").unwrap();
        let shown = examples.iter().any(|one| one["command"] == command);
        assert!(shown || command == "common", "no example of {command}");
        assert!(page.contains(&name), "{name} is not named");
    }
}

#[test]
fn a_field_too_many_too_few_or_of_another_type_is_noticed() {
    let report = json!({ "healthy": true, "problems": [], "newest_archive": null, "newest_made_at": null, "drilled_at": null,
        "drilled_archive": null, "failing_since": null, "next_run_at": "2026-06-07T00:00:00Z" });
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = report.clone();
        change(&mut document);
        problems(
            &[json!({ "command": "health", "from": "test", "document": document })],
            None,
        )
    };
    assert_eq!(with(&|_| {}), "");
    let more = with(&|report| report["age"] = 1.into());
    assert!(more.contains("'age' was unexpected"), "{more}");
    let fewer = with(&|report| drop(report.as_object_mut().unwrap().remove("problems")));
    assert!(
        fewer.contains("'problems' is a required property"),
        "{fewer}"
    );
    let other = with(&|report| report["next_run_at"] = "7 June 2026".into());
    assert!(other.contains("next_run_at"), "{other}");

    let document = json!({ "command": "health", "from": "test", "document": report });
    let promised = problems(&[document], Some(json!({})));
    assert!(
        promised.contains("health#/problems/*: promised, and never seen"),
        "{promised}"
    );
    assert!(!promised.contains("health#/healthy:"), "{promised}");
}
