//! Drills into a scratch server that takes no more than MongoDB takes.

use crate::support::{Manner, Server, Site, Strict, Version};

/// MongoDB 4.4 takes no time to live beyond the seconds since 1970, and later versions none beyond 2147483647. Nothing may
/// vanish while a drill compares, and what the archive says of the time to live is compared too.
#[test]
fn a_drill_with_a_ttl_index_is_proven_where_the_server_is_strict() {
    let source = Server::start();
    source.seed("small");
    source.seed("options");
    let mut site = Site::of(&source);
    site.run(&["backup"]).done();
    for version in Version::ALL {
        let scratch = Server::start();
        let strict = Strict::before(scratch.port, Manner::of(version));
        // A scratch server under one host and port, whatever set it is of.
        site = site.with("DRILL_URI", strict.direct_uri());
        let outcome = site.run(&["drill"]).done().saying(&["is proven"]);
        assert!(
            strict
                .refused()
                .iter()
                .all(|(command, _)| command != "createIndexes"),
            "{}",
            outcome.stderr
        );
        assert!(scratch.is_empty());
    }
}

/// MongoDB ends when its disk is full, and the owner's app with it.
#[test]
fn a_drill_never_fills_the_disk_of_a_server_that_tells_of_it() {
    let source = Server::start();
    source.seed("small");
    let mut site = Site::of(&source);
    site.run(&["backup"]).done();
    let disks = [(999_000, false), (900_000, true)];
    for (used, proven) in disks {
        for version in Version::ALL {
            let scratch = Server::start();
            let manner = Manner::of(version).with_disk(used, 1_000_000);
            let strict = Strict::before(scratch.port, manner);
            let uri = strict.direct_uri();
            site = site.with("DRILL_URI", uri);
            let outcome = site.run(&["drill"]);
            match proven {
                true => outcome.done().saying(&["is proven"]),
                false => outcome.ended_with(1).saying(&[
                    "has 1.0 kB free, and a drill would bring ",
                    "make room there, or have drills on another server: DRILL_URI",
                ]),
            };
            assert!(scratch.is_empty());
        }
    }
}

/// A restore is the owner's own decision, and is told before it begins. Who may not ask is told nothing.
#[test]
fn a_restore_says_before_that_a_disk_is_too_small() {
    let source = Server::start();
    source.seed("small");
    let site = Site::of(&source);
    site.run(&["backup"]).done();
    let full = Manner::of(Version::V8_0).with_disk(999_000, 1_000_000);
    let words = "has 1.0 kB free, and ";
    for (roles, told) in [(["root"], true), (["restore"], false)] {
        let target = Server::start();
        let strict = Strict::before(target.port, full.clone().with_roles(&roles));
        let uri = strict.direct_uri();
        let preview = site.run(&["restore", "latest", "--to", &uri, "--dry-run"]);
        let preview = preview.done();
        assert_eq!(preview.stderr.contains(words), told, "{}", preview.stderr);
    }
}

/// A user with the roles of the guide may not drop a database at once, nor the list of views that the server keeps in it: what
/// stays is said, with the role that takes it away.
#[test]
fn what_the_roles_do_not_let_a_drill_drop_is_named() {
    let source = Server::start();
    source.seed("options");
    let mut site = Site::of(&source);
    site.run(&["backup"]).done();
    let scratch = Server::start();
    let manner = Manner::of(Version::V7_0).with_roles(&["backup", "restore"]);
    let strict = Strict::before(scratch.port, manner);
    let uri = strict.direct_uri();
    site = site.with("DRILL_URI", uri);
    let outcome = site.run(&["drill"]).done().saying(&[
        "is proven",
        "1 scratch database left on",
        "may not drop the empty list of its views",
        "dbAdminAnyDatabase",
    ]);
    assert!(scratch.is_empty(), "{}", outcome.stderr);
}
