//! What is backed up, and at which point in time.

use crate::support::{PASSWORD_ENCODED, Server, Site, shared, stored_files};
use serde_json::Value;

/// The collections in the archive, and the report of the run.
fn backed_up(site: &Site) -> (Vec<String>, Value) {
    let report = site.run(&["backup", "--json"]).done().json();
    let files = stored_files(&site.archive());
    let (_, manifest) = files
        .iter()
        .find(|(path, _)| path.ends_with("manifest.json"))
        .unwrap();
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = manifest["namespaces"].as_array().unwrap().iter();
    let mut names: Vec<String> = entries
        .map(|entry| {
            format!(
                "{}.{}",
                text(&entry["database"]),
                text(&entry["collection"])
            )
        })
        .collect();
    names.sort();
    assert_eq!(report["point_in_time"], manifest["point_in_time"]);
    assert_eq!(
        files.keys().any(|path| path.ends_with("/oplog.bson")),
        report["point_in_time"] == true
    );
    (names, report)
}

const SHOP: [&str; 5] = [
    "shop.cache_images",
    "shop.cache_pages",
    "shop.orders",
    "shop.products",
    "shop.sessions",
];

#[test]
fn two_of_three_databases() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop, library");
    let (names, report) = backed_up(&site);
    assert_eq!(names, [["library.books"].as_slice(), &SHOP].concat());
    assert_eq!(report["documents"], 562);
    assert_eq!(report["namespaces"], 6);
}

#[test]
fn patterns_leave_collections_out() {
    let site = Site::of(shared()).with(
        "BACKUP_EXCLUDE",
        "*.sessions, shop.cache_*, bulk.*, admin.*",
    );
    assert_eq!(
        backed_up(&site).0,
        [
            "blog.posts",
            "library.books",
            "shop.orders",
            "shop.products"
        ]
    );
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop,blog")
        .with("BACKUP_EXCLUDE", "blog.*");
    assert_eq!(backed_up(&site).0, SHOP);
}

/// Those that a drill has left, or is making beside the backup: they are copies, and soon gone.
#[test]
fn databases_of_a_drill_are_left_out_at_no_cost_to_the_rest() {
    let server = Server::start();
    server.seed("small");
    let site = Site::of(&server);
    let (names, report) = backed_up(&site);
    let one = ["{\"insert\": {\"_id\": 1}}".to_owned()];
    for scratch in [
        "pantry_keeper_drill_20260531020000_0000beef_0",
        "pk_drill_260531020000_0000beef_0",
    ] {
        server.write(&format!("{scratch}.orders"), &one);
    }
    server.write("pk_drill_notes.mine", &one);
    for old in site.archives() {
        std::fs::remove_file(site.backups().join(old)).unwrap();
    }
    let (with_scratch, again) = backed_up(&site);
    let mut expected = names.clone();
    expected.push("pk_drill_notes.mine".into());
    expected.sort();
    assert_eq!(with_scratch, expected);
    assert_eq!(report["point_in_time"], again["point_in_time"]);
}

/// mongodump's parser takes a value that begins so for one in quotation marks.
#[test]
fn a_collection_that_begins_with_a_quotation_mark_is_left_out() {
    let server = Server::standalone();
    for name in ["shop.\"cache", "shop.orders"] {
        server.write(name, &[r#"{"insert": {"_id": 1}}"#.to_owned()]);
    }
    let site = Site::of(&server).with("BACKUP_EXCLUDE", "shop.*cache");
    assert_eq!(backed_up(&site).0, ["shop.orders"]);
}

#[test]
fn a_choice_that_leaves_nothing_is_a_failure() {
    let everything = Site::of(shared()).with("BACKUP_EXCLUDE", "*.*");
    let library = Site::of(shared())
        .with("BACKUP_DATABASES", "library")
        .with("BACKUP_EXCLUDE", "library.*");
    for site in [everything, library] {
        let before = site.with_older_files();
        site.run(&["backup"])
            .ended_with(1)
            .saying(&["BACKUP_EXCLUDE"]);
        before.still_holds();
    }
}

/// mongodump takes `--db` for the database in which the user is looked up when the connection string names none.
#[test]
fn a_choice_of_databases_does_not_change_where_the_user_is_looked_up() {
    let uri = |path: &str| {
        format!(
            "mongodb://backup%40er:{PASSWORD_ENCODED}@127.0.0.1:{}/{path}",
            shared().port
        )
    };
    for path in ["", "admin", "?directConnection=true"] {
        let site = Site::new()
            .with("MONGODB_URI", uri(path))
            .with("BACKUP_DATABASES", "library");
        assert_eq!(backed_up(&site).0, ["library.books"], "{path}");
    }
}

#[test]
fn a_database_in_the_connection_string_does_not_narrow_the_backup() {
    let server = Server::standalone();
    server.seed("small");
    let site = Site::new().with(
        "MONGODB_URI",
        format!("mongodb://127.0.0.1:{}/shop", server.port),
    );
    let (names, _) = backed_up(&site);
    assert!(names.contains(&"library.books".to_owned()), "{names:?}");
}

#[test]
fn where_there_is_an_oplog_the_backup_is_of_one_point_in_time() {
    let server = Server::start();
    server.seed("small");
    let site = || Site::of(&server);
    assert_eq!(backed_up(&site()).1["point_in_time"], true);
    assert_eq!(
        backed_up(&site().with("BACKUP_OPLOG", "on")).1["point_in_time"],
        true
    );
    assert_eq!(
        backed_up(&site().with("BACKUP_OPLOG", "off")).1["point_in_time"],
        false
    );
    assert_eq!(
        backed_up(&site().with("BACKUP_DATABASES", "shop")).1["point_in_time"],
        false
    );
}

#[test]
fn a_standalone_server_has_no_oplog() {
    let server = Server::standalone();
    server.seed("small");
    assert_eq!(backed_up(&Site::of(&server)).1["point_in_time"], false);
    let site = Site::of(&server).with("BACKUP_OPLOG", "on");
    let before = site.with_older_files();
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["BACKUP_OPLOG is on", "standalone server has no oplog"]);
    before.still_holds();
}
