//! Each service against a server that speaks as its documentation says, and notes what it was sent.

use super::request::USER_AGENT;
use super::*;
use crate::notify::channels::mail::session_tests::finished;
use crate::notify::notification::{Facts, Origin};
use crate::settings::Login;
use crate::sys::redact::Secret;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Debug, Clone)]
struct Seen {
    line: String,
    headers: Vec<String>,
    body: String,
}

impl Seen {
    fn json(&self) -> Value {
        assert!(self.has("content-type: application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    fn has(&self, header: &str) -> bool {
        self.headers
            .iter()
            .any(|line| line.eq_ignore_ascii_case(header))
    }
}

/// Gives every request the same answer.
struct Server {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(status: &str, body: &str) -> Self {
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self::raw(answer.into_bytes()).await
    }

    async fn raw(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let request = read(&mut stream).await;
                noted.lock().unwrap().push(request);
                let _ = stream.get_mut().write_all(&answer).await;
            }
        });
        Server {
            address,
            seen,
            task,
        }
    }

    fn only(&self) -> Seen {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Seen {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).await.unwrap();
    Seen {
        line: lines.remove(0),
        headers: lines,
        body: String::from_utf8(body).unwrap(),
    }
}

/// One with all that could be markup, or call somebody.
fn failure() -> Notification {
    Notification {
        id: "jorbites.20260602T000041/1".into(),
        origin: Origin {
            prefix: "jorbites".into(),
            hosts: "db:27017".into(),
            folder: "/backups".into(),
            time_zone: "Europe/Madrid".into(),
        },
        facts: Facts {
            stage: Some("dumping".into()),
            error: Some("<!channel> @everyone *bold* ñ".into()),
            day: Some(1),
            log: vec!["x".repeat(20_000)],
            ..Facts::default()
        },
        help: vec!["Look at dmesg.".into()],
        mail: None,
        ..finished("", "", "")
    }
}

const SUBJECT: &str = "jorbites backup FAILED while dumping";

fn channel(service: impl Service + 'static) -> WebChannel {
    WebChannel::of(Box::new(service), &Redactor::default())
}

fn ntfy(server: &Server, login: Option<Login>) -> WebChannel {
    let service = ntfy::Ntfy::new(server.address.clone(), Secret::new("alerts"), login);
    channel(service)
}

/// Sends one, which must be taken; what the server saw.
async fn taken(channel: &WebChannel, server: &Server) -> Seen {
    assert_eq!(channel.send(&failure()).await, Delivery::DONE);
    let seen = server.only();
    assert!(seen.has(&format!("user-agent: {USER_AGENT}")), "{seen:?}");
    seen
}

async fn delivery(channel: &WebChannel) -> Delivery {
    channel.send(&failure()).await
}

