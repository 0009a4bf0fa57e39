//! Pushover: <https://pushover.net/api#messages>.

use super::{Inquiry, Message, Notification, Post, Service, field, said};
use crate::notify::notification::Severity;
use crate::notify::templates::cut;
use crate::sys::http::Answer;
use crate::sys::redact::{Secret, percent_encode};

pub(super) const SERVER: &str = "https://api.pushover.net";
const LONGEST_TITLE_CHARS: usize = 250;
const LONGEST_MESSAGE_CHARS: usize = 1_024;

pub(super) struct Pushover {
    server: String,
    token: Secret,
    user: Secret,
    device: Option<String>,
}

impl Pushover {
    pub(super) fn new(server: &str, token: Secret, user: Secret, device: Option<String>) -> Self {
        Pushover {
            server: server.to_owned(),
            token,
            user,
            device,
        }
    }

    fn form(&self, path: &str, more: &[(&str, &str)]) -> Post {
        let own = [("token", self.token.expose()), ("user", self.user.expose())];
        let device = self.device.as_deref().map(|device| ("device", device));
        let fields = own.into_iter().chain(device).chain(more.iter().copied());
        let fields: Vec<String> = fields
            .map(|(name, value)| format!("{name}={}", percent_encode(value)))
            .collect();
        Post {
            method: "POST",
            uri: format!("{}/1/{path}.json", self.server),
            headers: vec![("content-type", "application/x-www-form-urlencoded".into())],
            body: fields.join("&").into_bytes(),
        }
    }
}

impl Service for Pushover {
    fn kind(&self) -> &'static str {
        "pushover"
    }

    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> String {
        format!("{} {:?}", self.user.expose(), self.device)
    }

    fn compose(&self, notification: &Notification, message: &Message) -> Post {
        let priority = match notification.severity {
            Severity::Good => "-1",
            Severity::Attention => "0",
            Severity::Bad => "1",
        };
        let title = cut(&message.subject, LONGEST_TITLE_CHARS);
        let text = message.brief(LONGEST_MESSAGE_CHARS);
        self.form(
            "messages",
            &[
                ("title", &title),
                ("message", &text),
                ("priority", priority),
            ],
        )
    }

    fn inquiry(&self) -> Inquiry {
        // <https://pushover.net/api#verification>
        Inquiry::Ask(self.form("users/validate", &[]))
    }

    fn refusal(&self, answer: &Answer) -> Option<String> {
        let taken = field(answer, "status").is_some_and(|status| status == 1);
        (!taken).then(|| said(&answer.body))
    }

    fn inquired(&self, answer: &Answer) -> Result<String, String> {
        match self.refusal(answer) {
            None => Ok("it knows the application and the user".into()),
            Some(_) => Err("it does not know the application or the user".into()),
        }
    }

    fn help(&self) -> &'static str {
        "check the application's token and the user key"
    }
}
