//! Options and indexes as tools before 4.2 wrote them, and such as nobody can read: they never count as none.

use super::index_names;
use crate::support::{Craft, OLDER, Server, Site};
use mongodb::bson::doc;

/// A dump of one collection with an index of its own whose filter says this of a field.
fn site_with_filter(filter: &str) -> Site {
    let index = format!(
        r#"{{"v":2,"key":{{"n":1}},"name":"n_1","partialFilterExpression":{{"of":{{"$gt":{filter}}}}}}}"#
    );
    let documents = [doc! { "_id": 1, "n": 1 }];
    let site = Site::new();
    site.with_older(
        Craft::default()
            .indexed("shop", "orders", &documents, &index)
            .packed(),
    );
    site
}

#[test]
fn what_tools_before_4_2_wrote_is_read() {
    let site = site_with_filter(r#"{"$binary":"AQI=","$type":"03"}"#);
    let target = Server::standalone();
    let uri = target.uri();
    site.run(&["restore", OLDER, "--to", &uri, "--yes"]).done();
    assert_eq!(index_names(&target, "shop.orders"), ["_id_", "n_1"]);
    let diff = site.with("MONGODB_URI", uri);
    let diff = diff.run(&["diff", OLDER, "--live", "--json"]).done().json();
    assert_eq!(diff["equal"], true, "{diff}");
}

/// mongorestore reads such a number, and we do not.
#[test]
fn what_cannot_be_read_is_told_by_every_command() {
    const TOLD: &str = "shop.orders: its options and indexes cannot be read: ";
    let site = site_with_filter(r#"{"$numberDouble":"0x1p-2"}"#);
    site.run(&["verify", OLDER]).done().printing(&[TOLD]);
    site.run(&["show", OLDER]).done().printing(&[TOLD]);
    let target = Server::standalone();
    let uri = target.uri();
    let restored = site.run(&["restore", OLDER, "--to", &uri, "--yes"]);
    restored
        .ended_with(1)
        .saying(&["was NOT restored completely", TOLD]);
    let scratch = Server::standalone();
    let site = site.with("DRILL_URI", scratch.uri());
    let drilled = site.run(&["drill", OLDER]).ended_with(1);
    drilled.saying(&["is NOT proven", TOLD]);
    let site = site.with("MONGODB_URI", uri);
    let diff = site.run(&["diff", OLDER, "--live", "--json"]).done();
    let diff = diff.saying(&[TOLD]).json();
    assert_eq!(diff["equal"], false, "{diff}");
    let elsewhere = ["--match", "{}", "--include", "shop.orders"];
    let renamed = ["--rename", "shop.orders=shop.new", "--yes"];
    let matched = [&["restore", OLDER][..], &elsewhere, &renamed].concat();
    let refused = site.run(&matched).ended_with(1);
    refused.saying(&["shop.new is not there, and cannot be made as it was"]);
}
