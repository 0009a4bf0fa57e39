//! What is chosen, renamed, shown and asked before anything happens.

use super::{Everything, only, restore, same};
use crate::support::{Before, Server, Site, shared, snapshot};
use serde_json::Value;

fn renamed(everything: &Everything, from: &str, to: &str) -> Everything {
    everything
        .iter()
        .map(|(name, content)| (name.replacen(from, to, 1), content.clone()))
        .collect()
}

/// A site with an archive of the shared server, and the part of that server which the archive holds.
fn site() -> (Site, Everything) {
    let site = Site::new();
    site.with_sound_archive();
    (site, shared().fingerprint())
}

#[test]
fn single_collections_and_patterns_are_chosen_and_left_out() {
    let (site, all) = site();
    let target = Server::standalone();
    restore(&site, &target, &["--include", "shop.orders"]).done();
    let mut expected = only(&all, &["shop"]);
    expected.retain(|name, _| name == "shop.orders");
    same(&expected, &target.fingerprint());

    let outcome = restore(
        &site,
        &target,
        &[
            "--include",
            "shop.*,blog.*",
            "--exclude",
            "shop.orders,*.sess*",
        ],
    )
    .done();
    outcome.saying(&["restored 402 documents in 4 namespaces"]);
    let mut expected = only(&all, &["shop", "blog"]);
    expected.retain(|name, _| !name.ends_with("sessions"));
    same(&expected, &target.fingerprint());
}

#[test]
fn under_other_names_it_comes_back_beside_what_is_there() {
    let (site, all) = site();
    let target = Server::standalone();
    target.seed("small");
    let live = target.fingerprint();
    let renames = [
        "--include",
        "shop.*,blog.posts",
        "--rename",
        "shop=shop_then",
        "--rename",
        "blog.*=blog.old_*",
    ];
    let outcome = restore(&site, &target, &renames).done();
    outcome.printing(&["shop_then.orders", "blog.old_posts", "restored"]);
    let mut expected = live;
    expected.extend(renamed(&only(&all, &["shop"]), "shop.", "shop_then."));
    expected.insert("blog.old_posts".into(), all["blog.posts"].clone());
    same(&expected, &target.fingerprint());
}

#[test]
fn wildcards_in_names_stand_for_the_same_on_both_sides() {
    let (site, all) = site();
    let target = Server::standalone();
    restore(
        &site,
        &target,
        &[
            "--include",
            "shop.cache_*",
            "--rename",
            "s*p.cache_*=x*y.*_of_may",
        ],
    )
    .done();
    let names: Vec<String> = target.fingerprint().keys().cloned().collect();
    assert_eq!(names, ["xhoy.images_of_may", "xhoy.pages_of_may"]);
    assert_eq!(
        target.fingerprint()["xhoy.pages_of_may"],
        all["shop.cache_pages"]
    );
}

#[test]
fn what_will_happen_is_shown_and_a_dry_run_does_nothing() {
    let (site, _) = site();
    let target = Server::standalone();
    let archives = Before::of(&site.backups());
    let outcome = restore(&site, &target, &["--dry-run", "--exclude", "bulk.*"]).done();
    snapshot("restore-preview", &site, &outcome.stdout);
    assert!(target.is_empty());

    target.seed("small");
    target.change("empty", "shop.sessions");
    let live = target.fingerprint();
    let outcome = restore(
        &site,
        &target,
        &["--dry-run", "--include", "shop.orders,bulk.first"],
    )
    .ended_with(1);
    snapshot("restore-preview-refused", &site, &outcome.stdout);
    let outcome = restore(
        &site,
        &target,
        &["--dry-run", "--drop", "--include", "shop.*"],
    )
    .done();
    snapshot("restore-preview-drop", &site, &outcome.stdout);
    same(&live, &target.fingerprint());
    archives.still_holds();
}

