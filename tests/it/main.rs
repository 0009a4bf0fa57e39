//! Tests of the whole: the real binary, the real mongodump and mongorestore, and a real server.
//!
//! Each test has folders, ports and processes of its own; what several of them only read from is shared.

mod cases;
mod docs;
mod doctor;
mod faults;
mod harness;
mod inspect;
mod layering;
mod layering_circles;
mod list;
mod mail;
mod notify;
mod offsite;
mod offsite_places;
mod papers;
mod readers;
mod real;
mod remembered;
mod restore;
mod retention;
mod roundtrip;
mod sealed;
mod selection;
mod service;
mod settings;
mod status;
mod strict;
mod support;
mod texts;
mod verify;
mod zstd_archives;
