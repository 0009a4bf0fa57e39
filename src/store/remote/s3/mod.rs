//! S3 and what speaks like it: AWS, MinIO, Backblaze B2, Cloudflare R2, Hetzner, Wasabi, Garage.
//!
//! The requests are few, and every one is signed with the SHA-256 of its body, so that the service itself refuses what was
//! damaged on its way; no trailing checksums, which some services do not know. That the whole arrived is confirmed by the
//! ETag, where it is an MD5 of what is stored; where it is not, the engine reads the copy back.

mod answers;
mod part;
mod sign;
mod upload;

use super::error::{StoreError, StoreErrorKind};
use super::source::Source;
use super::{Access, Entry, Proof, Sink, http};
use crate::settings::OffsitePlace;
use crate::sys::http::{Answer, Body, Client, Request, body};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sign::{Signed, Signer, encode};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

pub(crate) struct S3Store {
    client: Client,
    signer: Signer,
    /// `https` or `http`.
    scheme: String,
    host: String,
    bucket: String,
    /// In front of every key's path: the bucket, where the host does not name it.
    root: String,
    prefix: String,
    now: fn() -> DateTime<Utc>,
    /// A folder of ours, for parts that are sealed and large.
    scratch: PathBuf,
    /// Whether the service knows `If-None-Match`; Backblaze B2 does not.
    conditional: AtomicBool,
}

/// One request.
struct Ask<'a> {
    method: &'a str,
    /// The whole key; empty for the bucket.
    key: &'a str,
    /// Names and values, not encoded, sorted by name.
    query: &'a [(&'a str, &'a str)],
    /// Names in small letters.
    headers: &'a [(&'a str, String)],
    body: Bytes,
}

impl S3Store {
    pub(super) fn new(place: &OffsitePlace, access: &Access<'_>) -> Result<Self, StoreError> {
        let credentials = access.credentials;
        let OffsitePlace::S3 {
            bucket,
            prefix,
            region,
            endpoint,
            ..
        } = place
        else {
            return Err(http::malformed("the address"));
        };
        let (Some(key_id), Some(secret)) = (
            credentials.aws_access_key_id.clone(),
            credentials.aws_secret_access_key.clone(),
        ) else {
            let summary = "AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set";
            return Err(StoreError::new(StoreErrorKind::Denied, summary, ""));
        };
        let region = credentials.region_of(region.as_deref()).to_owned();
        let endpoint = endpoint
            .clone()
            .or_else(|| credentials.aws_endpoint_url.clone());
        let (scheme, host, root) = match endpoint {
            Some(endpoint) => {
                let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", &endpoint));
                (scheme.to_owned(), host.to_owned(), format!("/{bucket}"))
            }
            // A certificate for *.s3… does not cover a name with dots.
            None if bucket.contains('.') => {
                let host = format!("s3.{region}.amazonaws.com");
                ("https".to_owned(), host, format!("/{bucket}"))
            }
            None => {
                let host = format!("{bucket}.s3.{region}.amazonaws.com");
                ("https".to_owned(), host, String::new())
            }
        };
        let client = Client::new().map_err(|error| {
            StoreError::new(StoreErrorKind::Other, format!("no TLS: {error}"), "")
        })?;
        Ok(S3Store {
            client,
            signer: Signer {
                key_id,
                secret,
                session_token: credentials.aws_session_token.clone(),
                region,
            },
            scheme,
            host,
            bucket: bucket.clone(),
            root,
            prefix: prefix.clone(),
            now: access.now,
            scratch: access.scratch.to_owned(),
            conditional: AtomicBool::new(true),
        })
    }

