//! What goes and what stays, with real archives that were made on the days they say.

use crate::support::{Server, Site, Smtp, path_with_tools, rewrite, shared, snapshot};
use std::fs;
use std::os::unix::fs::symlink;

/// Archives made at noon on these days; nothing is removed while they are made.
fn made_on(days: &[&str]) -> Site {
    made_of("blog", days)
}

fn made_of(database: &str, days: &[&str]) -> Site {
    let mut site = Site::of(shared())
        .with("BACKUP_DATABASES", database)
        .with("RETENTION_DAYS", 36_500);
    for day in days {
        site = site.with_clock(&format!("{day}T12:00:00Z"));
        site.run(&["backup"]).done();
    }
    site.with("RETENTION_DAYS", 30)
}

fn days(site: &Site) -> Vec<String> {
    site.archives()
        .iter()
        .map(|name| name["jorbites_backup_".len()..][..8].to_owned())
        .collect()
}

#[test]
fn old_archives_go_after_a_success_and_each_has_its_reason() {
    let site = made_on(&["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-25"])
        .with("RETENTION_MIN_KEEP", 2);
    site.set_clock("2026-05-03T18:00:00Z");
    let planned = site.run(&["prune", "--dry-run"]).done();
    snapshot("prune-dry-run", &site, &planned.stdout);
    assert_eq!(site.archives().len(), 4, "a dry run touches nothing");
    snapshot("list", &site, &site.run(&["list"]).done().stdout);

    site.run(&["backup"])
        .done()
        .saying(&["2 archives kept, 3 old ones removed"]);
    assert_eq!(days(&site), ["20260425", "20260503"]);
    let sidecars = fs::read_dir(site.backups()).unwrap().flatten();
    let sidecars =
        sidecars.filter(|entry| entry.file_name().to_string_lossy().ends_with(".sha256"));
    assert_eq!(sidecars.count(), 2);
    site.run(&["prune"])
        .done()
        .printing(&["0 archives removed"]);
}

#[test]
fn a_failed_backup_removes_nothing_and_neither_does_prune_until_one_succeeds() {
    let site = made_on(&["2026-01-01", "2026-02-01"]).with("RETENTION_MIN_KEEP", 1);
    site.set_clock("2026-05-03T18:00:00Z");
    let failing = site.with("BACKUP_DATABASES", "nowhere");
    failing.run(&["backup"]).ended_with(1);
    let halted = failing.run(&["prune"]).done();
    snapshot("prune-halted", &failing, &halted.stdout);
    snapshot(
        "list-halted",
        &failing,
        &failing.run(&["list"]).done().stdout,
    );
    assert_eq!(failing.archives().len(), 2);
    let site = failing.with("BACKUP_DATABASES", "blog");
    site.run(&["backup"])
        .done()
        .saying(&["1 archive kept, 2 old ones removed"]);
}

