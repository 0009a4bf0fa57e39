//! Tests of the whole: the real binary, the real mongodump and mongorestore, and a real server.
//!
//! Each test has folders, ports and processes of its own; what several of them only read from is shared.

mod cases;
mod checkup;
mod choice;
mod docs;
mod faults;
mod harness;
mod layering;
mod list;
mod mail;
mod papers;
mod readers;
mod real;
mod restore;
mod retention;
mod roundtrip;
mod service;
mod settings;
mod strict;
mod support;
mod verify;
