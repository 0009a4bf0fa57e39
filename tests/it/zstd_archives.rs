//! Archives in zstd: stock tools read them, and every command takes them beside those in gzip.

use crate::support::{
    Server, Site, command, needed, pack, rewrite, shared, stored_files, tool, unpack,
};
use std::fs;
use std::path::Path;
use std::process::Command;

fn site_of(server: &Server) -> Site {
    Site::of(server).with("BACKUP_COMPRESSION", "zstd")
}

fn name_of(archive: &Path) -> String {
    archive.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The README's sentence: `tar --zstd -xf NAME.tar.zst && mongorestore NAME/`.
#[test]
fn everything_comes_back_with_tar_and_mongorestore() {
    let (source, target) = (Server::start(), Server::start());
    source.seed("everything");
    let site = site_of(&source);
    site.run(&["backup"]).done();
    let archive = site.archive();
    let name = name_of(&archive);
    let bare = name.strip_suffix(".tar.zst").unwrap();
    unpack(&archive, &site.path("unpacked"));
    let folder = site.path("unpacked").join(bare).display().to_string();
    command(
        tool("mongorestore"),
        [format!("--uri={}", target.uri()), folder],
    );
    assert_eq!(source.fingerprint(), target.fingerprint());

    let mut check = Command::new(needed("sha256sum", "it is part of coreutils"));
    check.arg("-c").arg(format!("{name}.sha256"));
    assert!(
        check
            .current_dir(site.backups())
            .output()
            .unwrap()
            .status
            .success()
    );
    site.run(&["verify", bare]).done().printing(&["is sound"]);
    site.run(&["verify", &name]).done().printing(&["is sound"]);
}

#[test]
fn gnu_tar_bsdtar_and_zstd_in_front_of_any_tar_list_the_same_files() {
    let server = Server::standalone();
    for set in ["bulk", "names"] {
        server.seed(set);
    }
    let site = site_of(&server);
    site.run(&["backup"]).done();
    let archive = site.archive();
    let expected: Vec<String> = stored_files(&archive).into_keys().collect();
    needed("zstd", "apt-get install zstd");
    needed("bsdtar", "apt-get install libarchive-tools");
    needed("busybox", "apt-get install busybox");
    for words in [
        "tar --zstd -tf \"$0\"",
        "tar -tf \"$0\"",
        "bsdtar -tf \"$0\"",
        "zstd -dc \"$0\" | busybox tar -t",
        "zstd -t \"$0\" && zstd -dc <\"$0\" | tar -t",
    ] {
        let path = archive.to_str().unwrap();
        let output = command("env", ["LC_ALL=C.UTF-8", "sh", "-c", words, path]);
        let mut names: Vec<&str> = std::str::from_utf8(&output.stdout)
            .unwrap()
            .lines()
            .collect();
        names.sort_unstable();
        // GNU tar escapes what it does not take for printable.
        assert_eq!(names.len(), expected.len(), "{words}");
        assert!(
            words.starts_with("tar") || names == expected,
            "{words}: {names:?}"
        );
    }
}

#[test]
fn a_folder_with_both_kinds_is_one_history() {
    let (server, target) = (Server::standalone(), Server::standalone());
    server.seed("small");
    let site = Site::of(&server).with("RETENTION_MIN_KEEP", "1");
    site.run(&["backup"]).done();
    let first = site.archive();
    let site = site
        .with("BACKUP_COMPRESSION", "zstd")
        .with("BACKUP_COMPRESSION_LEVEL", "small");
    site.run(&["backup"]).done();
    let [gzip, zstd] = site.archives().try_into().unwrap();
    assert!(gzip.ends_with(".tar.gz") && zstd.ends_with(".tar.zst"));
    assert!(fs::metadata(site.backups().join(format!("{zstd}.sha256"))).is_ok());

    site.run(&["list"]).done().printing(&[&gzip, &zstd]);
    site.run(&["verify", "--all"])
        .done()
        .printing(&[&format!("{gzip} is sound"), &format!("{zstd} is sound")]);
    site.run(&["doctor"]).done();
    let shown = site.run(&["restore", "latest", "--to", &target.uri(), "--dry-run"]);
    shown.done().printing(&[&zstd]);
    site.run(&["restore", &zstd, "--to", &target.uri(), "--yes"])
        .done();
    assert_eq!(server.fingerprint(), target.fingerprint());

    // The same name with both extensions is two archives; a name alone then says too little.
    let bare = zstd.strip_suffix(".tar.zst").unwrap();
    let twin = site.backups().join(format!("{bare}.tar.gz"));
    fs::copy(&first, &twin).unwrap();
    site.run(&["verify", bare])
        .ended_with(1)
        .saying(&["have that name", "say which one, with its extension"]);
    site.run(&["verify", &zstd]).done();
    fs::remove_file(twin).unwrap();

    // Long ago as its name says, and damaged: retention and `list` see it like any other.
    let old = "jorbites_backup_20250105_020000.tar.zst";
    fs::copy(site.backups().join(&zstd), site.backups().join(old)).unwrap();
    rewrite(&site.backups().join(old), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    site.run(&["verify", old])
        .ended_with(1)
        .printing(&["is DAMAGED"]);
    site.run(&["verify", &zstd]).done();
}

#[test]
fn old_archives_of_either_kind_go_with_their_checksums() {
    let mut site = Site::of(shared())
        .with("BACKUP_DATABASES", "blog")
        .with("RETENTION_DAYS", 36_500);
    for (month, compression) in [(1, "zstd"), (2, "gzip"), (3, "zstd"), (4, "gzip")] {
        site = site
            .with("BACKUP_COMPRESSION", compression)
            .with_clock(&format!("2026-{month:02}-01T12:00:00Z"));
        site.run(&["backup"]).done();
    }
    let site = site
        .with("RETENTION_DAYS", 30)
        .with("RETENTION_MIN_KEEP", 2);
    site.set_clock("2026-05-03T18:00:00Z");
    site.run(&["prune"]).done();
    let [newer, newest] = site.archives().try_into().unwrap();
    assert!(
        newer.ends_with("20260301_120000.tar.zst") && newest.ends_with("20260401_120000.tar.gz")
    );
    let sidecars = fs::read_dir(site.backups()).unwrap();
    let sidecars = sidecars.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(sidecars.filter(|name| name.ends_with(".sha256")).count(), 2);
}

#[test]
fn what_others_packed_with_zstd_is_verified_and_restored() {
    let (server, target) = (Server::standalone(), Server::standalone());
    server.seed("small");
    let site = Site::of(&server);
    let dump = site.path("by-hand/dump");
    fs::create_dir_all(&dump).unwrap();
    let out = format!("--out={}", dump.display());
    command(tool("mongodump"), [format!("--uri={}", server.uri()), out]);
    let archive = site
        .backups()
        .join("jorbites_backup_20250105_020000.tar.zst");
    pack(&site.path("by-hand"), "dump", &archive);
    site.run(&["verify", "latest"])
        .done()
        .printing(&["is sound", "there is no manifest"]);
    site.run(&["restore", "latest", "--to", &target.uri(), "--yes"])
        .done();
    assert_eq!(server.fingerprint(), target.fingerprint());

    // What a pipe of mongodump's makes is named, with what restores it.
    let stream = format!(
        "mongodump --quiet --uri={} --archive | zstd -q >{}",
        server.uri(),
        archive.display()
    );
    command("sh", ["-c", &stream]);
    site.run(&["verify", "latest"])
        .ended_with(1)
        .printing(&["zstd -dc jorbites_backup_20250105_020000.tar.zst | mongorestore"]);
}
