//! The archive: a tar.gz or tar.zst that stock tools read, written in one pass and readable from any collection's start.

pub(crate) mod appender;
mod block_writer;
mod codec;
mod decoder;
mod full_scan;
mod member_cache;
mod reader;
mod section_reader;
mod tar_header;
mod untrusted;
mod writer;

pub(crate) use appender::WriteError;
pub(crate) use decoder::decoder;
pub(crate) use reader::{Damage, NativeArchive, Opened, Role, Section, open, reason};
pub(crate) use untrusted::{files, walk};
pub(crate) use writer::{ArchiveSink, Plan};
