//! Drills: what is sound is proven, what does not come back as it was is named, and nothing of a drill stays behind.

use super::{only, same};
use crate::support::{Before, PASSWORD, Server, Site, Smtp, python, shared};
use serde_json::Value;
use std::fs;

fn drilling_on(site: Site, server: &Server) -> Site {
    site.with("DRILL_URI", server.uri())
}

pub(super) fn state(site: &Site) -> Value {
    serde_json::from_slice(&fs::read(site.backups().join(".pantry-keeper/state.json")).unwrap())
        .unwrap()
}

pub(super) fn history(site: &Site) -> Vec<Value> {
    serde_json::from_slice(&fs::read(site.backups().join(".pantry-keeper/history.json")).unwrap())
        .unwrap()
}

/// A mongorestore after which what came back is not what was sent.
pub(super) fn tampering(server: &Server) -> String {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/mongo.py");
    format!(
        "\"$REAL\" \"$@\"; code=$?; {} {} tamper '{}'; exit $code",
        python().display(),
        script.display(),
        server.uri()
    )
}

#[test]
fn everything_is_proven_and_nothing_stays_behind() {
    let (source, scratch) = (Server::start(), Server::standalone());
    for set in ["small", "names", "options", "types"] {
        source.seed(set);
    }
    scratch.seed("small");
    let others = scratch.fingerprint();
    let site = drilling_on(Site::of(&source), &scratch);
    site.run(&["backup"]).done();
    let archives = Before::of(&site.backups());
    let listed = site.run(&["list"]).done();
    assert!(!listed.stdout.contains("drilled"), "{}", listed.stdout);

    let outcome = site.run(&["drill"]).done();
    outcome.saying(&[
        "drilling jorbites_backup_",
        "scratch databases",
        "is proven",
        "came back equal",
    ]);
    same(&others, &scratch.fingerprint());
    archives.still_holds();
    site.run(&["list"]).done().printing(&["drilled "]);
    let (last, name) = (history(&site).pop().unwrap(), site.archives().remove(0));
    assert_eq!(
        (&last["ended"]["outcome"], &last["ended"]["archive"]),
        (&"drilled".into(), &name.into()),
        "{last}"
    );
    assert_eq!(state(&site)["left_over"], Value::Array(vec![]));
}

/// On a new stack there is nothing to be drilled yet; that is no alarm.
#[test]
fn before_the_first_archive_there_is_nothing_to_drill_and_nothing_has_failed() {
    let smtp = Smtp::start(&[]);
    let site = Site::of(shared())
        .mailing_through(&smtp)
        .with("DRILL_URI", shared().uri());
    for _ in 0..2 {
        let json = site
            .run(&["drill", "--json"])
            .ended_with(2)
            .saying(&["nothing to drill: there ", "make a backup first"])
            .json();
        let error = json["error"].as_str().unwrap();
        assert!(error.starts_with("nothing to drill: "), "{json}");
        // And once the folder is there.
        let _ = fs::create_dir(site.backups());
    }
    let health = site.run(&["health"]).ended_with(1);
    assert!(!health.stdout.contains("drill"), "{}", health.stdout);
    assert_eq!(smtp.mails().len(), 0);

    // A folder that had some is another matter.
    let site = site.with("BACKUP_DATABASES", "library");
    site.run(&["backup"]).done();
    fs::remove_file(site.backups().join(site.archives().remove(0))).unwrap();
    site.run(&["drill"])
        .ended_with(1)
        .saying(&["the drill failed: there are no archives in"]);
    assert_eq!(smtp.mails().len(), 1);
}

/// It says nothing about the archive.
#[test]
fn a_scratch_server_that_is_away_is_told_as_that_and_is_forgotten_with_its_setting() {
    let smtp = Smtp::start(&[]);
    let away = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100";
    let site = Site::new().mailing_through(&smtp).with("DRILL_URI", away);
    site.with_sound_archive();
    site.run(&["drill"])
        .ended_with(1)
        .saying(&["cannot reach MongoDB", "1 mail sent"]);
    let mail = smtp.mails().remove(0);
    assert_eq!(
        mail.subject,
        "jorbites drill could not be carried out: latest is not proven"
    );
    assert!(!mail.text.contains("did not bring back"), "{}", mail.text);
    site.run(&["health"])
        .ended_with(1)
        .printing(&["could not be carried out: cannot reach MongoDB"]);
    // There is nothing to be tried again with.
    let health = site.with("DRILL_URI", "").run(&["health"]).ended_with(1);
    assert!(!health.stdout.contains("drill"), "{}", health.stdout);
}

/// A new stack with a schedule of drills has nothing to be drilled yet; that is no alarm.
#[test]
fn an_archive_without_collections_is_proven_and_says_so() {
    let (source, scratch) = (Server::start(), Server::standalone());
    let site = drilling_on(Site::of(&source), &scratch);
    site.run(&["backup"]).done();
    site.run(&["drill"])
        .done()
        .saying(&["is proven", "the archive holds no collections"]);
    assert!(scratch.is_empty());
}

