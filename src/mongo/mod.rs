//! The MongoDB server, asked through the driver, and the MongoDB Database Tools, run as child processes.

pub mod client;
mod driver_options;
pub mod error;
pub mod indexes;
mod inventory;
pub mod mongodump;
pub mod mongorestore;
mod mongorestore_output;
pub mod privileges;
pub mod replay_access;
mod target;
pub mod tool;
mod topology;
pub mod uri;
