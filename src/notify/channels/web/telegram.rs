//! Telegram: <https://core.telegram.org/bots/api#sendmessage>.

use super::{Inquiry, Message, Notification, Post, Service, field, said, with_subject};
use crate::sys::http::Answer;
use crate::sys::redact::Secret;
use serde_json::{Value, json};

pub(super) const SERVER: &str = "https://api.telegram.org";
/// 4096 in UTF-16, in which some characters count twice.
const LONGEST_TEXT_CHARS: usize = 3_500;

pub(super) struct Telegram {
    server: String,
    /// The address of the bot.
    uri: Secret,
    chat: String,
}

impl Telegram {
    pub(super) fn new(server: &str, token: Secret, chat: String) -> Self {
        let uri = Secret::new(format!("{server}/bot{}", token.expose()));
        Telegram {
            server: server.to_owned(),
            uri,
            chat,
        }
    }

    fn chat(&self) -> Value {
        match self.chat.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => self.chat.as_str().into(),
        }
    }
}

impl Service for Telegram {
    fn kind(&self) -> &'static str {
        "telegram"
    }

    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> String {
        format!("{} {}", self.uri.expose(), self.chat)
    }

    fn compose(&self, _: &Notification, message: &Message) -> Post {
        // Without a parse_mode, nothing in it is markup.
        let body = json!({
            "chat_id": self.chat(),
            "text": with_subject(message, LONGEST_TEXT_CHARS),
            "link_preview_options": { "is_disabled": true },
        });
        Post::json("POST", format!("{}/sendMessage", self.uri.expose()), &body)
    }

    fn inquiry(&self) -> Inquiry {
        // <https://core.telegram.org/bots/api#getchat>
        let body = json!({ "chat_id": self.chat() });
        Inquiry::Ask(Post::json(
            "POST",
            format!("{}/getChat", self.uri.expose()),
            &body,
        ))
    }

    fn refusal(&self, answer: &Answer) -> Option<String> {
        let ok = field(answer, "ok").is_some_and(|ok| ok == true);
        (!ok).then(|| said(&answer.body))
    }

    fn inquired(&self, answer: &Answer) -> Result<String, String> {
        match self.refusal(answer) {
            None => Ok("the bot can write to the chat".into()),
            Some(_) => Err("the bot cannot write to the chat".into()),
        }
    }

    fn help(&self) -> &'static str {
        "check the token that BotFather gave, and the chat: has it started the bot, or has the bot been added to it?"
    }
}
