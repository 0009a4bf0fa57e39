//! Conversations with a server that plays a script; those with a real one are in `tests/it/mail`.

use super::session::credentials;
use super::{Limits, MailError, deliver, probe};
use crate::notify::channels::Delivery;
use crate::notify::notification::{Event, FinishedMail, Notification, Origin, Severity};
use crate::settings::{MailSecurity, MailSettings};
use crate::sys::redact::{Redactor, Secret};
use crate::testing::noon;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::Instant;

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const AMPLE: Duration = Duration::from_secs(20);
pub(crate) const SHORT: Duration = Duration::from_secs(1);

pub(super) fn both(limit: Duration) -> Limits {
    Limits {
        talk: limit,
        answer: limit,
    }
}

pub(crate) fn settings(port: u16) -> MailSettings {
    MailSettings {
        host: "127.0.0.1".into(),
        port,
        security: MailSecurity::None,
        username: None,
        password: None,
        from: "Pantry <p@example.org>".into(),
        to: vec!["a@example.org".into(), "Bee <b@example.org>".into()],
    }
}

pub(crate) fn signing_in(port: u16) -> MailSettings {
    MailSettings {
        username: Some("p".into()),
        password: Some(Secret::new(PASSWORD)),
        ..settings(port)
    }
}

pub(crate) fn notification() -> Notification {
    finished("failed", "it failed", "<p>it failed</p>")
}

/// As an earlier version kept it.
pub(crate) fn finished(subject: &str, text: &str, html: &str) -> Notification {
    Notification {
        id: "one".into(),
        event: Event::Failed,
        severity: Severity::Bad,
        written_at: noon(),
        origin: Origin::default(),
        facts: Default::default(),
        help: Vec::new(),
        delivered_to: Default::default(),
        unanswered: Default::default(),
        mail: Some(FinishedMail {
            subject: subject.into(),
            text: text.into(),
            html: html.into(),
        }),
    }
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// Plays a server for one conversation: a greeting, then to each line that starts with a word its answer. What it
/// was sent is returned. A word without an answer is never answered, and an answer that begins with `~` comes late.
async fn play(listener: TcpListener, greeting: &str, answers: &[(&str, &str)]) -> Vec<String> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    stream
        .get_mut()
        .write_all(greeting.as_bytes())
        .await
        .unwrap();
    let mut said = Vec::new();
    let mut bytes = Vec::new();
    while matches!(stream.read_until(b'\n', &mut bytes).await, Ok(1..)) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut bytes)).into_owned();
        let answer = answers.iter().find(|(word, _)| line.starts_with(word));
        said.push(line.trim_end().to_owned());
        let late = answer.and_then(|(_, answer)| answer.strip_prefix('~'));
        if late.is_some() {
            tokio::time::sleep(SHORT * 3 / 2).await;
        }
        let answer = late.or(answer.map(|(_, answer)| *answer));
        if let Some(answer) = answer
            && stream.get_mut().write_all(answer.as_bytes()).await.is_err()
        {
            break;
        }
    }
    said
}

pub(crate) const HELLO: (&str, &str) =
    ("EHLO", "250-mx\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n");
pub(crate) const SENDER: (&str, &str) = ("MAIL", "250 ok\r\n");
pub(crate) const RECIPIENT: (&str, &str) = ("RCPT", "250 ok\r\n");
pub(crate) const DATA: (&str, &str) = ("DATA", "354 go on\r\n");
pub(crate) const END: (&str, &str) = (".", "250 queued\r\n");
pub(crate) const QUIT: (&str, &str) = ("QUIT", "221 bye\r\n");

/// Delivers to a played server; the outcome, what the server was sent, and how long it took.
pub(crate) fn delivered(
    settings: impl Fn(u16) -> MailSettings,
    greeting: &str,
    answers: &[(&str, &str)],
    limit: Duration,
) -> (Result<(), MailError>, Vec<String>, Duration) {
    delivered_of(&notification(), settings, greeting, answers, both(limit))
}

/// The same with a notification.
fn delivered_of(
    notification: &Notification,
    settings: impl Fn(u16) -> MailSettings,
    greeting: &str,
    answers: &[(&str, &str)],
    limits: Limits,
) -> (Result<(), MailError>, Vec<String>, Duration) {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = settings(listener.local_addr().unwrap().port());
        let redactor = Redactor::new([Secret::new("hunter2-of-mongodb")]);
        let client = async {
            let begun = Instant::now();
            // A task of its own may do it.
            let sending: Pin<Box<dyn Future<Output = _> + Send>> =
                Box::pin(deliver(&mail, notification, &redactor, limits));
            (sending.await, begun.elapsed())
        };
        let ((outcome, took), said) = tokio::join!(client, play(listener, greeting, answers));
        (outcome, said, took)
    })
}

