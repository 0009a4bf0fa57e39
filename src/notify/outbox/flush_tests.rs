//! The outbox against servers of every mood, other processes, and being told to stop.

use super::MailError;
use super::Outbox;
use super::tests::{Place, files, ids, numbered};
use crate::notify::channels::mail::session_tests::{AMPLE, run};
use crate::notify::templates::Kind;
use crate::settings::{MailSecurity, MailSettings};
use crate::sys::cancel::Canceller;
use crate::sys::lock::Lock;
use crate::sys::redact::{Redactor, Secret};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A mail server that knows no `nobody@`, and knows no passwords; it notes the subjects of the mails that it took.
struct Server {
    mail: MailSettings,
    took: Arc<Mutex<Vec<String>>>,
    calls: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    /// `answer` is what it says to a mail with this subject.
    async fn start(answer: fn(&str) -> &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = MailSettings {
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            security: MailSecurity::None,
            username: None,
            password: None,
            from: "p@example.org".into(),
            to: vec!["a@example.org".into()],
        };
        let took = Arc::new(Mutex::new(Vec::new()));
        let warn_unsaved = Arc::clone(&took);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let warn_unsaved = Arc::clone(&warn_unsaved);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    stream.get_mut().write_all(b"220 mx\r\n").await.unwrap();
                    let (mut line, mut subject) = (String::new(), String::new());
                    while matches!(stream.read_line(&mut line).await, Ok(1..)) {
                        let said = std::mem::take(&mut line);
                        let reply = match said.trim_end() {
                            "." => answer(&subject),
                            "DATA" => "354 go on\r\n",
                            "RCPT TO:<nobody@example.org>" => "550 who?\r\n",
                            said => match said.strip_prefix("Subject: ") {
                                Some(text) => {
                                    subject = text.to_owned();
                                    continue;
                                }
                                None if ["EHLO", "MAIL", "RCPT", "QUIT"]
                                    .iter()
                                    .any(|word| said.starts_with(word)) =>
                                {
                                    "250 ok\r\n"
                                }
                                None => continue,
                            },
                        };
                        if reply.starts_with("250") && said.trim_end() == "." {
                            warn_unsaved.lock().unwrap().push(subject.clone());
                        }
                        if stream.get_mut().write_all(reply.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Server {
            mail,
            took,
            calls,
            task,
        }
    }

    fn took(&self) -> Vec<String> {
        self.took.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[test]
fn a_letter_in_memory_is_sent_though_there_is_no_disk() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let place = Place::new();
        fs::remove_dir(place.own()).unwrap();
        let outbox = place.outbox();
        outbox.keep(numbered(Kind::Failed, 1));
        let (_stopper, stop) = Canceller::new();
        let flushed = outbox
            .flush(&server.mail, &Redactor::default(), AMPLE, &stop)
            .await;
        assert_eq!((flushed.sent, flushed.left), (1, 0));
        assert_eq!(server.took(), ["s1"]);
    });
}

#[test]
fn the_oldest_goes_first_and_nothing_is_left_or_touched_without_need() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let place = Place::new();
        let (_stopper, stop) = Canceller::new();
        let flush = async |outbox: &Outbox| {
            outbox
                .flush(&server.mail, &Redactor::default(), AMPLE, &stop)
                .await
        };
        assert_eq!(flush(&place.outbox()).await.sent, 0);
        assert_eq!(fs::read_dir(place.own()).unwrap().count(), 0);
        for number in [3, 1, 2] {
            place.outbox().keep(numbered(Kind::Failed, number));
        }
        let flushed = flush(&place.outbox()).await;
        assert_eq!((flushed.sent, flushed.left, flushed.error), (3, 0, None));
        assert_eq!(server.took(), ["s1", "s2", "s3"]);
        assert_eq!(files(&place.folder()).len(), 0);
    });
}

#[test]
fn two_processes_do_not_send_one_letter_twice() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let place = Place::new();
        for number in 0..5 {
            place.outbox().keep(numbered(Kind::Failed, number));
        }
        let (one, other) = (place.outbox(), place.outbox());
        let (_stopper, stop) = Canceller::new();
        let redactor = Redactor::default();
        let (first, second) = tokio::join!(
            one.flush(&server.mail, &redactor, AMPLE, &stop),
            other.flush(&server.mail, &redactor, AMPLE, &stop)
        );
        assert_eq!((first.sent, second.sent, second.left), (5, 0, 5));
        assert_eq!(server.took().len(), 5);
        // Held by a process that is at it, nothing is done; once it is free, all is.
        place.outbox().keep(numbered(Kind::Failed, 9));
        let held = Lock::take(
            &place.folder().with_file_name("outbox.lock"),
            &place.folder(),
        )
        .unwrap();
        let flushed = other.flush(&server.mail, &redactor, AMPLE, &stop).await;
        assert_eq!((flushed.sent, flushed.left, flushed.error), (0, 1, None));
        drop(held);
        assert_eq!(
            other
                .flush(&server.mail, &redactor, AMPLE, &stop)
                .await
                .sent,
            1
        );
        assert_eq!(server.took().len(), 6);
    });
}

