//! Files that hold a dump, but none that is read here: what each is, and which stock command restores it.

use crate::archive::compression::Compression;
use crate::archive::container;
use crate::archive::dump_stream;
use crate::archive::source::Source;
use std::io::{self, BufReader, Read, Seek};

/// Files named; the rest are counted.
const NAMED: usize = 3;

/// What a file is instead of a packed dump folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OtherFormat {
    /// What `mongodump --archive` writes, and how that is compressed.
    DumpStream(Option<Compression>),
    /// Files of collections in no database's folder.
    BareFiles(Vec<String>),
}

impl OtherFormat {
    /// Recognizes what is told by a file's first bytes. Leaves it at its start.
    pub(crate) fn by_magic(source: &mut Source) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        source.at(0).take(4).read_to_end(&mut head)?;
        let found = if head == dump_stream::MAGIC {
            Some(OtherFormat::DumpStream(None))
        } else {
            let packed = Compression::of_content(&head);
            let mut head = Vec::new();
            let decoder = container::decoder(BufReader::new(source.at(0)))?;
            // What cannot be unpacked is damaged, which others find out.
            let unpacked = decoder.take(4).read_to_end(&mut head);
            let is_stream = unpacked.is_ok() && head == dump_stream::MAGIC;
            is_stream.then_some(OtherFormat::DumpStream(Some(packed)))
        };
        source.rewind()?;
        Ok(found)
    }

    /// What it is and what to do, in a sentence. `name` is the archive's file name.
    pub(crate) fn explain(&self, name: &str) -> String {
        match self {
            OtherFormat::DumpStream(Some(Compression::Zstd)) => format!(
                "it is what `mongodump --archive` writes, packed by zstd, not a packed dump folder; stock mongorestore \
                 restores it: zstd -dc {name} | mongorestore --uri=URI --archive"
            ),
            OtherFormat::DumpStream(packed) => {
                let gzip = packed.map_or("", |_| " --gzip");
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
                let unpack = Compression::of_name(name).unpack_command();
                let lie = if files.len() == 1 { "lies" } else { "lie" };
                format!(
                    "{named} {lie} in no folder, so nothing says which database that is; unpack into a folder of the \
                     database's name and pack that folder, or restore it with stock mongorestore: \
                     mkdir DATABASE && {unpack} {name} -C DATABASE && mongorestore --uri=URI --db=DATABASE DATABASE"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn recognized(bytes: &[u8]) -> Option<OtherFormat> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut source = Source::file(file).unwrap();
        let found = OtherFormat::by_magic(&mut source).unwrap();
        assert_eq!(source.stream_position().unwrap(), 0);
        found
    }

    #[test]
    fn a_stream_of_mongodump_is_recognized_plain_and_packed() {
        let stream = [&dump_stream::MAGIC[..], b"whatever"].concat();
        let plain = OtherFormat::DumpStream(None);
        assert_eq!(recognized(&stream), Some(plain));
        let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&stream).unwrap();
        let packed = OtherFormat::DumpStream(Some(Compression::Gzip));
        assert_eq!(recognized(&packer.finish().unwrap()), Some(packed));
        let zstd = OtherFormat::DumpStream(Some(Compression::Zstd));
        let bytes = zstd::stream::encode_all(stream.as_slice(), 3).unwrap();
        assert_eq!(recognized(&bytes), Some(zstd.clone()));
        assert!(
            zstd.explain("a.tar.zst")
                .contains("zstd -dc a.tar.zst | mongorestore")
        );
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
