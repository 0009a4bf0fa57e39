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
        site = site.with(
            "DRILL_URI",
            format!("{}&directConnection=true", strict.uri()),
        );
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
