//! `NOTIFY_URLS` and the pings: where messages go, in the forms that people know from other programs.

mod parts;
mod secrets;

pub(super) use secrets::{secrets_of_notify_urls, secrets_of_ping_url};

use super::fault::Refusal;
use crate::sys::http::Uri;
use crate::sys::redact::{Secret, percent_decode};
use parts::{Parts, names_server, server};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Where messages go. `server` is `https://host` or `http://host:port`, and what else leads there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotifyUrl {
    Ntfy {
        server: String,
        topic: Secret,
        login: Option<Login>,
    },
    Gotify {
        server: String,
        token: Secret,
    },
    Discord {
        id: String,
        token: Secret,
    },
    Slack {
        /// `T000/B000/XXX`.
        webhook: Secret,
    },
    Telegram {
        token: Secret,
        chat: String,
    },
    Matrix {
        server: String,
        token: Secret,
        room: String,
    },
    Pushover {
        token: Secret,
        user: Secret,
        device: Option<String>,
    },
    Json {
        server: String,
        /// With the query.
        path: Secret,
        login: Option<Login>,
    },
}

/// How one signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Password { user: String, password: Secret },
    Token(Secret),
}

/// Who watches from elsewhere. Both hold `https://host/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PingUrl {
    /// healthchecks.io, or a server of one's own.
    Healthchecks(Secret),
    UptimeKuma(Secret),
}

impl PingUrl {
    pub(crate) fn address(&self) -> &Secret {
        match self {
            PingUrl::Healthchecks(address) | PingUrl::UptimeKuma(address) => address,
        }
    }
}

const FORMS: &str = "write SCHEME://…, several with commas between, where SCHEME is ntfy, ntfys, gotify, gotifys, discord, \
                     slack, telegram, matrix, pushover, json or jsons; docs/notifications.md has a recipe for each";

/// Reads `NOTIFY_URLS`. A URL that names several chats, rooms or devices counts as that many.
pub(super) fn notify_urls(text: &str) -> Result<Vec<NotifyUrl>, Refusal> {
    let mut urls = Vec::new();
    for (number, item) in items(text).into_iter().enumerate() {
        let refuse = |(problem, accepted): (&str, &str)| {
            let scheme = item.split_once("://").map_or("?", |(scheme, _)| scheme);
            let problem = format!(
                "has a fault in URL {} ({scheme}://…): {problem}",
                number + 1
            );
            Refusal::new(problem, accepted)
        };
        for url in notify_url(item).map_err(refuse)? {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
    }
    Ok(urls)
}

/// What stands between commas, spaces and line breaks. A comma inside of a URL is followed by no scheme.
fn items(text: &str) -> Vec<&str> {
    let mut items: Vec<&str> = Vec::new();
    let mut begin = 0;
    for (at, separator) in text.match_indices(|c: char| c == ',' || c.is_whitespace()) {
        let rest = text[at + separator.len()..].trim_start();
        let scheme = rest.split("://").next().unwrap_or_default();
        let starts = rest.len() > scheme.len()
            && !scheme.is_empty()
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric());
        if starts || rest.is_empty() {
            items.push(&text[begin..at]);
            begin = at + separator.len();
        }
    }
    items.push(&text[begin..]);
    let trimmed = items
        .into_iter()
        .map(|item| item.trim_matches(|c: char| c == ',' || c.is_whitespace()));
    trimmed.filter(|item| !item.is_empty()).collect()
}

/// What is wrong, and what to do about it.
type Fault = (&'static str, &'static str);

fn notify_url(item: &str) -> Result<Vec<NotifyUrl>, Fault> {
    let parts = Parts::of(item).ok_or(("it is no URL", FORMS))?;
    match parts.scheme {
        "ntfy" | "ntfys" => ntfy(&parts).map(|url| vec![url]),
        "gotify" | "gotifys" => gotify(&parts).map(|url| vec![url]),
        "discord" => discord(&parts).map(|url| vec![url]),
        "slack" => slack(&parts).map(|url| vec![url]),
        "telegram" | "tgram" => telegram(&parts),
        "matrix" | "matrixs" => matrix(&parts),
        "pushover" | "pover" => pushover(&parts),
        "json" | "jsons" => json(&parts).map(|url| vec![url]),
        "https" if parts.host == "discord.com" && parts.path.len() == 4 => {
            let (id, token) = (parts.path[2].clone(), Secret::new(parts.path[3].as_str()));
            Ok(vec![NotifyUrl::Discord { id, token }])
        }
        "https" if parts.host == "hooks.slack.com" && parts.path.len() == 4 => {
            let webhook = Secret::new(parts.path[1..].join("/"));
            Ok(vec![NotifyUrl::Slack { webhook }])
        }
        "mailto" | "mailtos" | "smtp" => Err((
            "mail has settings of its own",
            "set SMTP_HOST, EMAIL_FROM and EMAIL_TO",
        )),
        "http" | "https" => Err((
            "it does not say which service that is",
            "for a server that takes JSON, write json:// for http:// and jsons:// for https://; pings go into PING_URL",
        )),
        _ => Err(("Pantry Keeper does not know such a service", FORMS)),
    }
}

