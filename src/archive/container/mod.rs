//! The archive: a tar.gz that stock tools read, written in one pass and readable from any collection's start.

pub(crate) mod block_writer;
mod full_scan;

mod member;
mod member_cache;
mod reader;
mod section_reader;
mod tar_header;
mod untrusted;
mod writer;

pub(crate) use untrusted::{files, walk};

pub(crate) use block_writer::WriteError;
pub(crate) use reader::{Damage, Expected, NativeArchive, Opened, Role, Section, open, reason};
pub(crate) use writer::{ArchiveSink, Plan};
