//! MongoDB backups that prove themselves.

#![forbid(unsafe_code)]

mod archive;
mod backup;
pub mod cli;
mod context;
mod doctor;
mod drill;
mod health;
mod mongo;
mod notify;
mod prune;
mod report;
mod restore;
mod retention;
mod schedule;
mod scheduler;
mod settings;
mod state;
mod store;
mod sys;

#[cfg(test)]
mod testing;
