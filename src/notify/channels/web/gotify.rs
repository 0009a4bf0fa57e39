//! Gotify: <https://gotify.net/api-docs#/message/createMessage>.

use super::{Inquiry, Message, Notification, Post, Service, field, names_message};
use crate::notify::notification::Severity;
use crate::sys::http::Answer;
use crate::sys::redact::Secret;
use serde_json::json;

const LONGEST_MESSAGE_CHARS: usize = 8_000;

pub(super) struct Gotify {
    server: String,
    token: Secret,
}

impl Gotify {
    pub(super) fn new(server: String, token: Secret) -> Self {
        Gotify { server, token }
    }
}

impl Service for Gotify {
    fn kind(&self) -> &'static str {
        "gotify"
    }

    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> String {
        self.token.expose().to_owned()
    }

    fn compose(&self, notification: &Notification, message: &Message) -> Post {
        let priority = match notification.severity {
            Severity::Good => 2,
            Severity::Attention => 5,
            Severity::Bad => 8,
        };
        let body = json!({
            "title": message.subject,
            "message": message.brief(LONGEST_MESSAGE_CHARS),
            "priority": priority,
        });
        Post::json("POST", format!("{}/message", self.server), &body)
            .with("x-gotify-key", self.token.expose().to_owned())
    }

    fn inquiry(&self) -> Inquiry {
        // <https://gotify.net/api-docs#/health/getHealth>
        Inquiry::Ask(Post::get(format!("{}/health", self.server)))
    }

    fn is_its_own(&self, answer: &Answer) -> bool {
        names_message(answer)
    }

    fn inquired(&self, answer: &Answer) -> Result<String, String> {
        match field(answer, "health") {
            Some(health) if health == "green" => {
                Ok("Gotify is healthy; notify-test shows whether it takes messages".into())
            }
            _ => Err("this is no healthy Gotify".into()),
        }
    }

    fn help(&self) -> &'static str {
        "check the token: it must be that of an application, not of a client"
    }
}
