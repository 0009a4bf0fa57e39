//! ntfy: <https://docs.ntfy.sh/publish/#publish-as-json>.

use super::{Inquiry, Message, Notification, Post, Service, brief_bytes, field, names_message};
use crate::notify::notification::Severity;
use crate::settings::Login;
use crate::sys::http::Answer;
use crate::sys::redact::Secret;
use serde_json::json;

/// What is longer becomes an attachment.
const LONGEST_MESSAGE_BYTES: usize = 4096;

pub(super) struct Ntfy {
    server: String,
    topic: Secret,
    login: Option<Login>,
}

impl Ntfy {
    pub(super) fn new(server: String, topic: Secret, login: Option<Login>) -> Self {
        Ntfy {
            server,
            topic,
            login,
        }
    }
}

impl Service for Ntfy {
    fn kind(&self) -> &'static str {
        "ntfy"
    }

    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> String {
        self.topic.expose().to_owned()
    }

    fn compose(&self, notification: &Notification, message: &Message) -> Post {
        let (priority, tag) = match notification.severity {
            Severity::Good => (3, "white_check_mark"),
            Severity::Attention => (3, "warning"),
            Severity::Bad => (4, "rotating_light"),
        };
        let body = json!({
            "topic": self.topic.expose(),
            "title": message.subject,
            "message": brief_bytes(message, LONGEST_MESSAGE_BYTES),
            "priority": priority,
            "tags": [tag],
        });
        let uri = format!("{}/", self.server);
        Post::json("POST", uri, &body).signed(self.login.as_ref())
    }

    fn inquiry(&self) -> Inquiry {
        // <https://docs.ntfy.sh/config/#health-checks>
        Inquiry::Ask(Post::get(format!("{}/v1/health", self.server)))
    }

    fn is_its_own(&self, answer: &Answer) -> bool {
        names_message(answer)
    }

    fn inquired(&self, answer: &Answer) -> Result<String, String> {
        match field(answer, "healthy") {
            Some(healthy) if healthy == true => {
                Ok("ntfy is healthy; notify-test shows whether it takes messages".into())
            }
            _ => Err("this is no healthy ntfy".into()),
        }
    }

    fn help(&self) -> &'static str {
        "check the topic, and the user or token in the URL: may it publish there?"
    }
}
