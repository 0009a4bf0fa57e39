//! The ways a message takes to its reader.

pub mod mail;
