//! Reading archives where they lie: all of them, and single collections out of large ones.

use super::{with_disk, with_key};
use crate::support::{Place, SOON, Server, Site, Sshd, empty_port, rewrite, shared, until};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

type Everything = BTreeMap<String, Value>;

const DATABASES: &str = "shop,blog,library";

/// What a server has of [`DATABASES`].
fn content(server: &Server) -> Everything {
    let databases: Vec<&str> = DATABASES.split(',').collect();
    let ours = |name: &String| databases.contains(&name.split('.').next().unwrap());
    let all = server.fingerprint().into_iter();
    all.filter(|(name, _)| ours(name)).collect()
}

/// A key file, and a site that seals for it.
fn sealing(site: Site) -> (Site, PathBuf) {
    let (site, path) = with_key(site);
    (site.with("ENCRYPT_LOCAL", "true"), path)
}

/// A backup and its copy, and then the house burns down: every command that reads finds the copy, and everything is in it.
fn the_house_burns_down(site: Site, place: &str) -> Site {
    let site = site.with("BACKUP_DATABASES", DATABASES);
    site.run(&["backup"]).done().saying(&["copied to"]);
    fs::remove_dir_all(site.backups()).unwrap();
    let target = Server::standalone();
    let site = site.with("DRILL_URI", target.uri());
    let found = site.run(&["show", "latest", "--json"]).done();
    let shown = found.saying(&["reading", place]).json();
    assert!(shown["place"].as_str().unwrap().starts_with(place));
    assert_eq!(shown["documents"], 663);
    let one = [
        "show",
        "latest",
        "shop.products",
        "--match",
        r#"{"_id": 7}"#,
    ];
    site.run(&one).done().printing(&["product 7"]);
    let file = site.path("orders.bson").display().to_string();
    let extract = ["extract", "latest", "shop.orders", "--output", &file];
    site.run(&extract).done().saying(&["200 documents"]);
    site.run(&["diff", "latest", "--live"]).done();
    site.run(&["verify", "--from", "offsite"])
        .done()
        .printing(&["is sound"]);
    let restoring = ["restore", "latest", "--to", &target.uri(), "--yes"];
    let restored = site.run(&restoring).done().printing(&[place]);
    restored.saying(&["all that the archive holds of them is there"]);
    assert_eq!(content(shared()), content(&target));
    let drilled = site.run(&["drill", "--from", "offsite", "--json"]).done();
    assert_eq!(drilled.json()["proven"], true);
    assert!(site.archives().is_empty(), "nothing was brought home");
    site
}

/// The same with a sealed archive, which takes the key.
fn sealed_too(site: Site, place: &str) {
    let site = the_house_burns_down(site, place);
    let (site, key) = sealing(site);
    site.run(&["backup"]).done().saying(&[".age"]);
    fs::remove_dir_all(site.backups()).unwrap();
    site.run(&["show", "latest"])
        .ended_with(1)
        .saying(&["there is no key here", "AGE_IDENTITY_FILE"]);
    let site = site.with("AGE_IDENTITY_FILE", key.display());
    let one = ["show", "latest", "shop.products", "--limit", "1"];
    site.run(&one).done().printing(&["product 0"]);
    let target = Server::standalone();
    let restoring = ["restore", "latest", "--to", &target.uri(), "--yes"];
    site.run(&restoring).done().printing(&[".age", place]);
    assert_eq!(content(shared()), content(&target));
}

#[test]
fn from_a_folder() {
    let site = Site::of(shared());
    let disk = site.path("disk2");
    fs::create_dir(&disk).unwrap();
    let place = format!("file://{}", disk.display());
    sealed_too(site.with("OFFSITE_URL", &place), &place);
}

#[test]
fn from_s3() {
    let place = Place::s3();
    sealed_too(Site::of(shared()).with_place(&place), "s3://pantry/backups");
}

#[test]
fn from_webdav() {
    let place = Place::webdav();
    let address = format!("webdavs://localhost:{}/", place.port);
    sealed_too(Site::of(shared()).with_place(&place), &address);
}

#[test]
fn from_sftp() {
    let Some(sshd) = Sshd::start() else { return };
    sealed_too(Site::of(shared()).with_sshd(&sshd), &sshd.url());
}

#[test]
fn by_rclone() {
    let Some(site) = Site::of(shared()).with_rclone() else {
        return;
    };
    sealed_too(site, "rclone:far:");
}

