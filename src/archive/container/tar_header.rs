//! Tar headers: one way to write them, so that GNU tar, busybox, bsdtar and Python all read them.

use tar::{EntryType, Header};

/// Tar counts in blocks of this many bytes.
pub(super) const TAR_BLOCK: usize = 512;

/// The name that GNU tar gives to an entry that holds the next one's long name.
const LONG_LINK: &str = "././@LongLink";

/// Writes headers for files that all share one time.
pub(super) struct Headers {
    /// Seconds since 1970.
    pub modified_at: u64,
}

impl Headers {
    /// What precedes a file's header: nothing, or the entry that carries a name too long for it.
    pub(super) fn long_name(&self, path: &str) -> Vec<u8> {
        if fits(path) {
            return Vec::new();
        }
        let mut header = self.plain(EntryType::GNULongName, path.len() as u64 + 1);
        set_name(&mut header, LONG_LINK);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(path.as_bytes());
        bytes.resize(bytes.len() + 1 + padding(path.len() as u64 + 1), 0);
        bytes
    }

    /// A regular file's header. Sizes over 8 GiB are written in base 256, which all four readers know.
    pub(super) fn file(&self, path: &str, size_bytes: u64) -> [u8; TAR_BLOCK] {
        let mut header = self.plain(EntryType::Regular, size_bytes);
        set_name(&mut header, path);
        header.set_cksum();
        *header.as_bytes()
    }

    fn plain(&self, kind: EntryType, size_bytes: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.modified_at);
        header.set_size(size_bytes);
        header
    }
}

/// Zeros that follow `size_bytes` of content, up to a whole block.
pub(super) fn padding(size_bytes: u64) -> usize {
    (TAR_BLOCK - (size_bytes % TAR_BLOCK as u64) as usize) % TAR_BLOCK
}

fn fits(path: &str) -> bool {
    path.len() <= Header::new_gnu().as_old().name.len()
}

fn set_name(header: &mut Header, path: &str) {
    let name = &mut header.as_old_mut().name;
    let length = path.len().min(name.len());
    name[..length].copy_from_slice(&path.as_bytes()[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn read_back(path: &str, size: u64) -> (String, u64) {
        let headers = Headers {
            modified_at: 1_748_684_468,
        };
        let mut bytes = headers.long_name(path);
        bytes.extend_from_slice(&headers.file(path, size));
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        (
            entry.path().unwrap().to_str().unwrap().to_owned(),
            entry.size(),
        )
    }

    #[test]
    fn names_and_sizes_of_any_length_come_back() {
        for length in [1, 99, 100, 101, 155, 256, 512, 513, 700] {
            let path = format!("r/{}", "n".repeat(length));
            for size in [0, 511, 0o77777777777, 0o100000000000, 9 << 30, 1 << 45] {
                assert_eq!(read_back(&path, size), (path.clone(), size));
            }
        }
    }

    #[test]
    fn what_follows_a_long_name_starts_on_a_block() {
        let headers = Headers { modified_at: 0 };
        for length in 101..1200 {
            assert_eq!(headers.long_name(&"n".repeat(length)).len() % TAR_BLOCK, 0);
        }
        let mut nothing = String::new();
        headers
            .long_name("short")
            .as_slice()
            .read_to_string(&mut nothing)
            .unwrap();
        assert_eq!(nothing, "");
    }
}