#[tokio::test]
async fn ntfy_gets_json_at_its_root() {
    // https://docs.ntfy.sh/publish/#publish-as-json: topic, message, title, tags, priority 1 to 5.
    let server = Server::start("200 OK", r#"{"id":"1","event":"message"}"#).await;
    let login = Some(Login::Token(Secret::new("tk_1")));
    let seen = taken(&ntfy(&server, login), &server).await;
    assert_eq!(seen.line, "POST / HTTP/1.1");
    // https://docs.ntfy.sh/publish/#access-tokens
    assert!(seen.has("authorization: Bearer tk_1"), "{seen:?}");
    let json = seen.json();
    assert_eq!(
        (&json["topic"], &json["title"], &json["priority"]),
        (&json!("alerts"), &json!(SUBJECT), &json!(4))
    );
    assert_eq!(json["tags"], json!(["rotating_light"]));
    let message = json["message"].as_str().unwrap();
    assert!(message.contains("@everyone") && message.contains("Look at dmesg."));
    // More becomes an attachment: https://docs.ntfy.sh/publish/#limitations
    assert!(message.len() <= 4096 && !message.contains("xxxx"));
}

#[tokio::test]
async fn ntfy_takes_a_user_and_a_password_too_and_long_messages_are_cut_by_bytes() {
    let server = Server::start("200 OK", r#"{"id":"1"}"#).await;
    let login = Login::Password {
        user: "phil".into(),
        password: Secret::new("mypass"),
    };
    let channel = ntfy(&server, Some(login));
    let mut long = failure();
    long.facts.error = Some("ñ".repeat(5_000));
    assert_eq!(channel.send(&long).await, Delivery::DONE);
    let seen = server.only();
    // https://docs.ntfy.sh/publish/#username-password: the example given there.
    assert!(
        seen.has("authorization: Basic cGhpbDpteXBhc3M="),
        "{seen:?}"
    );
    let bytes = seen.json()["message"].as_str().unwrap().len();
    assert!((4090..=4096).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn gotify_gets_the_token_in_a_header() {
    // https://gotify.net/api-docs#/message/createMessage: message, title, priority; X-Gotify-Key.
    let server = Server::start("200 OK", r#"{"id":25,"appid":5}"#).await;
    let service = gotify::Gotify::new(format!("{}/sub", server.address), Secret::new("Axyz"));
    let seen = taken(&channel(service), &server).await;
    assert_eq!(seen.line, "POST /sub/message HTTP/1.1");
    assert!(seen.has("x-gotify-key: Axyz"), "{seen:?}");
    let json = seen.json();
    assert_eq!(
        (&json["title"], &json["priority"]),
        (&json!(SUBJECT), &json!(8))
    );
}

#[tokio::test]
async fn discord_gets_an_embed_that_calls_nobody() {
    // https://discord.com/developers/docs/resources/webhook#execute-webhook: embeds, allowed_mentions, ?wait; limits of an
    // embed: https://discord.com/developers/docs/resources/message#embed-object-embed-limits
    let server = Server::start("200 OK", r#"{"id":"1"}"#).await;
    let service = discord::Discord::new(&server.address, "123".into(), Secret::new("t0ken"));
    let seen = taken(&channel(service), &server).await;
    assert_eq!(seen.line, "POST /api/webhooks/123/t0ken?wait=true HTTP/1.1");
    let json = seen.json();
    assert_eq!(json["allowed_mentions"], json!({ "parse": [] }));
    let embed = &json["embeds"][0];
    assert_eq!(embed["title"], SUBJECT);
    assert_eq!(embed["color"], 0xb3_261e);
    let text = embed["description"].as_str().unwrap();
    assert!(
        text.contains("\\*bold\\*") && text.chars().count() <= 4096,
        "{text}"
    );
}

#[tokio::test]
async fn slack_gets_text_in_which_nothing_is_markup() {
    // https://api.slack.com/messaging/webhooks: POST of JSON with text; the answer is "ok".
    let server = Server::start("200 OK", "ok").await;
    let service = slack::Slack::new(&server.address, Secret::new("T0/B0/x9"));
    let seen = taken(&channel(service), &server).await;
    assert_eq!(seen.line, "POST /services/T0/B0/x9 HTTP/1.1");
    let json = seen.json();
    assert_eq!(json["text"], SUBJECT);
    let attachment = &json["attachments"][0];
    assert_eq!(attachment["color"], "#b3261e");
    let text = attachment["text"].as_str().unwrap();
    assert!(
        text.contains("&lt;!channel&gt;") && !text.contains("<!"),
        "{text}"
    );
}

#[tokio::test]
async fn telegram_gets_plain_text_for_one_chat() {
    // https://core.telegram.org/bots/api#sendmessage: chat_id, text of 1-4096 characters, link_preview_options.
    let server = Server::start("200 OK", r#"{"ok":true,"result":{"message_id":1}}"#).await;
    let token = Secret::new("123456:ABC-DEF");
    let service = telegram::Telegram::new(&server.address, token, "-100".into());
    let seen = taken(&channel(service), &server).await;
    assert_eq!(seen.line, "POST /bot123456:ABC-DEF/sendMessage HTTP/1.1");
    let json = seen.json();
    assert_eq!(json["chat_id"], -100);
    assert_eq!(json["link_preview_options"]["is_disabled"], true);
    assert_eq!(json.get("parse_mode"), None);
    let text = json["text"].as_str().unwrap();
    assert!(text.starts_with(SUBJECT) && text.encode_utf16().count() <= 4096);
}

#[tokio::test]
async fn matrix_gets_an_event_under_the_same_transaction_each_time() {
    // https://spec.matrix.org/v1.11/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid, and m.text:
    // https://spec.matrix.org/v1.11/client-server-api/#mtext
    let server = Server::start("200 OK", r#"{"event_id":"$1"}"#).await;
    let service = matrix::Matrix::new(
        server.address.clone(),
        Secret::new("syt_1"),
        "!a:example.org".into(),
    );
    let seen = taken(&channel(service), &server).await;
    assert_eq!(
        seen.line,
        "PUT /_matrix/client/v3/rooms/%21a%3Aexample.org/send/m.room.message/jorbites.20260602T000041%2F1 HTTP/1.1"
    );
    assert!(seen.has("authorization: Bearer syt_1"), "{seen:?}");
    let json = seen.json();
    assert_eq!(json["msgtype"], "m.text");
    assert!(json["body"].as_str().unwrap().starts_with(SUBJECT));
}

#[tokio::test]
async fn pushover_gets_a_form_within_its_limits() {
    // https://pushover.net/api#messages: token, user, message (1024 characters), title (250), device, priority -2 to 2.
    let server = Server::start("200 OK", r#"{"status":1,"request":"r"}"#).await;
    let service = pushover::Pushover::new(
        &server.address,
        Secret::new("a1"),
        Secret::new("u1"),
        Some("phone".into()),
    );
    let channel = channel(service);
    let mut long = failure();
    long.facts.error = Some("y".repeat(5_000));
    assert_eq!(channel.send(&long).await, Delivery::DONE);
    let seen = server.only();
    assert_eq!(seen.line, "POST /1/messages.json HTTP/1.1");
    assert!(seen.has("content-type: application/x-www-form-urlencoded"));
    let fields: Vec<(&str, String)> = seen
        .body
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name, crate::sys::redact::percent_decode(value).unwrap()))
        .collect();
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["token", "user", "device", "title", "message", "priority"]
    );
    assert_eq!(fields[3].1, SUBJECT);
    assert_eq!(fields[4].1.chars().count(), 1024);
    assert_eq!(fields[5].1, "1");
}

fn json_channel(server: &Server) -> WebChannel {
    let service = json::Json::new(server.address.clone(), Secret::new("/hook?a=b"), None);
    channel(service)
}

#[tokio::test]
async fn json_gets_everything_that_is_known() {
    let server = Server::start("204 No Content", "").await;
    let seen = taken(&json_channel(&server), &server).await;
    assert_eq!(seen.line, "POST /hook?a=b HTTP/1.1");
    let json = seen.json();
    assert_eq!(
        (&json["event"], &json["severity"], &json["facts"]["stage"]),
        (&json!("failed"), &json!("bad"), &json!("dumping"))
    );
    assert_eq!(json["facts"]["archive"], Value::Null);
    assert_eq!(json["facts"].get("settings"), None);
}

#[tokio::test]
async fn what_a_service_refuses_is_said_in_its_words_and_not_tried_again() {
    // Bodies as the services' documentations show them.
    for (status, body, words, only_this_one) in [
        (
            "401 Unauthorized",
            r#"{"code":40101,"http":401,"error":"unauthorized"}"#,
            "401 unauthorized; check the topic",
            false,
        ),
        (
            "403 Forbidden",
            "<html>no</html>",
            "did not take it: 403; check",
            false,
        ),
        ("404 Not Found", "", "did not take it: 404; check", false),
        (
            "413 Too Large",
            r#"{"error":"too large"}"#,
            "413 too large",
            true,
        ),
    ] {
        let server = Server::start(status, body).await;
        let Delivery::Rejected {
            problem,
            only_this_one: only,
        } = delivery(&ntfy(&server, None)).await
        else {
            panic!("{status}")
        };
        let text = problem.to_string();
        assert!(text.contains(words) && text.contains("(ntfy)"), "{text}");
        assert_eq!(only, only_this_one, "{status}");
    }
    // Telegram and Slack have refused with 200, too.
    let server = Server::start("200 OK", r#"{"ok":false,"description":"chat not found"}"#).await;
    let telegram = telegram::Telegram::new(&server.address, Secret::new("1:x"), "1".into());
    let problem = delivery(&channel(telegram)).await.problem();
    assert!(problem.unwrap().summary.contains("chat not found"));
}

#[tokio::test]
async fn who_is_not_the_service_has_not_taken_it() {
    type Make = fn(&Server) -> WebChannel;
    let makes: [Make; 3] = [
        |server| ntfy(server, None),
        |server| {
            channel(gotify::Gotify::new(
                server.address.clone(),
                Secret::new("t"),
            ))
        },
        |server| {
            channel(discord::Discord::new(
                &server.address,
                "1".into(),
                Secret::new("t"),
            ))
        },
    ];
    for make in makes {
        for (status, body) in [
            ("200 OK", "ok"),
            ("200 OK", "<html>Sign in to the hotel's network</html>"),
            ("200 OK", r#"{"status":"ok","id":null}"#),
            ("200 OK", r#"[{"id":1}]"#),
            ("204 No Content", ""),
        ] {
            let server = Server::start(status, body).await;
            let channel = make(&server);
            let Delivery::Rejected {
                problem,
                only_this_one: false,
            } = delivery(&channel).await
            else {
                panic!("{status} {body}")
            };
            let (text, kind) = (problem.to_string(), channel.kind());
            let words = format!("but not as {kind} does; is that its address?");
            assert!(
                text.contains(&words) && text.contains(&status[..3]),
                "{text}"
            );
        }
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"id\r\n4\r\n\":1}\r\n0\r\n\r\n";
        let server = Server::raw(chunked.to_vec()).await;
        assert_eq!(delivery(&make(&server)).await, Delivery::DONE);
        assert!(server.only().has("accept-encoding: identity"));
        let packed =
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b";
        let server = Server::raw(packed.to_vec()).await;
        assert_eq!(delivery(&make(&server)).await, Delivery::DONE);
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for status in ["429 Too Many Requests", "500 Oops", "503 Unavailable"] {
        let server = Server::start(status, r#"{"message":"later"}"#).await;
        let problem = match delivery(&ntfy(&server, None)).await {
            Delivery::Retry(problem) if status.starts_with("429") => problem,
            Delivery::PutOff(problem) if status.starts_with('5') => problem,
            other => panic!("{status}: {other:?}"),
        };
        assert!(
            problem.summary.contains("cannot take it now") && problem.summary.contains("later")
        );
    }
    let server = Server::start("200 OK", "").await;
    let gone = ntfy(&server, None);
    drop(server);
    tokio::task::yield_now().await;
    assert!(matches!(delivery(&gone).await, Delivery::Retry(_)));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_said_without_its_path() {
    let elsewhere = Server::start("200 OK", "{}").await;
    let answer = format!(
        "HTTP/1.1 308 Permanent\r\nlocation: {}/s3cret-path\r\ncontent-length: 0\r\n\r\n",
        elsewhere.address
    );
    let server = Server::raw(answer.into_bytes()).await;
    let Delivery::Rejected { problem, .. } = delivery(&ntfy(&server, None)).await else {
        panic!("it was followed")
    };
    let text = problem.to_string();
    assert!(
        text.contains("redirects to http://127.0.0.1 (308)"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
    assert!(elsewhere.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn one_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server {
        address: format!("http://{}", listener.local_addr().unwrap()),
        seen: Arc::default(),
        task: tokio::spawn(async {}),
    };
    let channel = WebChannel {
        limit: Duration::from_millis(50),
        ..ntfy(&server, None)
    };
    // The system takes the request, so that it may have arrived.
    let Delivery::Unanswered(problem) = delivery(&channel).await else {
        panic!("it was taken")
    };
    assert!(
        problem.summary.contains("did not answer within"),
        "{problem}"
    );
    drop(listener);
    // One whose TLS never comes about has got nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let channel = WebChannel {
        limit: Duration::from_millis(50),
        ..self::channel(ntfy::Ntfy::new(address, Secret::new("alerts"), None))
    };
    let delivery = delivery(&channel).await;
    assert!(matches!(delivery, Delivery::Retry(_)), "{delivery:?}");
}

#[tokio::test]
async fn one_that_breaks_off_may_have_taken_it() {
    let server = Server::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()).await;
    let delivery = delivery(&ntfy(&server, None)).await;
    assert!(matches!(delivery, Delivery::Unanswered(_)), "{delivery:?}");
    let headers = server.only().headers;
    let has_length = headers
        .iter()
        .any(|line| line.starts_with("content-length: "));
    assert!(has_length, "{headers:?}");
}

#[tokio::test]
async fn of_five_megabytes_only_the_start_is_read() {
    let mut answer = b"HTTP/1.1 500 Oops\r\ncontent-length: 5000000\r\n\r\n".to_vec();
    answer.resize(answer.len() + 5_000_000, b'y');
    let server = Server::raw(answer).await;
    let Delivery::PutOff(problem) = delivery(&ntfy(&server, None)).await else {
        panic!("it was taken")
    };
    assert!(problem.summary.contains("yyyy…") && problem.summary.len() < 500);
}

#[tokio::test]
async fn what_a_service_says_is_shown_without_secrets_and_on_one_line() {
    let server = Server::start("401 No", r#"{"error":"bad token Tok3nTok3n\n\u001b[31m"}"#).await;
    let redactor = Redactor::new([Secret::new("Tok3nTok3n")]);
    let channel = WebChannel {
        redactor,
        ..ntfy(&server, None)
    };
    let text = delivery(&channel).await.problem().unwrap().to_string();
    assert!(text.contains("bad token ***\\n\\u{1b}[31m"), "{text}");
}

#[tokio::test]
async fn a_probe_sees_what_can_be_seen_without_sending() {
    type Make = fn(&Server) -> Box<dyn Service>;
    let (ntfy, discord, slack, telegram, matrix, pushover): (Make, Make, Make, Make, Make, Make) = (
        |server| {
            Box::new(ntfy::Ntfy::new(
                server.address.clone(),
                Secret::new("a"),
                None,
            ))
        },
        |server| {
            let (id, token) = ("1".into(), Secret::new("t"));
            Box::new(discord::Discord::new(&server.address, id, token))
        },
        |server| Box::new(slack::Slack::new(&server.address, Secret::new("T/B/x"))),
        |server| {
            let token = Secret::new("1:x");
            Box::new(telegram::Telegram::new(&server.address, token, "@c".into()))
        },
        |server| {
            Box::new(matrix::Matrix::new(
                server.address.clone(),
                Secret::new("t"),
                "!a:h".into(),
            ))
        },
        |server| {
            let (token, user) = (Secret::new("a"), Secret::new("u"));
            Box::new(pushover::Pushover::new(&server.address, token, user, None))
        },
    );
    for (make, line, status, body, seen) in [
        (
            ntfy,
            "GET /v1/health",
            "200 OK",
            r#"{"healthy":true}"#,
            Ok("healthy"),
        ),
        (
            ntfy,
            "GET /v1/health",
            "200 OK",
            "<html>",
            Err("no healthy ntfy"),
        ),
        (
            discord,
            "GET /api/webhooks/1/t",
            "200 OK",
            r#"{"type":1,"name":"pantry"}"#,
            Ok("\"pantry\""),
        ),
        (
            discord,
            "GET /api/webhooks/1/t",
            "404 Not Found",
            r#"{"message":"Unknown Webhook","code":10015}"#,
            Err("Unknown Webhook"),
        ),
        (
            slack,
            "POST /services/T/B/x",
            "400 Bad Request",
            "no_text",
            Ok("is there"),
        ),
        (
            slack,
            "POST /services/T/B/x",
            "404 Not Found",
            "no_service",
            Err("no_service"),
        ),
        (
            telegram,
            "POST /bot1:x/getChat",
            "200 OK",
            r#"{"ok":true,"result":{"id":1}}"#,
            Ok("can write"),
        ),
        (
            telegram,
            "POST /bot1:x/getChat",
            "401 Unauthorized",
            r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
            Err("Unauthorized"),
        ),
        (
            matrix,
            "GET /_matrix/client/v3/joined_rooms",
            "200 OK",
            r#"{"joined_rooms":["!a:h"]}"#,
            Ok("in the room"),
        ),
        (
            matrix,
            "GET /_matrix/client/v3/joined_rooms",
            "200 OK",
            r#"{"joined_rooms":[]}"#,
            Err("not in the room"),
        ),
        (
            pushover,
            "POST /1/users/validate.json",
            "200 OK",
            r#"{"status":1,"devices":["phone"]}"#,
            Ok("knows the application"),
        ),
        (
            pushover,
            "POST /1/users/validate.json",
            "400 Bad Request",
            r#"{"status":0,"errors":["user key is invalid"]}"#,
            Err("user key is invalid"),
        ),
    ] {
        let server = Server::start(status, body).await;
        let channel = WebChannel::of(make(&server), &Redactor::default());
        let probed = channel.probe().await;
        let text = match (&probed, seen) {
            (Ok(text), Ok(words)) => text.contains(words),
            (Err(problem), Err(words)) => problem.to_string().contains(words),
            _ => false,
        };
        assert!(text, "{line} {body}: {probed:?}");
        assert!(server.only().line.starts_with(line), "{:?}", server.only());
    }
}

#[tokio::test]
async fn a_channel_of_settings_has_a_name_of_its_own_and_shows_no_secret() {
    let url = |topic: &str| NotifyUrl::Ntfy {
        server: "https://ntfy.sh".into(),
        topic: Secret::new(topic),
        login: None,
    };
    let (one, other) = (
        WebChannel::new(&url("backups-x7Kq2w"), &Redactor::default()),
        WebChannel::new(&url("backups-other1"), &Redactor::default()),
    );
    assert_ne!(one.id(), other.id());
    assert_eq!(
        one.id(),
        WebChannel::new(&url("backups-x7Kq2w"), &Redactor::default()).id()
    );
    let shown = format!("{} {} {:?}", one.id(), one.place(), one.settings());
    assert!(
        !shown.contains("x7Kq2w") && shown.contains("ntfy.sh (ntfy)"),
        "{shown}"
    );
}