/// On a new machine, where to and the key are all there is.
#[test]
fn a_new_machine_needs_the_place_and_the_key_alone() {
    let place = Place::s3();
    let (old, key) = sealing(Site::of(shared()).with_place(&place));
    let old = old.with("BACKUP_DATABASES", DATABASES);
    old.run(&["backup"]).done().saying(&["copied to"]);
    let server = Server::standalone();
    let new = Site::of(&server)
        .with_place(&place)
        .with("AGE_IDENTITY_FILE", key.display());
    new.run(&["restore", "latest", "--yes"]).done().saying(&[
        "there is no backup folder",
        "reading",
        "from s3://pantry/backups",
    ]);
    assert_eq!(content(shared()), content(&server));
    // With another prefix, it says which one they have.
    let other = new.with("BACKUP_PREFIX", "larder");
    other
        .run(&["restore", "latest", "--yes"])
        .ended_with(1)
        .saying(&["BACKUP_PREFIX", "jorbites"]);
}

/// Of a large archive, what belongs to one collection comes over the wire and little more, verified and restored.
#[test]
fn one_small_collection_takes_few_bytes() {
    let (source, target, place) = (Server::standalone(), Server::standalone(), Place::s3());
    source.seed("noise");
    let (site, key) = sealing(Site::of(&source).with_place(&place));
    site.run(&["backup"]).done().saying(&["copied to"]);
    let archived = site.run(&["list", "--json"]).done().json();
    let bytes = archived["archives"][0]["archive_bytes"].as_u64().unwrap();
    assert!(bytes > 24_000_000, "{bytes}");
    fs::remove_dir_all(site.backups()).unwrap();
    let site = site.with("AGE_IDENTITY_FILE", key.display());
    let before = place.served().len();
    let to = target.uri();
    let restoring = [
        "restore",
        "latest",
        "--to",
        &to,
        "--include",
        "noise.little",
    ];
    site.run(&[&restoring[..], &["--yes"]].concat()).done();
    let served: u64 = place.served()[before..].iter().sum();
    eprintln!("{served} bytes of {bytes} for 1 MB");
    assert!((1_000_000..=4_000_000).contains(&served), "{served}");
    let there = target.fingerprint();
    assert_eq!(there["noise.little"], source.fingerprint()["noise.little"]);
    // All of it: verified once, restored once, in requests that are not small.
    let before = place.served().len();
    let whole = ["restore", "latest", "--to", &to, "--yes", "--drop"];
    site.run(&whole).done();
    let served = &place.served()[before..];
    assert!(served.iter().sum::<u64>() < 3 * bytes, "{served:?}");
    assert!(served.len() < 120, "{}", served.len());
    assert_eq!(target.fingerprint(), source.fingerprint());
}

#[test]
fn damage_there_is_noticed_and_nothing_is_restored() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", DATABASES);
    let (site, disk) = with_disk(site);
    site.run(&["backup"]).done();
    let name = site.archives().remove(0);
    fs::remove_dir_all(site.backups()).unwrap();
    let target = Server::standalone();
    let to = target.uri();
    let restoring = ["restore", "latest", "--to", &to, "--yes"];
    let sound = fs::read(disk.join(&name)).unwrap();
    let middle = sound.len() / 2;
    rewrite(&disk.join(&name), |bytes| bytes[middle] ^= 1);
    let site = site.with("DRILL_URI", &to);
    for command in [&restoring[..], &["verify"], &["drill"]] {
        let outcome = site.run(command).ended_with(1);
        let said = format!("{}{}", outcome.stdout, outcome.stderr).to_lowercase();
        assert!(said.contains("is damaged"), "{command:?}: {said}");
    }
    fs::write(disk.join(&name), &sound[..sound.len() - 9]).unwrap();
    site.run(&restoring).ended_with(1).saying(&["damaged"]);
    assert!(target.fingerprint().is_empty());
    // One that is not whole is none.
    fs::write(disk.join(&name), &sound).unwrap();
    fs::remove_file(disk.join(format!("{name}.sha256"))).unwrap();
    site.run(&restoring)
        .ended_with(1)
        .saying(&["there are no copies elsewhere yet"]);
}

/// A site whose only archive lies at a WebDAV server, and where it is to be restored.
fn only_there(place: &Place) -> (Site, Server) {
    let site = Site::of(shared())
        .with_place(place)
        .with("BACKUP_DATABASES", "bulk")
        .with("BACKUP_STALL_TIMEOUT", "4s");
    site.run(&["backup"]).done().saying(&["copied to"]);
    fs::remove_dir_all(site.backups()).unwrap();
    (site, Server::standalone())
}

#[test]
fn a_connection_that_breaks_is_made_anew() {
    let place = Place::webdav();
    let (site, target) = only_there(&place);
    let to = target.uri();
    let restoring = ["restore", "latest", "--to", &to, "--yes"];
    for how in ["cut-answer", "stall-answer", "503"] {
        // The .sha256 comes, and the ends of the archive; then it goes wrong for a while.
        place.behave(&format!(
            r#"{{"method": "GET", "do": "{how}", "after": 3, "times": 3}}"#
        ));
        site.run(&restoring).done();
        assert!(target.fingerprint().contains_key("bulk.noise"), "{how}");
        target.clear();
        place.behave_well();
    }
}

