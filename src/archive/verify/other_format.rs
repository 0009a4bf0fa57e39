//! Files that hold a dump, but none that is read here: what each is, and which stock command restores it.

use crate::archive::dump_stream;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read, Seek};

/// Files named; the rest are counted.
const NAMED: usize = 3;

/// What a file is instead of a packed dump folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OtherFormat {
    /// What `mongodump --archive` writes.
    DumpStream { gzip: bool },
    /// Files of collections in no database's folder.
    BareFiles(Vec<String>),
}

impl OtherFormat {
    /// Recognizes what is told by a file's first bytes. Leaves the file at its start.
    pub(crate) fn by_magic(file: &mut File) -> io::Result<Option<Self>> {
        file.rewind()?;
        let mut head = Vec::new();
        (&*file).take(4).read_to_end(&mut head)?;
        let found = if head == dump_stream::MAGIC {
            Some(OtherFormat::DumpStream { gzip: false })
        } else {
            file.rewind()?;
            let mut head = Vec::new();
            // What cannot be unpacked is damaged, which others find out.
            let unpacked = MultiGzDecoder::new(&*file).take(4).read_to_end(&mut head);
            let is_stream = unpacked.is_ok() && head == dump_stream::MAGIC;
            is_stream.then_some(OtherFormat::DumpStream { gzip: true })
        };
        file.rewind()?;
        Ok(found)
    }

    /// What it is and what to do, in a sentence. `name` is the archive's file name.
    pub(crate) fn explain(&self, name: &str) -> String {
        match self {
            OtherFormat::DumpStream { gzip } => {
                let gzip = if *gzip { " --gzip" } else { "" };
                format!(
                    "it is what `mongodump --archive{gzip}` writes, not a packed dump folder; stock mongorestore \
                     restores it: mongorestore --uri=URI --archive={name}{gzip}"
                )
            }
            OtherFormat::BareFiles(files) => {
                let more = files.len().saturating_sub(NAMED);
                let mut named = files[..files.len().min(NAMED)].join(", ");
                if more > 0 {
                    named.push_str(&format!(" and {more} more"));
                }
                let lie = if files.len() == 1 { "lies" } else { "lie" };
                format!(
                    "{named} {lie} in no folder, so nothing says which database that is; unpack into a folder of the \
                     database's name and pack that folder, or restore it with stock mongorestore: \
                     mkdir DATABASE && tar xzf {name} -C DATABASE && mongorestore --uri=URI --db=DATABASE DATABASE"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn recognized(bytes: &[u8]) -> Option<OtherFormat> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let found = OtherFormat::by_magic(&mut file).unwrap();
        assert_eq!(file.stream_position().unwrap(), 0);
        found
    }

    #[test]
    fn a_stream_of_mongodump_is_recognized_plain_and_packed() {
        let stream = [&dump_stream::MAGIC[..], b"whatever"].concat();
        let plain = OtherFormat::DumpStream { gzip: false };
        assert_eq!(recognized(&stream), Some(plain));
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&stream).unwrap();
        let packed = OtherFormat::DumpStream { gzip: true };
        assert_eq!(recognized(&packer.finish().unwrap()), Some(packed));
        for other in [&b""[..], b"\x6d", b"\x1f\x8b", b"not a dump"] {
            assert_eq!(recognized(other), None);
        }
    }

    #[test]
    fn many_files_are_counted() {
        let files = |count: usize| OtherFormat::BareFiles(vec!["a.bson".into(); count]);
        assert!(
            files(1)
                .explain("x")
                .starts_with("a.bson lies in no folder")
        );
        let many = files(5).explain("x");
        assert!(
            many.starts_with("a.bson, a.bson, a.bson and 2 more lie"),
            "{many}"
        );
    }
}
