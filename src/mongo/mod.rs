//! The MongoDB server, asked through the driver, and the MongoDB Database Tools, run as child processes.

pub(crate) mod client;
pub(crate) mod definitions;
mod document_batches;
pub(crate) mod documents_by_id;
pub(crate) mod driver_options;
mod dump_error;
pub(crate) mod error;
mod host_failure;
mod index_watch;
pub(crate) mod indexes;
pub(crate) mod inventory;
mod login;
pub(crate) mod mongodump;
pub(crate) mod mongorestore;
mod mongorestore_output;
pub(crate) mod option_advice;
pub(crate) mod privileges;
pub(crate) mod replay_access;
mod room;
pub(crate) mod scratch_name;
mod start_failure;
pub(crate) mod supervise;
pub(crate) mod target;
pub(crate) mod tool;
mod topology;
pub(crate) mod uri;
