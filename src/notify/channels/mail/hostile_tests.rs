//! Servers that say nothing, too much, or what is meant to harm.

use super::error::Stage;
use super::session_tests::{
    AMPLE, DATA, END, HELLO, PASSWORD, QUIT, RECIPIENT, SENDER, SHORT, both, delivered,
    notification, run, settings, signing_in,
};
use super::{MailError, deliver};
use crate::notify::channels::Delivery;
use crate::settings::{MailSecurity, MailSettings};
use crate::sys::redact::Redactor;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

#[test]
fn every_silence_ends_at_the_deadline_and_is_named() {
    let all = [HELLO, ("AUTH", "235 in\r\n"), SENDER, RECIPIENT, DATA, END];
    let cases = [
        (0, Stage::Greeting),
        (1, Stage::SignIn),
        (2, Stage::Sender),
        (3, Stage::Recipients),
        (4, Stage::Data),
        (5, Stage::Message),
    ];
    // Side by side, since each of them takes its time.
    std::thread::scope(|scope| {
        for (answered, stage) in cases {
            let answers = &all[..answered];
            scope.spawn(move || {
                let (outcome, _, took) = delivered(signing_in, "220 mx\r\n", answers, SHORT);
                assert!(
                    matches!(&outcome, Err(MailError::TimedOut { stage: at, .. }) if *at == stage),
                    "{outcome:?}"
                );
                let error = outcome.unwrap_err();
                assert!(error.is_transient());
                // Only when the mail was handed over, nobody knows where it is.
                assert_eq!(
                    matches!(error.into_delivery(), Delivery::Unanswered(_)),
                    stage == Stage::Message
                );
                assert!(took >= SHORT && took < AMPLE / 2, "{took:?}");
            });
        }
    });
    let (outcome, said, _) = delivered(settings, "", &all, SHORT);
    assert!(
        matches!(
            outcome,
            Err(MailError::TimedOut {
                stage: Stage::Greeting,
                ..
            })
        ),
        "{outcome:?}"
    );
    assert_eq!(said, [""; 0]);
}

#[test]
fn a_server_that_drips_gains_no_time() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = settings(listener.local_addr().unwrap().port());
        let drip = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut every = tokio::time::interval(Duration::from_millis(20));
            for byte in b"220-".iter().chain(std::iter::repeat(&b'x')) {
                every.tick().await;
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        };
        let begun = Instant::now();
        let (notification, redactor) = (notification(), Redactor::default());
        let outcome = tokio::select! {
            outcome = deliver(&mail, &notification, &redactor, both(SHORT)) => outcome,
            () = drip => panic!("the connection was closed too soon"),
        };
        let error = outcome.unwrap_err();
        assert!(
            matches!(
                error,
                MailError::TimedOut {
                    stage: Stage::Greeting,
                    ..
                }
            ),
            "{error}"
        );
        assert!(begun.elapsed() < AMPLE / 2);
    });
}

#[test]
fn replies_that_would_harm_the_client_do_not() {
    // A line of white space makes lettre panic, and 0xe9 is not UTF-8.
    let odd = (
        "EHLO",
        "250-mx\r\n250- \r\n250-\t\r\n250-\r\r\n250-   \n250 8BITMIME\r\n",
    );
    let answers = [odd, SENDER, RECIPIENT, DATA, END, QUIT];
    assert_eq!(delivered(settings, "220 mx\r\n", &answers, AMPLE).0, Ok(()));
    let endless = format!("220-{}", "x".repeat(70_000));
    let (outcome, _, took) = delivered(settings, &endless, &[], AMPLE);
    assert!(
        matches!(&outcome, Err(MailError::Broken { problem, .. }) if problem.contains("does not end")),
        "{outcome:?}"
    );
    assert!(took < AMPLE);
    let (outcome, ..) = delivered(settings, "HTTP/1.1 400 Bad Request\r\n", &[], AMPLE);
    assert!(
        matches!(&outcome, Err(MailError::Broken { problem, .. }) if problem.contains("no reply")),
        "{outcome:?}"
    );
    let (outcome, ..) = delivered(settings, "554 \x1b[2Jgo\x07 away\r\n", &[], AMPLE);
    let text = outcome.unwrap_err().problem().to_string();
    assert!(
        text.contains("554 ?[2Jgo? away") && !text.contains(char::is_control),
        "{text}"
    );
}

