//! What goes in comes out again, with stock tools alone.

use crate::support::{Server, Site, command, needed, stored_files, tool, unpack};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn restore(folder: &Path, server: &Server) {
    command(
        tool("mongorestore"),
        [
            format!("--uri={}", server.uri()),
            folder.display().to_string(),
        ],
    );
}

/// The README's sentence: `tar xzf NAME.tar.gz && mongorestore NAME/`.
#[test]
fn everything_comes_back_byte_for_byte_with_tar_and_mongorestore() {
    let (source, target) = (Server::start(), Server::start());
    source.seed("everything");
    let site = Site::of(&source).with("LOG_LEVEL", "debug");
    site.run(&["backup"])
        .done()
        .saying(&["backup complete and verified: "]);
    let archive = site.archive();
    let name = archive
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .strip_suffix(".tar.gz")
        .unwrap();
    unpack(&archive, &site.path("unpacked"));
    restore(&site.path("unpacked").join(name), &target);

    let (before, after) = (source.fingerprint(), target.fingerprint());
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (namespace, content) in &before {
        assert_eq!(after[namespace], *content, "{namespace:?}");
    }
    assert!(before.len() > 40, "the server was not filled");
    site.run(&["verify"]).done().printing(&["is sound"]);
}

#[test]
fn the_archive_holds_what_mongodump_writes_to_a_folder() {
    let server = Server::standalone();
    server.seed("small");
    server.seed("options");
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    let dump = site.path("dump");
    command(
        tool("mongodump"),
        [
            format!("--uri={}", server.uri()),
            format!("--out={}", dump.display()),
        ],
    );

    let stored = stored_files(&site.archive());
    let inside = |path: &str| {
        path.split_once('/')
            .map(|(_, rest)| rest.to_owned())
            .unwrap()
    };
    let mut stored: std::collections::BTreeMap<String, Vec<u8>> = stored
        .into_iter()
        .map(|(path, content)| (inside(&path), content))
        .collect();
    assert!(stored.remove("manifest.json").is_some());
    let databases = fs::read_dir(&dump)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    for database in databases {
        for file in fs::read_dir(&database).unwrap() {
            let file = file.unwrap().path();
            let name = format!(
                "{}/{}",
                database.file_name().unwrap().to_str().unwrap(),
                file.file_name().unwrap().to_str().unwrap()
            );
            let ours = stored
                .remove(&name)
                .unwrap_or_else(|| panic!("{name} is missing"));
            assert!(ours == fs::read(&file).unwrap(), "{name} differs");
        }
    }
    assert_eq!(stored.into_keys().collect::<Vec<_>>(), ["prelude.json"]);
}

#[test]
fn the_checksum_beside_the_archive_satisfies_sha256sum() {
    let server = Server::standalone();
    server.seed("small");
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    let sidecar = format!("{}.sha256", site.archive().display());
    let mut check = std::process::Command::new(needed("sha256sum", "it is part of coreutils"));
    let output = check
        .arg("-c")
        .arg(sidecar)
        .current_dir(site.backups())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn only_the_owner_may_read_what_is_written() {
    let server = Server::standalone();
    server.seed("small");
    // A permissive umask must not matter.
    let site = Site::of(&server).started_by(&["sh", "-c", "umask 000; exec \"$@\"", "sh"]);
    site.run(&["backup"]).done();
    site.run(&["verify"]).done();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    fn all(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all(&path, found);
            }
            found.push(path);
        }
    }
    let mut paths = vec![site.backups(), site.path("logs")];
    all(&site.backups(), &mut paths);
    all(&site.path("logs"), &mut paths);
    assert!(paths.len() > 5, "{paths:?}");
    for path in paths {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(
            format!("{:o}", mode(&path)),
            format!("{expected:o}"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_server_without_collections_is_backed_up_with_a_warning() {
    let server = Server::standalone();
    let site = Site::of(&server);
    site.run(&["backup"])
        .done()
        .saying(&["WARN", "this backup is empty"]);
    site.run(&["verify"]).done();
}

#[test]
fn many_collections_need_few_open_files() {
    let server = Server::standalone();
    server.seed("many");
    let site = Site::of(&server).started_by(&["sh", "-c", "ulimit -n 40; exec \"$@\"", "sh"]);
    site.run(&["backup"]).done();
    assert!(stored_files(&site.archive()).len() >= 300);
}
