//! Sending a file: in one request, or in parts that become an object all at once.
//!
//! What is sent is streamed from where it lies and counts as it goes; what breaks off on its way goes again, for as long as an
//! outage may last, and nothing that has arrived is lost with it.

use super::super::error::{StoreError, StoreErrorKind};
use super::super::http;
use super::super::patience::Patience;
use super::super::portion::Portion;
use super::super::source::{PIECE_BYTES, Source};
use super::super::transfer::Share;
use super::{Ask, S3Store, answers};
use crate::sys::http::{Answer, Body, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use md5::{Digest as _, Md5};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// The smallest part.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// What is sealed on its way is in memory until it has arrived, so its parts are as small as services take them.
const SEALED_PART_BYTES: u64 = 5 * 1024 * 1024;
/// S3 takes 10,000 parts.
const MOST_PARTS: u64 = 9_000;
/// Scaleway takes 1,000.
const MOST_PARTS_OF_FEW: u64 = 900;
const OF_FEW: &str = "scw.cloud";
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

/// What is sent in one request, and how far it is.
struct Load {
    portion: Portion,
    share: Arc<Share>,
}

impl S3Store {
    /// Sends a file; the ETag that it should have then.
    pub(super) async fn upload(
        &self,
        name: &str,
        mut source: Source,
    ) -> Result<String, StoreError> {
        let key = self.key(name);
        if source.bytes() <= least(&source) {
            let load = self.load(name, &mut source, PART_BYTES, 1).await?;
            let expected = hex::encode(load.portion.md5);
            self.put_whole(name, &key, &load).await?;
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

    /// What goes next.
    async fn load(
        &self,
        name: &str,
        source: &mut Source,
        most: u64,
        number: usize,
    ) -> Result<Load, StoreError> {
        let file = format!("{name}.{number}");
        let share = Share::of(source.transfer());
        let portion = Portion::next(source, most, &self.scratch, &file).await?;
        Ok(Load { portion, share })
    }

    async fn put_whole(&self, name: &str, key: &str, load: &Load) -> Result<(), StoreError> {
        let ask = Ask {
            method: "PUT",
            key,
            query: &[],
            headers: &[],
            body: Bytes::new(),
        };
        self.create(name, load.portion.bytes, ask, Some(load)).await
    }

    /// Asks with what is to be sent as its body, again and again while it may still arrive.
    async fn send(&self, ask: &Ask<'_>, load: &Load) -> Result<Answer, StoreError> {
        let (portion, share) = (&load.portion, &load.share);
        let mut patience = Patience::new(Instant::now());
        loop {
            let request = self.loaded(ask, load)?;
            let result = share.attempt(http::ask_once(&self.client, request)).await;
            let cut_off = |answer: &Answer| answers::is_code(&answer.body, "RequestTimeout");
            if !http::may_pass(&result) && !result.as_ref().is_ok_and(cut_off) {
                return result;
            }
            let Some(wait) = patience.wait(Instant::now(), share.reached()) else {
                return result;
            };
            let problem = match &result {
                Ok(answer) => answer.status.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::debug!("{} bytes go again: {problem}", portion.bytes);
            share.rest(wait).await;
        }
    }

    fn loaded(&self, ask: &Ask<'_>, load: &Load) -> Result<Request<Body>, StoreError> {
        let portion = &load.portion;
        // Buckets with object lock take nothing without it.
        let mut headers = vec![("content-md5", STANDARD.encode(portion.md5))];
        headers.extend_from_slice(ask.headers);
        let ask = &Ask {
            headers: &headers,
            body: ask.body.clone(),
            ..*ask
        };
        let mut request = self.request(ask, portion.sha256, portion.body(&load.share))?;
        let length = HeaderValue::from(portion.bytes);
        request.headers_mut().insert(CONTENT_LENGTH, length);
        Ok(request)
    }

    /// Creates an object, on condition that there is none where the service knows conditions: from what is sent, or from the
    /// parts that were. After an answer that was lost, the second attempt finds what the first one did: a look at what is
    /// there tells.
    async fn create(
        &self,
        name: &str,
        bytes: u64,
        ask: Ask<'_>,
        load: Option<&Load>,
    ) -> Result<(), StoreError> {
        let headers = [("if-none-match", "*".to_owned())];
        let only_new = Ask {
            headers: &headers,
            body: ask.body.clone(),
            ..ask
        };
        let mut answer = match self.conditional.load(Ordering::Relaxed) {
            true => self.attempt(&only_new, load).await?,
            false => self.attempt(&ask, load).await?,
        };
        let code = answers::failure(&answer.body).map(|(code, _)| code);
        let unknown = ["NotImplemented", "InvalidArgument", "InvalidRequest"];
        let is_unknown = matches!(answer.status.as_u16(), 400 | 501)
            && code.is_some_and(|code| unknown.contains(&code.as_str()));
        if is_unknown && self.conditional.swap(false, Ordering::Relaxed) {
            answer = self.attempt(&ask, load).await?;
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

    async fn attempt(&self, ask: &Ask<'_>, load: Option<&Load>) -> Result<Answer, StoreError> {
        match load {
            Some(load) => self.send(ask, load).await,
            None => self.put_together(ask).await,
        }
    }

    /// Has an object made of its parts. An answer of success may still be a failure, which may pass like any other.
    async fn put_together(&self, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        let mut patience = Patience::new(Instant::now());
        loop {
            let answer = self.ask_patiently(ask).await?;
            let passes = ["InternalError", "SlowDown", "ServiceUnavailable"]
                .iter()
                .any(|code| answers::is_code(&answer.body, code));
            match patience.wait(Instant::now(), (0, 0)) {
                Some(wait) if passes && answer.status.is_success() => {
                    tokio::time::sleep(wait).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    async fn send_parts(
        &self,
        name: &str,
        key: &str,
        upload_id: &str,
        source: &mut Source,
    ) -> Result<String, StoreError> {
        let (bytes, mut flying, mut parts) = (source.bytes(), FuturesUnordered::new(), Vec::new());
        let (part_bytes, count) = in_parts(bytes, least(source), &self.host);
        for number in 1..=count {
            let loading = self.load(name, source, part_bytes, number);
            tokio::pin!(loading);
            // While one is read, the others go on.
            let load = loop {
                tokio::select! {
                    load = &mut loading => break load?,
                    Some(part) = flying.next() => parts.push(part?),
                }
            };
            flying.push(self.send_part(key, upload_id, number, load));
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
        self.complete(name, key, upload_id, bytes, &parts).await
    }

    /// Makes an object of its parts; the ETag that it should have then.
    async fn complete(
        &self,
        name: &str,
        key: &str,
        upload_id: &str,
        bytes: u64,
        parts: &[Part],
    ) -> Result<String, StoreError> {
        let mut all = Md5::new();
        let mut list = String::from("<CompleteMultipartUpload>");
        for part in parts {
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
        self.create(name, bytes, ask, None).await?;
        Ok(format!("{}-{}", hex::encode(all.finalize()), parts.len()))
    }

    async fn send_part(
        &self,
        key: &str,
        upload_id: &str,
        number: usize,
        load: Load,
    ) -> Result<Part, StoreError> {
        let shown = number.to_string();
        let ask = Ask {
            method: "PUT",
            key,
            query: &[("partNumber", &shown), ("uploadId", upload_id)],
            headers: &[],
            body: Bytes::new(),
        };
        let answer = self.send(&ask, &load).await?;
        let answer = self.succeeded(&format!("take part {number}"), answer)?;
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
            md5: load.portion.md5,
        })
    }
}

fn least(source: &Source) -> u64 {
    if source.is_sealed() {
        SEALED_PART_BYTES
    } else {
        PART_BYTES
    }
}

/// How large the parts of a file are, and how many. They are whole pieces, as these are what is read.
fn in_parts(bytes: u64, least: u64, host: &str) -> (u64, usize) {
    let few = host
        .rsplit_once(':')
        .map_or(host, |(host, _)| host)
        .ends_with(OF_FEW);
    let most = if few { MOST_PARTS_OF_FEW } else { MOST_PARTS };
    let part = least.max(bytes.div_ceil(most).next_multiple_of(PIECE_BYTES as u64));
    (part, bytes.div_ceil(part) as usize)
}

#[cfg(test)]
mod tests;
