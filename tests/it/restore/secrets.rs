//! The password of `--to`, and where it must not be. Every run's outputs, logs and files are searched by the support code.

use super::{only, restore, same};
use crate::support::{
    PASSWORD_ENCODED, Proxy, Running, SOON, Server, Site, Then, Trap, password_in_shell, shared,
    until,
};
use std::fs;

/// Words and environment of a process.
fn shown(pid: u32) -> String {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&[read("cmdline"), read("environ")].concat()).into_owned()
}

fn hides(running: &Running, proxy: &Proxy) {
    proxy.sprung();
    let mongorestore = running.tool("mongorestore");
    for pid in [running.id(), mongorestore] {
        let shown = shown(pid);
        assert!(shown.contains("restore"), "{shown}");
        assert!(
            !shown.contains("s3ntinel") && !shown.contains("@127.0.0.1"),
            "{shown}"
        );
    }
}

/// Everybody on a machine can read the words of every process.
#[test]
fn the_password_of_the_target_is_nowhere() {
    let target = Server::with_password(&[]);
    let site = Site::new().with("LOG_LEVEL", "trace");
    site.with_sound_archive();
    let uri_by = |port: u16| {
        target
            .owner_uri()
            .replace(&target.port.to_string(), &port.to_string())
    };
    let options = ["--yes", "--include", "library.*", "--rename"];

    // In the two ways in which options are written, and in a file.
    for (number, given) in ["apart", "joined", "file"].into_iter().enumerate() {
        let proxy = Proxy::to(target.port, Trap::Sent("mongorestore"), Then::Stall);
        let uri = uri_by(proxy.port);
        fs::write(site.path("target"), format!("{uri}\n")).unwrap();
        let joined = format!("--to={uri}");
        let to: &[&str] = match given {
            "apart" => &["--to", &uri],
            "joined" => &[&joined],
            _ => &["--to", "target"],
        };
        let rename = format!("library=library_{number}");
        let running =
            site.start(&[&["restore", "latest"], to, &options, &[rename.as_str()]].concat());
        // It starts anew at once, without the word that holds the password.
        until("the password is gone from its words", SOON, || {
            !shown(running.id()).contains(PASSWORD_ENCODED)
        });
        hides(&running, &proxy);
        // The test's own; files that are left at the end are searched.
        fs::remove_file(site.path("target")).unwrap();
        proxy.release();
        running.end(std::time::Duration::from_secs(60)).done();
    }
    let mut found = only(
        &target.fingerprint(),
        &["library_0", "library_1", "library_2"],
    );
    assert_eq!(found.len(), 3);
    let books = found.remove("library_2.books").unwrap();
    assert_eq!(books, shared().fingerprint()["library.books"]);
    let mut expected = super::Everything::new();
    expected.extend(
        ["library_0.books", "library_1.books"].map(|name| (name.to_owned(), books.clone())),
    );
    same(&expected, &found);
}

#[test]
fn what_is_wrong_with_the_target_is_told_without_its_password() {
    let site = Site::new().with("LOG_LEVEL", "trace");
    site.with_sound_archive();
    let port = crate::support::empty_port();
    for (uri, code, words) in [
        (
            format!(
                "mongodb://owner:{PASSWORD_ENCODED}@127.0.0.1:{port}/?serverSelectionTimeoutMS=300"
            ),
            1,
            "cannot reach MongoDB",
        ),
        (
            format!("mongodb://owner:{PASSWORD_ENCODED}@127.0.0.1:{port}/?nonsense=%zz"),
            2,
            "--to",
        ),
        (
            format!(
                "mongodb://owner:{PASSWORD_ENCODED}-not@127.0.0.1:{}/?authSource=admin",
                shared().port
            ),
            1,
            "refused the user name or the password",
        ),
    ] {
        site.run(&["restore", "latest", "--yes", "--to", &uri])
            .ended_with(code)
            .saying(&[words]);
        let json = site
            .run(&["restore", "latest", "--yes", "--json", "--to", &uri])
            .ended_with(code)
            .json();
        assert!(json["error"].as_str().unwrap().contains(words), "{json}");
    }
}

/// What mongorestore says of a view is the only proof that it is there.
#[test]
fn a_secret_may_be_the_name_of_a_database() {
    let source = Server::standalone();
    source.seed("demo");
    let site = Site::of(&source).with("STATUS_PASSWORD", "jorbites");
    site.run(&["backup"]).done();
    let target = Server::standalone();
    restore(&site, &target, &["--include", "jorbites.*"]).done();
    assert_eq!(source.fingerprint(), target.fingerprint());
}

#[test]
fn a_password_among_what_mongorestore_says_is_told_nowhere() {
    let target = Server::standalone();
    let site = Site::of(shared()).with("LOG_LEVEL", "trace");
    site.with_sound_archive();
    let site = site.with_false_mongorestore(&format!(
        "name={}; cat > /dev/null; cat >&2 << END\n\
         t\tfinished restoring $name.books (3 documents, 1 failure)\n\
         t\tcontinuing through error: E11000 duplicate key, collection: $name.books\n\
         t\tFailed: $name.books: mongodb://u:$name@h/\n\
         END\nexit 1",
        password_in_shell()
    ));
    restore(&site, &target, &[])
        .ended_with(1)
        .saying(&["duplicate key, collection: ***.books", "Failed: ***.books"]);
    let outcome = restore(&site, &target, &["--json"]).ended_with(1);
    let problems = outcome.json()["problems"].to_string();
    assert!(
        problems.contains("***.books: mongodb://u:***@h/"),
        "{problems}"
    );
    let site = site.with("DRILL_URI", target.uri());
    site.run(&["drill", "latest"]).ended_with(1);
}