fn ntfy(parts: &Parts) -> Result<NotifyUrl, Fault> {
    let accepted = "write ntfy://TOPIC for ntfy.sh, or ntfys://HOST/TOPIC, with USER:PASSWORD@ or TOKEN@ before the host";
    let (server, topic) = match parts.path.split_last() {
        // The topic alone: on the public server.
        None => ("https://ntfy.sh".to_owned(), parts.host.to_owned()),
        Some((topic, before)) => {
            let host = parts.host;
            let secure = parts.scheme == "ntfys" || host == "ntfy.sh";
            (server(host, secure, before)?, topic.clone())
        }
    };
    let possible = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if topic.is_empty() || topic.len() > 64 || !topic.chars().all(possible) {
        return Err((
            "a topic has up to 64 letters, digits, - and _, and nothing else",
            accepted,
        ));
    }
    let login = parts
        .login()
        .ok_or(("its login cannot be read", accepted))?;
    let login = login.map(|(user, password)| match password {
        Some(password) if user.is_empty() => Login::Token(password),
        Some(password) => Login::Password { user, password },
        None => Login::Token(Secret::new(user)),
    });
    Ok(NotifyUrl::Ntfy {
        server,
        topic: Secret::new(topic),
        login,
    })
}

fn gotify(parts: &Parts) -> Result<NotifyUrl, Fault> {
    let missing = (
        "the token is missing",
        "write gotifys://HOST/TOKEN with the token of an application, or gotify:// for a server without TLS",
    );
    let (token, before) = parts.path.split_last().ok_or(missing)?;
    Ok(NotifyUrl::Gotify {
        server: server(parts.host, parts.scheme == "gotifys", before)?,
        token: Secret::new(token.as_str()),
    })
}

fn discord(parts: &Parts) -> Result<NotifyUrl, Fault> {
    let (id, token) = match (parts.login, parts.path.first()) {
        (None, Some(token)) => (parts.host, token.as_str()),
        // As shoutrrr writes it.
        (Some(token), _) => (parts.host, token),
        (None, None) => ("", ""),
    };
    if token.is_empty() || id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
        return Err((
            "it does not hold a webhook's id and token",
            "write discord://ID/TOKEN, or paste the webhook's URL, https://discord.com/api/webhooks/ID/TOKEN",
        ));
    }
    Ok(NotifyUrl::Discord {
        id: id.to_owned(),
        token: Secret::new(token),
    })
}

fn slack(parts: &Parts) -> Result<NotifyUrl, Fault> {
    let webhook = match (parts.login, &parts.path[..]) {
        (_, [b, c, ..]) => [parts.host, b, c].join("/"),
        // As shoutrrr writes it: hook:A-B-C@webhook.
        (Some(login), _) if parts.host == "webhook" => {
            let tokens = login.split_once(':').map_or(login, |(_, tokens)| tokens);
            tokens.replace('-', "/")
        }
        _ => String::new(),
    };
    let tokens: Vec<&str> = webhook.split('/').collect();
    if tokens.len() != 3 || tokens.iter().any(|token| token.is_empty()) {
        return Err((
            "it does not hold a webhook's three parts",
            "make an incoming webhook, and write slack://T…/B…/… or paste its URL, https://hooks.slack.com/services/T…/B…/…",
        ));
    }
    Ok(NotifyUrl::Slack {
        webhook: Secret::new(webhook),
    })
}

fn telegram(parts: &Parts) -> Result<Vec<NotifyUrl>, Fault> {
    let token = match parts.login {
        // telegram://TOKEN@telegram?chats=A,B, as shoutrrr writes it.
        Some(login) => percent_decode(login).unwrap_or_default(),
        None => parts.host.to_owned(),
    };
    let of_query = parts.list(&["chats", "channels", "to"]);
    let chats: Vec<String> = parts.path.iter().cloned().chain(of_query).collect();
    let of_botfather = token
        .split_once(':')
        .is_some_and(|(id, rest)| id.bytes().all(|b| b.is_ascii_digit()) && rest.len() > 10);
    if !of_botfather || chats.is_empty() {
        return Err((
            "it does not hold a bot's token and a chat",
            "write telegram://TOKEN@telegram?chats=CHAT or tgram://TOKEN/CHAT, with the token that BotFather gave, such as \
             123456:ABC…, and a number or @channel",
        ));
    }
    let token = Secret::new(token);
    let url = |chat| NotifyUrl::Telegram {
        token: token.clone(),
        chat,
    };
    Ok(chats.into_iter().map(url).collect())
}

