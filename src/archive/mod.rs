//! The archive: a tar.gz that stock tools read, written in one pass and readable from any collection's start.

mod entry;
mod extract;
mod foreign;
mod hashing;
mod kept;
mod member;
mod reader;
mod scrub;
mod sink;
mod writer;

pub use extract::Extract;
pub use foreign::{Walked, files, walk};
pub use hashing::Hashing;
pub use reader::{Damage, Expected, Opened, Ours, Role, Section, open, reason};
pub use scrub::Scrubbed;
pub use sink::{ArchiveSink, Plan};
pub use writer::{WriteError, Written};
