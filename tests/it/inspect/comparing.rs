//! `diff`: exactly what was changed is what differs.

use super::{inserts, site_of};
use crate::support::{Server, Site};
use serde_json::{Value, json};

fn changed(server: &Server) {
    let lines = [
        json!({ "remove": 3 }),
        json!({ "replace": { "_id": 5, "name": "thing 5", "place": { "shelf": 2, "box": "b" } } }),
        json!({ "insert": { "_id": 100, "name": "new" } }),
    ];
    server.write("shop.things", &lines.map(|line| line.to_string()));
    server.write("shop.more", &inserts(&[json!({ "_id": 1 })]));
    server.change("index", "shop.things");
    server.change("drop", "shop.gone");
}

/// A server with some documents, and an archive of it.
fn first() -> (Server, Site) {
    let server = Server::standalone();
    server.write(
        "shop.gone",
        &inserts(&[json!({ "_id": 1 }), json!({ "_id": 2 })]),
    );
    server.write("shop.same", &inserts(&[json!({ "_id": 1 })]));
    let documents: Vec<Value> = (0..50)
        .map(|id| json!({ "_id": id, "name": format!("thing {id}"), "place": { "shelf": 1, "box": "b" } }))
        .collect();
    let site = site_of(&server, &documents);
    (server, site)
}

fn check(report: &Value) {
    let states: Vec<[&Value; 5]> = report["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| ["collection", "state", "added", "removed", "changed"].map(|field| &one[field]))
        .collect();
    let wanted = json!([
        ["gone", "removed", 0, 2, 0],
        ["more", "added", 1, 0, 0],
        ["same", "equal", 0, 0, 0],
        ["things", "changed", 1, 1, 1]
    ]);
    assert_eq!(json!(states), wanted);
    let things = &report["collections"][3];
    assert_eq!(things["indexes_added"], json!(["late_1"]));
    let mut differences = things["differences"].as_array().unwrap().clone();
    differences.sort_by_key(|one| one["id"].to_string());
    assert_eq!(
        json!(differences),
        json!([
            { "id": "100", "change": "added", "fields": null },
            { "id": "3", "change": "removed", "fields": null },
            { "id": "5", "change": "changed", "fields": [{ "path": "place.shelf", "from": "1", "to": "2" }] }
        ])
    );
}

#[test]
fn two_archives_and_an_archive_and_the_server_are_compared() {
    let (server, site) = first();
    let older = site.archives().remove(0);
    site.run(&["diff", &older, "--live"])
        .done()
        .printing(&["hold the same: 3 namespaces"]);
    changed(&server);
    check(
        &site
            .run(&["diff", &older, "--live", "--documents", "--json"])
            .done()
            .json(),
    );
    site.run(&["backup"]).done();
    check(
        &site
            .run(&["diff", &older, "latest", "--documents", "--json"])
            .done()
            .json(),
    );
    site.run(&["diff", &older, "latest", "--documents"])
        .done()
        .printing(&[
            "shop.things\n",
            "  + 100\n",
            "  - 3\n",
            "  ~ 5\n      place.shelf: 1 → 2\n",
            "index added: late_1",
            "it is new",
            "it is gone",
        ]);
    // The other way round.
    let back = site
        .run(&["diff", "latest", &older, "--json"])
        .done()
        .json();
    assert_eq!(
        (&back["equal"], &back["collections"][0]["state"]),
        (&json!(false), &json!("added"))
    );
    let same = site
        .run(&["diff", "latest", "latest", "--json"])
        .done()
        .json();
    assert_eq!(same["equal"], true);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let site = Site::new();
    site.with_sound_archive();
    site.run(&["diff", "latest"]).ended_with(2);
    site.run(&["diff", "latest", "nothing"])
        .ended_with(2)
        .saying(&["there is no nothing.tar.gz"]);
    site.run(&["diff", "latest", "--live"])
        .ended_with(2)
        .saying(&["MONGODB_URI"]);
    site.with(
        "MONGODB_URI",
        "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300",
    )
    .run(&["diff", "latest", "--live"])
    .ended_with(1);
}
