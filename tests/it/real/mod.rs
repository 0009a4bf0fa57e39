//! What a real mongod 4.4.6 sent once, through our own reading, writing, filtering and renaming, and back.
//!
//! Recorded: see `tests/fixtures/real/README.md`. The restores go through the real mongorestore into a stand-in that is
//! made as strict as that mongod, and that replays operations by the commands that do the same.

mod archived;
mod replayed;

use crate::support::{Manner, Sent, Server, Site, Strict, Version, sent_in};
use flate2::read::GzDecoder;
use mongodb::bson::Document;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

/// Collections that are only large.
const LARGE: &str = "bank.pad";

fn unpacked(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/real")
        .join(name);
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// What mongodump sent, with the operations that happened meanwhile.
fn stream() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| unpacked("mongod-4.4.6-with-oplog.archive.gz"))
}

/// The same, read without our own code.
fn recorded() -> &'static Sent {
    static RECORDED: OnceLock<Sent> = OnceLock::new();
    RECORDED.get_or_init(|| sent_in(stream()))
}

/// What `bank` was after the stock mongorestore had replayed them.
fn after_replay() -> Sent {
    sent_in(&unpacked("mongod-4.4.6-bank-after-replay.archive.gz"))
}

/// A site that has backed up what was recorded; done once, since it takes its time.
fn site() -> Site {
    static ARCHIVE: OnceLock<(OsString, Vec<u8>)> = OnceLock::new();
    let (name, content) = ARCHIVE.get_or_init(|| {
        let server = Server::start();
        let strict = Strict::before(server.port, Manner::of(Version::V4_4));
        let uri = strict.direct_uri();
        let site = Site::new()
            .with("MONGODB_URI", uri)
            .with_mongodump_sending(stream());
        site.run(&["backup"])
            .done()
            .saying(&["backup complete and verified"]);
        let archive = site.archive();
        (
            archive.file_name().unwrap().to_owned(),
            fs::read(archive).unwrap(),
        )
    });
    let site = Site::new();
    fs::create_dir_all(site.backups()).unwrap();
    fs::write(site.backups().join(name), content).unwrap();
    site
}

/// The hashes of documents, as [`Server::fingerprint`] has them.
fn hashes(documents: &[Document]) -> Vec<String> {
    let hash = |document: &Document| {
        let hash = Sha256::digest(document.to_vec().unwrap());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let mut hashes: Vec<String> = documents.iter().map(hash).collect();
    hashes.sort();
    hashes
}

/// The hashes of what a server has under a name.
fn on(there: &BTreeMap<String, Value>, namespace: &str) -> Vec<String> {
    let found = there
        .get(namespace)
        .unwrap_or_else(|| panic!("{namespace} is not there"));
    serde_json::from_value(found["documents"].clone()).unwrap()
}
