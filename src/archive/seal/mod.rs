//! Sealing: an archive as an age file, which only the holder of a key can read. `age -d` opens it as well.
//!
//! Why this is safe: an archive is sealed in one pass over a file that is finished and verified. Its writer fills headers
//! in afterwards, and a chunk of an age file must never be written twice: the two would share a nonce.

mod keyring;
mod recipient;
mod unseal;
mod writer;

pub(crate) use keyring::{KeyError, Keyring, secrets_in};
pub(crate) use recipient::{Recipient, generate};
pub(crate) use unseal::{UnsealError, unseal};
pub(crate) use writer::{Measured, Sealing, measure, payload_bytes, seal};
