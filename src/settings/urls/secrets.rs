//! What must not be shown of the addresses.

use super::{Login, NotifyUrl, items, notify_url};
use crate::sys::redact::Secret;

/// A part of an address that is not a word may be a secret by itself.
const SHORTEST_TOKEN_CHARS: usize = 8;

fn looks_like_a_token(part: &str) -> bool {
    part.len() >= SHORTEST_TOKEN_CHARS
        && (part
            .bytes()
            .any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            || part.len() >= 24)
}

impl NotifyUrl {
    /// What must not be shown.
    fn secrets(&self) -> Vec<Secret> {
        let of_login = |login: &Option<Login>| match login {
            Some(Login::Password { password, .. }) => vec![password.clone()],
            Some(Login::Token(token)) => vec![token.clone()],
            None => Vec::new(),
        };
        match self {
            NotifyUrl::Ntfy { topic, login, .. } => {
                // On a server without logins, who knows the topic may read and write it.
                let guessable = login.is_some() || !looks_like_a_token(topic.expose());
                let topic = (!guessable).then(|| topic.clone());
                of_login(login).into_iter().chain(topic).collect()
            }
            NotifyUrl::Gotify { token, .. }
            | NotifyUrl::Discord { token, .. }
            | NotifyUrl::Telegram { token, .. }
            | NotifyUrl::Matrix { token, .. } => vec![token.clone()],
            NotifyUrl::Slack { webhook } => {
                let last = webhook.expose().rsplit('/').next().map(Secret::new);
                [webhook.clone()].into_iter().chain(last).collect()
            }
            NotifyUrl::Pushover { token, user, .. } => vec![token.clone(), user.clone()],
            NotifyUrl::Json { path, login, .. } => {
                let of_path = tokens(path.expose());
                of_login(login).into_iter().chain(of_path).collect()
            }
        }
    }
}

/// The parts of a text that may be secrets.
fn tokens(text: &str) -> Vec<Secret> {
    let parts = text.split(|c: char| "/?&=@:,".contains(c) || c.is_whitespace());
    parts
        .filter(|part| looks_like_a_token(part))
        .map(Secret::new)
        .collect()
}

/// What must not be shown of `NOTIFY_URLS`, of one that is faulty too.
pub(in crate::settings) fn secrets_of_notify_urls(text: &str) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for item in items(text) {
        match notify_url(item) {
            Ok(urls) => secrets.extend(urls.iter().flat_map(NotifyUrl::secrets)),
            Err(_) => {
                let rest = item.split_once("://").map_or(item, |(_, rest)| rest);
                secrets.extend(tokens(rest));
            }
        }
    }
    secrets
}

/// What must not be shown of the address of a ping: anybody could say with it that all is well.
pub(in crate::settings) fn secrets_of_ping_url(text: &str) -> Vec<Secret> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let path = rest.split_once('/').map_or(rest, |(_, path)| path);
    tokens(path)
}
