//! `doctor` and `health`: what they find, and what they say to do about it.

use crate::support::{
    ANSWER_VERSION, PASSWORD, Proxy, SOON, Site, Smtp, Then, Trap, shared, until,
};
use chrono::{SecondsFormat, TimeDelta, Utc};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn site() -> Site {
    Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with("TZ", "Europe/Madrid")
}

#[test]
fn two_prefixes_at_work_in_one_folder_are_told_and_a_renamed_one_is_not() {
    let told = "archives of another BACKUP_PREFIX are made here too: first";
    let first = site().with("BACKUP_PREFIX", "first");
    first.run(&["backup"]).done();
    let second = first.with("BACKUP_PREFIX", "second");
    // Names hold seconds.
    std::thread::sleep(Duration::from_millis(1100));
    second.run(&["backup"]).done();
    let renamed = second.run(&["doctor"]).done();
    assert!(!renamed.stdout.contains(told), "{}", renamed.stdout);

    let saved = "first_before_restore_backup_20990101_020000.tar.gz";
    fs::write(second.backups().join(saved), "").unwrap();
    let renamed = second.run(&["doctor"]).done();
    assert!(!renamed.stdout.contains(told), "{}", renamed.stdout);

    std::thread::sleep(Duration::from_millis(1100));
    let first = second.with("BACKUP_PREFIX", "first");
    first.run(&["backup"]).done();
    let second = first.with("BACKUP_PREFIX", "second");
    second
        .run(&["doctor"])
        .done()
        .printing(&[told, "give each prefix a BACKUP_DIR of its own"]);
}

#[test]
fn all_is_well_and_the_next_runs_are_shown() {
    let smtp = Smtp::start(&["--login", "pantry@example.org", PASSWORD]);
    let site = Site::of(shared())
        .with("TZ", "Europe/Madrid")
        .with("BACKUP_SCHEDULE", "30 2 * * *")
        .with("SMTP_HOST", "127.0.0.1")
        .with("SMTP_PORT", smtp.port)
        .with("SMTP_SECURITY", "none")
        .with("SMTP_USERNAME", "pantry@example.org")
        .with("SMTP_PASSWORD", PASSWORD)
        .with("EMAIL_TO", "mira@example.org");
    site.run(&["backup"]).done();
    let outcome = site.run(&["doctor"]).done().printing(&[
        "✓ server",
        "✓ roles",
        "✓ point in time",
        " mongodump ",
        " mongorestore ",
        "✓ folder",
        "✓ disk",
        "✓ clock",
        "✓ mail",
        "The next runs:",
    ]);
    assert_eq!(
        outcome
            .stdout
            .lines()
            .filter(|line| line.contains("02:30:00 CE"))
            .count(),
        5,
        "{}",
        outcome.stdout
    );
    // Looking sends nothing.
    assert_eq!(smtp.mails().len(), 0);
}

