//! WebDAV over TLS: Nextcloud, and many a NAS.

use super::error::{StoreError, StoreErrorKind};
use super::part::{Part, over_http};
use super::patience::Patience;
use super::source::{Comparison, Source};
use super::transfer::Share;
use super::{Access, Entry, Proof, Sink, http};
use crate::settings::OffsitePlace;
use crate::sys::atomic_file::partial_name;
use crate::sys::http::{Answer, Body, Client, Request, StatusCode, body};
use crate::sys::redact::{Secret, percent_decode, percent_encode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use roxmltree::{Document, Node};
use std::ops::Range;
use tokio::time::Instant;

const LISTING: &str = r#"<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/></prop></propfind>"#;

const RAISE_LIMIT: &str = "raise its limit, which for nginx is client_max_body_size; or use rclone:, whose Nextcloud remote sends in chunks";

pub(crate) struct WebDavStore {
    client: Client,
    /// With a slash at its end.
    address: String,
    /// The path of `address`, as it is written in it.
    path: String,
    authorization: Secret,
}

impl WebDavStore {
    pub(super) fn new(place: &OffsitePlace, access: &Access<'_>) -> Result<Self, StoreError> {
        let credentials = access.credentials;
        let (OffsitePlace::WebDav { authority, path }, Some(user), Some(password)) = (
            place,
            &credentials.webdav_username,
            &credentials.webdav_password,
        ) else {
            let summary = "WEBDAV_USERNAME or WEBDAV_PASSWORD is not set";
            return Err(StoreError::new(StoreErrorKind::Denied, summary, ""));
        };
        let client = Client::new().map_err(|error| {
            StoreError::new(StoreErrorKind::Other, format!("no TLS: {error}"), "")
        })?;
        let login = STANDARD.encode(format!("{user}:{}", password.expose()));
        Ok(WebDavStore {
            client,
            address: format!("https://{authority}{path}"),
            path: path.clone(),
            authorization: Secret::new(format!("Basic {login}")),
        })
    }

    fn request(
        &self,
        method: &str,
        name: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Request<Body>, StoreError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{}", self.address, percent_encode(name)))
            .header("authorization", self.authorization.expose());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .body(body)
            .map_err(|_| StoreError::new(StoreErrorKind::Other, "the address is not usable", ""))
    }

    async fn ask(
        &self,
        method: &str,
        name: &str,
        headers: &[(&str, &str)],
        content: &'static str,
    ) -> Result<Answer, StoreError> {
        http::ask(&self.client, || {
            self.request(
                method,
                name,
                headers,
                body(Bytes::from_static(content.as_bytes())),
            )
        })
        .await
    }

    fn refusal(&self, action: &str, answer: &Answer) -> StoreError {
        let status = answer.status.as_u16();
        let (kind, help) = match status {
            401 => (
                StoreErrorKind::Denied,
                "check WEBDAV_USERNAME and WEBDAV_PASSWORD; Nextcloud wants an app password",
            ),
            403 => (StoreErrorKind::Denied, "see what this user may do there"),
            404 => (StoreErrorKind::Missing, ""),
            409 => (
                StoreErrorKind::NoPlace,
                "create the folder there, or correct OFFSITE_URL",
            ),
            412 => (StoreErrorKind::Exists, ""),
            507 => (
                StoreErrorKind::Full,
                "make room there, or keep fewer copies: OFFSITE_RETENTION_DAYS",
            ),
            status if status >= 500 || status == 429 => (StoreErrorKind::Unreachable, ""),
            _ => (StoreErrorKind::Other, ""),
        };
        let summary = format!("the server refused to {action}: {}", answer.status);
        StoreError::new(kind, summary, help)
    }

    pub(super) async fn put(&self, name: &str, source: Source) -> Result<Proof, StoreError> {
        if self.size(name).await?.is_some() {
            return Err(StoreError::exists(name));
        }
        let hidden = partial_name(name);
        let sent = self.write(&hidden, name, &source).await;
        let proven = match &sent {
            Ok(sent) => self.compare(&hidden, name, *sent, &source).await,
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = proven {
            // What stays is swept at the next run.
            let _ = self.remove(&hidden).await;
            return Err(error);
        }
        let target = format!("{}{}", self.address, percent_encode(name));
        let headers = [("destination", target.as_str()), ("overwrite", "F")];
        let request = || self.request("MOVE", &hidden, &headers, body(Bytes::new()));
        let answer = http::ask_patiently(&self.client, request).await?;
        if answer.status.is_success() {
            return Ok(Proof::Read);
        }
        // After an answer that was lost, the second attempt finds nothing to move.
        let error = self.refusal(&format!("name {name}"), &answer);
        let there = self.size(name).await?;
        let done = self.size(&hidden).await?.is_none() && there.is_some() && there == sent.ok();
        if done { Ok(Proof::Read) } else { Err(error) }
    }

    /// How many bytes were written.
    async fn write(&self, hidden: &str, name: &str, source: &Source) -> Result<u64, StoreError> {
        let share = Share::of(source.transfer());
        let mut patience = Patience::new(Instant::now());
        loop {
            let attempt = source.again()?;
            let (bytes, length) = (attempt.bytes(), attempt.bytes().to_string());
            let headers = [("content-length", length.as_str())];
            let body = http::streamed(attempt, &share);
            let request = self.request("PUT", hidden, &headers, body)?;
            let result = http::ask_once(&self.client, request)
                .await
                .map_err(|error| source.transfer().blame(error));
            let wait = match http::may_pass(&result) {
                true => patience.wait(Instant::now(), share.reached()),
                false => None,
            };
            if let Some(wait) = wait {
                tracing::debug!("{bytes} bytes go again");
                share.rest(wait).await;
                continue;
            }
            let answer = result?;
            return match answer.status {
                status if status.is_success() => Ok(bytes),
                StatusCode::PAYLOAD_TOO_LARGE => Err(StoreError::too_large(name, RAISE_LIMIT)),
                _ => Err(self.refusal(&format!("take {name}"), &answer)),
            };
        }
    }

    async fn compare(
        &self,
        hidden: &str,
        name: &str,
        sent: u64,
        source: &Source,
    ) -> Result<(), StoreError> {
        let (mut patience, mut furthest, mut all) = (Patience::new(Instant::now()), 0, 0);
        loop {
            let mut comparison = Comparison::new(source.transfer());
            let mut read = 0;
            let mut sink = |piece: &[u8]| {
                comparison.update(piece);
                read += piece.len() as u64;
                Ok(())
            };
            // One byte more than there should be, so that too much is noticed as well.
            let result = self.read(hidden, 0..sent + 1, &mut sink).await;
            (furthest, all) = (read.max(furthest), all + read);
            let error = match result {
                Ok(_) if source.outcome().is(comparison.finish()) => return Ok(()),
                Ok(_) => return Err(StoreError::differs(name)),
                Err(error) => error,
            };
            let wait = match error.is(StoreErrorKind::Unreachable) {
                true => patience.wait(Instant::now(), (furthest, all)),
                false => None,
            };
            // Much would be lost if it had to be sent again.
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!("{name} is read back again: {error}");
            Share::of(source.transfer()).rest(wait).await;
        }
    }

    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let answer = self
            .ask("PROPFIND", name, &[("depth", "0")], LISTING)
            .await?;
        match answer.status.as_u16() {
            404 => Ok(None),
            207 => {
                let found = self.entries(&answer.body, true)?;
                Ok(found.first().map(|entry| entry.bytes))
            }
            _ => Err(self.refusal(&format!("look at {name}"), &answer)),
        }
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
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let headers = [("range", bytes.as_str()), ("accept-encoding", "identity")];
        let request = self.request("GET", name, &headers, body(Bytes::new()))?;
        let (answer, read) = http::read(&self.client, request, sink).await?;
        match answer.status.as_u16() {
            206 => Ok(read),
            200 if range.start == 0 => Ok(read),
            404 => Err(StoreError::missing(name)),
            _ => Err(self.refusal(&format!("give {name}"), &answer)),
        }
    }

    pub(super) async fn read_part(
        &self,
        part: &Part<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<String>, StoreError> {
        let bytes = format!("bytes={}-{}", part.range.start, part.range.end - 1);
        let headers = [("range", bytes.as_str()), ("accept-encoding", "identity")];
        let request = self.request("GET", part.name, &headers, body(Bytes::new()))?;
        over_http(&self.client, request, part, sink, |answer| {
            self.refusal(&format!("give {}", part.name), answer)
        })
        .await
    }

    pub(super) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let answer = self.ask("PROPFIND", "", &[("depth", "1")], LISTING).await?;
        match answer.status.as_u16() {
            207 => self.entries(&answer.body, false),
            404 => Err(StoreError::new(
                StoreErrorKind::NoPlace,
                "there is no such folder there",
                "create it there, or correct the path in OFFSITE_URL",
            )),
            _ => Err(self.refusal("list", &answer)),
        }
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let answer = self.ask("DELETE", name, &[], "").await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(self.refusal(&format!("remove {name}"), &answer)),
        }
    }

    /// The files of a listing; names are what follows the folder's path, in whichever form an address is given.
    fn entries(&self, body: &[u8], only: bool) -> Result<Vec<Entry>, StoreError> {
        let malformed = || http::malformed("the WebDAV server");
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let document = Document::parse(text).map_err(|_| malformed())?;
        let folder = percent_decode(&self.path).unwrap_or_else(|| self.path.clone());
        let responses = document
            .root_element()
            .children()
            .filter(|node| node.tag_name().name() == "response");
        let entry = |node: Node| {
            let within = |name: &'static str| {
                node.descendants()
                    .find(move |node| node.tag_name().name() == name)
            };
            let href = percent_decode(within("href")?.text()?.trim())?;
            let name = href.rsplit('/').next().unwrap_or_default();
            let is_folder = within("collection").is_some() || name.is_empty();
            let is_inside = only || href.contains(&format!("{folder}{name}"));
            let bytes = within("getcontentlength")?.text()?.trim().parse().ok()?;
            (!is_folder && is_inside).then(|| Entry {
                name: name.to_owned(),
                bytes,
            })
        };
        Ok(responses.filter_map(entry).collect())
    }
}
