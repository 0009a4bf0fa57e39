//! Servers that are away, or do not want us.

use crate::support::{
    LoginFault, PASSWORD, PASSWORD_ENCODED, Server, Site, bad_logins, empty_port, shared,
};
use std::time::Duration;

fn site_with(user: &str, port: u16) -> Site {
    let uri =
        format!("mongodb://{user}@127.0.0.1:{port}/?authSource=admin&serverSelectionTimeoutMS=300");
    Site::new().with("MONGODB_URI", uri)
}

#[test]
fn a_wrong_password_is_not_tried_again() {
    let user = format!("nobody:{PASSWORD_ENCODED}-not");
    let site = site_with(&user, shared().port).with("BACKUP_RETRIES", 2);
    let before = site.with_older_files();
    let outcome = site.run(&["backup"]).ended_with(1);
    let outcome = outcome.saying(&["refused the user name or the password", "MONGODB_URI"]);
    assert!(
        !outcome.stderr.contains("trying again"),
        "{}",
        outcome.stderr
    );
    outcome.within(Duration::from_secs(10));
    before.still_holds();
}

/// The driver asks first, then mongodump; each logs in more than once.
#[test]
fn a_login_that_a_restart_cuts_off_is_tried_again() {
    for (client, fault) in [
        ("mongodump", LoginFault::Cut),
        ("mongodump", LoginFault::Answered(11600)),
        ("pantry-keeper", LoginFault::Answered(11600)),
    ] {
        let port = bad_logins(shared().port, client, fault);
        let site = Site::new()
            .with("MONGODB_URI", shared().backup_uri_by(port))
            .with("BACKUP_RETRIES", 2);
        let outcome = site.run(&["backup"]).done();
        let outcome = outcome.saying(&["trying again"]);
        assert!(!outcome.stderr.contains("refused"), "{}", outcome.stderr);
    }
}

#[test]
fn mongodump_refused_where_the_driver_was_not_is_told_as_such() {
    let port = bad_logins(shared().port, "mongodump", LoginFault::Answered(18));
    let site = Site::new()
        .with("MONGODB_URI", shared().backup_uri_by(port))
        .with("BACKUP_RETRIES", 2);
    let outcome = site.run(&["backup"]).ended_with(1);
    let outcome = outcome.saying(&[
        "refused the user name or the password in MONGODB_URI to mongodump",
        "authMechanism",
    ]);
    assert!(
        !outcome.stderr.contains("trying again"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_file_for_tls_that_is_not_there_is_a_matter_of_the_connection_string() {
    for option in ["tlsCAFile", "tlsCertificateKeyFile"] {
        let uri = format!(
            "{}&tls=true&{option}=/nowhere/file.pem",
            shared().backup_uri()
        );
        let site = Site::new()
            .with("MONGODB_URI", uri)
            .with("BACKUP_RETRIES", 1);
        let outcome = site.run(&["backup"]).ended_with(1);
        let outcome = outcome.saying(&[&format!(
            "the file of {option} cannot be read: No such file"
        )]);
        assert!(
            !outcome.stderr.contains("trying again"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn the_default_mechanism_that_compass_writes_does_no_harm() {
    let uri = format!("{}&authMechanism=DEFAULT", shared().backup_uri());
    Site::new()
        .with("MONGODB_URI", uri)
        .with("BACKUP_DATABASES", "shop")
        .run(&["backup"])
        .done();
}

#[test]
fn a_password_that_was_not_encoded_is_explained() {
    let site = site_with(&format!("nobody:{PASSWORD}"), shared().port);
    site.run(&["backup"])
        .ended_with(2)
        .saying(&["MONGODB_URI", "percent-encode"]);
}

#[test]
fn a_user_without_the_backup_role_is_told_how_to_get_it() {
    let site = site_with(&format!("nobody:{PASSWORD_ENCODED}"), shared().port);
    let before = site.with_older_files();
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["role", "backup", "admin"]);
    before.still_holds();
}

#[test]
fn a_user_who_may_read_one_database_backs_up_that_one_and_no_mistyped_one() {
    let reader = || site_with(&format!("reader:{PASSWORD_ENCODED}"), shared().port);
    let site = reader().with("BACKUP_DATABASES", "shop");
    site.run(&["backup"]).done();
    site.run(&["verify"]).done();

    let site = reader().with("BACKUP_DATABASES", "shoq");
    let before = site.with_older_files();
    site.run(&["backup"]).ended_with(1);
    before.still_holds();
}

#[test]
fn a_server_that_is_away_is_tried_as_often_as_asked_for() {
    let user = format!("nobody:{PASSWORD_ENCODED}");
    for (retries, attempts) in [(0, 0), (1, 1)] {
        let port = empty_port();
        let site = site_with(&user, port)
            .with("BACKUP_RETRIES", retries)
            .with("LOG_LEVEL", "trace");
        let before = site.with_older_files();
        let outcome = site
            .run(&["backup"])
            .ended_with(1)
            .within(Duration::from_secs(15));
        let outcome = outcome.saying(&[
            &format!("cannot reach MongoDB at 127.0.0.1:{port}"),
            "MONGODB_URI",
        ]);
        assert_eq!(
            outcome.stderr.matches("trying again").count(),
            attempts,
            "{}",
            outcome.stderr
        );
        before.still_holds();
    }
}

#[test]
fn json_tells_of_a_failure_too() {
    let site = site_with(&format!("nobody:{PASSWORD_ENCODED}"), empty_port());
    let json = site.run(&["backup", "--json"]).ended_with(1).json();
    assert!(
        json["error"]
            .as_str()
            .unwrap()
            .contains("cannot reach MongoDB"),
        "{json}"
    );
}

/// mongodump itself would be content with a database that is not there.
#[test]
fn a_mistyped_database_is_an_error_and_the_near_one_is_named() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "blog,shpo");
    let before = site.with_older_files();
    let outcome = site.run(&["backup"]).ended_with(1);
    outcome.saying(&[
        "no database named \"shpo\"",
        "there is \"shop\"",
        "BACKUP_DATABASES",
    ]);
    before.still_holds();
}

#[test]
fn a_server_that_comes_back_is_backed_up_by_a_later_attempt() {
    let server = Server::standalone();
    server.seed("small");
    let site = Site::of(&server).with("BACKUP_RETRIES", 1);
    let site = site.with(
        "MONGODB_URI",
        format!("{}&connectTimeoutMS=500", server.backup_uri()),
    );
    server.signal(rustix::process::Signal::STOP);
    let running = site.start(&["backup"]);
    running.until_it_says("trying again");
    server.signal(rustix::process::Signal::CONT);
    running.end(Duration::from_secs(60)).done();
    let json = site.run(&["verify", "--json"]).done().json();
    // A real mongod has one of its own in `admin`, which is not counted.
    assert_eq!(json["archives"][0]["documents"], 663);
}
