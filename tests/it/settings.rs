//! Settings that cannot be used: told all at once, with exit code 2, before anything is touched.

use crate::support::{PASSWORD, PASSWORD_ENCODED, Site, shared};
use std::fs;

#[test]
fn without_a_server_nothing_is_started() {
    let site = Site::new();
    let outcome = site.run(&["backup"]).ended_with(2);
    outcome.saying(&[
        "1 setting needs attention",
        "MONGODB_URI: is not set",
        "mongodb://HOST:27017/",
    ]);
    let json = site.run(&["backup", "--json"]).ended_with(2).json();
    assert!(
        json["error"]
            .as_str()
            .unwrap()
            .contains("MONGODB_URI: is not set")
    );
    assert!(!site.backups().exists() && !site.path("logs").exists());
    // These do without one.
    fs::create_dir(site.backups()).unwrap();
    site.run(&["list"]).done();
}

#[test]
fn an_unknown_name_is_answered_with_the_one_that_was_meant() {
    let site = Site::new()
        .with("MONGODB_URI", "mongodb://127.0.0.1:1/")
        .with("BACKUP_DATABASE", "shop");
    site.run(&["backup"])
        .ended_with(2)
        .saying(&["BACKUP_DATABASE", "did you mean BACKUP_DATABASES?"]);
}

#[test]
fn all_faults_are_told_at_once() {
    let site = Site::new()
        .with(
            "MONGODB_URI",
            format!("mongodb://user:{PASSWORD}@127.0.0.1/"),
        )
        .with("BACKUP_SCHEDULE", "30 2 31 2 *")
        .with("TZ", "Europe/Madird")
        .with("BACKUP_RETRIES", "many")
        .with("RETENTION_MIN_KEP", "1")
        .with("BACKUP_STALL_TIMEOUT", "5 parsecs");
    let outcome = site.run(&["backup"]).ended_with(2);
    outcome.saying(&[
        "6 settings need attention",
        "MONGODB_URI: \"***\"",
        "percent-encode",
        "BACKUP_SCHEDULE",
        "Europe/Madrid",
        "BACKUP_RETRIES: \"many\"",
        "RETENTION_MIN_KEEP",
        "BACKUP_STALL_TIMEOUT",
    ]);
}

#[test]
fn a_secret_in_a_file_is_as_good_and_both_are_refused() {
    let site = Site::new();
    fs::write(
        site.path("uri"),
        "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100\n",
    )
    .unwrap();
    let file = site.path("uri").display().to_string();
    let site = site.with("MONGODB_URI_FILE", file);
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["cannot reach MongoDB at 127.0.0.1:1"]);
    let site = site.with("MONGODB_URI", "mongodb://127.0.0.1:1/");
    site.run(&["backup"])
        .ended_with(2)
        .saying(&["MONGODB_URI_FILE", "set together with MONGODB_URI"]);
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_the_usage() {
    let site = Site::new();
    site.run(&["bakcup"]).ended_with(2).saying(&["backup"]);
    site.run(&["backup", "now"])
        .ended_with(2)
        .saying(&["Usage"]);
    site.run(&["--version"])
        .done()
        .printing(&[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn point_in_time_and_a_choice_of_databases_exclude_each_other() {
    let site = Site::new()
        .with("MONGODB_URI", "mongodb://127.0.0.1:1/")
        .with("BACKUP_OPLOG", "on");
    let site = site.with("BACKUP_DATABASES", "shop");
    site.run(&["backup"]).ended_with(2).saying(&[
        "BACKUP_OPLOG",
        "BACKUP_DATABASES",
        "point-in-time",
    ]);
}

/// The password has characters that a connection string would need encoded.
#[test]
fn a_server_is_given_by_host_user_and_password_as_they_are() {
    let server = shared();
    let site = Site::new()
        .with("MONGODB_HOST", format!("127.0.0.1:{}", server.port))
        .with("MONGODB_USERNAME", "backup@er");
    // Beside the site, which must hold no password when the test ends.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, format!("\u{feff}{PASSWORD}\r\n")).unwrap();
    let site = site.with("MONGODB_PASSWORD_FILE", file.display());
    site.run(&["backup"]).done();
    site.run(&["verify"]).done();
}

#[test]
fn a_password_that_is_refused_is_shown_in_no_encoding() {
    let wrong = PASSWORD.to_uppercase();
    let site = Site::new()
        .with("MONGODB_HOST", format!("127.0.0.1:{}", shared().port))
        .with("MONGODB_USERNAME", "backup@er")
        .with("MONGODB_PASSWORD", &wrong)
        .with("BACKUP_RETRIES", 0);
    let outcome = site.run(&["backup"]).ended_with(1);
    let outcome = outcome.saying(&["MONGODB_PASSWORD"]);
    let doctor = site.run(&["doctor"]).ended_with(1);
    for text in [
        &outcome.stdout,
        &outcome.stderr,
        &doctor.stdout,
        &doctor.stderr,
    ] {
        for secret in [&wrong, &PASSWORD_ENCODED.to_uppercase()] {
            assert!(!text.to_uppercase().contains(secret.as_str()), "{text}");
        }
    }
}

#[test]
fn two_ways_to_name_the_server_are_refused_by_both_names() {
    let site = Site::new()
        .with("MONGODB_URI", "mongodb://127.0.0.1:1/")
        .with("MONGODB_HOST", "127.0.0.1:1");
    site.run(&["backup"])
        .ended_with(2)
        .saying(&["MONGODB_HOST: \"127.0.0.1:1\" cannot be combined with MONGODB_URI"]);
}
