//! How much room a server has for what is restored into it: a MongoDB whose disk becomes full ends.

use super::target::Target;
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;

/// It is a help, and nothing waits for it long. Of a large database, statistics take a server some seconds.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

impl Target {
    /// What is free of its disk, where that is less than so many `bytes` of documents that are to come into `databases`. What they
    /// take before the server compresses them leaves room for their indexes.
    pub(crate) async fn short_of_room<'d>(
        &self,
        bytes: u64,
        databases: impl IntoIterator<Item = &'d str>,
    ) -> Option<u64> {
        let free = self.free_bytes(databases).await;
        free.filter(|free| *free < bytes)
    }

    /// Free bytes of the disk that the server's data lies on. None where it does not say so to this user: statistics of
    /// `admin` are for administrators, those of `databases` for whoever may read them, and several servers behind one address
    /// have several disks.
    async fn free_bytes<'d>(&self, databases: impl IntoIterator<Item = &'d str>) -> Option<u64> {
        let known = |name: &&str| self.facts.databases.iter().any(|one| one == name);
        let readable = databases.into_iter().find(known);
        for database in ["admin"].into_iter().chain(readable) {
            let database = self.client.database(database);
            let asking = database.run_command(doc! { "dbStats": 1 });
            if let Ok(Ok(statistics)) = tokio::time::timeout(LONGEST_ANSWER, asking).await
                && let Some(bytes) = free(&statistics)
            {
                return Some(bytes);
            }
        }
        None
    }
}

/// What is left of a disk by `dbStats`. Both sizes are 0 for a database that is not there, and -1 where the server could not
/// find out.
fn free(statistics: &Document) -> Option<u64> {
    let size = |name| match statistics.get(name)? {
        Bson::Double(bytes) => Some(*bytes as i64),
        Bson::Int64(bytes) => Some(*bytes),
        Bson::Int32(bytes) => Some(i64::from(*bytes)),
        _ => None,
    };
    let total = size("fsTotalSize").filter(|total| *total > 0)?;
    let used = size("fsUsedSize").filter(|used| *used >= 0)?;
    u64::try_from(total.saturating_sub(used)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room_only_where_the_server_says_so() {
        let of = |used: Bson, total: Bson| free(&doc! { "fsUsedSize": used, "fsTotalSize": total });
        assert_eq!(of(30_i64.into(), 100_i64.into()), Some(70));
        assert_eq!(of(3e10.into(), 1e11.into()), Some(70_000_000_000));
        assert_eq!(of(100.into(), 100.into()), Some(0));
        for nothing in [of(0.into(), 0.into()), of((-1).into(), (-1).into())] {
            assert_eq!(nothing, None);
        }
        assert_eq!(of("30".into(), 100.into()), None);
        assert_eq!(free(&doc! { "ok": 1 }), None);
    }
}
