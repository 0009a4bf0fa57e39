//! Places that refuse, or say that they did what they did not: what is told of them, and what goes on all the same.

use crate::support::{Place, Site, shared};

fn site() -> Site {
    Site::of(shared()).with("BACKUP_DATABASES", "shop")
}

#[test]
fn a_file_that_is_too_large_for_the_server_does_not_keep_the_others() {
    let place = Place::webdav();
    let site = site();
    site.run(&["backup"]).done();
    let site = site.with_place(&place);
    // The newest goes first.
    place.behave(r#"{"method": "PUT", "least": 1000, "do": "too-large", "times": 1}"#);
    let said = site.run(&["backup"]).done().saying(&[
        "takes no file of this size",
        "client_max_body_size",
        "rclone:",
    ]);
    assert_eq!(
        said.stderr.matches("copied to").count(),
        1,
        "{}",
        said.stderr
    );
    assert!(!said.stderr.contains("make room"), "{}", said.stderr);
}

#[test]
fn an_outage_in_the_middle_is_waited_for() {
    for place in [Place::s3(), Place::webdav()] {
        let site = site().with_place(&place);
        for how in ["503", "cut"] {
            place.behave(&format!(
                r#"{{"method": "PUT", "least": 1000, "do": "{how}", "tenth": 5, "times": 4}}"#
            ));
            site.run(&["backup"]).done().saying(&["copied to"]);
        }
    }
}

#[test]
fn a_connection_that_breaks_while_it_is_read_back_does_not_cost_the_upload() {
    let place = Place::webdav();
    let site = site().with_place(&place);
    place.behave(r#"{"method": "GET", "do": "cut-answer", "times": 2}"#);
    site.run(&["backup"]).done().saying(&["copied to"]);
    let seen = place.seen();
    let sent = seen.iter().filter(|line| line.starts_with("PUT"));
    assert_eq!(sent.count(), 2, "{seen:?}");
}

#[test]
fn an_s3_service_without_tls_is_told_of_wherever_its_address_is_given() {
    let place = Place::s3();
    let site = site().with_place(&place);
    let endpoint = format!("http://127.0.0.1:{}", place.port);
    let site = site
        .with("OFFSITE_URL", "s3://pantry/backups")
        .with("AWS_ENDPOINT_URL", endpoint);
    let words = &["archives are sent in clear"];
    site.run(&["doctor"]).done().printing(words);
}

#[test]
fn a_bucket_with_object_lock_is_told_the_md5_of_all_that_is_sent() {
    let place = Place::s3();
    let site = site().with_place(&place);
    place.behave(r#"{"method": "PUT", "do": "locked"}"#);
    site.run(&["backup"]).done().saying(&["copied to"]);
    site.run(&["doctor"]).done();
}

#[test]
fn doctor_tries_to_write_each_time_also_where_nothing_can_be_removed() {
    let place = Place::s3();
    let site = site().with_place(&place);
    place.behave(r#"{"method": "DELETE", "do": "deny"}"#);
    let outcome = site.run(&["doctor"]).done();
    outcome.printing(&["can be written, read and listed, and nothing can be removed"]);
    site.run(&["doctor"]).done();
    place.behave(r#"{"method": "PUT", "do": "deny"}"#);
    let outcome = site.run(&["doctor"]).ended_with(1);
    outcome.printing(&["✗ offsite", "AccessDenied"]);
}

#[test]
fn what_rclone_did_not_take_is_not_told_as_written() {
    // It lists an empty folder; nothing else is there for it.
    let site = site()
        .with_false_rclone("case \"$*\" in *--files-only*) echo '[]' ;; *) exit 3 ;; esac")
        .with("OFFSITE_URL", "rclone:far:");
    let outcome = site.run(&["doctor"]).ended_with(1);
    outcome.printing(&["✗ offsite", "there is no such place"]);
}
