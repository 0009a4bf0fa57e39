//! `restore --match` while others write, while the network fails, and told to stop.

use crate::restore::same;
use crate::support::{Proxy, Running, Server, Site, Then, Trap};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// Long enough to be the place at which the network is held up.
const FILLING: usize = 600_000;

fn write(server: &Server, what: &str, document: &Value) {
    server.write("shop.things", &[json!({ what: document }).to_string()]);
}

/// A server with one large document and two small ones, and a site with an archive of it.
fn prepared() -> (Server, Site) {
    let server = Server::standalone();
    for document in [
        json!({ "_id": 1, "filling": "x".repeat(FILLING) }),
        json!({ "_id": 2, "of": "soup" }),
        json!({ "_id": 3, "of": "cake" }),
    ] {
        write(&server, "insert", &document);
    }
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    (server, site)
}

/// Starts a restore of all three by way of a proxy.
fn start(site: &Site, server: &Server, proxy: &Proxy, options: &[&str]) -> Running {
    let uri = server.backup_uri_by(proxy.port);
    let words = ["restore", "latest", "--to", &uri, "--yes", "--match", "{}"];
    site.start(&[&words[..], options].concat())
}

/// The `_id`s of what fits.
fn found(server: &Server, query: Value) -> Value {
    server.find("shop.things", &[query.to_string()]).remove(0)
}

#[test]
fn one_that_appears_after_the_look_is_as_if_it_had_been_there() {
    let (server, site) = prepared();
    write(&server, "remove", &json!(2));
    write(&server, "remove", &json!(3));
    // Held up in the answer that says for the second time what is there.
    let proxy = Proxy::to(
        server.port,
        Trap::Bytes(FILLING as u64 * 3 / 2),
        Then::Stall,
    );
    let running = start(&site, &server, &proxy, &["--json"]);
    proxy.sprung();
    write(&server, "insert", &json!({ "_id": 2, "of": "stew" }));
    write(&server, "insert", &json!({ "_id": 3, "of": "cake" }));
    proxy.release();
    let done = running.end(LIMIT).done().json();
    let counts = ["absent", "same", "left", "inserted"].map(|name| &done["matched"][name]);
    assert_eq!(json!(counts), json!([0, 2, 1, 0]));
    assert_eq!(done["matched"]["differences"][0]["id"], "2");
    assert_eq!(found(&server, json!({ "of": "stew" })), json!([2]));
}

#[test]
fn one_that_changes_after_it_was_saved_is_left_as_it_is() {
    let (server, site) = prepared();
    write(&server, "replace", &json!({ "_id": 2, "of": "first" }));
    write(&server, "replace", &json!({ "_id": 3, "of": "other" }));
    // Looked at, saved, and held up before anything is written.
    let proxy = Proxy::to(
        server.port,
        Trap::Bytes(FILLING as u64 * 5 / 2),
        Then::Stall,
    );
    let running = start(&site, &server, &proxy, &["--replace", "--json"]);
    proxy.sprung();
    write(&server, "replace", &json!({ "_id": 2, "of": "second" }));
    proxy.release();
    let done = running.end(LIMIT).ended_with(1).json();
    let counts = ["replaced", "left", "same"].map(|name| &done["matched"][name]);
    assert_eq!(json!(counts), json!([1, 1, 1]));
    let failure = &done["matched"]["failures"][0];
    assert_eq!(failure["id"], "2");
    assert!(
        failure["problem"]
            .as_str()
            .unwrap()
            .contains("after it was saved"),
        "{failure}"
    );
    assert_eq!(
        found(&server, json!({ "of": { "$in": ["second", "cake"] } })),
        json!([2, 3])
    );
    let safety = done["safety_archive"].as_str().unwrap();
    let shown = site.run(&["show", safety, "shop.things"]).done();
    shown.printing(&["\"first\"", "\"other\""]);
}

