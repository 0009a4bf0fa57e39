//! A POST of our own JSON, described in `docs/json.md`.

use super::{Inquiry, Message, Notification, Post, Service};
use crate::settings::Login;
use crate::sys::http::Answer;
use crate::sys::redact::Secret;
use serde_json::{Value, json};

const LONGEST_TEXT_CHARS: usize = 8_000;

pub(super) struct Json {
    server: String,
    path: Secret,
    login: Option<Login>,
}

/// What is posted.
pub(super) fn document(notification: &Notification, message: &Message) -> Value {
    let mut facts = serde_json::to_value(&notification.facts).unwrap_or_default();
    if let Some(facts) = facts.as_object_mut() {
        // The one is for pings, the other for tests.
        facts.remove("run_id");
        facts.remove("settings");
    }
    let origin = &notification.origin;
    json!({
        "id": notification.id,
        "event": notification.event,
        "severity": notification.severity,
        "written_at": notification.written_at,
        "title": message.subject,
        "text": message.brief(LONGEST_TEXT_CHARS),
        "prefix": origin.prefix,
        "hosts": origin.hosts,
        "folder": origin.folder,
        "time_zone": origin.time_zone,
        "help": notification.help,
        "facts": facts,
    })
}

impl Json {
    pub(super) fn new(server: String, path: Secret, login: Option<Login>) -> Self {
        Json {
            server,
            path,
            login,
        }
    }
}

impl Service for Json {
    fn kind(&self) -> &'static str {
        "json"
    }

    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> String {
        self.path.expose().to_owned()
    }

    fn compose(&self, notification: &Notification, message: &Message) -> Post {
        let uri = format!("{}{}", self.server, self.path.expose());
        Post::json("POST", uri, &document(notification, message)).signed(self.login.as_ref())
    }

    fn inquiry(&self) -> Inquiry {
        // Any request may set something off.
        Inquiry::Connect(format!("{}/", self.server))
    }

    fn inquired(&self, _: &Answer) -> Result<String, String> {
        Ok(String::new())
    }

    fn help(&self) -> &'static str {
        "check the path, and the user and password in the URL"
    }
}
