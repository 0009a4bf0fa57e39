//! Slack: <https://api.slack.com/messaging/webhooks>.

use super::{Inquiry, Message, Notification, Post, Service, colour, with_subject};
use crate::sys::http::Answer;
use crate::sys::redact::Secret;
use serde_json::json;

pub(super) const SERVER: &str = "https://hooks.slack.com";
/// Slack cuts longer ones in pieces.
const LONGEST_TEXT_CHARS: usize = 3_500;

pub(super) struct Slack {
    server: String,
    uri: Secret,
}

impl Slack {
    pub(super) fn new(server: &str, webhook: Secret) -> Self {
        let uri = format!("{server}/services/{}", webhook.expose());
        Slack {
            server: server.to_owned(),
            uri: Secret::new(uri),
        }
    }
}

impl Service for Slack {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> String {
        self.uri.expose().to_owned()
    }

    fn compose(&self, _: &Notification, message: &Message) -> Post {
        let text = escaped(&with_subject(message, LONGEST_TEXT_CHARS));
        let body = json!({
            "text": escaped(&message.subject),
            "attachments": [{
                "color": format!("#{:06x}", colour(message.severity)),
                "text": text,
                "fallback": escaped(&message.subject),
                "mrkdwn_in": [],
            }],
        });
        Post::json("POST", self.uri.expose().to_owned(), &body)
    }

    fn inquiry(&self) -> Inquiry {
        Inquiry::Ask(Post::json("POST", self.uri.expose().to_owned(), &json!({})))
    }

    fn refusal(&self, answer: &Answer) -> Option<String> {
        let text = String::from_utf8_lossy(&answer.body);
        (text.trim() != "ok").then(|| super::said(&answer.body))
    }

    /// A webhook that is there finds fault with an empty message; one that is not is unknown.
    fn inquired(&self, answer: &Answer) -> Result<String, String> {
        let text = String::from_utf8_lossy(&answer.body);
        let empty = [
            "no_text",
            "invalid_payload",
            "missing_text_or_fallback_or_attachments",
        ];
        match answer.status.as_u16() == 400 && empty.iter().any(|word| text.contains(word)) {
            true => Ok("the webhook is there".into()),
            false => Err("it does not know this webhook".into()),
        }
    }

    fn help(&self) -> &'static str {
        "copy the webhook's URL again: api.slack.com/apps, Incoming Webhooks"
    }
}

/// <https://api.slack.com/reference/surfaces/formatting#escaping>: what a log line quotes calls no channel.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
