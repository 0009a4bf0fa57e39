//! Sending a file: in one request, or in parts that become an object all at once.

use super::super::error::{StoreError, StoreErrorKind};
use super::super::http;
use super::super::source::Source;
use super::{Ask, S3Store, answers};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt};
use md5::{Digest as _, Md5};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The smallest part; services take none below 5 MiB.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// Some services take no more than 1,000 parts.
const MOST_PARTS: u64 = 900;
/// Parts on their way at a time; Cloudflare R2 wants no more than two.
const AT_A_TIME: usize = 2;
/// How long the abort of an upload may take when we are leaving.
const LAST_ABORT: Duration = Duration::from_secs(3);

/// A part that arrived.
struct Part {
    number: usize,
    etag: String,
    md5: [u8; 16],
}

impl S3Store {
    /// Sends a file; the ETag that it should have then.
    pub(super) async fn upload(
        &self,
        name: &str,
        mut source: Source,
    ) -> Result<String, StoreError> {
        let key = self.key(name);
        if source.bytes() <= PART_BYTES {
            let content = gather(&mut source, PART_BYTES).await?;
            let expected = hex::encode(Md5::digest(&content));
            self.put_whole(name, &key, content).await?;
            return Ok(expected);
        }
        let ask = Ask {
            method: "POST",
            key: &key,
            query: &[("uploads", "")],
            headers: &[],
            body: Bytes::new(),
        };
        let answer = self.done(&format!("take {name}"), &ask).await?;
        let upload_id = answers::upload_id(&answer.body)?;
        let sending = self.send_parts(name, &key, &upload_id, &mut source).await;
        if sending.is_err() {
            // What stays is swept at the next run.
            let _ = tokio::time::timeout(LAST_ABORT, self.abort(&key, &upload_id)).await;
        }
        sending
    }

    async fn put_whole(&self, name: &str, key: &str, content: Bytes) -> Result<(), StoreError> {
        let bytes = content.len() as u64;
        let ask = Ask {
            method: "PUT",
            key,
            query: &[],
            headers: &[],
            body: content,
        };
        self.create(name, bytes, ask).await
    }

    /// Creates an object, on condition that there is none where the service knows conditions. After an answer that was
    /// lost, the second attempt finds what the first one did: a look at what is there tells.
    async fn create(&self, name: &str, bytes: u64, ask: Ask<'_>) -> Result<(), StoreError> {
        let headers = [("if-none-match", "*".to_owned())];
        let only_new = Ask {
            headers: &headers,
            body: ask.body.clone(),
            ..ask
        };
        let mut answer = match self.conditional.load(Ordering::Relaxed) {
            true => self.ask(&only_new).await?,
            false => self.ask(&ask).await?,
        };
        let code = answers::failure(&answer.body).map(|(code, _)| code);
        let unknown = ["NotImplemented", "InvalidArgument", "InvalidRequest"];
        let is_unknown = matches!(answer.status.as_u16(), 400 | 501)
            && code.is_some_and(|code| unknown.contains(&code.as_str()));
        if is_unknown && self.conditional.swap(false, Ordering::Relaxed) {
            answer = self.ask(&ask).await?;
        }
        if answer.status.is_success() && answers::failure(&answer.body).is_none() {
            return Ok(());
        }
        let error = self.refusal(&format!("take {name}"), &answer);
        let lost = error.is(StoreErrorKind::Exists) || error.is(StoreErrorKind::Missing);
        if lost && self.size(name).await? == Some(bytes) {
            return Ok(());
        }
        Err(error)
    }

    async fn send_parts(
        &self,
        name: &str,
        key: &str,
        upload_id: &str,
        source: &mut Source,
    ) -> Result<String, StoreError> {
        let (bytes, mut flying, mut parts) = (source.bytes(), FuturesUnordered::new(), Vec::new());
        let part_bytes = PART_BYTES.max(bytes.div_ceil(MOST_PARTS));
        for number in 1..=bytes.div_ceil(part_bytes) as usize {
            let content = gather(source, part_bytes).await?;
            flying.push(self.send_part(key, upload_id, number, content));
            if flying.len() >= AT_A_TIME
                && let Some(part) = flying.next().await
            {
                parts.push(part?);
            }
        }
        while let Some(part) = flying.next().await {
            parts.push(part?);
        }
        parts.sort_by_key(|part: &Part| part.number);
        let mut all = Md5::new();
        let mut list = String::from("<CompleteMultipartUpload>");
        for part in &parts {
            all.update(part.md5);
            let (number, etag) = (part.number, &part.etag);
            list.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            ));
        }
        list.push_str("</CompleteMultipartUpload>");
        let ask = Ask {
            method: "POST",
            key,
            query: &[("uploadId", upload_id)],
            headers: &[],
            body: Bytes::from(list),
        };
        self.create(name, bytes, ask).await?;
        Ok(format!("{}-{}", hex::encode(all.finalize()), parts.len()))
    }

    async fn send_part(
        &self,
        key: &str,
        upload_id: &str,
        number: usize,
        content: Bytes,
    ) -> Result<Part, StoreError> {
        let (shown, md5) = (number.to_string(), Md5::digest(&content).into());
        let ask = Ask {
            method: "PUT",
            key,
            query: &[("partNumber", &shown), ("uploadId", upload_id)],
            headers: &[],
            body: content,
        };
        let answer = self.done(&format!("take part {number}"), &ask).await?;
        let etag = answer
            .headers
            .get("etag")
            .and_then(|etag| etag.to_str().ok());
        let etag = etag.ok_or_else(|| http::malformed("the S3 service"))?;
        // It becomes part of a document.
        let odd = |c: char| c.is_control() || "<>&".contains(c);
        if etag.contains(odd) {
            return Err(http::malformed("the S3 service"));
        }
        Ok(Part {
            number,
            etag: etag.to_owned(),
            md5,
        })
    }
}

/// The next bytes of a source, in one piece.
async fn gather(source: &mut Source, most: u64) -> Result<Bytes, StoreError> {
    let mut content = BytesMut::with_capacity(most.min(source.bytes()) as usize);
    while (content.len() as u64) < most {
        match source.next().await? {
            Some(piece) => content.extend_from_slice(&piece),
            None => break,
        }
    }
    Ok(content.freeze())
}
