//! Archives, seen without our own code: through the crates `tar`, `flate2` and `zstd`, and stock programs.

use super::tools::{command, succeed};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

/// All files in an archive, by their path in it.
pub(crate) fn stored_files(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = File::open(archive).unwrap();
    let unpacked: Box<dyn Read> = match is_zstd(archive) {
        true => Box::new(zstd::stream::Decoder::new(file).unwrap()),
        false => Box::new(MultiGzDecoder::new(file)),
    };
    let mut tar = tar::Archive::new(unpacked);
    let mut files = BTreeMap::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert!(
            files.insert(path.clone(), content).is_none(),
            "{path} is there twice"
        );
    }
    files
}

pub(crate) fn member_names(archive: &Path) -> Vec<String> {
    stored_files(archive).into_keys().collect()
}

/// The bytes of the archive in which a collection's documents lie, going by its manifest.
pub(crate) fn data_range(archive: &Path, path: &str) -> Range<u64> {
    let files = stored_files(archive);
    let (_, manifest) = files
        .iter()
        .find(|(name, _)| name.ends_with("/manifest.json"))
        .unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let namespaces = manifest["namespaces"].as_array().unwrap();
    let places: Vec<&serde_json::Value> = namespaces
        .iter()
        .flat_map(|entry| [&entry["data"], &entry["metadata"]])
        .filter(|place| !place.is_null())
        .collect();
    let start = places
        .iter()
        .find(|place| place["path"] == path)
        .expect(path)["position"]
        .as_u64()
        .unwrap();
    let later = places
        .iter()
        .filter_map(|place| place["position"].as_u64())
        .filter(|position| *position > start)
        .min();
    start..later.unwrap_or(fs::metadata(archive).unwrap().len())
}

/// Changes an archive's bytes in place.
pub(crate) fn rewrite(archive: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(archive).unwrap();
    change(&mut bytes);
    fs::write(archive, bytes).unwrap();
}

fn is_zstd(archive: &Path) -> bool {
    archive
        .extension()
        .is_some_and(|extension| extension == "zst")
}

/// Unpacks with GNU tar.
pub(crate) fn unpack(archive: &Path, into: &Path) {
    fs::create_dir_all(into).unwrap();
    let mut tar = Command::new("tar");
    match is_zstd(archive) {
        true => tar.args(["--zstd", "-xf"]),
        false => tar.arg("xzf"),
    };
    tar.arg(archive).arg("-C").arg(into);
    succeed(tar);
}

/// Packs a folder with GNU tar, as one would by hand.
pub(crate) fn pack(parent: &Path, folder: &str, archive: &Path) {
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    command(
        "tar",
        [
            "--auto-compress",
            "-cf",
            archive.to_str().unwrap(),
            "-C",
            parent.to_str().unwrap(),
            folder,
        ],
    );
}
