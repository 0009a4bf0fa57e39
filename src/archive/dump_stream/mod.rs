//! The stream that `mongodump --archive` writes and `mongorestore --archive` reads.

pub mod reader;
pub mod writer;