#[test]
fn a_whole_conversation() {
    let answers = [HELLO, SENDER, RECIPIENT, DATA, END, QUIT];
    let (outcome, said, _) = delivered(settings, "220 mx ready\r\n", &answers, AMPLE);
    outcome.unwrap();
    let commands: Vec<&str> = said
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        &commands[..5],
        [
            "EHLO [127.0.0.1]",
            "MAIL FROM",
            "RCPT TO",
            "RCPT TO",
            "DATA"
        ]
    );
    assert_eq!(
        &said[1..4],
        [
            "MAIL FROM:<p@example.org>",
            "RCPT TO:<a@example.org>",
            "RCPT TO:<b@example.org>"
        ]
    );
    assert_eq!(said.last().map(String::as_str), Some("QUIT"));
}

#[test]
fn a_goodbye_that_never_comes_does_not_undo_a_delivery() {
    let answers = [HELLO, SENDER, RECIPIENT, DATA, END];
    let (outcome, _, took) = delivered(settings, "220 mx\r\n", &answers, AMPLE);
    assert_eq!(outcome, Ok(()));
    assert!(took < AMPLE / 2, "{took:?}");
}

#[test]
fn a_server_may_take_longer_over_the_mail_itself_than_over_all_before() {
    let limits = Limits {
        talk: SHORT,
        answer: AMPLE,
    };
    let late = (".", "~250 queued\r\n");
    let answers = [HELLO, SENDER, RECIPIENT, DATA, late, QUIT];
    let (outcome, ..) = delivered_of(&notification(), settings, "220 mx\r\n", &answers, limits);
    assert_eq!(outcome, Ok(()));
    let late = ("RCPT", "~250 ok\r\n");
    let answers = [HELLO, SENDER, late, DATA, END, QUIT];
    let (outcome, ..) = delivered_of(&notification(), settings, "220 mx\r\n", &answers, limits);
    assert!(
        matches!(&outcome, Err(MailError::TimedOut { limit, .. }) if *limit == SHORT),
        "{outcome:?}"
    );
}

#[test]
fn login_is_used_where_plain_is_not_offered() {
    let answers = [
        ("EHLO", "250-mx\r\n250 AUTH LOGIN\r\n"),
        ("AUTH", "334 VXNlcm5hbWU6\r\n"),
        ("cA==", "334 UGFzc3dvcmQ6\r\n"),
        ("Y29y", "235 in\r\n"),
        SENDER,
        RECIPIENT,
        DATA,
        END,
        QUIT,
    ];
    let (outcome, said, _) = delivered(signing_in, "220 mx\r\n", &answers, AMPLE);
    outcome.unwrap();
    assert_eq!(said[3], STANDARD.encode(PASSWORD));
    let none = [("EHLO", "250-mx\r\n250 AUTH CRAM-MD5\r\n")];
    let (outcome, said, _) = delivered(signing_in, "220 mx\r\n", &none, AMPLE);
    assert!(
        matches!(outcome, Err(MailError::NoSignIn { .. })),
        "{outcome:?}"
    );
    assert_eq!(said.len(), 1);
}

