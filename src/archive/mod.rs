//! What an archive is: its names, its manifest, its bytes, and the proof that they are sound.

pub mod bson_framer;
pub mod container;
pub mod dump_stream;
pub mod file_name;
pub mod fingerprint;
pub mod io;
pub mod manifest;
pub mod namespace;
pub mod sidecar;
pub mod verify;
mod worker_pool;