/// Held up after the last look, so that the server alone can know.
#[test]
fn what_changes_in_the_very_moment_is_not_lost() {
    let (server, site) = prepared();
    write(&server, "replace", &json!({ "_id": 2, "of": 1 }));
    for (there, fate) in [
        // It no longer equals what was saved.
        (json!({ "_id": 2, "of": "new" }), "after it was saved"),
        // To a server it does: only the type of a number is another one.
        (
            json!({ "_id": 2, "of": { "$numberDouble": "1.0" } }),
            "put back as they left it",
        ),
    ] {
        let proxy = Proxy::to(server.port, Trap::Sent("findAndModify"), Then::Hold);
        let running = start(&site, &server, &proxy, &["--replace", "--json"]);
        proxy.sprung();
        write(&server, "replace", &there);
        let before = server.fingerprint();
        proxy.release();
        let done = running.end(LIMIT).ended_with(1).json();
        let problem = done["matched"]["failures"][0]["problem"].to_string();
        assert!(problem.contains(fate), "{problem}");
        assert_eq!(done["matched"]["replaced"], 0);
        same(&before, &server.fingerprint());
        write(&server, "replace", &json!({ "_id": 2, "of": 1 }));
    }
}

#[test]
fn told_to_stop_it_ends_soon_and_claims_nothing_that_it_has_not_seen() {
    let (server, site) = prepared();
    write(&server, "remove", &json!(2));
    let proxy = Proxy::to(server.port, Trap::Sent("\u{2}insert\0"), Then::Stall);
    let running = start(&site, &server, &proxy, &["--json"]);
    proxy.sprung();
    running.signal(Signal::TERM);
    let outcome = running
        .end(LIMIT)
        .ended_with(1)
        .within(Duration::from_secs(20));
    let done = outcome.json();
    assert_eq!(
        (&done["restored"], &done["matched"]["inserted"]),
        (&json!(false), &json!(0))
    );
    let problems = done["problems"].to_string();
    assert!(
        problems.contains("stopped as asked") && problems.contains("1 document sent last"),
        "{problems}"
    );
    // Run again, it is whole.
    let uri = server.uri();
    site.run(&["restore", "latest", "--to", &uri, "--yes", "--match", "{}"])
        .done();
    assert_eq!(found(&server, json!({})), json!([1, 2, 3]));
}

#[test]
fn a_connection_that_is_lost_is_no_success() {
    let (server, site) = prepared();
    write(&server, "replace", &json!({ "_id": 2, "of": "other" }));
    let proxy = Proxy::to(server.port, Trap::Sent("findAndModify"), Then::Cut);
    let outcome = start(&site, &server, &proxy, &["--replace"])
        .end(LIMIT)
        .ended_with(1);
    outcome.saying(&[
        "not all documents",
        "run the same again",
        "1 document sent last",
        "what was replaced is in",
    ]);
}

#[test]
fn while_a_backup_is_at_work_nothing_is_replaced() {
    let (server, site) = prepared();
    let slow = Server::standalone();
    slow.seed("bulk");
    write(&server, "replace", &json!({ "_id": 2, "of": "other" }));
    let proxy = Proxy::to(slow.port, Trap::Bytes(1_000_000), Then::Stall);
    let site = site.with("MONGODB_URI", slow.backup_uri_by(proxy.port));
    let backup = site.start(&["backup"]);
    proxy.sprung();
    let uri = server.uri();
    let words = ["restore", "latest", "--to", &uri, "--yes", "--match", "{}"];
    site.run(&[&words[..], &["--replace"]].concat())
        .ended_with(3)
        .saying(&[
            "nothing was restored",
            "another Pantry Keeper is at work in",
        ]);
    assert_eq!(found(&server, json!({ "of": "other" })), json!([2]));
    // What only inserts needs no lock.
    site.run(&words).done();
    proxy.release();
    backup.end(LIMIT).done();
}