#[test]
fn refusals_say_who_refused_what_and_whether_waiting_helps() {
    let refusing = |word: &'static str, answer: &'static str| {
        let answers = [
            (word, answer),
            HELLO,
            ("AUTH", "235 in\r\n"),
            SENDER,
            RECIPIENT,
            DATA,
            END,
            QUIT,
        ];
        let (outcome, said, _) = delivered(signing_in, "220 mx\r\n", &answers, AMPLE);
        (outcome.unwrap_err(), said)
    };
    for (word, answer, may_pass, words) in [
        (
            "EHLO",
            "421 busy\r\n",
            true,
            "cannot take mail now, waiting for its greeting: 421 busy",
        ),
        (
            "AUTH",
            "535 5.7.8 no\r\n",
            false,
            "rejected the login: 535 5.7.8 no; check SMTP_USERNAME",
        ),
        (
            "AUTH",
            "534 5.7.9 Application-specific password required\r\n",
            false,
            "Gmail wants an app password: https:",
        ),
        (
            "AUTH",
            "454 4.7.0 later\r\n",
            true,
            "cannot take mail now, signing in: 454 4.7.0 later",
        ),
        (
            "MAIL",
            "553 not yours\r\n",
            false,
            "naming the sender: 553 not yours; check EMAIL_FROM",
        ),
        (
            "MAIL",
            "530 sign in first\r\n",
            false,
            "it wants SMTP_USERNAME and SMTP_PASSWORD",
        ),
        (
            "RCPT",
            "550 who?\r\n",
            false,
            "refused every recipient: a@example.org (550 who?), b@example.org (550 who?)",
        ),
        (
            "RCPT",
            "451 greylisted\r\n",
            true,
            "a@example.org (451 greylisted)",
        ),
        (
            "RCPT",
            "421 closing\r\n",
            true,
            "cannot take mail now, naming the recipients: 421 closing",
        ),
        (
            "DATA",
            "552 too much\r\n",
            false,
            "refused us, handing over the mail: 552 too much",
        ),
        (
            ".",
            "554 spam\r\n",
            false,
            "refused us, handing over the mail: 554 spam",
        ),
        (
            ".",
            "452 full\r\n",
            true,
            "cannot take mail now, handing over the mail: 452 full",
        ),
    ] {
        let (error, _) = refusing(word, answer);
        let text = error.problem().to_string();
        assert!(
            text.contains(words) && text.contains("127.0.0.1:"),
            "{text}"
        );
        assert_eq!(error.is_transient(), may_pass, "{text}");
        assert!(!matches!(error, MailError::SomeRecipients { .. }));
        assert_eq!(
            error.is_about_this_mail(),
            matches!(answer, "552 too much\r\n" | "554 spam\r\n" | "452 full\r\n"),
            "{text}"
        );
    }
}

#[test]
fn whoever_can_be_reached_gets_the_mail() {
    let answers = [
        HELLO,
        SENDER,
        ("RCPT TO:<a", "550 who?\r\n"),
        RECIPIENT,
        DATA,
        END,
        QUIT,
    ];
    let (outcome, said, _) = delivered(settings, "220 mx\r\n", &answers, AMPLE);
    let error = outcome.unwrap_err();
    assert!(matches!(error, MailError::SomeRecipients { .. }) && !error.is_transient());
    assert!(!error.only_puts_off_some());
    let text = error.problem().to_string();
    assert!(
        text.contains("a@example.org (550 who?)") && !text.contains("b@example.org"),
        "{text}"
    );
    assert!(said.iter().any(|line| line == "."), "{said:?}");
}

#[test]
fn who_needs_it_no_more_is_not_asked_for() {
    let noted = |keys: &[&str]| Notification {
        delivered_to: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..notification()
    };
    let answers = [HELLO, SENDER, RECIPIENT, DATA, END, QUIT];
    let notification = noted(&["mail:a@example.org"]);
    let (outcome, said, _) =
        delivered_of(&notification, settings, "220 mx\r\n", &answers, both(AMPLE));
    outcome.unwrap();
    assert!(said.contains(&"RCPT TO:<b@example.org>".to_owned()));
    assert!(
        !said.iter().any(|line| line.starts_with("RCPT TO:<a")),
        "{said:?}"
    );
    // It says whom it went to all the same.
    let to = "To: a@example.org, Bee <b@example.org>".to_owned();
    assert!(said.contains(&to), "{said:?}");
    // Refused now, it is nothing that would keep others from being sent.
    let answers = [HELLO, SENDER, ("RCPT", "451 later\r\n")];
    let (outcome, said, _) =
        delivered_of(&notification, settings, "220 mx\r\n", &answers, both(AMPLE));
    let delivery = outcome.unwrap_err().into_delivery();
    assert!(
        matches!(&delivery, Delivery::Partly { reached, lost, .. } if reached.is_empty() && lost.is_empty()),
        "{delivery:?}"
    );
    assert!(!said.contains(&"DATA".to_owned()));
    let answers = [HELLO, SENDER, ("RCPT", "550 who?\r\n")];
    let (outcome, ..) = delivered_of(&notification, settings, "220 mx\r\n", &answers, both(AMPLE));
    assert!(matches!(
        outcome.unwrap_err().into_delivery(),
        Delivery::GivenUp(_)
    ));
    // With nobody left, nothing is begun.
    run(async {
        let all = noted(&["mail:a@example.org", "mail:b@example.org"]);
        let sent = deliver(&settings(1), &all, &Redactor::default(), both(AMPLE)).await;
        assert_eq!(sent, Ok(()));
    });
}

#[test]
fn a_probe_goes_as_far_as_it_can_without_a_mail() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = settings(listener.local_addr().unwrap().port());
        let redactor = Redactor::default();
        let answers = [HELLO, SENDER, RECIPIENT, ("RSET", "250 ok\r\n"), QUIT];
        let (outcome, said) = tokio::join!(
            probe(&mail, &redactor, AMPLE),
            play(listener, "220 mx\r\n", &answers)
        );
        outcome.unwrap();
        let words: Vec<&str> = said.iter().map(|line| &line[..4]).collect();
        assert_eq!(words, ["EHLO", "MAIL", "RCPT", "RCPT", "RSET", "QUIT"]);
    });
}

