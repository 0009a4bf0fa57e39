//! What an archive is: its names, its manifest, its bytes, and the proof that they are sound.

pub(crate) mod bson_framer;
pub(crate) mod buffer;
pub(crate) mod compression;
pub(crate) mod container;
pub(crate) mod crc64;
pub(crate) mod document_reader;
pub(crate) mod dump_stream;
pub(crate) mod element;
pub(crate) mod extended_json;
pub(crate) mod file_name;
pub(crate) mod fingerprint;
pub(crate) mod io;
pub(crate) mod json;
pub(crate) mod manifest;
pub(crate) mod metadata;
pub(crate) mod namespace;
pub(crate) mod ranged;
pub(crate) mod seal;
pub(crate) mod sidecar;
pub(crate) mod source;
pub(crate) mod verify;
mod worker_pool;
