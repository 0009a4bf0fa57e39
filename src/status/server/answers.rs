//! What is answered to a request.

use super::access::{Access, access, knows_host};
use super::looking::{Hangs, Looking};
use crate::context::Context;
use crate::settings::{Settings, StatusSettings};
use crate::status::page::{self, Site};
use crate::status::{metrics, snapshot::Snapshot};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";

/// Whoever guesses passwords waits this long for each.
const WRONG_PASSWORD_PAUSE: Duration = Duration::from_secs(1);

type Answer = Response<Full<Bytes>>;

pub(super) struct Answers {
    settings: StatusSettings,
    site: Site,
    looking: Looking,
    policy: String,
    /// The first page of a look: whoever asks once more gets the same bytes, which are in memory once.
    overview: Mutex<Option<(Arc<Snapshot>, Bytes)>>,
}

/// A status, a type and what is sent.
struct Content(StatusCode, &'static str, Bytes);

impl Content {
    fn notice(status: StatusCode, title: &str, text: &str) -> Self {
        Content(status, HTML, page::notice(title, text).into())
    }
}

impl Answers {
    pub(super) fn new(settings: &Settings, ctx: &Context) -> Self {
        Answers {
            settings: settings.status.clone(),
            site: Site::new(settings, ctx.runtime),
            looking: Looking::new(settings, ctx.now),
            policy: page::content_security_policy(),
            overview: Mutex::new(None),
        }
    }

    /// Gets ready for who will ask.
    pub(super) async fn prepare(&self) {
        self.looking.first().await;
    }

    /// The body of a request is never read.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Answer {
        let content = self.content(&request).await;
        self.response(content, request.method())
    }

    async fn content<B>(&self, request: &Request<B>) -> Content {
        if !knows_host(&self.settings, request.headers(), request.uri()) {
            return Content::notice(
                StatusCode::MISDIRECTED_REQUEST,
                "Unknown name",
                "This page is not meant to be reached under this name. If it is, add the name to STATUS_HOSTS.",
            );
        }
        match access(&self.settings, request.headers()) {
            Access::Granted => {}
            Access::Asked => return password_wanted(),
            Access::Refused => {
                tokio::time::sleep(WRONG_PASSWORD_PAUSE).await;
                return password_wanted();
            }
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Content::notice(
                StatusCode::METHOD_NOT_ALLOWED,
                "Only to be read",
                "Nothing can be changed from here.",
            );
        }
        let (path, query) = (
            request.uri().path(),
            request.uri().query().unwrap_or_default(),
        );
        self.read(path, query).await.unwrap_or_else(|Hangs| {
            Content::notice(
                StatusCode::SERVICE_UNAVAILABLE,
                "The backup folder is still being read",
                "Try again in a minute. If this stays, see whether its disk or network share hangs.",
            )
        })
    }

    async fn read(&self, path: &str, query: &str) -> Result<Content, Hangs> {
        const OK: StatusCode = StatusCode::OK;
        Ok(match path {
            "/" => self.overview(query).await?,
            "/icon.svg" => Content(OK, SVG, Bytes::from_static(page::ICON.as_bytes())),
            "/metrics" => {
                let snapshot = self.looking.snapshot().await?;
                Content(OK, metrics::CONTENT_TYPE, metrics::text(&snapshot).into())
            }
            "/health" => {
                let snapshot = self.looking.snapshot().await?;
                let health = &snapshot.status.health;
                match health.healthy {
                    true => json(OK, health),
                    false => json(StatusCode::SERVICE_UNAVAILABLE, health),
                }
            }
            "/api/status" => json(OK, &self.looking.snapshot().await?.status),
            "/api/archives" => json(OK, &self.looking.snapshot().await?.list),
            _ => match path.strip_prefix("/archives/") {
                Some(name) => self.archive(name).await?,
                None => not_found(),
            },
        })
    }

    async fn overview(&self, query: &str) -> Result<Content, Hangs> {
        let snapshot = self.looking.snapshot().await?;
        let pages = snapshot.list.archives.len().div_ceil(page::PER_PAGE).max(1);
        let wanted = match query.strip_prefix("page=") {
            Some(number) => number.parse().unwrap_or(0),
            None => 1,
        };
        if !(1..=pages).contains(&wanted) {
            return Ok(not_found());
        }
        if wanted > 1 {
            let text = page::overview(&self.site, &snapshot, wanted);
            return Ok(Content(StatusCode::OK, HTML, text.into()));
        }
        let mut kept = self.overview.lock().await;
        let bytes = match kept.as_ref() {
            Some((of, bytes)) if Arc::ptr_eq(of, &snapshot) => bytes.clone(),
            _ => Bytes::from(page::overview(&self.site, &snapshot, wanted)),
        };
        *kept = Some((snapshot, bytes.clone()));
        Ok(Content(StatusCode::OK, HTML, bytes))
    }

    /// Only what is listed is looked at: the name is never made a path.
    async fn archive(&self, name: &str) -> Result<Content, Hangs> {
        let snapshot = self.looking.snapshot().await?;
        let archives = &snapshot.list.archives;
        let Some(at) = archives.iter().position(|one| one.archive == name) else {
            return Ok(not_found());
        };
        let archive = &archives[at];
        let before = archives[..at]
            .iter()
            .rev()
            .find(|one| one.documents.is_some());
        let before = before.map(|before| before.archive.clone());
        let contents = self
            .looking
            .contents(archive.archive.clone(), before)
            .await?;
        let as_of = snapshot.status.as_of_at;
        let text = page::archive(&self.site, as_of, archive, contents.as_ref());
        Ok(Content(StatusCode::OK, HTML, text.into()))
    }

    fn response(&self, Content(status, kind, body): Content, method: &Method) -> Answer {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let fixed = [
            ("content-type", kind),
            ("content-security-policy", self.policy.as_str()),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ];
        for (name, value) in fixed {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        if status == StatusCode::UNAUTHORIZED {
            let wanted =
                HeaderValue::from_static("Basic realm=\"Pantry Keeper\", charset=\"UTF-8\"");
            headers.insert(WWW_AUTHENTICATE, wanted);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        debug_assert!(headers.contains_key(CONTENT_TYPE), "{method}");
        response
    }
}

fn json(status: StatusCode, document: &impl Serialize) -> Content {
    match serde_json::to_vec_pretty(document) {
        Ok(mut json) => {
            json.push(b'\n');
            Content(status, JSON, json.into())
        }
        Err(error) => {
            tracing::error!("the JSON document could not be made: {error}");
            Content::notice(
                StatusCode::INTERNAL_SERVER_ERROR,
                "No document",
                "See the log.",
            )
        }
    }
}

fn password_wanted() -> Content {
    Content::notice(
        StatusCode::UNAUTHORIZED,
        "Password wanted",
        "It is the one in STATUS_PASSWORD, under any user name.",
    )
}

fn not_found() -> Content {
    Content::notice(
        StatusCode::NOT_FOUND,
        "Not found",
        "There is no such page or archive (any more).",
    )
}