#[test]
fn nobody_there_and_no_such_name_is_transient() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = settings(listener.local_addr().unwrap().port());
        drop(listener);
        let refused = deliver(&mail, &notification(), &Redactor::default(), both(AMPLE))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, MailError::Connect { .. }) && refused.is_transient(),
            "{refused}"
        );
        let mail = MailSettings {
            host: "nothing.invalid".into(),
            ..settings(25)
        };
        let unknown = deliver(&mail, &notification(), &Redactor::default(), both(AMPLE))
            .await
            .unwrap_err();
        assert!(
            matches!(unknown, MailError::Resolve { .. }) && unknown.is_transient(),
            "{unknown}"
        );
        assert!(
            unknown.to_string().contains("nothing.invalid:25"),
            "{unknown}"
        );
    });
}

#[test]
fn addresses_outside_ascii_need_a_server_that_takes_them() {
    let abroad = |port| MailSettings {
        to: vec!["josé@example.org".into()],
        ..settings(port)
    };
    let (outcome, said, _) = delivered(abroad, "220 mx\r\n", &[HELLO, QUIT], AMPLE);
    let error = outcome.unwrap_err();
    assert!(
        matches!(error, MailError::NoRecipient { .. }) && !error.is_transient(),
        "{error}"
    );
    assert_eq!(said.len(), 1);
    let answers = [
        ("EHLO", "250-mx\r\n250 SMTPUTF8\r\n"),
        SENDER,
        RECIPIENT,
        DATA,
        END,
        QUIT,
    ];
    let (outcome, said, _) = delivered(abroad, "220 mx\r\n", &answers, AMPLE);
    outcome.unwrap();
    assert!(
        said.contains(&"To: josé@example.org".to_owned()),
        "{said:?}"
    );
    assert_eq!(
        &said[1..3],
        [
            "MAIL FROM:<p@example.org> SMTPUTF8",
            "RCPT TO:<josé@example.org>"
        ]
    );
    let from_abroad = |port| MailSettings {
        from: "josé@example.org".into(),
        ..settings(port)
    };
    let (outcome, said, _) = delivered(from_abroad, "220 mx\r\n", &[HELLO, QUIT], AMPLE);
    let text = outcome.unwrap_err().problem().to_string();
    assert!(text.ends_with("correct EMAIL_FROM"), "{text}");
    assert_eq!(said.len(), 1);
}

#[test]
fn one_address_that_a_server_cannot_take_keeps_the_mail_from_no_other() {
    let mixed = |port| MailSettings {
        to: vec![
            "josé@example.org".into(),
            "Zoë <z@müller.de>".into(),
            "a@[127.0.0.1]".into(),
        ],
        ..settings(port)
    };
    let answers = [HELLO, SENDER, RECIPIENT, DATA, END, QUIT];
    let (outcome, said, _) = delivered(mixed, "220 mx\r\n", &answers, AMPLE);
    assert_eq!(
        &said[1..4],
        [
            "MAIL FROM:<p@example.org>",
            "RCPT TO:<z@xn--mller-kva.de>",
            "RCPT TO:<a@[127.0.0.1]>"
        ]
    );
    assert!(said.iter().any(|line| line == "."), "{said:?}");
    assert!(said.iter().all(|line| line.is_ascii()), "{said:?}");
    let error = outcome.unwrap_err();
    let text = error.problem().to_string();
    assert!(
        text.contains(
            "not for josé@example.org (it takes only addresses in ASCII); check EMAIL_TO"
        ),
        "{text}"
    );
    let delivery = error.into_delivery();
    assert!(
        matches!(delivery, Delivery::Delivered { complaint: Some(_) }),
        "{delivery:?}"
    );
}

#[test]
fn gmail_alone_gets_its_app_password_without_spaces() {
    for (host, password) in [
        ("smtp.gmail.com", "abcdefghijklmnop"),
        ("SMTP-Relay.Gmail.com.", "abcdefghijklmnop"),
        ("smtp.example.org", " abcd efgh ijkl mnop"),
        ("smtp.gmail.com.example.org", " abcd efgh ijkl mnop"),
    ] {
        let mail = MailSettings {
            host: host.into(),
            password: Some(Secret::new(" abcd efgh ijkl mnop")),
            ..signing_in(587)
        };
        assert_eq!(
            credentials(&mail),
            Some(("p".into(), password.into())),
            "{host}"
        );
    }
}