    fn request(
        &self,
        ask: &Ask,
        body_sha256: [u8; 32],
        body: Body,
    ) -> Result<Request<Body>, StoreError> {
        let path = format!("{}/{}", self.root, encode(ask.key, true));
        let query: Vec<String> = ask
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name, false), encode(value, false)))
            .collect();
        let query = query.join("&");
        let signed = Signed {
            method: ask.method,
            host: &self.host,
            path: &path,
            query: &query,
            body_sha256,
            headers: ask.headers,
        };
        let mark = if query.is_empty() { "" } else { "?" };
        let uri = format!("{}://{}{path}{mark}{query}", self.scheme, self.host);
        let mut request = Request::builder().method(ask.method).uri(uri);
        for (name, value) in self.signer.headers(&signed, (self.now)()) {
            request = request.header(name, value);
        }
        request
            .body(body)
            .map_err(|error| StoreError::new(StoreErrorKind::Other, error.to_string(), ""))
    }

    /// Asks with a body that is in memory, with patience.
    async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        let sha256: [u8; 32] = Sha256::digest(&ask.body).into();
        http::ask(&self.client, || {
            self.request(ask, sha256, body(ask.body.clone()))
        })
        .await
    }

    /// Likewise, where much would be lost if it were given up.
    async fn ask_patiently(&self, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        let sha256: [u8; 32] = Sha256::digest(&ask.body).into();
        http::ask_patiently(&self.client, || {
            self.request(ask, sha256, body(ask.body.clone()))
        })
        .await
    }

    /// Asks; an answer that is no success is an error.
    async fn done(&self, action: &str, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        let answer = self.ask(ask).await?;
        self.succeeded(action, answer)
    }

    fn succeeded(&self, action: &str, answer: Answer) -> Result<Answer, StoreError> {
        if answer.status.is_success() && answers::failure(&answer.body).is_none() {
            return Ok(answer);
        }
        Err(self.refusal(action, &answer))
    }

    fn refusal(&self, action: &str, answer: &Answer) -> StoreError {
        answers::refusal(action, &self.bucket, answer)
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) async fn put(&self, name: &str, source: Source) -> Result<Proof, StoreError> {
        if self.head(name).await?.is_some() {
            return Err(StoreError::exists(name));
        }
        let transfer = std::sync::Arc::clone(source.transfer());
        let (bytes, sent) = (source.bytes(), self.upload(name, source).await);
        let expected = sent.map_err(|error| transfer.blame(error))?;
        // What was answered is not what is there.
        let there = self.head(name).await?;
        let (there_bytes, etag) = there.ok_or_else(|| StoreError::differs(name))?;
        if there_bytes != bytes {
            return Err(StoreError::differs(name));
        }
        Ok(if etag == expected {
            Proof::Confirmed
        } else {
            Proof::Sent
        })
    }

    /// The size of an object and its ETag without quotes.
    async fn head(&self, name: &str) -> Result<Option<(u64, String)>, StoreError> {
        let key = self.key(name);
        let ask = Ask {
            method: "HEAD",
            key: &key,
            query: &[],
            headers: &[],
            body: Bytes::new(),
        };
        let answer = self.ask(&ask).await?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(self.refusal(&format!("look at {name}"), &answer));
        }
        let header = |name: &str| Some(answer.headers.get(name)?.to_str().ok()?.to_owned());
        let bytes = header("content-length").and_then(|bytes| bytes.parse().ok());
        let bytes = bytes.ok_or_else(|| http::malformed("the S3 service"))?;
        let etag = header("etag").unwrap_or_default();
        Ok(Some((bytes, etag.trim_matches('"').to_lowercase())))
    }

    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.head(name).await?.map(|(bytes, _)| bytes))
    }

    pub(super) async fn read(
        &self,
        name: &str,
        range: Range<u64>,
        sink: &mut Sink<'_>,
    ) -> Result<u64, StoreError> {
        if range.is_empty() {
            return Ok(0);
        }
        let key = self.key(name);
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let ask = Ask {
            method: "GET",
            key: &key,
            query: &[],
            headers: &[("range", bytes)],
            body: Bytes::new(),
        };
        let request = self.request(&ask, Sha256::digest(b"").into(), body(Bytes::new()))?;
        let (answer, read) = http::read(&self.client, request, sink).await?;
        match answer.status.as_u16() {
            206 => Ok(read),
            // The whole file is what was asked for only when it begins where it should.
            200 if range.start == 0 => Ok(read),
            404 => Err(StoreError::missing(name)),
            _ => Err(self.refusal(&format!("give {name}"), &answer)),
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut query = Vec::new();
            query.extend(next.as_deref().map(|token| ("continuation-token", token)));
            query.push(("delimiter", "/"));
            query.push(("list-type", "2"));
            query.push(("prefix", &self.prefix));
            let ask = Ask {
                method: "GET",
                key: "",
                query: &query,
                headers: &[],
                body: Bytes::new(),
            };
            let answer = self
                .done("list", &ask)
                .await
                .map_err(|error| match error.kind {
                    StoreErrorKind::Missing => StoreError {
                        kind: StoreErrorKind::NoPlace,
                        ..error
                    },
                    _ => error,
                })?;
            let page = answers::page(&answer.body, &self.prefix)?;
            found.extend(page.entries);
            match page.next {
                None => return Ok(found),
                Some(token) if next.as_ref() == Some(&token) => return Err(answers::unfinished()),
                token => next = token,
            }
        }
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let key = self.key(name);
        let ask = Ask {
            method: "DELETE",
            key: &key,
            query: &[],
            headers: &[],
            body: Bytes::new(),
        };
        self.done(&format!("remove {name}"), &ask).await.map(drop)
    }

    /// Aborts uploads that an interrupted run began: what they hold is paid for and never shown.
    pub(super) async fn abort_uploads(
        &self,
        ours: &dyn Fn(&str) -> bool,
    ) -> Result<(), StoreError> {
        let ask = Ask {
            method: "GET",
            key: "",
            query: &[("prefix", &self.prefix), ("uploads", "")],
            headers: &[],
            body: Bytes::new(),
        };
        let answer = self.done("list unfinished uploads", &ask).await?;
        for begun in answers::uploads(&answer.body)? {
            if begun.key.strip_prefix(&self.prefix).is_some_and(ours) {
                self.abort(&begun.key, &begun.upload_id).await?;
            }
        }
        Ok(())
    }

    async fn abort(&self, key: &str, upload_id: &str) -> Result<(), StoreError> {
        let ask = Ask {
            method: "DELETE",
            key,
            query: &[("uploadId", upload_id)],
            headers: &[],
            body: Bytes::new(),
        };
        self.done("abort an upload", &ask).await.map(drop)
    }
}