#[test]
fn what_is_not_ours_not_sound_or_only_looks_like_it_stays() {
    let site = made_on(&["2026-01-01", "2026-02-01", "2026-03-01"]).with("RETENTION_MIN_KEEP", 1);
    let folder = site.backups();
    let [first, second, _] = &site.archives()[..] else {
        panic!("three archives")
    };
    // One that is damaged is no longer verified, and nobody but its owner decides about it.
    rewrite(&folder.join(second), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    site.run(&["verify", second]).ended_with(1);
    fs::write(folder.join("notes.txt"), "not ours").unwrap();
    fs::write(
        folder.join("other_backup_20200101_020000.tar.gz"),
        "not ours",
    )
    .unwrap();
    fs::write(folder.join("jorbites_backup_20200101_020000.tar.gz"), "").unwrap();
    fs::write(site.path("elsewhere"), "somebody's").unwrap();
    symlink(
        site.path("elsewhere"),
        folder.join("jorbites_backup_20200102_020000.tar.gz"),
    )
    .unwrap();
    // Nor does the time that a copy gave to its file matter, in either direction.
    let touch = |name: &str, days: u64| {
        let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(days * 86_400);
        fs::File::options()
            .write(true)
            .open(folder.join(name))
            .unwrap()
            .set_modified(at)
            .unwrap();
    };
    touch(first, 20_600);
    site.set_clock("2026-05-03T12:00:00Z");
    site.run(&["backup"]).done().saying(&["2 old ones removed"]);
    let kept = site.archives();
    assert!(!kept.contains(first), "{kept:?}");
    assert!(kept.contains(second), "{kept:?}");
    assert!(
        folder.join("notes.txt").exists()
            && folder.join("other_backup_20200101_020000.tar.gz").exists()
    );
    assert!(
        folder
            .join("jorbites_backup_20200101_020000.tar.gz")
            .exists()
    );
    assert!(
        fs::symlink_metadata(folder.join("jorbites_backup_20200102_020000.tar.gz"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(
        fs::read_to_string(site.path("elsewhere")).unwrap(),
        "somebody's"
    );
}

#[test]
fn a_clock_behind_the_newest_archive_or_years_ahead_removes_nothing() {
    let site = made_on(&["2026-01-01", "2026-02-01", "2026-03-01"]).with("RETENTION_MIN_KEEP", 1);
    site.set_clock("2026-02-20T12:00:00Z");
    site.run(&["prune"])
        .done()
        .printing(&["nothing is removed for now", "clock"]);
    site.set_clock("2040-01-01T12:00:00Z");
    site.run(&["backup"])
        .done()
        .saying(&["old archives are not removed: ", "clock"]);
    assert_eq!(site.archives().len(), 4);
}

#[test]
fn one_that_cannot_be_removed_does_not_keep_the_others_and_is_told() {
    let site = made_on(&["2026-01-01", "2026-02-01", "2026-03-01"]).with("RETENTION_MIN_KEEP", 1);
    site.set_clock("2026-05-03T18:00:00Z");
    let first = site.archives().remove(0);
    let strace = crate::support::needed("strace", "run scripts/setup first")
        .display()
        .to_string();
    let path = site.backups().join(&first).display().to_string();
    let inject = ["-e", "inject=unlink,unlinkat:error=EIO"];
    let words = [
        &[
            strace.as_str(),
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-P",
            path.as_str(),
        ][..],
        &inject,
    ]
    .concat();
    let site = site.started_by(&words);
    let outcome = site.run(&["prune"]).ended_with(1).saying(&[
        "could not remove",
        &first,
        "Input/output error",
    ]);
    snapshot("prune-not-removed", &site, &outcome.stdout);
    assert_eq!(days(&site), ["20260101", "20260301"]);
}

#[test]
fn as_json() {
    let site = made_on(&["2026-01-01", "2026-02-01"]).with("RETENTION_MIN_KEEP", 1);
    site.set_clock("2026-05-03T12:00:00Z");
    let json = site.run(&["prune", "--dry-run", "--json"]).done().json();
    assert_eq!(json["dry_run"], true);
    assert_eq!(json["removed"][0]["archive"], site.archives()[0].as_str());
    assert!(json["kept"][0]["reasons"][0].is_string(), "{json}");
    let json = site.run(&["backup", "--json"]).done().json();
    assert_eq!(json["retention"]["removed"].as_array().unwrap().len(), 2);
    assert!(json["archive"].is_string());
}

/// A server of one's own whose collections can be taken away.
pub(crate) fn shrinking(smtp: &Smtp) -> (Server, Site) {
    let server = Server::start();
    server.seed("small");
    let site = Site::of(&server)
        .with("RETENTION_DAYS", 1)
        .with("RETENTION_MIN_KEEP", 1)
        .mailing_through(smtp)
        .with_clock("2026-05-01T12:00:00Z");
    site.run(&["backup"]).done();
    (server, site)
}

#[test]
fn a_backup_that_shrank_warns_and_keeps_the_older_ones_until_that_is_accepted() {
    let smtp = Smtp::start(&[]);
    let (server, site) = shrinking(&smtp);
    let complete = site.archives().remove(0);
    server.change("drop", "shop.orders");
    site.set_clock("2026-05-08T12:00:00Z");
    // As in a container.
    let site = site.with("container", "docker");
    let outcome = site.run(&["backup"]).done();
    let accept = "docker compose exec pantry-keeper pantry-keeper prune --accept-shrink";
    outcome.saying(&["shop.orders: gone", accept, "2 archives kept"]);
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0]
            .subject
            .starts_with("jorbites backup made, but look: shop.orders: gone"),
        "{}",
        mails[0].subject
    );
    let text = mails[0].text.replace("\n", " ");
    assert!(text.contains(&complete) && text.contains(accept), "{text}");

    // Against the shrunk one nothing is missing any more, but what was lost is not forgotten; nor is it told every time.
    site.set_clock("2026-05-12T18:00:00Z");
    site.run(&["backup"]).done().saying(&["3 archives kept"]);
    assert_eq!(smtp.mails().len(), 1);
    let halted = site.run(&["prune"]).done();
    snapshot("prune-shrunk", &site, &halted.stdout);
    assert_eq!(site.archives().len(), 3);

    site.run(&["prune", "--accept-shrink"])
        .done()
        .printing(&["2 archives removed"])
        .saying(&["accepted as gone"]);
    assert_eq!(site.archives().len(), 1);
    site.run(&["prune", "--accept-shrink"])
        .done()
        .saying(&["nothing had shrunk"]);
}

#[test]
fn a_run_that_is_cut_off_before_it_notes_what_was_lost_hides_nothing_from_the_next_one() {
    let smtp = Smtp::start(&[]);
    let (server, site) = shrinking(&smtp);
    let state = site.backups().join(".pantry-keeper/state.json");
    let before = fs::read(&state).unwrap();
    server.change("drop", "shop.orders");
    site.set_clock("2026-05-08T12:00:00Z");
    site.run(&["backup"]).done().saying(&["shop.orders: gone"]);
    // As if the power had gone when the archive had its name and nothing was noted yet.
    fs::write(&state, before).unwrap();
    site.set_clock("2026-05-15T12:00:00Z");
    site.run(&["backup"])
        .done()
        .saying(&["shop.orders: gone", "3 archives kept"]);
}

#[test]
fn what_comes_back_ends_the_alarm_by_itself() {
    let smtp = Smtp::start(&[]);
    let (server, site) = shrinking(&smtp);
    server.change("empty", "shop.orders");
    site.set_clock("2026-05-08T12:00:00Z");
    site.run(&["backup"])
        .done()
        .saying(&["shop.orders", "2 archives kept"]);
    server.change("fill", "shop.orders");
    site.set_clock("2026-05-15T12:00:00Z");
    site.run(&["backup"]).done().saying(&[
        "what had been missing is back",
        "1 archive kept, 2 old ones removed",
    ]);
}

#[test]
fn neither_what_the_server_made_for_a_while_nor_an_empty_collection_is_missed() {
    let smtp = Smtp::start(&[]);
    let (server, site) = shrinking(&smtp);
    let for_a_while = "shop.tmp.agg_out.3d8f5b1e-3f3e-4a7c-9a54-a3c3e0b1c111";
    server.change("fill", for_a_while);
    server.change("fill", "shop.emptied");
    server.change("empty", "shop.emptied");
    site.set_clock("2026-05-08T12:00:00Z");
    site.run(&["backup"]).done();
    server.change("drop", for_a_while);
    server.change("drop", "shop.emptied");
    site.set_clock("2026-05-15T12:00:00Z");
    let outcome = site.run(&["backup"]).done();
    let outcome = outcome.saying(&["1 archive kept, 1 old one removed"]);
    assert!(!outcome.stderr.contains("gone"), "{}", outcome.stderr);
    assert_eq!(smtp.mails().len(), 0);
}

/// Earlier versions held retention up for these.
#[test]
fn what_an_earlier_version_noted_as_lost_and_is_none_ends_with_the_next_backup() {
    let smtp = Smtp::start(&[]);
    let (_server, site) = shrinking(&smtp);
    let path = site.backups().join(".pantry-keeper/state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    state["shrunk"] = serde_json::json!({
        "since": "2026-05-01T12:00:00Z",
        "archive": site.archives().remove(0),
        "losses": [
            {"database": "shop", "collection": "emptied", "documents_before": 0, "documents_now": null},
            {"database": "shop", "collection": "tmp.mr.orders_1", "documents_before": 9, "documents_now": null},
        ],
    });
    fs::write(&path, state.to_string()).unwrap();
    site.set_clock("2026-05-08T12:00:00Z");
    site.run(&["backup"])
        .done()
        .saying(&["1 archive kept, 1 old one removed"]);
}

#[test]
fn what_the_settings_leave_out_is_not_missed() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop,blog");
    site.run(&["backup"]).done();
    let site = site.with("BACKUP_DATABASES", "blog");
    let outcome = site.run(&["backup"]).done();
    assert!(!outcome.stderr.contains("gone"), "{}", outcome.stderr);
    let site = site.with("BACKUP_EXCLUDE", "blog.posts");
    let outcome = site.run(&["backup"]).done();
    assert!(!outcome.stderr.contains("gone"), "{}", outcome.stderr);
}

