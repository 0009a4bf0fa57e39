//! The ways a message takes to its reader.

pub(crate) mod mail;
