//! `docs/archive-format.md`: a reader written from it reads what the program writes, and its examples are real bytes.

use super::{code_blocks, page};
use crate::support::{Server, Site, crc64, in_project, python, stored_files, unpack};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const FROZEN: &str = "tests/fixtures/archives/jorbites_backup_20261125_172004.tar.gz";
const FROZEN_ZSTD: &str = "tests/fixtures/archives/jorbites_backup_20261126_145700.tar.zst";

/// Runs the reader that was written from the page.
fn read_archive(arguments: &[&str]) -> Output {
    let mut command = Command::new(python());
    command
        .arg(in_project("tests/support/read_archive.py"))
        .args(arguments);
    command.output().unwrap()
}

fn list(archive: &Path) -> Value {
    let output = read_archive(&["list", archive.to_str().unwrap()]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", archive.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The manifest as a plain tar reader finds it.
fn manifest(archive: &Path) -> Value {
    let files = stored_files(archive);
    let (_, json) = files
        .iter()
        .find(|(path, _)| path.ends_with("/manifest.json"))
        .unwrap();
    serde_json::from_slice(json).unwrap()
}

/// Fails unless the reader finds in an archive what is in it, for namespaces of these types.
fn reads_as_written(archive: &Path, types: &[&str]) {
    let (listed, manifest) = (list(archive), manifest(archive));
    assert_eq!(listed["archive"], manifest["archive"]);
    let (listed, written) = (
        listed["namespaces"].as_array().unwrap(),
        manifest["namespaces"].as_array().unwrap(),
    );
    assert_eq!(listed.len(), written.len());
    let files = stored_files(archive);
    for (one, entry) in listed.iter().zip(written) {
        for field in ["type", "documents", "bytes", "crc64"] {
            assert_eq!(one[field], entry[field], "{one}");
        }
        if let Some(path) = entry["data"]["path"].as_str() {
            let path = format!("{}/{path}", manifest["archive"].as_str().unwrap());
            let crc64 = crc64(&files[&path]);
            assert_eq!(one["crc64"], format!("{crc64:016x}"), "{path}");
        }
    }
    for kind in types {
        assert!(
            listed.iter().any(|one| one["type"] == *kind),
            "no {kind} in {}",
            archive.display()
        );
    }
}

/// Takes one file out by its position; it must be what `tar xzf` unpacks. How much of the archive was read for it.
fn extracts_like_tar(archive: &Path, unpacked: &Path, path: &str) -> u64 {
    let output = read_archive(&["extract", archive.to_str().unwrap(), path]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{path}: {errors}");
    assert!(
        output.stdout == fs::read(unpacked.join(path)).unwrap(),
        "{path} differs from what tar unpacks"
    );
    errors.trim().parse().unwrap()
}

/// The folder that `tar xzf` makes.
fn unpacked(site: &Site, archive: &Path) -> PathBuf {
    unpack(archive, &site.path("unpacked"));
    let name = archive.file_name().unwrap().to_str().unwrap();
    site.path("unpacked").join(name.split_once('.').unwrap().0)
}

#[test]
fn a_reader_written_from_the_page_reads_frozen_archives() {
    for archive in [FROZEN, FROZEN_ZSTD].map(in_project) {
        reads_as_written(&archive, &["collection"]);
        let site = Site::new();
        let folder = unpacked(&site, &archive);
        let bytes = fs::metadata(&archive).unwrap().len();
        for path in ["library/books.bson", "shop/products.metadata.json"] {
            assert!(extracts_like_tar(&archive, &folder, path) < bytes / 2);
        }
        let missing = read_archive(&["extract", archive.to_str().unwrap(), "library/pens.bson"]);
        assert_eq!(missing.status.code(), Some(1));
    }
}

#[test]
fn a_reader_written_from_the_page_reads_fresh_archives() {
    let server = Server::start();
    for set in ["bulk", "names", "options"] {
        server.seed(set);
    }
    for compression in ["gzip", "zstd"] {
        reads_fresh_archives(&server, compression);
    }
}

fn reads_fresh_archives(server: &Server, compression: &str) {
    let site = Site::of(server)
        .with("BACKUP_OPLOG", "off")
        .with("BACKUP_COMPRESSION", compression);
    site.run(&["backup"]).done();
    let archive = site.archive();
    // The stand-in for MongoDB has no time series.
    let types: &[&str] = match server.is_mongod() {
        true => &["collection", "view", "timeseries"],
        false => &["collection", "view"],
    };
    reads_as_written(&archive, types);
    assert_eq!(list(&archive)["sidecar"], true);

    let folder = unpacked(&site, &archive);
    let read = extracts_like_tar(&archive, &folder, "bulk/noise.bson");
    assert!(read > 2 << 20, "it has blocks and a placeholder: {read}");
    let long = format!("names/{}.bson", "l".repeat(238));
    let read = extracts_like_tar(&archive, &folder, &long);
    assert!(read < 64 << 10, "the rest was left alone: {read}");
}

#[test]
fn a_reader_written_from_the_page_sees_damage_anywhere() {
    let whole = fs::read(in_project(FROZEN)).unwrap();
    let site = Site::new();
    let archive = site.path("damaged.tar.gz");
    // A header that gzip ignores, a size, content, the manifest, the trailer's two fields, its end, and the file's.
    for at in [
        4,
        0x529,
        0x540,
        0x1850,
        0x1b0a,
        0x1b12,
        0x1b30,
        whole.len() - 1,
    ] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&archive, &bytes).unwrap();
        let output = read_archive(&["list", archive.to_str().unwrap()]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.starts_with("damaged: "), "byte {at}: {errors}");
        assert_eq!(output.status.code(), Some(1));
    }
    fs::write(&archive, &whole[..whole.len() - 1]).unwrap();
    let output = read_archive(&["list", archive.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));

    let whole = fs::read(in_project(FROZEN_ZSTD)).unwrap();
    let archive = site.path("damaged.tar.zst");
    // The head, content, and of the trailer its frame, its two fields and its last byte.
    let end = whole.len();
    for at in [0, 15, 30, 60, end / 2, end - 43, end - 16, end - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&archive, &bytes).unwrap();
        let output = read_archive(&["list", archive.to_str().unwrap()]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.starts_with("damaged: "), "byte {at}: {errors}");
    }
}

