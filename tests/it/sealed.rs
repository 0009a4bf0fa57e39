//! Sealed archives: only their key opens them, stock `age` opens them too, and a changed byte is found with the key and
//! without it.

use crate::support::{
    Server, Site, command, in_project, needed, shared, stored_files, tool, unpack,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Made by `age-keygen`, for tests alone.
const FIXTURE: &str = "tests/fixtures/sealed";

/// Makes a key at a site; what opens, and what seals.
fn key(site: &Site, name: &str) -> (PathBuf, String) {
    let path = site.path(name);
    let made = site
        .run(&["keygen", "--output", path.to_str().unwrap()])
        .done();
    (path, made.stdout.trim().to_owned())
}

/// The only archive in the folder.
fn sealed(site: &Site) -> PathBuf {
    let names = fs::read_dir(site.backups())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut archives = names.filter(|path| path.display().to_string().ends_with(".age"));
    let archive = archives.next().expect("a sealed archive");
    assert_eq!(archives.next(), None);
    archive
}

#[test]
fn a_key_is_made_once_for_its_owner_alone() {
    let site = Site::new();
    let (path, recipient) = key(&site, "key.txt");
    assert!(recipient.starts_with("age1"));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("# public key: {recipient}\n")));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let again = site.run(&["keygen", "--output", path.to_str().unwrap()]);
    again.ended_with(1).saying(&["never overwritten"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let in_a_container = Site::new().with("container", "docker");
    in_a_container.run(&["keygen"]).done().saying(&[
        "docker compose run --rm -v ./key.txt:/key.txt:ro -e AGE_IDENTITY_FILE=/key.txt pantry-keeper restore",
    ]);
    let printed = site.run(&["keygen"]).done();
    assert!(printed.stdout.contains("\nAGE-SECRET-KEY-1"));
    printed.saying(&["Keep it away from the machine"]);
}

#[test]
fn a_sealed_backup_needs_no_key_and_a_look_inside_does() {
    let server = Server::standalone();
    server.seed("small");
    let site = Site::of(&server);
    let (path, recipient) = key(&site, "key.txt");
    let secret = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .last()
        .unwrap()
        .to_owned();
    let site = site
        .with("ENCRYPT_TO", &recipient)
        .with("ENCRYPT_LOCAL", "true");
    site.run(&["backup"]).done().saying(&["sealed for 1 key"]);
    let archive = sealed(&site);
    assert!(site.archives().is_empty(), "a plain archive stayed");
    assert!(
        fs::read(&archive)
            .unwrap()
            .starts_with(b"age-encryption.org/v1\n")
    );
    let checking = format!("cd {} && sha256sum -c *.sha256", site.backups().display());
    command("sh", ["-c".to_owned(), checking]);

    let listed = site.run(&["list", "--json"]).done().json();
    assert!(listed["archives"][0]["documents"].as_u64().unwrap() > 0);
    // There is no scheduler, which is what it says first.
    let health = site.run(&["health"]);
    assert!(format!("{}{}", health.stdout, health.stderr).contains(".tar.gz.age, "));
    site.run(&["doctor"])
        .printing(&["no key was ever tried here"]);
    let without = site.run(&["verify"]).done();
    without.printing(&["is sound", "no key here"]);
    site.run(&["restore", "latest", "--dry-run"])
        .ended_with(1)
        .saying(&[
            "it is sealed, and there is no key here",
            "AGE_IDENTITY_FILE",
        ]);

    let (other, _) = key(&site, "other.txt");
    let site = site.with("AGE_IDENTITY_FILE", other.display());
    site.run(&["verify"])
        .ended_with(1)
        .printing(&["none of the keys in"]);
    let site = site
        .with("AGE_IDENTITY_FILE", path.display())
        .with("LOG_LEVEL", "trace");
    let with = site.run(&["verify"]).done();
    let with = with.printing(&["is sound"]);
    assert!(!with.stdout.contains("no key here"));
    assert!(!with.stderr.contains(&secret));
    site.run(&["doctor"])
        .printing(&["the only key that opens the archives lies on this machine"]);
    fs::remove_dir_all(site.backups().join(".pantry-keeper")).unwrap();
    let listed = site.run(&["list", "--json"]).done().json();
    assert!(listed["archives"][0]["documents"].as_u64().unwrap() > 0);
}

#[test]
fn what_was_sealed_comes_back_by_restore_and_by_stock_tools() {
    let (source, target, stock) = (Server::start(), Server::start(), Server::start());
    source.seed("everything");
    let site = Site::of(&source);
    let (path, recipient) = key(&site, "key.txt");
    let site = site
        .with("ENCRYPT_TO", &recipient)
        .with("ENCRYPT_LOCAL", "true");
    site.run(&["backup"]).done();
    let archive = sealed(&site);
    let site = site.with("AGE_IDENTITY_FILE", path.display());
    let restore = [
        "restore",
        "latest",
        "--to",
        &target.uri(),
        "--yes",
        "--json",
    ];
    let report = site.run(&restore).done().json();
    let warnings = report["warnings"].to_string();
    assert!(!warnings.contains(".sha256"), "{warnings}");
    assert_eq!(source.fingerprint(), target.fingerprint());

    let age = needed("age", "scripts/setup installs it");
    let plain = site.path("plain.tar.gz");
    command(
        age,
        [
            "-d".into(),
            "-i".into(),
            path.display().to_string(),
            "-o".into(),
            plain.display().to_string(),
            archive.display().to_string(),
        ],
    );
    assert!(stored_files(&plain).len() > 40);
    unpack(&plain, &site.path("unpacked"));
    let name = archive.file_name().unwrap().to_str().unwrap();
    let folder = site
        .path("unpacked")
        .join(name.strip_suffix(".tar.gz.age").unwrap());
    command(
        tool("mongorestore"),
        [
            format!("--uri={}", stock.uri()),
            folder.display().to_string(),
        ],
    );
    assert_eq!(source.fingerprint(), stock.fingerprint());
}

/// What lies beside a sealed archive is about the sealed file: neither about another nor about what is sealed.
#[test]
fn a_checksum_beside_a_sealed_archive_that_is_not_its_own_is_told() {
    let site = Site::of(shared());
    let (path, recipient) = key(&site, "key.txt");
    let site = site
        .with("ENCRYPT_TO", &recipient)
        .with("ENCRYPT_LOCAL", "true")
        .with("AGE_IDENTITY_FILE", path.display());
    site.run(&["backup"]).done();
    let archive = sealed(&site);
    let restore = ["restore", "latest", "--drop", "--dry-run", "--json"];
    let warnings = || site.run(&restore).done().json()["warnings"].to_string();
    let told = "the .sha256 beside the archive is not its own";
    assert!(!warnings().contains(".sha256"), "{}", warnings());
    let sidecar = format!("{}.sha256", archive.display());
    let text = fs::read_to_string(&sidecar).unwrap();
    let (_, name) = text.split_once(' ').unwrap();
    fs::write(&sidecar, format!("{} {name}", "0".repeat(64))).unwrap();
    assert!(warnings().contains(told), "{}", warnings());
}

/// Puts the frozen sealed archive into a site's folder.
fn with_frozen(site: &Site) -> PathBuf {
    let folder = in_project(FIXTURE);
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_archive = |path: &PathBuf| path.display().to_string().ends_with(".age");
    let frozen = entries
        .into_iter()
        .find(is_archive)
        .expect("a frozen archive");
    fs::create_dir_all(site.backups()).unwrap();
    let path = site.backups().join(frozen.file_name().unwrap());
    fs::copy(frozen, &path).unwrap();
    path
}

#[test]
fn a_sealed_archive_of_an_older_version_is_read() {
    let site = Site::new();
    let archive = with_frozen(&site);
    site.run(&["verify"])
        .ended_with(1)
        .printing(&["nothing to hold its checksum against"]);
    let key = in_project(FIXTURE).join("test-only.key");
    let site = site.with("AGE_IDENTITY_FILE", key.display());
    site.run(&["verify"]).done().printing(&["is sound"]);
    cut_short(&site, &archive);
}

fn cut_short(site: &Site, archive: &Path) {
    let bytes = fs::read(archive).unwrap();
    fs::write(archive, &bytes[..bytes.len() - 1]).unwrap();
    site.run(&["verify"]).ended_with(1).printing(&["cut short"]);
    fs::write(archive, &bytes[..100]).unwrap();
    site.run(&["verify"]).ended_with(1).printing(&["header"]);
}
