//! Documents on their way to mongorestore, held against what was verified before.

use crate::archive::container::reason;
use crate::archive::crc64::Digest;
use crate::archive::namespace::Totals;
use crate::archive::verify::ArchivedNamespace;
use crate::mongo::mongorestore::FeedError;

/// What was read so far of one collection.
pub(super) struct Checked {
    crc: Digest,
    bytes: u64,
}

impl Checked {
    pub(super) fn new() -> Self {
        Checked {
            crc: Digest::new(),
            bytes: 0,
        }
    }

    pub(super) fn update(&mut self, read: &[u8]) {
        self.crc.write(read);
        self.bytes += read.len() as u64;
    }

    /// What was verified; an error when something else was read.
    pub(super) fn finish(&self, verified: &ArchivedNamespace) -> Result<Totals, FeedError> {
        let Totals { bytes, crc64, .. } = verified.totals;
        if (self.bytes, self.crc.sum64()) == (bytes, crc64) {
            return Ok(verified.totals);
        }
        Err(FeedError::Archive(format!(
            "{} is no longer what was verified: the disk may be failing",
            verified.namespace
        )))
    }
}

/// What was read before cannot be read again.
pub(super) fn broken_in(verified: &ArchivedNamespace, error: &std::io::Error) -> FeedError {
    FeedError::Archive(format!("{}: {}", verified.namespace, reason(error)))
}
