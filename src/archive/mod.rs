//! What an archive is: its names, its manifest, its bytes, and the proof that they are sound.

pub(crate) mod bson_framer;
pub(crate) mod container;
pub(crate) mod dump_stream;
pub(crate) mod file_name;
pub(crate) mod fingerprint;
pub(crate) mod io;
pub(crate) mod manifest;
pub(crate) mod namespace;
pub(crate) mod sidecar;
pub(crate) mod verify;
mod worker_pool;
