//! MongoDB backups that prove themselves.
//!
//! Data flows one way, and a module imports only from the layers above its own in this list:
//!
//! | layer | modules |
//! |---|---|
//! | pure: no I/O, no clock | [`manifest`] [`checksum`] [`namespace`] [`document`] [`name`] [`report`] [`schedule`] [`timetable`] [`retention`] [`shrink`] [`forecast`] [`alarm`] [`letter`] [`secret`] [`units`] |
//! | edges | [`settings`] (sole reader of the environment) |
//! | tools | [`durable`] [`lock`] [`logging`] [`pool`] [`process`] [`progress`] [`server`] [`stop`] |
//! | stages | [`dump`] (mongodump → stream) [`archive`] (stream → seekable tar.gz) [`verify`] [`catalog`] (sole owner of the folder) [`notify`] (mails, sent or kept) [`status`] (what is remembered) |
//! | sequences | [`job`] (makes an archive) [`prune`] [`run`] (a backup with all that follows) [`health`] [`doctor`] |
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
pub mod dump;
pub mod durable;
pub mod forecast;
pub mod health;
pub mod job;
pub mod letter;
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
pub mod units;
pub mod verify;

#[cfg(test)]
mod testing;
