//! The stream that `mongodump --archive` writes and `mongorestore --archive` reads.

pub(crate) mod reader;
pub(crate) mod writer;

/// The first bytes of a stream.
pub(crate) const MAGIC: [u8; 4] = 0x8199_e26d_u32.to_le_bytes();
/// Ends a list of documents.
const TERMINATOR: [u8; 4] = [0xff; 4];
