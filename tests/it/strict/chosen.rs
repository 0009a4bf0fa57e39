//! Backups by users who may read some databases, and see the names of others.

use crate::support::{Manner, Server, Site, Strict, Version};

#[test]
fn what_is_not_chosen_is_not_looked_into() {
    let manner = Manner::of(Version::V4_4).with_roles(&["read@shop", "clusterMonitor"]);
    let server = Server::start();
    server.seed("small");
    let strict = Strict::before(server.port, manner);
    let site = Site::new()
        .with("MONGODB_URI", strict.direct_uri())
        .with("BACKUP_DATABASES", "shop");
    let outcome = site.run(&["backup"]);
    assert_eq!(outcome.code(), Some(0), "{:?}", strict.refused());
    assert_eq!(site.archives().len(), 1);
    // Without the choice, the others are needed.
    let site = site.with("BACKUP_DATABASES", "");
    site.run(&["backup"]).ended_with(1).saying(&["has users"]);
}
