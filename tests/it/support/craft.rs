//! Archives put together byte by byte: by hand, as anyone might pack a dump folder, and such as only an enemy makes.

use super::archive::stored_files;
use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use mongodb::bson::Document;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;

/// A tar that is being made.
#[derive(Clone, Default)]
pub(crate) struct Craft {
    tar: Vec<u8>,
}

impl Craft {
    /// A dump of one collection with one document, `shop.orders`, to which something may be added.
    pub(crate) fn dump() -> Self {
        let order = mongodb::bson::doc! { "_id": 1, "of": "soup" }
            .to_vec()
            .unwrap();
        Craft::default().collection("shop", "orders", &order)
    }

    /// Adds a collection as mongodump writes it.
    pub(crate) fn collection(self, database: &str, name: &str, documents: &[u8]) -> Self {
        let metadata = format!(
            r#"{{"indexes":[],"collectionName":"{name}","type":"collection","options":{{}}}}"#
        );
        self.file(&format!("dump/{database}/{name}.bson"), documents)
            .file(
                &format!("dump/{database}/{name}.metadata.json"),
                metadata.as_bytes(),
            )
    }

    /// Adds a collection with these documents, and these indexes beside that of `_id`.
    pub(crate) fn indexed(
        self,
        database: &str,
        name: &str,
        documents: &[Document],
        indexes: &str,
    ) -> Self {
        let bytes: Vec<u8> = documents
            .iter()
            .flat_map(|one| one.to_vec().unwrap())
            .collect();
        let metadata = format!(
            r#"{{"indexes":[{{"v":2,"key":{{"_id":1}},"name":"_id_"}},{indexes}],"collectionName":"{name}","type":"collection","options":{{}}}}"#
        );
        self.file(&format!("dump/{database}/{name}.bson"), &bytes)
            .file(
                &format!("dump/{database}/{name}.metadata.json"),
                metadata.as_bytes(),
            )
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(b'0', path, "", content)
    }

    /// Adds all that another has.
    pub(crate) fn with(mut self, other: &Craft) -> Self {
        self.tar.extend_from_slice(&other.tar);
        self
    }

    /// Adds an entry of any type.
    pub(crate) fn entry(self, kind: u8, path: &str, link: &str, content: &[u8]) -> Self {
        let size = format!("{:011o}\0", content.len());
        self.claiming(kind, path, link, size.as_bytes(), content)
    }

    /// Adds an entry whose header says this about its size, whatever the content.
    pub(crate) fn claiming(
        mut self,
        kind: u8,
        path: &str,
        link: &str,
        size: &[u8],
        content: &[u8],
    ) -> Self {
        let mut header = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, path.as_bytes());
        put(100, b"0000600\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, size);
        put(136, b"14714000000\0");
        put(148, b"        ");
        put(156, &[kind]);
        put(157, link.as_bytes());
        put(257, b"ustar\0");
        put(263, b"00");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.tar.extend_from_slice(&header);
        self.tar.extend_from_slice(content);
        self.tar.resize(self.tar.len().next_multiple_of(512), 0);
        self
    }

    /// Adds a file that is this many bytes of nothing, as GNU tar writes a sparse one.
    pub(crate) fn sparse(mut self, path: &str, bytes: u64) -> Self {
        let mut header = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        let size = format!("{bytes:011o}\0");
        put(0, path.as_bytes());
        put(100, b"0000600\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, b"00000000000\0");
        put(136, b"14714000000\0");
        put(148, b"        ");
        put(156, b"S");
        put(257, b"ustar  \0");
        // Its only block begins at its end.
        put(386, size.as_bytes());
        put(398, b"00000000000\0");
        put(483, size.as_bytes());
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.tar.extend_from_slice(&header);
        self
    }

    /// As a tar.gz, ended as a tar should be.
    pub(crate) fn packed(&self) -> Vec<u8> {
        gzip(&[self.tar.as_slice(), &[0; 1024]].concat())
    }

    /// As a tar.gz, without the end of a tar.
    pub(crate) fn cut(&self) -> Vec<u8> {
        gzip(&self.tar)
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::new(6));
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Bytes of the end of an archive of ours: a header, two numbers, the end of a tar, a footer.
const TRAILER: usize = 16 + 16 + 5 + 1024 + 8;

/// Changes the manifest of an archive of ours and makes all checksums fit again, as one who knows the format can.
pub(crate) fn forge(archive: &Path, change: impl FnOnce(&mut Value)) {
    let (path, manifest) = manifest_of(archive);
    let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
    change(&mut manifest);
    let json = serde_json::to_vec(&manifest).unwrap();
    put_in_place_of_the_manifest(archive, &Craft::default().file(&path, &json));
}

/// The same, with a manifest that is so many bytes of nothing.
pub(crate) fn forge_sparse(archive: &Path, bytes: u64) {
    let (path, _) = manifest_of(archive);
    put_in_place_of_the_manifest(archive, &Craft::default().sparse(&path, bytes));
}

fn manifest_of(archive: &Path) -> (String, Vec<u8>) {
    let mut files = stored_files(archive).into_iter();
    files
        .find(|(path, _)| path.ends_with("/manifest.json"))
        .unwrap()
}

fn put_in_place_of_the_manifest(archive: &Path, craft: &Craft) {
    let tar = &craft.tar;
    assert!(tar.len() < 1024 * 1024, "one member holds it");

    let mut bytes = fs::read(archive).unwrap();
    let trailer = bytes.len() - TRAILER;
    let position = u64::from_le_bytes(bytes[trailer + 16..trailer + 24].try_into().unwrap());
    let (head, end) = (bytes[..16].to_vec(), bytes[trailer..].to_vec());
    bytes.truncate(position as usize);
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::new(6));
    deflate.write_all(tar).unwrap();
    let deflated = deflate.finish().unwrap();
    let mut crc = Crc::new();
    crc.update(tar);
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&(16 + 4 + deflated.len() as u32 + 8).to_le_bytes());
    bytes.extend_from_slice(&deflated);
    bytes.extend_from_slice(&crc.sum().to_le_bytes());
    bytes.extend_from_slice(&(tar.len() as u32).to_le_bytes());
    let crc64 = crc64(&bytes);
    bytes.extend_from_slice(&end[..24]);
    bytes.extend_from_slice(&crc64.to_le_bytes());
    bytes.extend_from_slice(&end[32..]);
    fs::write(archive, bytes).unwrap();
}

/// CRC-64/XZ.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    let mut digest = crc64fast::Digest::new();
    digest.write(bytes);
    digest.sum64()
}
