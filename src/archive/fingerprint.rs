//! Proves two sets of documents equal without holding either: a sum of checksums that does not depend on their order.
//!
//! Every document's SHA-256 is added up, as a number, with those of the documents whose `_id` falls into the same bucket.
//! Two sets are equal when all buckets are. Where one is not, the documents in it are few enough to be named.

use sha2::{Digest, Sha256};

/// Buckets, a power of two. At a hundred million documents, one holds about twenty-five thousand.
const BUCKETS: usize = 4096;

/// What is known of a set of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    buckets: Vec<Bucket>,
    documents: u64,
    bytes: u64,
}

/// 256 bits are added in four parts of 64 each, wrapping: the carry is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Bucket {
    documents: u64,
    sum: [u64; 4],
}

/// A document's checksum.
pub(crate) type Checksum = [u8; 32];

impl Default for Fingerprint {
    fn default() -> Self {
        Fingerprint {
            buckets: vec![Bucket::default(); BUCKETS],
            documents: 0,
            bytes: 0,
        }
    }
}

impl Fingerprint {
    /// Adds a document of this `_id`, both as BSON has them.
    pub(crate) fn add(&mut self, id: &[u8], document: &[u8]) {
        let bucket = &mut self.buckets[bucket_of(id)];
        bucket.documents += 1;
        for (sum, part) in bucket
            .sum
            .iter_mut()
            .zip(checksum(document).chunks_exact(8))
        {
            let part = part
                .first_chunk::<8>()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes));
            *sum = sum.wrapping_add(part);
        }
        self.documents += 1;
        self.bytes += document.len() as u64;
    }

    pub(crate) fn documents(&self) -> u64 {
        self.documents
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The buckets in which the two differ; none when they are equal.
    pub(crate) fn differences(&self, other: &Self) -> Vec<usize> {
        let pairs = self.buckets.iter().zip(&other.buckets);
        pairs
            .enumerate()
            .filter(|(_, (one, two))| one != two)
            .map(|(index, _)| index)
            .collect()
    }
}

pub(crate) fn checksum(document: &[u8]) -> Checksum {
    Sha256::digest(document).into()
}

/// The bucket into which documents of this `_id` fall.
pub(crate) fn bucket_of(id: &[u8]) -> usize {
    // FNV-1a: it only has to spread; there is nothing to gain by a full bucket.
    let hash = id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(documents: &[(Vec<u8>, Vec<u8>)]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        documents
            .iter()
            .for_each(|(id, document)| fingerprint.add(id, document));
        fingerprint
    }

    proptest! {
        #[test]
        fn order_does_not_count_and_everything_else_does(
            documents in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..8), prop::collection::vec(any::<u8>(), 1..40)), 1..60),
            which: prop::sample::Index,
            bit in 0usize..8,
        ) {
            let mut reversed = documents.clone();
            reversed.reverse();
            prop_assert!(of(&documents).differences(&of(&reversed)).is_empty());
            let at = which.index(documents.len());
            let mut changed = documents.clone();
            changed[at].1[0] ^= 1 << bit;
            prop_assert_eq!(of(&documents).differences(&of(&changed)), [bucket_of(&documents[at].0)]);
            let mut fewer = documents.clone();
            fewer.remove(at);
            prop_assert_eq!(of(&documents).differences(&of(&fewer)), [bucket_of(&documents[at].0)]);
            let mut twice = documents.clone();
            twice.push(documents[at].clone());
            prop_assert_eq!(of(&documents).differences(&of(&twice)), [bucket_of(&documents[at].0)]);
        }
    }

    #[test]
    fn ids_are_spread_over_the_buckets() {
        let mut counts = vec![0; BUCKETS];
        for id in 0..BUCKETS as u32 * 50 {
            counts[bucket_of(&id.to_le_bytes())] += 1;
        }
        assert!(
            counts.iter().all(|count| *count < 200),
            "{:?}",
            counts.iter().max()
        );
    }
}