/// Three archives of 3 MB, two of them old, in a folder without room for another one.
fn with_a_full_disk(least: u32, last_words: &str) -> Site {
    let days = ["2026-01-01", "2026-02-01", "2026-04-25"];
    let site = made_of("bulk", &days).with("RETENTION_MIN_KEEP", least);
    site.set_clock("2026-05-03T18:00:00Z");
    let kept = site.path("kept");
    fs::rename(site.backups(), &kept).unwrap();
    fs::create_dir(site.backups()).unwrap();
    let files = fs::read_dir(&kept).unwrap().flatten();
    let bytes: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    // 16 MB are to stay free beside an archive: this is 3 MB short of both together.
    let kilobytes = bytes / 1024 + 15 * 1024 + 512;
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k tmpfs \"$BACKUP_DIR\" && cp -a {}/. \"$BACKUP_DIR\" && {last_words}",
        kept.display()
    );
    site.started_by(&["unshare", "-rm", "sh", "-c", &script, "sh"])
}

/// Retention follows a success: a full disk would stay full for ever.
#[test]
fn what_retention_lets_go_makes_room_where_there_is_none() {
    let site = with_a_full_disk(1, "exec \"$@\"");
    site.run(&["backup"]).done().saying(&[
        "removed jorbites_backup_20260101_120000.tar.gz to make room",
        "removed jorbites_backup_20260201_120000.tar.gz to make room",
        "2 archives kept, 2 old ones removed",
    ]);
}

