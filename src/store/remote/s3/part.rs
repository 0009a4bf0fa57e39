//! Parts of an object.

use super::super::Sink;
use super::super::error::StoreError;
use super::super::part::{Part, over_http};
use super::{Ask, S3Store};
use crate::sys::http::body;
use bytes::Bytes;
use sha2::{Digest, Sha256};

impl S3Store {
    pub(in super::super) async fn read_part(
        &self,
        part: &Part<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<String>, StoreError> {
        let key = self.key(part.name);
        let range = format!("bytes={}-{}", part.range.start, part.range.end - 1);
        let mut headers = vec![("range", range)];
        // Services that do not know it answer with the ETag, which is compared as well.
        headers.extend(part.tag.map(|tag| ("if-match", tag.to_owned())));
        headers.sort();
        let ask = Ask {
            method: "GET",
            key: &key,
            query: &[],
            headers: &headers,
            body: Bytes::new(),
        };
        let request = self.request(&ask, Sha256::digest(b"").into(), body(Bytes::new()))?;
        over_http(&self.client, request, part, sink, |answer| {
            self.refusal(&format!("give {}", part.name), answer)
        })
        .await
    }
}
