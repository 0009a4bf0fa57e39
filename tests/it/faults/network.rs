//! A connection that breaks or goes silent at the worst moment.

use crate::support::{Proxy, Server, Site, Then, Trap, is_alive, shared};
use rustix::process::Signal;
use std::time::Duration;

/// More than it takes to ask the server, less than the dump.
const MID_DUMP: Trap = Trap::Bytes(1_000_000);

fn site_behind(proxy: &Proxy) -> Site {
    Site::new()
        .with("MONGODB_URI", shared().backup_uri_by(proxy.port))
        .with("BACKUP_STALL_TIMEOUT", "4s")
}

/// The rest of the large collection may be on its way already: others are still to be asked for.
fn with_more_than_is_on_its_way() -> Server {
    let server = Server::standalone();
    server.seed("small");
    server.seed("bulk");
    server
}

#[test]
fn a_connection_cut_mid_dump_is_a_failure() {
    let proxy = Proxy::to(shared().port, MID_DUMP, Then::Cut);
    let site = site_behind(&proxy);
    let before = site.with_older_files();
    let outcome = site.run(&["backup"]).ended_with(1);
    // mongodump looks for its server for half a minute, unless it is stopped before.
    outcome
        .saying(&["the backup failed while dumping: mongodump"])
        .within(Duration::from_secs(30));
    before.still_holds();
}

#[test]
fn a_server_killed_mid_dump_is_a_failure() {
    let server = with_more_than_is_on_its_way();
    let proxy = Proxy::to(server.port, MID_DUMP, Then::Stall);
    let site = site_behind(&proxy).with("MONGODB_URI", server.backup_uri_by(proxy.port));
    let before = site.with_older_files();
    let running = site.start(&["backup"]);
    proxy.sprung();
    server.signal(Signal::KILL);
    proxy.release();
    running
        .end(Duration::from_secs(60))
        .ended_with(1)
        .saying(&["the backup failed while dumping: mongodump"]);
    before.still_holds();
}

#[test]
fn a_server_that_freezes_mid_dump_is_given_up_after_the_stall_timeout() {
    let proxy = Proxy::to(shared().port, MID_DUMP, Then::Stall);
    let site = site_behind(&proxy).with("BACKUP_STALL_TIMEOUT", "2s");
    let before = site.with_older_files();
    let running = site.start(&["backup"]);
    let mongodump = running.mongodump();
    let outcome = running.end(Duration::from_secs(30)).ended_with(1);
    outcome.saying(&["mongodump sent nothing for 2", "BACKUP_STALL_TIMEOUT"]);
    assert!(!is_alive(mongodump));
    before.still_holds();
}

#[test]
fn a_run_that_takes_too_long_in_all_is_ended() {
    let proxy = Proxy::to(shared().port, MID_DUMP, Then::Stall);
    let site = site_behind(&proxy).with("BACKUP_TIMEOUT", "3s");
    let before = site.with_older_files();
    let running = site.start(&["backup"]);
    let mongodump = running.mongodump();
    running
        .end(Duration::from_secs(30))
        .ended_with(1)
        .saying(&["BACKUP_TIMEOUT"]);
    assert!(!is_alive(mongodump));
    before.still_holds();
}

/// The driver itself watches its connections, as often as the connection string says.
#[test]
fn a_server_that_freezes_while_it_is_asked_is_given_up() {
    for question in ["listDatabases", "listCollections"] {
        let proxy = Proxy::to(shared().port, Trap::Sent(question), Then::Stall);
        let uri = format!(
            "{}&connectTimeoutMS=500&heartbeatFrequencyMS=500",
            shared().backup_uri_by(proxy.port)
        );
        let site = Site::new().with("MONGODB_URI", uri);
        let before = site.with_older_files();
        let outcome = site
            .run(&["backup"])
            .ended_with(1)
            .within(Duration::from_secs(20));
        outcome.saying(&["cannot reach MongoDB at 127.0.0.1:"]);
        before.still_holds();
    }
}

#[test]
fn a_server_frozen_by_a_signal_is_given_up() {
    let server = with_more_than_is_on_its_way();
    let proxy = Proxy::to(server.port, MID_DUMP, Then::Stall);
    let site = Site::new()
        .with("MONGODB_URI", server.backup_uri_by(proxy.port))
        .with("BACKUP_STALL_TIMEOUT", "2s");
    let before = site.with_older_files();
    let running = site.start(&["backup"]);
    proxy.sprung();
    server.signal(Signal::STOP);
    proxy.release();
    running
        .end(Duration::from_secs(30))
        .ended_with(1)
        .saying(&["BACKUP_STALL_TIMEOUT"]);
    before.still_holds();
}