#[test]
fn what_cannot_be_read_is_given_up_and_not_called_damaged() {
    let place = Place::webdav();
    let (site, target) = only_there(&place);
    let to = target.uri();
    let restoring = ["restore", "latest", "--to", &to, "--yes"];
    for how in ["cut-answer", "stall-answer"] {
        let how_long = r#""after": 3, "tenth": 0"#;
        place.behave(&format!(
            r#"{{"method": "GET", "do": "{how}", {how_long}}}"#
        ));
        let outcome = site.run(&restoring).ended_with(1);
        let outcome = outcome.within(Duration::from_secs(30));
        let outcome = outcome.saying(&["could not be read at webdavs://", "nothing was restored"]);
        assert!(!outcome.stderr.contains("right-password"));
        assert!(!outcome.stderr.contains("damaged"), "{}", outcome.stderr);
        assert!(target.fingerprint().is_empty(), "{how}");
        place.behave_well();
    }
    place.behave(r#"{"method": "GET", "do": "stall-answer", "after": 3}"#);
    let patient = site.with("BACKUP_STALL_TIMEOUT", "5m");
    let served = place.served().len();
    let hanging = patient.start(&restoring);
    hanging.until_it_says("reading");
    until("the manifest is read", SOON, || {
        place.served().len() >= served + 3
    });
    hanging.signal(Signal::TERM);
    hanging
        .end(Duration::from_secs(20))
        .ended_with(1)
        .saying(&["stopped as asked"]);
}

#[test]
fn what_changes_on_the_way_is_noticed() {
    let place = Place::webdav();
    let (site, target) = only_there(&place);
    let to = target.uri();
    let restoring = ["restore", "latest", "--to", &to, "--yes"];
    place.behave(r#"{"method": "GET", "do": "other-etag", "after": 3}"#);
    site.run(&restoring)
        .ended_with(1)
        .saying(&["became another file while it was read"]);
    // What goes wrong on the way only, is found too, and what was fetched wrong does not stay.
    place.behave(r#"{"method": "GET", "do": "damage-answer", "after": 3}"#);
    site.run(&restoring).ended_with(1).saying(&["damaged"]);
    assert!(target.fingerprint().is_empty());
    place.behave_well();
    site.run(&restoring).done();
}

#[test]
fn the_first_place_that_has_it_is_taken_and_named() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let disks = [site.path("one"), site.path("two")];
    let away = format!("s3://pantry/x?endpoint=http://127.0.0.1:{}", empty_port());
    let [one, two] = disks.each_ref().map(|disk| {
        fs::create_dir(disk).unwrap();
        format!("file://{}", disk.display())
    });
    let site = site
        .with("AWS_ACCESS_KEY_ID", "right-key-id")
        .with("AWS_SECRET_ACCESS_KEY", "right-secret-key")
        .with("OFFSITE_URL", &two);
    site.run(&["backup"]).done();
    let name = site.archives().remove(0);
    let site = site.with("OFFSITE_URL", format!("{away},{one},{two}"));
    // It is here, and read here; the copy only when that is asked for.
    let here = site.run(&["show", &name, "--json"]).done();
    assert_eq!(here.json()["place"], Value::Null);
    assert!(!here.stderr.contains("reading"));
    let there = site.run(&["show", &name, "--json", "--from", "offsite"]);
    let there = there
        .done()
        .saying(&["could not look at s3://pantry/x", &two]);
    assert_eq!(there.json()["place"], two);
    // Not anywhere, as far as can be seen.
    fs::remove_dir_all(site.backups()).unwrap();
    fs::remove_file(disks[1].join(&name)).unwrap();
    site.run(&["show", &name]).ended_with(1).saying(&[
        "no copy could be looked for everywhere",
        "cannot connect to 127.0.0.1",
    ]);
    let site = site.with("OFFSITE_URL", format!("{one},{two}"));
    site.run(&["show", &name])
        .ended_with(2)
        .saying(&["there is no"]);
    site.run(&["restore", "../x", "--yes"]).ended_with(2);
    let site = site
        .with("OFFSITE_URL", "")
        .with("DRILL_URI", "mongodb://127.0.0.1:1/");
    for command in ["restore", "drill", "show", "verify"] {
        site.run(&[command, "latest", "--from", "offsite"])
            .ended_with(2)
            .saying(&["OFFSITE_URL is not set"]);
    }
}
