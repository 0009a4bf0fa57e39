//! MongoDB backups that prove themselves.

#![forbid(unsafe_code)]
// They panic where nothing can be written.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

mod archive;
mod backup;
pub mod cli;
mod context;
mod doctor;
mod drill;
mod health;
mod inspect;
mod mongo;
mod notify;
mod offsite;
mod prune;
mod query;
mod report;
mod restore;
mod retention;
mod schedule;
mod scheduler;
mod settings;
mod state;
mod status;
mod store;
mod sys;

#[cfg(test)]
mod testing;
