//! The documents of a collection on the server, in batches, for a thread that compares them.

use super::client::explain;
use super::error::ServerError;
use super::target::Target;
use crate::archive::namespace::{BUCKETS_PREFIX, Kind, Namespace};
use mongodb::bson::{RawDocumentBuf, doc};

/// Documents asked for at once. A batch is held in memory whole, and the server ends it at 16 MB.
const BATCH: u32 = 1000;

impl Target {
    /// Hands all documents of a namespace to `send`, in batches of about `batch_bytes`, until that wants no more.
    pub(crate) async fn document_batches(
        &self,
        namespace: &Namespace,
        kind: Kind,
        batch_bytes: usize,
        send: impl AsyncFn(Vec<u8>) -> bool,
    ) -> Result<(), ServerError> {
        let failed = |error| explain(&self.uri, "read documents", error);
        let name = match kind {
            Kind::TimeSeries => format!("{BUCKETS_PREFIX}{}", namespace.collection),
            _ => namespace.collection.clone(),
        };
        let collection = self.primary::<RawDocumentBuf>(&namespace.database, &name);
        let finding = collection.find(doc! {}).batch_size(BATCH);
        let mut cursor = finding.await.map_err(failed)?;
        let mut batch = Vec::new();
        while cursor.advance().await.map_err(failed)? {
            batch.extend_from_slice(cursor.current().as_bytes());
            if batch.len() >= batch_bytes && !send(std::mem::take(&mut batch)).await {
                return Ok(());
            }
        }
        if !batch.is_empty() {
            send(batch).await;
        }
        Ok(())
    }
}
