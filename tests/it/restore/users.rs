//! Users and roles of the server: never mixed with the archive's, saved before they are replaced, and never said to be there
//! when nobody could look.
//!
//! The stand-in for MongoDB neither lists their collections nor merges them; the relay before it does both as MongoDB does.

use crate::support::{Craft, Manner, OLDER, Outcome, Server, Site, Strict, Version, member_names};
use mongodb::bson::{Document, doc};

const USERS: [&str; 2] = ["--include", "admin.system.*"];

fn bytes(documents: &[Document]) -> Vec<u8> {
    let each = documents.iter();
    each.flat_map(|one| one.to_vec().unwrap()).collect()
}

/// A site with a dump of two users, a role, and a collection of the owner's.
fn site() -> Site {
    site_of(dump())
}

fn site_of(dump: Craft) -> Site {
    let site = Site::new();
    site.with_older(dump.packed());
    site
}

fn dump() -> Craft {
    let user = |name: &str| doc! { "_id": format!("admin.{name}"), "user": name, "db": "admin", "roles": [] };
    Craft::dump()
        .collection("admin", "system.users", &bytes(&[user("ann"), user("bob")]))
        .collection(
            "admin",
            "system.roles",
            &bytes(&[doc! { "_id": "admin.own" }]),
        )
        .collection(
            "admin",
            "system.version",
            &bytes(&[doc! { "_id": "authSchema", "currentVersion": 5 }]),
        )
}

fn restored(site: &Site, strict: &Strict, options: &[&str]) -> Outcome {
    let uri = strict.uri();
    site.run(&[&["restore", OLDER, "--to", &uri, "--yes"], options].concat())
}

fn strict(target: &Server) -> Strict {
    Strict::before(target.port, Manner::of(Version::V4_4).showing_users())
}

#[test]
fn users_that_are_there_are_not_mixed_with_others() {
    let target = Server::standalone();
    let strict = strict(&target);
    let site = site().with_mongorestore_traced();
    let outcome = restored(&site, &strict, &USERS).ended_with(1);
    outcome.printing(&["REFUSED: it exists"]).saying(&[
        "nothing was restored: there already",
        "admin.system.roles, admin.system.users",
        "--drop",
    ]);
    // Not even beside what is not there.
    let all = ["--include", "admin.system.*,shop.*"];
    restored(&site, &strict, &all).ended_with(1);
    assert!(!site.mongorestore_was_started());
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn users_are_saved_before_they_are_replaced_and_not_called_checked() {
    let target = Server::standalone();
    // The stand-in does not count users as a database.
    target.change("fill", "admin.notes");
    let strict = strict(&target);
    let site = site();
    let outcome = restored(&site, &strict, &[&USERS[..], &["--drop"]].concat()).done();
    let outcome = outcome.printing(&["backed up, dropped, restored", "read, not restored"]);
    let outcome = outcome.saying(&[
        "the user who restores included",
        "mongorestore reports no failure, but not all of it could be checked",
        "admin.system.users: not checked",
        "getCollection(\"system.users\").countDocuments() gives 2",
        "admin.system.roles: not checked",
    ]);
    let said = &outcome.stderr;
    assert!(
        !said.contains("all that the archive holds of them is there"),
        "{said}"
    );
    assert!(!said.contains("NOT restored completely"), "{said}");
    let archives = site.archives();
    let safety = archives
        .iter()
        .find(|name| name.contains("before_restore"))
        .unwrap();
    let saved = member_names(&site.backups().join(safety));
    for file in ["/admin/system.users.bson", "/admin/system.roles.bson"] {
        assert!(saved.iter().any(|name| name.ends_with(file)), "{saved:?}");
    }
}

/// After users were replaced, nothing else could be restored or built.
#[test]
fn users_are_replaced_in_a_run_of_their_own() {
    let target = Server::standalone();
    let strict = strict(&target);
    let site = site().with_mongorestore_traced();
    let all = ["--include", "admin.system.*,shop.*", "--drop"];
    restored(&site, &strict, &all).ended_with(1).saying(&[
        "nothing was restored: replacing users and roles",
        "--exclude 'admin.system.*'",
        "--include 'admin.system.*' --drop",
    ]);
    assert!(!site.mongorestore_was_started());
    assert!(target.is_empty());
}

#[test]
fn without_a_safety_backup_users_stay() {
    let target = Server::standalone();
    let strict = strict(&target);
    let site = site()
        .with_mongorestore_traced()
        .with_false_mongodump_beside("echo 'Failed: enough' >&2; exit 1");
    restored(&site, &strict, &[&USERS[..], &["--drop"]].concat())
        .ended_with(1)
        .saying(&["no safety backup could be made, so nothing was dropped or restored"]);
    assert!(!site.mongorestore_was_started());
}

/// mongorestore takes them before everything else, or not at all; two large collections are fed in turns.
#[test]
fn users_come_together_with_large_collections_and_views() {
    let large: Vec<Document> = (0..70)
        .map(|id| doc! { "_id": id, "text": "x".repeat(64 * 1024) })
        .collect();
    let view = "{\"options\":{\"viewOn\":\"first\",\"pipeline\":[]},\"indexes\":[],\"collectionName\":\"view\",\"type\":\"view\"}";
    let dump = dump()
        .collection("shop", "first", &bytes(&large))
        .collection("shop", "second", &bytes(&large))
        .file("dump/shop/view.metadata.json", view.as_bytes());
    let target = Server::standalone();
    let strict = Strict::before(target.port, Manner::of(Version::V4_4));
    let site = site_of(dump);
    let all = ["--include", "admin.system.*,shop.*"];
    // The stand-in keeps no users, which is found when they are read back.
    let outcome = restored(&site, &strict, &all).ended_with(1);
    let said = &outcome.stderr;
    assert!(said.contains("admin.system.users"), "{said}");
    assert!(
        !said.contains("shop.") && !said.contains("mongorestore failed"),
        "{said}"
    );
}
