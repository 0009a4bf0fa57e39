//! Discord: <https://discord.com/developers/docs/resources/webhook#execute-webhook>.

use super::{Inquiry, Message, Notification, Post, Service, colour, field, names_message};
use crate::notify::templates::cut;
use crate::sys::http::Answer;
use crate::sys::redact::Secret;
use serde_json::json;

pub(super) const SERVER: &str = "https://discord.com";
/// Of an embed's title and description.
const LONGEST_TITLE_CHARS: usize = 256;
const LONGEST_TEXT_CHARS: usize = 4_096;

pub(super) struct Discord {
    server: String,
    /// The webhook's address.
    uri: Secret,
}

impl Discord {
    pub(super) fn new(server: &str, id: String, token: Secret) -> Self {
        let uri = format!("{server}/api/webhooks/{id}/{}", token.expose());
        Discord {
            server: server.to_owned(),
            uri: Secret::new(uri),
        }
    }
}

impl Service for Discord {
    fn kind(&self) -> &'static str {
        "discord"
    }

    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> String {
        self.uri.expose().to_owned()
    }

    fn compose(&self, _: &Notification, message: &Message) -> Post {
        let text = escaped(&message.brief(LONGEST_TEXT_CHARS));
        let body = json!({
            "embeds": [{
                "title": cut(&escaped(&message.subject), LONGEST_TITLE_CHARS),
                "description": cut(&text, LONGEST_TEXT_CHARS),
                "color": colour(message.severity),
            }],
            // Nobody is called by what a log line quotes.
            "allowed_mentions": { "parse": [] },
        });
        // It answers once the message is there.
        Post::json("POST", format!("{}?wait=true", self.uri.expose()), &body)
    }

    fn inquiry(&self) -> Inquiry {
        // <https://discord.com/developers/docs/resources/webhook#get-webhook-with-token>
        Inquiry::Ask(Post::get(self.uri.expose().to_owned()))
    }

    fn is_its_own(&self, answer: &Answer) -> bool {
        names_message(answer)
    }

    fn inquired(&self, answer: &Answer) -> Result<String, String> {
        let name = field(answer, "name").filter(|_| answer.status.is_success());
        match name {
            Some(name) => Ok(format!(
                "the webhook {:?} is there",
                name.as_str().unwrap_or_default()
            )),
            None => Err("it does not know this webhook".into()),
        }
    }

    fn help(&self) -> &'static str {
        "copy the webhook's URL again: Server Settings, Integrations, Webhooks"
    }
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\*_~`|<>#[]".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