/// Without its name, `verify` would read the latest, which is sound.
#[test]
fn an_older_archive_that_is_damaged_comes_with_the_command_that_reads_it() {
    let site = site().with_clock("2026-05-24T12:00:00Z");
    site.run(&["backup"]).done();
    let older = site.archives().remove(0);
    site.set_clock("2026-05-31T12:00:00Z");
    site.run(&["backup"]).done();
    crate::support::rewrite(&site.backups().join(&older), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    site.run(&["verify", &older]).ended_with(1);
    site.run(&["doctor"]).ended_with(1).printing(&[
        &format!("{older} is damaged"),
        &format!("pantry-keeper verify {older}` says where"),
    ]);
}

#[test]
fn a_password_that_is_wrong_and_a_role_that_is_missing() {
    let uri = |user: &str, password: &str| {
        format!(
            "mongodb://{user}:{password}@127.0.0.1:{}/?directConnection=true&authSource=admin",
            shared().port
        )
    };
    let wrong = site()
        .with("MONGODB_URI", uri("nobody", "wrong-one"))
        .run(&["doctor"])
        .ended_with(1);
    wrong.printing(&["✗ server", "refused the user name or the password", "→ "]);
    let encoded = crate::support::PASSWORD_ENCODED;
    let site = Site::new()
        .with("MONGODB_URI", uri("reader", encoded))
        .with("BACKUP_DATABASES", "blog");
    let missing = site.run(&["doctor"]).ended_with(1);
    missing.printing(&[
        "✗ ",
        "grantRolesToUser(\"reader\", [{ role: \"backup\", db: \"admin\" }])",
    ]);
    let enough = site
        .with("BACKUP_DATABASES", "shop")
        .run(&["doctor"])
        .done();
    enough.printing(&["✓ roles"]);
}

#[test]
fn no_user_where_users_are_and_what_a_user_may_read() {
    let port = shared().port;
    let none = site().with("MONGODB_URI", format!("mongodb://127.0.0.1:{port}/"));
    let outcome = none.run(&["doctor"]).ended_with(1);
    outcome.printing(&[
        "✗ server",
        "has users, and MONGODB_URI names none",
        "→ put USER:PASSWORD@ before the host in MONGODB_URI, and /?authSource=admin after it",
    ]);
    let by_host = Site::new().with("MONGODB_HOST", format!("127.0.0.1:{port}"));
    by_host.run(&["doctor"]).ended_with(1).printing(&[
        "has users, and MONGODB_HOST names none",
        "→ set MONGODB_USERNAME and MONGODB_PASSWORD",
    ]);
    let encoded = crate::support::PASSWORD_ENCODED;
    let uri = format!("mongodb://reader:{encoded}@127.0.0.1:{port}/?authSource=admin");
    let site = Site::new().with("MONGODB_URI", uri);
    let outcome = site.run(&["doctor"]).ended_with(1);
    let outcome = outcome.printing(&["grantRolesToUser(\"reader\"", "BACKUP_DATABASES=shop"]);
    // It connects; what it may not do is all that is wrong.
    assert!(!outcome.stdout.contains("does not"), "{}", outcome.stdout);
}

#[test]
fn what_is_left_out_and_not_there_may_be_misspelt() {
    let site = site().with("BACKUP_EXCLUDE", "shop.*,shp.orders");
    let outcome = site
        .run(&["doctor"])
        .done()
        .printing(&["there is no collection that BACKUP_EXCLUDE's shp.orders leaves out"]);
    assert!(
        !outcome.stdout.contains("shop.* leaves"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn options_of_other_drivers_do_no_harm_and_mongodump_connects_too() {
    let uri = format!(
        "{}&socketTimeoutMS=60000&keepAlive=true&compressors=zstd",
        shared().backup_uri()
    );
    let site = site().with("MONGODB_URI", uri);
    site.run(&["doctor"]).done().printing(&[
        "✓ connection",
        "mongodump connects and reads as well",
        "socketTimeoutMS, keepAlive, compressors",
    ]);
}

#[test]
fn tools_that_are_too_old_or_older_than_the_server_needs() {
    let old = site().with_false_mongodump(&ANSWER_VERSION.replace("100.12.2", "100.2.0"));
    old.run(&["doctor"])
        .ended_with(1)
        .printing(&["✗ mongodump", "100.2.0"]);
    let old = site().with_false_mongodump(&ANSWER_VERSION.replace("100.12.2", "100.3.1"));
    let outcome = old.run(&["doctor"]);
    match shared().version() < (5, 0) {
        true => outcome.printing(&["✓ mongodump", "100.3.1"]),
        false => outcome.printing(&["✗ mongodump", "100.3.1", "is older than MongoDB"]),
    };
}

#[test]
fn an_archive_that_everybody_may_read_is_told() {
    let site = site();
    site.run(&["backup"]).done();
    let archive = site.archive();
    let told = format!(
        "{} can be read by every user",
        archive.file_name().unwrap().display()
    );
    let private = site.run(&["doctor"]).stdout;
    assert!(!private.contains(&told), "{private}");
    fs::set_permissions(&archive, fs::Permissions::from_mode(0o644)).unwrap();
    site.run(&["doctor"])
        .printing(&[&told, "umask=077", "ENCRYPT_LOCAL"]);
}

#[test]
fn a_mongodump_that_does_not_connect_where_the_driver_did() {
    let failed = |said: &str| {
        site().with_false_mongodump(&format!("{ANSWER_VERSION}\necho '{said}' >&2; exit 1"))
    };
    failed("Failed: error connecting to host: server selection error: server selection timeout")
        .run(&["doctor"])
        .ended_with(1)
        .printing(&[
            "this program connects, and mongodump does not",
            "→ if the server is slow to answer, add connectTimeoutMS=30000 to MONGODB_URI",
        ]);
    failed("Failed: error connecting to host: auth error: (AuthenticationFailed) Authentication failed.")
        .run(&["doctor"])
        .ended_with(1)
        .printing(&["to mongodump, though it had just", "authMechanism"]);
}

#[test]
fn a_folder_that_is_not_one_and_a_disk_that_is_not_there() {
    let site = site();
    fs::write(site.backups(), "a file").unwrap();
    site.run(&["doctor"]).ended_with(1).printing(&["✗ folder"]);
    let site = self::site().with("BACKUP_REQUIRE_MOUNT", "true");
    site.run(&["doctor"]).ended_with(1).printing(&[
        "✗ folder",
        "is not the disk it was",
        "→ mount the right disk",
    ]);
}

#[test]
fn a_clock_that_is_off() {
    let site = site();
    site.run(&["backup"]).done();
    let site = site.with_clock("1970-01-01T00:10:00Z");
    site.run(&["doctor"]).ended_with(1).printing(&[
        "✗ clock",
        "1970",
        "→ set this machine's clock",
    ]);
    site.set_clock("2025-06-01T00:00:00Z");
    site.run(&["doctor"])
        .ended_with(1)
        .printing(&["✗ clock", "before the newest archive"]);
    site.set_clock("2031-06-01T00:00:00Z");
    site.run(&["doctor"])
        .ended_with(1)
        .printing(&["✗ clock", "off the MongoDB server's clock"]);
}

/// The clock was ahead when an archive was made, and is right now: to set it again would not help.
#[test]
fn an_archive_of_a_time_yet_to_come() {
    let site = site().with("BACKUP_SCHEDULE", "@hourly");
    site.run(&["backup"]).done();
    let ahead = Utc::now() + TimeDelta::days(1400);
    let ahead = ahead.to_rfc3339_opts(SecondsFormat::Secs, true);
    let site = site.with_clock(&ahead);
    site.run(&["backup"]).done();
    site.set_clock(&now());
    site.run(&["doctor"]).ended_with(1).printing(&[
        "✗ clock",
        "as the MongoDB server's does, which is before the newest archive, jorbites_backup_",
        "→ if that is right, that archive's time is wrong: move it to another folder",
    ]);
    // What is missing is missed, whatever the newest archive says.
    let promised = Utc::now() - TimeDelta::days(2);
    let ledger = json!({ "schedule": "@hourly", "time_zone": "UTC", "since": promised, "handled": promised });
    let state = site.backups().join(".pantry-keeper/state.json");
    fs::write(state, json!({ "ledger": ledger }).to_string()).unwrap();
    let site = site.with("BACKUP_TIMEOUT", "1m");
    site.run(&["health"]).ended_with(1).printing(&[
        "which is yet to come: set the clock right; if it is right, that archive's time is wrong: move it to another folder",
    ]);
    let later = Utc::now() + TimeDelta::hours(3);
    site.set_clock(&later.to_rfc3339_opts(SecondsFormat::Secs, true));
    site.run(&["health"]).ended_with(1).printing(&[
        "which is yet to come",
        "there is no backup of",
        "; the newest is jorbites_backup_",
    ]);
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[test]
fn mail_that_is_refused() {
    let smtp = Smtp::start(&["--login", "pantry@example.org", "another"]);
    let site = site()
        .with("SMTP_HOST", "127.0.0.1")
        .with("SMTP_PORT", smtp.port)
        .with("SMTP_SECURITY", "none")
        .with("SMTP_USERNAME", "pantry@example.org")
        .with("SMTP_PASSWORD", PASSWORD)
        .with("EMAIL_TO", "mira@example.org");
    site.run(&["doctor"]).ended_with(1).printing(&[
        "✗ mail",
        "rejected the login",
        "→ check SMTP_USERNAME",
    ]);
}

#[test]
fn as_json_and_stopped() {
    let json = site().run(&["doctor", "--json"]).done().json();
    assert_eq!(json["well"], true);
    assert_eq!(json["next_runs"].as_array().unwrap().len(), 5);
    assert!(
        json["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|finding| finding["area"] == "server"),
        "{json}"
    );

    let proxy = Proxy::to(shared().port, Trap::Bytes(0), Then::Stall);
    let site = Site::new().with("MONGODB_URI", shared().backup_uri_by(proxy.port));
    let running = site.start(&["doctor"]);
    proxy.sprung();
    running.signal(Signal::TERM);
    running
        .end(Duration::from_secs(60))
        .ended_with(1)
        .within(Duration::from_secs(10))
        .saying(&["stopped as asked"]);
}

#[test]
fn healthy_is_a_living_scheduler_and_a_backup_as_fresh_as_promised() {
    let site = site().with_clock("2026-05-30T12:00:00Z");
    site.run(&["health"])
        .ended_with(1)
        .printing(&["UNHEALTHY: no scheduler is at work"]);
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    // Nothing has been promised for a time that has passed.
    site.run(&["health"])
        .done()
        .printing(&["healthy: no backup yet; next Sunday 31 May 2026 at 02:00 CEST"]);
    site.set_clock("2026-05-30T23:59:58Z");
    running.until_it_says("backup complete and verified");
    running.until_it_says("next backup: Sunday 7 June");
    let json = site.run(&["health", "--json"]).done().json();
    assert_eq!(
        (&json["healthy"], &json["next_run_at"]),
        (&true.into(), &"2026-06-07T00:00:00Z".into()),
        "{json}"
    );
    running.signal(Signal::KILL);
    drop(running);
    site.run(&["health"])
        .ended_with(1)
        .printing(&["no scheduler is at work", "jorbites_backup_20260531_0200"]);
}

#[test]
fn a_backup_that_did_not_come_and_one_that_fails_are_unhealthy() {
    let site = site()
        .with("BACKUP_CATCH_UP", "false")
        .with_clock("2026-05-30T12:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    site.set_clock("2026-06-01T12:00:00Z");
    running.until_it_says("1 run missed");
    // It is noted once it is said.
    until("it counts as failing", SOON, || {
        let health = site.run(&["health"]).ended_with(1);
        health.stdout.contains("have been failing")
    });
    site.run(&["health"])
        .ended_with(1)
        .printing(&["backups have been failing since 1 June 2026"]);
    // What the scheduler has noted can be lost; the promise stays.
    let state = site.backups().join(".pantry-keeper/state.json");
    let mut notes: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    notes["alarm"] = serde_json::json!({});
    fs::write(&state, notes.to_string()).unwrap();
    site.run(&["health"])
        .ended_with(1)
        .printing(&["there is no backup of Sunday 31 May 2026", "none before it"]);
    running.signal(Signal::USR1);
    running.until_it_says("backup complete and verified");
    running.until_it_says_times("next backup", 3);
    site.run(&["health"]).done();
    let failing = site.with("BACKUP_DATABASES", "nowhere");
    failing.run(&["backup"]).ended_with(1);
    failing.run(&["health"]).ended_with(1).printing(&[
        "backups have been failing since 1 June 2026",
        "1 failed run",
    ]);
    until("it is stopped", Duration::from_secs(20), || {
        running.signal(Signal::TERM);
        running.said().contains("stopped")
    });
}
