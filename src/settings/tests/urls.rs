//! Addresses of messages and pings, in every form that people paste.

use super::*;
use crate::sys::redact::Redactor;

fn one(text: &str) -> NotifyUrl {
    let mut urls = notify_urls(text).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
    assert_eq!(urls.len(), 1, "{text}");
    urls.remove(0)
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

#[test]
fn ntfy_in_the_forms_of_apprise_and_shoutrrr() {
    let ntfy = |server: &str, login| NotifyUrl::Ntfy {
        server: server.into(),
        topic: secret("alerts"),
        login,
    };
    let password = Login::Password {
        user: "mira".into(),
        password: secret("p@ss"),
    };
    for (text, expected) in [
        ("ntfy://alerts", ntfy("https://ntfy.sh", None)),
        ("ntfy://ntfy.sh/alerts", ntfy("https://ntfy.sh", None)),
        (
            "ntfy://10.0.0.2:8080/alerts",
            ntfy("http://10.0.0.2:8080", None),
        ),
        (
            "ntfys://example.org/sub/alerts",
            ntfy("https://example.org/sub", None),
        ),
        (
            "ntfys://mira:p%40ss@example.org/alerts",
            ntfy("https://example.org", Some(password)),
        ),
        (
            "ntfys://tk_1@example.org/alerts",
            ntfy("https://example.org", Some(Login::Token(secret("tk_1")))),
        ),
        (
            "ntfys://:tk_1@example.org/alerts",
            ntfy("https://example.org", Some(Login::Token(secret("tk_1")))),
        ),
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
}

#[test]
fn the_others_in_the_forms_of_apprise_and_shoutrrr_and_as_they_are_pasted() {
    let discord = NotifyUrl::Discord {
        id: "123".into(),
        token: secret("abc-DEF_9"),
    };
    for text in [
        "discord://123/abc-DEF_9",
        "discord://abc-DEF_9@123",
        "https://discord.com/api/webhooks/123/abc-DEF_9",
    ] {
        assert_eq!(one(text), discord, "{text}");
    }
    let slack = NotifyUrl::Slack {
        webhook: secret("T0/B0/x9"),
    };
    for text in [
        "slack://T0/B0/x9",
        "slack://hook:T0-B0-x9@webhook",
        "https://hooks.slack.com/services/T0/B0/x9",
    ] {
        assert_eq!(one(text), slack, "{text}");
    }
    let telegram = NotifyUrl::Telegram {
        token: secret("123456:ABC-def_ghijk"),
        chat: "-100".into(),
    };
    for text in [
        "tgram://123456:ABC-def_ghijk/-100",
        "telegram://123456:ABC-def_ghijk@telegram?chats=-100",
    ] {
        assert_eq!(one(text), telegram, "{text}");
    }
    let (user, token) = ("u".repeat(30), "a".repeat(30));
    for text in [
        format!("pover://{user}@{token}"),
        format!("pushover://shoutrrr:{token}@{user}/"),
    ] {
        let (user, token) = (secret(&user), secret(&token));
        let expected = NotifyUrl::Pushover {
            token,
            user,
            device: None,
        };
        assert_eq!(one(&text), expected, "{text}");
    }
    assert_eq!(
        one("gotifys://example.org/sub/Axyz"),
        NotifyUrl::Gotify {
            server: "https://example.org/sub".into(),
            token: secret("Axyz")
        }
    );
    let matrix = |room: &str, server: &str| NotifyUrl::Matrix {
        server: server.into(),
        token: secret("syt_1"),
        room: room.into(),
    };
    assert_eq!(
        one("matrix://syt_1@example.org/!a:example.org"),
        matrix("!a:example.org", "https://example.org")
    );
    assert_eq!(
        one("matrix://:syt_1@h:8008/?rooms=!b&disableTLS=yes"),
        matrix("!b", "http://h:8008")
    );
    assert_eq!(
        one("jsons://me:pw@example.org/a%20b/c?d=e"),
        NotifyUrl::Json {
            server: "https://example.org".into(),
            path: secret("/a%20b/c?d=e"),
            login: Some(Login::Password {
                user: "me".into(),
                password: secret("pw")
            }),
        }
    );
}

#[test]
fn a_server_of_one_s_own_is_asked_for_what_was_typed() {
    for (typed, asked) in [
        ("json://h/api/hook/", "/api/hook/"),
        ("json://h/a//b?token", "/a//b?token"),
        ("json://h/a+b%2Fc/?x=1&&y=+/?", "/a+b%2Fc/?x=1&&y=+/?"),
        ("json://h", "/"),
        ("json://h?x=1", "/?x=1"),
        ("json://u:p@h:8080/é/a;b=c,d", "/%C3%A9/a;b=c,d"),
        ("json://h/#/x", "/%23/x"),
    ] {
        let NotifyUrl::Json { server, path, .. } = one(typed) else {
            panic!("{typed}")
        };
        assert_eq!(path.expose(), asked, "{typed}");
        let uri = Uri::try_from(format!("{server}{asked}")).unwrap();
        assert_eq!(uri.path_and_query().unwrap().as_str(), asked);
    }
}

#[test]
fn a_list_has_commas_or_lines_between_and_commas_inside() {
    let text = "ntfy://one, telegram://123456:ABC-def_ghijk@telegram?chats=1,2,\n json://h/x\nntfy://one\n";
    let urls = notify_urls(text).unwrap();
    assert_eq!(urls.len(), 4, "{urls:?}");
}

#[test]
fn what_is_wrong_is_said_without_what_was_typed() {
    for (text, words) in [
        ("https://s3ntinel99.example.org/", "which service"),
        ("teams://s3ntinel99/x", "does not know such a service"),
        ("ntfy://h/s3ntinel99 x", "a topic has"),
        ("gotify://s3ntinel99", "the token is missing"),
        ("discord://abc/s3ntinel99", "webhook's id and token"),
        ("slack://s3ntinel99/B", "three parts"),
        ("tgram://s3ntinel99/1", "a bot's token and a chat"),
        ("matrix://u:s3ntinel99@h/!r", "not a password"),
        ("matrix://s3ntinel99@h/#r:h", "begin with !"),
        ("pushover://s3ntinel99@b", "30 letters"),
        ("json:///s3ntinel99", "it is no URL"),
        ("json://h:port/s3ntinel99", "names no server"),
        ("mailto://me:s3ntinel99@h", "settings of its own"),
    ] {
        let refusal = notify_urls(&format!("ntfy://a, {text}")).unwrap_err();
        assert!(refusal.problem.contains(words), "{text}: {refusal:?}");
        assert!(refusal.problem.contains("URL 2"), "{refusal:?}");
        assert!(!format!("{refusal:?}").contains("s3ntinel"), "{refusal:?}");
        let redactor = Redactor::new(secrets_of_notify_urls(text));
        assert!(!redactor.redact(text).contains("s3ntinel99"), "{text}");
    }
}

#[test]
fn what_has_no_scheme_is_no_url() {
    let refusal = notify_urls("alerts").unwrap_err();
    assert!(refusal.problem.contains("it is no URL"), "{refusal:?}");
}

#[test]
fn no_token_survives_the_redactor_and_plain_words_do() {
    for text in [
        "ntfy://backups-x7Kq2w",
        "ntfys://me:Tok3nTok3n@h/backups",
        "gotify://h/Tok3nTok3n",
        "discord://123/Tok3nTok3n",
        "slack://T000/B000/Tok3nTok3n",
        "tgram://123456:Tok3nTok3nx/1",
        "matrix://Tok3nTok3n@h/!r",
        "json://h/hook/Tok3nTok3n?key=Other5ecret",
    ] {
        let redactor = Redactor::new(secrets_of_notify_urls(text));
        let shown = redactor.redact(text);
        for secret in ["Tok3n", "Other5ecret", "x7Kq2w"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let redactor = Redactor::new(secrets_of_notify_urls(
        "ntfy://me:pw@h/backups,ntfy://backups",
    ));
    assert_eq!(redactor.redact("in /backups"), "in /backups");
}

#[test]
fn a_ping_is_told_apart_by_its_address_which_is_a_secret() {
    let hc = "https://hc-ping.com/5f3e9c1a-0b7d-4c1e-9d55-1a2b3c4d5e6f";
    let kuma = "http://kuma.lan:3001/api/push/Zx9Kq2Lm?status=up&msg=OK&ping=";
    assert_eq!(ping_url(hc), Ok(PingUrl::Healthchecks(secret(hc))));
    assert_eq!(ping_url(kuma), Ok(PingUrl::UptimeKuma(secret(kuma))));
    for (text, token) in [(hc, "5f3e9c1a-0b7d"), (kuma, "Zx9Kq2Lm")] {
        let redactor = Redactor::new(secrets_of_ping_url(text));
        assert!(!redactor.redact(text).contains(token));
    }
    for text in [
        "hc-ping.com/x",
        "https://hc-ping.com",
        "ftp://h/x",
        "https:///x",
        "x y",
    ] {
        assert!(ping_url(text).is_err(), "{text}");
    }
}
