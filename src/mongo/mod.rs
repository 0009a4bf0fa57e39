//! The MongoDB server, asked through the driver, and the MongoDB Database Tools, run as child processes.

pub mod client;
pub mod indexes;
mod inventory;
pub mod mongodump;
pub mod mongorestore;
mod mongorestore_output;
mod target;
pub mod tool;
pub mod uri;