/// The offset and the bytes of a line such as `00000519: 1f 8b   gzip`.
fn hex_line(line: &str) -> (usize, Vec<u8>) {
    let (offset, rest) = line.split_once(": ").unwrap();
    let bytes = rest.split("   ").next().unwrap().split(' ');
    (
        usize::from_str_radix(offset, 16).unwrap(),
        bytes
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect(),
    )
}

#[test]
fn the_examples_on_the_page_are_the_bytes_of_the_frozen_archive() {
    let page = page("archive-format.md");
    assert!(page.contains(FROZEN));
    let archive = fs::read(in_project(FROZEN)).unwrap();
    let mut compared = 0;
    for (info, block) in code_blocks(&page) {
        let content = match info.split_once(" at ") {
            _ if !info.starts_with("hex") => continue,
            None => archive.clone(),
            Some((_, position)) => {
                let mut content = Vec::new();
                GzDecoder::new(&archive[position.parse().unwrap()..])
                    .read_to_end(&mut content)
                    .unwrap();
                content
            }
        };
        for line in block.lines() {
            let (offset, bytes) = hex_line(line);
            assert_eq!(content[offset..offset + bytes.len()], bytes, "{line}");
            compared += bytes.len();
        }
    }
    assert!(compared > 200, "{compared} bytes are shown");

    let manifest = manifest(&in_project(FROZEN));
    let shown = code_blocks(&page)
        .into_iter()
        .find(|(info, _)| *info == "json manifest")
        .unwrap();
    let shown: Value = serde_json::from_str(&shown.1).unwrap();
    assert!(
        manifest["namespaces"].as_array().unwrap().contains(&shown),
        "{shown}"
    );
}

/// The page's tables name every field that a manifest has, and none that it has not.
#[test]
fn the_page_describes_every_field_of_the_manifest() {
    fn fields(value: &Value, prefix: &str, found: &mut Vec<String>) {
        for (name, value) in value.as_object().unwrap() {
            match value {
                Value::Object(_) => fields(value, &format!("{prefix}{name}."), found),
                _ => found.push(format!("{prefix}{name}")),
            }
        }
    }
    let page = page("archive-format.md");
    let section = page.split("## The manifest").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let mut described: Vec<&str> = cells
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.trim_matches('`'))
        .filter(|name| !["data", "metadata"].contains(name))
        .collect();
    let manifest = manifest(&in_project(FROZEN));
    let mut written = Vec::new();
    fields(&manifest, "", &mut written);
    fields(&manifest["namespaces"][0], "", &mut written);
    described.sort_unstable();
    described.dedup();
    written.sort_unstable();
    written.dedup();
    assert_eq!(described, written);
}
