//! MongoDB backups that prove themselves.
//!
//! Data flows one way, and a module imports only from the layers above its own in this list:
//!
//! | layer | modules |
//! |---|---|
//! | pure: no I/O, no clock | [`manifest`] [`checksum`] [`namespace`] [`document`] [`name`] [`report`] [`schedule`] [`timetable`] [`retention`] [`shrink`] [`fingerprint`] [`forecast`] [`alarm`] [`letter`] [`secret`] [`units`] |
//! | edges | [`settings`] (sole reader of the environment) |
//! | tools | [`durable`] [`lock`] [`logging`] [`pool`] [`process`] [`progress`] [`server`] [`stop`] [`tool`] |
//! | stages | [`dump`] (mongodump → stream) [`archive`] (stream ⇄ seekable tar.gz) [`load`] (stream → mongorestore) [`verify`] [`catalog`] (sole owner of the folder) [`notify`] (mails, sent or kept) [`status`] (what is remembered) |
//! | sequences | [`job`] (makes an archive) [`prune`] [`run`] (a backup with all that follows) [`restore`] (brings data back) [`drill`] (proves that it comes back) [`health`] [`doctor`] |
//! | top | [`service`] (when runs happen) [`cli`] |
//!
//! `tests/it/layering.rs` holds the code to it.

#![forbid(unsafe_code)]

pub mod alarm;
pub mod archive;
pub mod catalog;
pub mod checksum;
pub mod cli;
pub mod doctor;
pub mod document;
pub mod drill;
pub mod dump;
pub mod durable;
pub mod fingerprint;
pub mod forecast;
pub mod health;
pub mod job;
pub mod letter;
pub mod load;
pub mod lock;
pub mod logging;
pub mod manifest;
pub mod name;
pub mod namespace;
pub mod notify;
pub mod pool;
pub mod process;
pub mod progress;
pub mod prune;
pub mod report;
pub mod restore;
pub mod retention;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod server;
pub mod service;
pub mod settings;
pub mod shrink;
pub mod status;
pub mod stop;
pub mod timetable;
pub mod tool;
pub mod units;
pub mod verify;

#[cfg(test)]
mod testing;