#[test]
fn on_the_same_server_when_told_so_and_its_databases_are_untouched() {
    let server = Server::standalone();
    server.seed("small");
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    server.change("empty", "shop.orders");
    let live = server.fingerprint();
    site.run(&["drill"])
        .ended_with(2)
        .saying(&["DRILL_URI is not set", "--same-server"]);
    let json = site
        .run(&["drill", "--same-server", "--json"])
        .done()
        .json();
    assert_eq!(
        (&json["proven"], &json["documents"], &json["namespaces"]),
        (&true.into(), &663.into(), &8.into()),
        "{json}"
    );
    assert_eq!(json["indexes"], 9, "{json}");
    same(&live, &server.fingerprint());
}

#[test]
fn an_older_archive_is_drilled_by_its_name() {
    let scratch = Server::standalone();
    let site = drilling_on(Site::new(), &scratch);
    let archive = site.with_sound_archive();
    let name = archive.file_name().unwrap().to_str().unwrap();
    site.run(&["drill", name])
        .done()
        .saying(&[&format!("{name} is proven")]);
    site.run(&["drill", "../x"])
        .ended_with(2)
        .saying(&["not a path"]);
    site.run(&["drill", "jorbites_backup_20200101_000000"])
        .ended_with(2);
    assert!(scratch.is_empty());
}

#[test]
fn what_did_not_come_back_is_named_and_mailed_and_health_fails_until_it_does() {
    let scratch = Server::standalone();
    let smtp = Smtp::start(&["--login", "pantry@example.org", PASSWORD]);
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop,library")
        .with("SMTP_HOST", "127.0.0.1")
        .with("SMTP_PORT", smtp.port)
        .with("SMTP_SECURITY", "none")
        .with("SMTP_USERNAME", "pantry@example.org")
        .with("SMTP_PASSWORD", PASSWORD)
        .with("EMAIL_TO", "mira@example.org");
    let plain = site.path("bin/mongorestore");
    let site = drilling_on(site, &scratch).with_false_mongorestore(&tampering(&scratch));
    site.run(&["backup"]).done();
    let name = site.archives().remove(0);
    let archives = Before::of(&site.backups());
    let found = [
        "shop.products: 300 came back of 300 documents: missing _id 7; changed _id 8; too many _id \"too many\"",
        "shop.products: its index name_1 could not be built: ",
        "library.books: 0 came back of 50 documents",
        "library.books: it did not come back",
    ];
    let outcome = site.run(&["drill"]).ended_with(1);
    let outcome = outcome
        .saying(&[&format!("{name} is NOT proven")])
        .saying(&found);
    outcome.saying(&["1 mail sent"]);
    assert!(scratch.is_empty(), "dropped also when it fails");
    archives.still_holds();
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(
        mails[0].subject,
        format!("jorbites drill FAILED: {name} is not proven")
    );
    for words in found {
        assert!(mails[0].text.contains(words), "{words}:\n{}", mails[0].text);
    }
    let last = history(&site).pop().unwrap();
    assert_eq!(last["ended"]["outcome"], "drill_failed", "{last}");
    site.run(&["health"])
        .ended_with(1)
        .printing(&["did not prove", "pantry-keeper drill"]);
    let listed = site.run(&["list"]).done();
    assert!(!listed.stdout.contains("drilled "), "{}", listed.stdout);
    let json = site.run(&["drill", "--json"]).ended_with(1).json();
    assert_eq!(
        (&json["proven"], json["problems"].as_array().unwrap().len()),
        (&false.into(), 4),
        "{json}"
    );

    // The next one that is equal ends it.
    fs::remove_file(plain).unwrap();
    site.run(&["drill"])
        .done()
        .saying(&["is proven", "1 mail sent"]);
    assert!(
        smtp.mails()
            .pop()
            .unwrap()
            .subject
            .starts_with("jorbites drill recovered: ")
    );
    let health = site.run(&["health"]).ended_with(1);
    assert!(!health.stdout.contains("drill"), "{}", health.stdout);
}

/// Its exit code and its words prove nothing.
#[test]
fn a_mongorestore_that_does_nothing_proves_nothing() {
    let scratch = Server::standalone();
    let site = drilling_on(Site::new(), &scratch).with_false_mongorestore("cat > /dev/null");
    site.with_sound_archive();
    let outcome = site.run(&["drill"]).ended_with(1);
    outcome.saying(&["is NOT proven", "shop.orders: 0 came back of 200 documents"]);
    let site = site.with_false_mongorestore("cat > /dev/null; echo 'Failed: enough' >&2; exit 1");
    site.run(&["drill"])
        .ended_with(1)
        .saying(&["the drill failed: mongorestore failed with exit code 1: enough"]);
    assert!(scratch.is_empty());
    same(&only(&scratch.fingerprint(), &[]), &scratch.fingerprint());
}
