//! Every damage to every file, and what each command makes of it.

use super::{Everything, only, restore, same};
use crate::support::{Server, Site, command, shared};
use std::fs;
use std::path::{Path, PathBuf};

/// What a command ends with, and a part of what it says.
type Expected = (i32, &'static str);

/// One damage to one file, and what the commands do then.
struct Row {
    damage: &'static str,
    to: fn(&Files) -> Vec<PathBuf>,
    by: fn(&Path),
    list: Expected,
    verify: Expected,
    restore: Expected,
    backup: Expected,
}

/// Paths of what a backup leaves behind.
struct Files {
    archive: PathBuf,
    folder: PathBuf,
    own: PathBuf,
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn delete(path: &Path) {
    fs::remove_file(path).unwrap();
}

/// In the archive it is the one of its own end, over every byte.
fn wrong_hash(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    if name.ends_with(".sha256") {
        bytes[0] = if bytes[0] == b'0' { b'1' } else { b'0' };
    } else if name.ends_with(".json") {
        // As if it were another archive's.
        let text = String::from_utf8(bytes).unwrap();
        bytes = text
            .replace("\"archive_bytes\": ", "\"archive_bytes\": 1")
            .into_bytes();
    } else if name.ends_with(".tar.gz") {
        let at = bytes.len() - 8 - 1024 - 5 - 8;
        bytes[at] ^= 1;
    } else {
        bytes.push(0);
    }
    fs::write(path, bytes).unwrap();
}

type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 4] = [
    ("cut", truncate),
    ("flipped", flip),
    ("deleted", delete),
    ("of another hash", wrong_hash),
];

/// Does it all, each time in a place of its own.
fn check(rows: &[Row]) {
    let target = Server::standalone();
    let made = Site::of(shared()).with("BACKUP_DATABASES", "library");
    made.run(&["backup"]).done();
    let expected = only(&shared().fingerprint(), &["library"]);
    for (number, row) in rows.iter().enumerate() {
        let site = Site::of(shared()).with("BACKUP_DATABASES", "library");
        command(
            "cp",
            [
                "-a".as_ref(),
                made.backups().as_os_str(),
                site.path("").as_os_str(),
            ],
        );
        let archive = site.archive();
        let (folder, own) = (site.backups(), site.backups().join(".pantry-keeper"));
        let leftover = folder.join(".jorbites_backup_20250101_020000.tar.gz.partial");
        fs::copy(&archive, &leftover).unwrap();
        let files = Files {
            archive: archive.clone(),
            folder,
            own,
        };
        let paths = (row.to)(&files);
        paths.iter().for_each(|path| (row.by)(path));
        let before = fs::read(&archive).ok();
        let place = paths[0].file_name().unwrap().to_str().unwrap().to_owned();
        let run = |what: &str, (code, words): Expected, outcome: crate::support::Outcome| {
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert_eq!(
                outcome.code(),
                Some(code),
                "{place} {}: {what}:\n{said}",
                row.damage
            );
            assert!(
                said.contains(words),
                "{place} {}: {what} does not say {words:?}:\n{said}",
                row.damage
            );
            assert_eq!(
                fs::read(&archive).ok(),
                before,
                "{place} {}: {what} changed the archive",
                row.damage
            );
        };
        run("list", row.list, site.run(&["list"]));
        run("verify", row.verify, site.run(&["verify"]));
        let rename = format!("library=library_{number}");
        run(
            "restore",
            row.restore,
            restore(&site, &target, &["--rename", &rename]),
        );
        let restored = only(&target.fingerprint(), &[&format!("library_{number}")]);
        match row.restore.0 {
            0 => {
                let name = |(name, content): (&String, &serde_json::Value)| {
                    (
                        name.replacen("library", &format!("library_{number}"), 1),
                        content.clone(),
                    )
                };
                same(
                    &expected.iter().map(name).collect::<Everything>(),
                    &restored,
                );
            }
            _ => assert!(restored.is_empty()),
        }
        run("backup", row.backup, site.run(&["backup"]));
        assert!(
            !leftover.exists(),
            "{place} {}: the leftover is still there",
            row.damage
        );
        // Whatever was damaged, there is a sound archive now.
        site.run(&["verify"]).done();
    }
}

fn row(damage: usize, to: fn(&Files) -> Vec<PathBuf>) -> Row {
    let (damage, by) = DAMAGES[damage];
    let (list, verify) = ((0, "jorbites_backup_"), (0, "is sound"));
    let (restore, backup) = (
        (0, "restored 50 documents"),
        (0, "backup complete and verified"),
    );
    Row {
        damage,
        to,
        by,
        list,
        verify,
        restore,
        backup,
    }
}

fn sidecar(files: &Files) -> Vec<PathBuf> {
    vec![files.folder.join(format!(
        "{}.sha256",
        files.archive.file_name().unwrap().to_str().unwrap()
    ))]
}

#[test]
fn the_archive() {
    let archive = |files: &Files| vec![files.archive.clone()];
    let refused = (1, "is damaged, and nothing of it was restored");
    check(&[
        Row {
            verify: (1, "DAMAGED"),
            restore: refused,
            ..row(0, archive)
        },
        Row {
            verify: (1, "DAMAGED"),
            restore: refused,
            ..row(1, archive)
        },
        Row {
            list: (0, ""),
            verify: (1, "there are no archives in"),
            restore: (1, "there are no archives in"),
            ..row(2, archive)
        },
        Row {
            verify: (1, "DAMAGED"),
            restore: refused,
            ..row(3, archive)
        },
    ]);
}

/// It is for `sha256sum -c`. The archive proves itself: a restore is warned, and not kept from the data.
#[test]
fn the_checksum_file() {
    let warned = |words| (0, words);
    check(&[
        Row {
            verify: (1, "the .sha256 is not"),
            restore: warned("the .sha256 beside the archive"),
            ..row(0, sidecar)
        },
        Row {
            verify: (1, "DAMAGED"),
            restore: warned("the .sha256 beside the archive"),
            ..row(1, sidecar)
        },
        Row {
            verify: (0, "not checked: the .sha256: there is none"),
            ..row(2, sidecar)
        },
        Row {
            verify: (1, "its SHA-256 is not the one"),
            restore: warned("its own checksums say that it is sound"),
            ..row(3, sidecar)
        },
    ]);
}

/// Losing what lies in there loses no backup.
#[test]
fn the_state_files() {
    let all = |files: &Files| {
        ["state.json", "history.json", "verified.json"]
            .map(|name| files.own.join(name))
            .to_vec()
    };
    check(&(0..4).map(|damage| row(damage, all)).collect::<Vec<_>>());
}

/// Not an archive yet, and never one.
#[test]
fn a_leftover() {
    let leftover = |files: &Files| {
        vec![
            files
                .folder
                .join(".jorbites_backup_20250101_020000.tar.gz.partial"),
        ]
    };
    check(
        &(0..4)
            .map(|damage| row(damage, leftover))
            .collect::<Vec<_>>(),
    );
}
