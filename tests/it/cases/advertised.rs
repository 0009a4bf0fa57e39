//! Servers that cannot be chosen as a driver wants to choose them: each says what was found.

use super::collection;
use crate::support::{Manner, Server, Site, Strict, Version};
use std::time::Duration;

/// Resolves nowhere; a container's name, as `docker compose` gives it.
const ADVERTISED: &str = "mongo-db1.invalid:27017";

fn manner() -> Manner {
    Manner::of(Version::V7_0)
}

fn source() -> Server {
    let server = Server::start();
    server.seed("small");
    server
}

/// One host and no `replicaSet`: straight to it, as mongodump goes.
#[test]
fn advertised_names_that_do_not_resolve_are_not_asked_for() {
    let server = source();
    let strict = Strict::before(server.port, manner().advertising(ADVERTISED));
    let site = Site::new().with("MONGODB_URI", strict.uri());
    site.run(&["doctor"]).done().printing(&["✓ server"]);
    site.run(&["backup"]).done();
    site.run(&["verify"]).done();
    let target = Server::start();
    let to = Strict::before(target.port, manner().advertising(ADVERTISED));
    site.run(&[
        "restore",
        "latest",
        "--to",
        &to.uri(),
        "--yes",
        "--no-oplog",
    ])
    .done();
    assert_eq!(collection(&target, "shop.orders").0, 200);
    site.with("DRILL_URI", to.uri()).run(&["drill"]).done();
}

/// With `replicaSet` the members' names count, and the one that does not resolve is named.
#[test]
fn advertised_names_are_named_when_a_set_was_asked_for() {
    let server = source();
    let strict = Strict::before(server.port, manner().advertising(ADVERTISED));
    let uri = format!("{}&replicaSet=secantus", strict.uri());
    let outcome = Site::new()
        .with("MONGODB_URI", uri)
        .run(&["backup"])
        .ended_with(1);
    outcome
        .saying(&["mongo-db1.invalid", "directConnection"])
        .within(Duration::from_secs(30));
}

#[test]
fn advertised_set_of_another_name_is_named() {
    let server = source();
    let strict = Strict::before(server.port, manner());
    let uri = format!("{}&replicaSet=another", strict.uri());
    let outcome = Site::new()
        .with("MONGODB_URI", uri)
        .run(&["backup"])
        .ended_with(1);
    outcome.saying(&[
        "another",
        if server.is_mongod() {
            "pantry"
        } else {
            "secantus"
        },
    ]);
}

/// Wire version 7 is MongoDB 4.0.
#[test]
fn advertised_version_that_is_too_old_is_said_with_the_oldest_that_will_do() {
    let server = source();
    for options in ["", "&directConnection=true", "&replicaSet=secantus"] {
        let strict = Strict::before(server.port, manner().speaking(7));
        let site = Site::new().with("MONGODB_URI", format!("{}{options}", strict.uri()));
        let outcome = site
            .run(&["backup"])
            .ended_with(1)
            .saying(&["too old", "4.4"]);
        assert!(
            !outcome.stderr.contains("no server answered in time"),
            "{}",
            outcome.stderr
        );
        site.run(&["doctor"])
            .ended_with(1)
            .printing(&["✗ server", "too old", "4.4"]);
    }
}

#[test]
fn advertised_set_without_a_primary_is_said() {
    let server = source();
    for options in ["", "&directConnection=true", "&replicaSet=secantus"] {
        let strict = Strict::before(server.port, manner().without_primary());
        let site = Site::new().with("MONGODB_URI", format!("{}{options}", strict.uri()));
        let outcome = site.run(&["backup"]).ended_with(1).saying(&["primary"]);
        assert!(
            !outcome.stderr.contains("no server answered in time"),
            "{}",
            outcome.stderr
        );
        site.run(&["doctor"])
            .ended_with(1)
            .printing(&["✗ server", "primary"]);
    }
}