fn matrix(parts: &Parts) -> Result<Vec<NotifyUrl>, Fault> {
    let accepted = "write matrix://ACCESS_TOKEN@HOST/!room:server, with the token of the user that shall write (in Element: \
                    Settings, Help & About) and the room's internal id (room settings, Advanced)";
    let token = match parts.login() {
        Some(Some((user, None))) => Secret::new(user),
        Some(Some((user, Some(token)))) if user.is_empty() => token,
        Some(Some(_)) => return Err(("it needs an access token, not a password", accepted)),
        _ => return Err(("the access token is missing", accepted)),
    };
    let rooms: Vec<String> = parts
        .path
        .iter()
        .cloned()
        .chain(parts.list(&["rooms"]))
        .collect();
    if rooms.is_empty() || rooms.iter().any(|room| !room.starts_with('!')) {
        return Err(("it needs rooms by their ids, which begin with !", accepted));
    }
    let plain = parts.list(&["disabletls"]).any(|value| value == "yes");
    let server = server(parts.host, !plain, &[])?;
    let url = |room| NotifyUrl::Matrix {
        server: server.clone(),
        token: token.clone(),
        room,
    };
    Ok(rooms.into_iter().map(url).collect())
}

fn pushover(parts: &Parts) -> Result<Vec<NotifyUrl>, Fault> {
    // shoutrrr writes :TOKEN@USER, Apprise USER@TOKEN.
    let (token, user) = match parts.login() {
        Some(Some((_, Some(token)))) => (token, Secret::new(parts.host)),
        Some(Some((user, None))) => (Secret::new(parts.host), Secret::new(user)),
        _ => (Secret::new(""), Secret::new("")),
    };
    let plausible = |key: &Secret| {
        key.expose().len() == 30 && key.expose().bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if !plausible(&token) || !plausible(&user) {
        return Err((
            "it does not hold a user key and an application's token, of 30 letters and digits each",
            "write pushover://USER_KEY@TOKEN; the order of shoutrrr, with a colon before the token, is understood as well",
        ));
    }
    let of_query = parts.list(&["devices"]);
    let devices: Vec<String> = parts.path.iter().cloned().chain(of_query).collect();
    // The service takes a list of devices by itself.
    let device = (!devices.is_empty()).then(|| devices.join(","));
    Ok(vec![NotifyUrl::Pushover {
        token,
        user,
        device,
    }])
}

fn json(parts: &Parts) -> Result<NotifyUrl, Fault> {
    let accepted =
        "write jsons://HOST/PATH, with USER:PASSWORD@ before the host where that is wanted";
    let login = match parts.login() {
        Some(Some((user, password))) => Some(Login::Password {
            user,
            password: password.unwrap_or_else(|| Secret::new("")),
        }),
        Some(None) => None,
        None => return Err(("its login cannot be read", accepted)),
    };
    // Servers tell `/hook/` from `/hook`, and `?token` from `?token=`.
    let slash = match parts.target.starts_with('/') {
        true => "",
        false => "/",
    };
    let target = utf8_percent_encode(parts.target, IMPOSSIBLE);
    Ok(NotifyUrl::Json {
        server: server(parts.host, parts.scheme == "jsons", &[])?,
        path: Secret::new(format!("{slash}{target}")),
        login,
    })
}

/// What no address can hold as it is.
const IMPOSSIBLE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Reads the address of a ping.
pub(super) fn ping_url(text: &str) -> Result<PingUrl, Refusal> {
    let accepted = "paste it as healthchecks.io or Uptime Kuma (push) shows it: https://hc-ping.com/UUID or \
                    https://HOST/api/push/TOKEN";
    let uri = Uri::try_from(text)
        .ok()
        .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && names_server(uri));
    let uri = uri.ok_or_else(|| Refusal::new("is not an address", accepted))?;
    if uri.path().trim_matches('/').is_empty() {
        return Err(Refusal::new("has nothing after the host", accepted));
    }
    Ok(match uri.path().contains("/api/push/") {
        true => PingUrl::UptimeKuma(Secret::new(text)),
        false => PingUrl::Healthchecks(Secret::new(text)),
    })
}

#[cfg(test)]
#[path = "tests/urls.rs"]
mod tests;