#[test]
fn what_may_pass_ends_the_round_and_keeps_the_order() {
    run(async {
        let server = Server::start(|subject| {
            if subject == "s2" {
                "451 later\r\n"
            } else {
                "250 ok\r\n"
            }
        })
        .await;
        let place = Place::new();
        let outbox = place.outbox();
        for number in 1..4 {
            outbox.keep(numbered(Kind::Failed, number));
        }
        let (_stopper, stop) = Canceller::new();
        let flushed = outbox
            .flush(&server.mail, &Redactor::default(), AMPLE, &stop)
            .await;
        assert_eq!((flushed.sent, flushed.left), (1, 2));
        assert!(
            matches!(flushed.error, Some(MailError::Temporary { .. })),
            "{:?}",
            flushed.error
        );
        assert_eq!(ids(&place.outbox()), ["n2", "n3"]);
    });
}

#[test]
fn a_letter_that_is_refused_for_good_does_not_block_the_others() {
    run(async {
        let server = Server::start(|subject| {
            if subject == "s1" {
                "554 spam\r\n"
            } else {
                "250 ok\r\n"
            }
        })
        .await;
        let place = Place::new();
        let outbox = place.outbox();
        for number in 1..4 {
            outbox.keep(numbered(Kind::Failed, number));
        }
        let (_stopper, stop) = Canceller::new();
        let flush = async |outbox: &Outbox| {
            outbox
                .flush(&server.mail, &Redactor::default(), AMPLE, &stop)
                .await
        };
        let flushed = flush(&outbox).await;
        assert_eq!((flushed.sent, flushed.left), (2, 1));
        assert!(
            flushed
                .error
                .is_some_and(|error| error.is_about_the_letter())
        );
        // Not tried again now, but at the next start.
        assert_eq!(flush(&outbox).await.error, None);
        assert!(flush(&place.outbox()).await.error.is_some());
        assert_eq!(ids(&place.outbox()), ["n1"]);
    });
}

#[test]
fn a_server_that_lets_nobody_in_is_asked_once_for_all_letters() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let mail = MailSettings {
            username: Some("p".into()),
            password: Some(Secret::new("horse battery")),
            ..server.mail.clone()
        };
        let place = Place::new();
        let outbox = place.outbox();
        for number in 1..4 {
            outbox.keep(numbered(Kind::Failed, number));
        }
        let (_stopper, stop) = Canceller::new();
        let flushed = outbox
            .flush(&mail, &Redactor::default(), AMPLE, &stop)
            .await;
        assert_eq!((flushed.sent, flushed.left), (0, 3));
        assert!(
            matches!(flushed.error, Some(MailError::NoSignIn { .. })),
            "{:?}",
            flushed.error
        );
        assert_eq!(server.calls.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_letter_that_reached_somebody_is_not_sent_again() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let to = vec!["nobody@example.org".into(), "a@example.org".into()];
        let mail = MailSettings {
            to,
            ..server.mail.clone()
        };
        let place = Place::new();
        let outbox = place.outbox();
        for number in 1..3 {
            outbox.keep(numbered(Kind::Failed, number));
        }
        let (_stopper, stop) = Canceller::new();
        let flushed = outbox
            .flush(&mail, &Redactor::default(), AMPLE, &stop)
            .await;
        assert_eq!((flushed.sent, flushed.left), (2, 0));
        assert!(
            matches!(flushed.error, Some(MailError::SomeRecipients { .. })),
            "{:?}",
            flushed.error
        );
        assert_eq!(server.took(), ["s1", "s2"]);
    });
}

#[test]
fn being_told_to_stop_leaves_the_letters() {
    run(async {
        // Never answered, so only the request can end it.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start(|_| "250 ok\r\n").await;
        let mail = MailSettings {
            port: listener.local_addr().unwrap().port(),
            ..server.mail.clone()
        };
        let place = Place::new();
        let outbox = place.outbox();
        outbox.keep(numbered(Kind::Failed, 1));
        let (stopper, stop) = Canceller::new();
        let redactor = Redactor::default();
        let asks = async {
            let connection = listener.accept().await.unwrap();
            stopper.stop();
            connection
        };
        let (flushed, _connection) = tokio::join!(
            outbox.flush(&mail, &redactor, Duration::from_secs(3600), &stop),
            asks
        );
        assert_eq!((flushed.sent, flushed.left, flushed.error), (0, 1, None));
        assert_eq!(ids(&place.outbox()), ["n1"]);
    });
}
