//! What was read of an archive and may be wanted again.

use std::collections::BTreeMap;

/// Compressed bytes that are kept in memory after their first reading. What is restored is verified first; where that is
/// little, the disk is read once.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// Members by their position.
#[derive(Default)]
pub(super) struct MemberCache {
    members: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
}

impl MemberCache {
    pub(super) fn get(&self, position: u64) -> Option<Vec<u8>> {
        self.members.get(&position).cloned()
    }

    pub(super) fn keep(&mut self, position: u64, member: &[u8]) {
        if self.bytes + member.len() <= KEPT_BYTES
            && self.members.insert(position, member.to_vec()).is_none()
        {
            self.bytes += member.len();
        }
    }
}