#[test]
fn bytes_that_are_not_text_are_replaced() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = settings(listener.local_addr().unwrap().port());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .write_all(b"554 Absender gesperrt, f\xfcr immer\r\n")
                .await
                .unwrap();
        };
        let (notification, redactor) = (notification(), Redactor::default());
        let (outcome, ()) = tokio::join!(
            deliver(&mail, &notification, &redactor, both(AMPLE)),
            server
        );
        let text = outcome.unwrap_err().problem().to_string();
        assert!(text.contains("554 Absender gesperrt, f?r immer"), "{text}");
    });
}

#[test]
fn what_a_server_quotes_of_the_password_is_hidden() {
    let plain = STANDARD.encode(format!("\0p\0{PASSWORD}"));
    let quoted = format!(
        "535-you sent {plain} or {} or {PASSWORD} or correcthorse\r\n535 and hunter2-of-mongodb {}\r\n",
        STANDARD.encode(PASSWORD),
        "y".repeat(500),
    );
    let answers = [HELLO, ("AUTH", quoted.as_str())];
    let (outcome, said, _) = delivered(signing_in, "220 mx\r\n", &answers, AMPLE);
    assert!(said.contains(&format!("AUTH PLAIN {plain}")), "{said:?}");
    let error = outcome.unwrap_err();
    let text = format!("{error} {error:?}");
    for secret in [
        plain.as_str(),
        &STANDARD.encode(PASSWORD),
        PASSWORD,
        "correcthorse",
        "hunter2",
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(
        text.contains("535 you sent *** or *** or *** or *** and *** yyy") && text.contains('…'),
        "{text}"
    );
    assert!(error.problem().to_string().len() < 600 && !error.is_transient());
}

#[test]
fn without_starttls_nothing_goes_in_clear() {
    let secured = |port| MailSettings {
        security: MailSecurity::StartTls,
        ..signing_in(port)
    };
    let (outcome, said, _) = delivered(secured, "220 mx\r\n", &[HELLO, QUIT], AMPLE);
    let error = outcome.unwrap_err();
    assert!(
        matches!(error, MailError::NoStartTls { .. }) && !error.is_transient(),
        "{error}"
    );
    assert_eq!(said.len(), 1, "{said:?}");
    // Offered, but then it is no TLS that follows; what is slipped in behind the reply is not taken for the server's.
    let answers = [
        ("EHLO", "250-mx\r\n250 STARTTLS\r\n"),
        (
            "STARTTLS",
            "220 go on\r\n250-mx\r\n250 AUTH PLAIN\r\n235 in\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n",
        ),
    ];
    let (outcome, said, _) = delivered(secured, "220 mx\r\n", &answers, AMPLE);
    let error = outcome.unwrap_err();
    assert!(
        matches!(error, MailError::Tls { .. }) && !error.is_transient(),
        "{error}"
    );
    assert!(
        said.iter()
            .skip(2)
            .all(|line| !line.contains("AUTH") && !line.contains("MAIL")),
        "{said:?}"
    );
    let (outcome, said, _) = delivered(
        secured,
        "220 mx\r\n",
        &[answers[0], ("STARTTLS", "454 not now\r\n"), QUIT],
        AMPLE,
    );
    assert!(outcome.unwrap_err().is_transient());
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn a_plain_server_where_tls_was_cancelled_for_is_told_apart() {
    let tls = |port| MailSettings {
        security: MailSecurity::Tls,
        ..signing_in(port)
    };
    let (outcome, ..) = delivered(tls, "220 mx ESMTP\r\n", &[], AMPLE);
    let text = outcome.unwrap_err().problem().to_string();
    assert!(
        text.contains("does not speak TLS there") && text.contains("SMTP_SECURITY=starttls"),
        "{text}"
    );
    let (outcome, said, _) = delivered(tls, "", &[], SHORT);
    assert!(
        matches!(
            outcome,
            Err(MailError::TimedOut {
                stage: Stage::Tls,
                ..
            })
        ),
        "{outcome:?}"
    );
    assert!(said.iter().all(|line| !line.contains("EHLO")));
}

#[test]
fn a_connection_that_breaks_off_is_transient() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = settings(listener.local_addr().unwrap().port());
        let server = async {
            let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 m").await.unwrap();
        };
        let (notification, redactor) = (notification(), Redactor::default());
        let (outcome, ()) = tokio::join!(
            deliver(&mail, &notification, &redactor, both(AMPLE)),
            server
        );
        let error = outcome.unwrap_err();
        assert!(
            matches!(
                error,
                MailError::Broken {
                    stage: Stage::Greeting,
                    ..
                }
            ) && error.is_transient(),
            "{error}"
        );
    });
}