#[test]
fn json_is_one_document_whatever_happens() {
    let (site, _) = site();
    let target = Server::standalone();
    let shop = ["--json", "--include", "shop.orders"];
    let of = |options: &[&str], code| -> Value {
        restore(&site, &target, &[&shop, options].concat())
            .ended_with(code)
            .json()
    };
    let shown = of(&["--dry-run"], 0);
    assert_eq!(
        (&shown["dry_run"], &shown["restored"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        (
            &shown["namespaces"][0]["documents"],
            &shown["namespaces"][0]["exists"]
        ),
        (&200.into(), &false.into())
    );
    let done = of(&[], 0);
    assert_eq!(
        (
            &done["dry_run"],
            &done["restored"],
            &done["namespaces"][0]["inserted"]
        ),
        (&false.into(), &true.into(), &200.into())
    );
    let refused = of(&[], 1);
    assert!(
        refused["error"].as_str().unwrap().contains("there already"),
        "{refused}"
    );
    let none = of(&["--exclude", "shop.*"], 2);
    assert!(
        none["error"].as_str().unwrap().contains("holds nothing"),
        "{none}"
    );
    let uri = target.uri();
    let json = site
        .run(&[
            "restore", "latest", "--to", &uri, "--json", "--rename", "shop=x",
        ])
        .ended_with(2)
        .json();
    assert!(json["error"].as_str().unwrap().contains("--yes"), "{json}");
}

#[test]
fn without_a_terminal_nobody_is_asked_and_nothing_happens() {
    let (site, _) = site();
    let target = Server::standalone();
    let uri = target.uri();
    let outcome = site.run(&["restore", "latest", "--to", &uri]).ended_with(2);
    outcome
        .printing(&["shop.products"])
        .saying(&["there is no terminal to ask on", "--yes"]);
    assert!(target.is_empty());
}

#[test]
fn on_a_terminal_it_asks_and_takes_only_yes_for_a_yes() {
    let (site, all) = site();
    let target = Server::standalone();
    let uri = target.uri();
    let words = ["restore", "latest", "--include", "library.*", "--to", &uri];
    let mut site = site;
    for no in ["no", "yes please"] {
        site = site.on_terminal("Type yes:", no);
        site.run(&words).ended_with(1).printing(&[
            "library.books",
            "Restore this? Type yes:",
            "nothing was restored",
        ]);
        assert!(target.is_empty(), "{no:?}");
    }
    let site = site.on_terminal("Type yes:", "yes");
    site.run(&words)
        .done()
        .printing(&["Restore this? Type yes:", "restored 50 documents"]);
    same(&only(&all, &["library"]), &target.fingerprint());
}

#[test]
fn slips_are_told_before_anything_is_looked_at() {
    let (site, _) = site();
    let target = Server::standalone();
    let uri = target.uri();
    for (options, words) in [
        (&["--include", "shop"][..], "--include"),
        (&["--rename", "shop"], "--rename"),
        (&["--rename", "shop.*=old.x"], "--rename"),
        (&["--rename", "shop=admin"], "the server's own"),
        (&["--rename", "shop=a/b"], "--rename"),
        (
            &[
                "--include",
                "shop.*",
                "--rename",
                "shop.*=x.same*",
                "--rename",
                "shop=y",
                "--exclude",
                "*.*",
            ],
            "holds nothing",
        ),
        (
            &["--rename", "blog=shop"],
            "would both become shop.sessions",
        ),
        (&["--include", "shopp.*"], "it holds blog.posts"),
    ] {
        restore(&site, &target, options)
            .ended_with(2)
            .saying(&[words]);
    }
    site.run(&["restore", "latest", "--to", "/no/such/file", "--yes"])
        .ended_with(2)
        .saying(&["--to", "/no/such/file"]);
    site.run(&["restore", "latest", "--to", "mongodb://"])
        .ended_with(2)
        .saying(&["--to"]);
    site.run(&["restore"]).ended_with(2);
    site.run(&["restore", "../x", "--to", &uri, "--yes"])
        .ended_with(2)
        .saying(&["not a path"]);
    site.run(&["restore", "nothing", "--to", &uri, "--yes"])
        .ended_with(2);
    site.run(&["restore", "latest", "--yes"])
        .ended_with(2)
        .saying(&["MONGODB_URI"]);
    assert!(target.is_empty());
}