#[test]
fn for_want_of_room_alone_prune_is_not_held() {
    let site = with_a_full_disk(3, "\"$@\"; RETENTION_MIN_KEEP=1 exec \"$1\" prune");
    site.run(&["backup"])
        .done()
        .saying(&["there is not enough room in"])
        .printing(&["2 archives removed"]);
}

#[test]
fn a_disk_without_room_for_the_next_one_is_told_before_the_run() {
    let site = Site::of(shared()).with("PATH", path_with_tools());
    site.run(&["backup"]).done();
    let name = site.archives().remove(0);
    let (archive, folder) = (site.backups().join(&name), site.path("older"));
    fs::create_dir(&folder).unwrap();
    fs::rename(&archive, folder.join(&name)).unwrap();
    let kilobytes = fs::metadata(folder.join(&name)).unwrap().len() / 1024 * 3 / 2;
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k tmpfs \"$BACKUP_DIR\" && cp {}/* \"$BACKUP_DIR\" && exec \"$@\"",
        folder.display()
    );
    let site = site.started_by(&["unshare", "-rm", "sh", "-c", &script, "sh"]);
    let outcome = site.run(&["backup"]).ended_with(1);
    outcome.saying(&[
        "there is not enough room in",
        "will need about",
        "make room",
    ]);
    site.run(&["doctor"])
        .ended_with(1)
        .printing(&["✗ disk", "the next backup will need about"]);
}
