//! What is there is not lost: refused, or safe in an archive of its own first.

use super::{only, restore, restore_of, same};
use crate::support::{Before, Proxy, Server, Site, Then, Trap, in_project, python, shared, tool};
use std::fs;
use std::time::Duration;

/// A server with live data, and a site with an archive of the same collections.
fn live() -> (Site, Server) {
    let site = Site::new();
    site.with_sound_archive();
    let target = Server::standalone();
    target.seed("small");
    target.change("empty", "shop.orders");
    (site, target)
}

fn safety(site: &Site) -> Vec<String> {
    site.archives()
        .into_iter()
        .filter(|name| name.starts_with("jorbites_before_restore_backup_"))
        .collect()
}

const SHOP: [&str; 2] = ["--include", "shop.orders,shop.sessions"];

#[test]
fn what_exists_is_refused_with_both_ways_out() {
    let (site, target) = live();
    let site = site.with_mongorestore_traced();
    let before = target.fingerprint();
    let outcome = restore(&site, &target, &[]).ended_with(1);
    outcome.printing(&["REFUSED: it exists"]).saying(&[
        "nothing was restored: there already, on 127.0.0.1",
        "shop.orders",
        "--rename 'blog=blog_restored'",
        "--drop",
    ]);
    same(&before, &target.fingerprint());
    assert!(!site.mongorestore_was_started());
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn dropped_is_only_what_is_restored_and_it_comes_back_from_the_safety_backup() {
    let (site, target) = live();
    let (all, before) = (shared().fingerprint(), target.fingerprint());
    let archives = Before::of(&site.backups());
    let outcome = restore(&site, &target, &[&SHOP[..], &["--drop"]].concat()).done();
    let safety = safety(&site).remove(0);
    outcome
        .printing(&["backed up, dropped, restored"])
        .saying(&[&format!("what was there before is in {safety}")]);
    assert_eq!(
        archives.added(),
        [safety.clone(), format!("{safety}.sha256")]
    );
    let mut expected = before.clone();
    for name in ["shop.orders", "shop.sessions"] {
        expected.insert(name.into(), all[name].clone());
    }
    same(&expected, &target.fingerprint());

    // It is an archive like any other, and never the latest.
    site.run(&["verify", &safety])
        .done()
        .printing(&["is sound", "10 documents"]);
    site.run(&["verify", "latest"])
        .done()
        .printing(&["765 documents"]);
    restore_of(&site, &safety, &target, &["--drop"]).done();
    same(&before, &target.fingerprint());
}

#[test]
fn json_names_the_safety_backup_and_the_next_one_does_not_collide() {
    let (site, target) = live();
    for number in 1..=2 {
        let json = restore(&site, &target, &[&SHOP[..], &["--drop", "--json"]].concat())
            .done()
            .json();
        let made = safety(&site);
        assert_eq!(
            (json["safety_archive"].as_str(), made.len()),
            (Some(made[number - 1].as_str()), number)
        );
    }
    // With nothing to drop there is nothing to be saved.
    let json = restore(
        &site,
        &target,
        &[
            "--include",
            "library.*",
            "--rename",
            "library=new",
            "--drop",
            "--json",
        ],
    );
    assert!(json.done().json()["safety_archive"].is_null());
}

#[test]
fn without_a_safety_backup_nothing_is_dropped() {
    let (site, target) = live();
    let before = target.fingerprint();
    let archives = Before::of(&site.backups());
    let read_only = "mount --bind \"$BACKUP_DIR\" \"$BACKUP_DIR\" && mount -o remount,ro,bind \"$BACKUP_DIR\" && exec \"$@\"";
    let mut site = site
        .started_by(&["unshare", "-rm", "sh", "-c", read_only, "sh"])
        .with_mongorestore_traced();
    let options = [&SHOP[..], &["--drop"]].concat();
    restore(&site, &target, &options)
        .ended_with(1)
        .saying(&["nothing was restored"]);
    assert!(!site.mongorestore_was_started());
    same(&before, &target.fingerprint());
    archives.still_holds();

    // Also when the disk is full: the archive, which fits, leaves no room.
    let full = "archive=$(cat \"$BACKUP_DIR\"/*.tar.gz | wc -c) && mkdir keep && cp \"$BACKUP_DIR\"/* keep && \
                mount -t tmpfs -o size=$((archive + 40000)) none \"$BACKUP_DIR\" && cp keep/* \"$BACKUP_DIR\" && \
                rm -r keep && dd if=/dev/zero of=\"$BACKUP_DIR\"/filling bs=4k 2>/dev/null; exec \"$@\"";
    site = site.started_by(&["unshare", "-rm", "sh", "-c", full, "sh"]);
    let outcome = restore(&site, &target, &options).ended_with(1);
    outcome.saying(&[
        "no safety backup could be made, so nothing was dropped or restored",
        "the disk is full",
    ]);
    assert!(!site.mongorestore_was_started());
    same(&before, &target.fingerprint());
    archives.still_holds();
}

#[test]
fn a_safety_backup_that_fails_half_way_drops_nothing() {
    let (site, target) = live();
    let before = target.fingerprint();
    let archives = Before::of(&site.backups());
    let site = site
        .with_mongorestore_traced()
        .with_false_mongodump_beside("echo 'Failed: enough' >&2; exit 1");
    let outcome = restore(&site, &target, &[&SHOP[..], &["--drop"]].concat()).ended_with(1);
    outcome.saying(&[
        "no safety backup could be made, so nothing was dropped or restored",
        "Failed: enough",
    ]);
    assert!(!site.mongorestore_was_started());
    same(&before, &target.fingerprint());
    archives.still_holds();
}

/// The app goes on while the safety backup is made: what it makes then is in no archive.
#[test]
fn what_appears_during_the_safety_backup_is_not_dropped() {
    let (site, target) = live();
    target.change("drop", "shop.sessions");
    let appears = format!(
        "echo '{{\"insert\": {{\"_id\": \"new\"}}}}' | {} {} write '{}' shop.sessions; exec {} \"$@\"",
        python().display(),
        in_project("tests/support/mongo.py").display(),
        target.uri(),
        tool("mongodump").display(),
    );
    let site = site
        .with_mongorestore_traced()
        .with_false_mongodump_beside(&appears);
    let outcome = restore(&site, &target, &[&SHOP[..], &["--drop"]].concat()).ended_with(1);
    outcome.saying(&[
        "nothing was restored: made on 127.0.0.1",
        "shop.sessions",
        "stop what writes to the server",
    ]);
    assert!(!site.mongorestore_was_started());
    let found = target.find("shop.sessions", &["{}".into()]);
    assert_eq!(found, [serde_json::json!(["new"])]);
    assert!(target.fingerprint().contains_key("shop.orders"));
}

/// Nor what appears later: mongorestore is told to drop nothing.
#[test]
fn what_appears_while_it_loads_is_not_dropped() {
    let (site, target) = live();
    let site = site.with_false_mongorestore(
        "case \" $* \" in *' --drop '*) echo 'Failed: it drops' >&2; exit 1;; esac; exec \"$REAL\" \"$@\"",
    );
    restore(&site, &target, &[&SHOP[..], &["--drop"]].concat()).done();
    same(
        &only(&shared().fingerprint(), &["shop.orders"]),
        &only(&target.fingerprint(), &["shop.orders"]),
    );
}

#[test]
fn while_a_backup_is_at_work_nothing_is_dropped_and_its_exit_code_says_so() {
    let (site, target) = live();
    let before = target.fingerprint();
    let proxy = Proxy::to(shared().port, Trap::Bytes(1_000_000), Then::Stall);
    let backup = site.with("MONGODB_URI", shared().backup_uri_by(proxy.port));
    let at_work = backup.start(&["backup"]);
    proxy.sprung();
    let options = [&SHOP[..], &["--drop"]].concat();
    restore(&backup, &target, &options)
        .ended_with(3)
        .saying(&["another Pantry Keeper is at work in"]);
    same(&before, &target.fingerprint());
    // What drops nothing needs no lock.
    restore(
        &backup,
        &target,
        &["--include", "shop.orders", "--rename", "shop=then"],
    )
    .done();
    proxy.release();
    at_work.end(Duration::from_secs(60)).done();
}

/// Indexes and options of what is dropped are those of the archive afterwards, and users stay who they are.
#[test]
fn what_is_dropped_leaves_nothing_of_its_own_behind() {
    let (site, target) = live();
    target.seed("small_indexes");
    restore(&site, &target, &["--include", "shop.*", "--drop"]).done();
    same(
        &only(&shared().fingerprint(), &["shop"]),
        &only(&target.fingerprint(), &["shop"]),
    );
    fs::metadata(site.backups().join(&safety(&site)[0])).unwrap();
}
