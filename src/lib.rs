//! Pantry Keeper: MongoDB backups that prove themselves.
#![forbid(unsafe_code)]

pub mod schedule;
pub mod secret;
pub mod settings;
