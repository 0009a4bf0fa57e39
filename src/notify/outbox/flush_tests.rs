//! The outbox against servers of every mood, other processes, and being told to stop.

use super::Outbox;
use super::tests::{Place, Puppet, files, ids, numbered, takes_all};
use crate::notify::channels::Delivery;
use crate::notify::channels::mail::MailChannel;
use crate::notify::channels::mail::session_tests::{SHORT, run};
use crate::notify::notification::{Event, Interest};
use crate::report::Problem;
use crate::settings::{MailSecurity, MailSettings};
use crate::sys::cancel::Canceller;
use crate::sys::lock::Lock;
use crate::sys::redact::{Redactor, Secret};
use crate::testing::noon;
use chrono::TimeDelta;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A mail server that knows no `nobody@`, puts off `later@`, and knows no passwords; it notes the subjects of the mails
/// that it took.
struct Server {
    mail: MailSettings,
    took: Arc<Mutex<Vec<String>>>,
    /// Whom it took a mail for.
    reached: Arc<Mutex<Vec<String>>>,
    puts_off: Arc<AtomicBool>,
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
        let reached = Arc::new(Mutex::new(Vec::new()));
        let puts_off = Arc::new(AtomicBool::new(true));
        let (to, waits) = (Arc::clone(&reached), Arc::clone(&puts_off));
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let warn_unsaved = Arc::clone(&warn_unsaved);
                let (to, waits) = (Arc::clone(&to), Arc::clone(&waits));
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
                            "RCPT TO:<later@example.org>" if waits.load(Ordering::Relaxed) => {
                                "451 greylisted\r\n"
                            }
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
                        if let Some(address) = said.trim_end().strip_prefix("RCPT TO:")
                            && reply.starts_with("250")
                        {
                            to.lock().unwrap().push(address.to_owned());
                        }
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
            reached,
            puts_off,
            calls,
            task,
        }
    }

    /// The same, with these recipients.
    fn mail_to(&self, to: &[&str]) -> MailSettings {
        MailSettings {
            to: to.iter().map(|to| format!("{to}@example.org")).collect(),
            ..self.mail.clone()
        }
    }

    fn reached(&self) -> Vec<String> {
        std::mem::take(&mut *self.reached.lock().unwrap())
    }

    fn took(&self) -> Vec<String> {
        self.took.lock().unwrap().clone()
    }
}

fn channel(mail: &MailSettings) -> MailChannel {
    MailChannel::new(mail, &Redactor::default(), SHORT)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[test]
fn what_is_in_memory_is_sent_though_there_is_no_disk() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let place = Place::new();
        fs::remove_dir(place.own()).unwrap();
        let outbox = place.outbox();
        outbox.keep(numbered(Event::Failed, 1));
        let (_stopper, stop) = Canceller::new();
        let flushed = outbox.flush(&channel(&server.mail), &stop).await;
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
        let flush = async |outbox: &Outbox| outbox.flush(&channel(&server.mail), &stop).await;
        assert_eq!(flush(&place.outbox()).await.sent, 0);
        assert_eq!(fs::read_dir(place.own()).unwrap().count(), 0);
        for number in [3, 1, 2] {
            place.outbox().keep(numbered(Event::Failed, number));
        }
        let flushed = flush(&place.outbox()).await;
        assert_eq!((flushed.sent, flushed.left, flushed.setback), (3, 0, None));
        assert_eq!(server.took(), ["s1", "s2", "s3"]);
        assert_eq!(files(&place.folder()).len(), 0);
    });
}

#[test]
fn two_processes_do_not_send_one_twice() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let place = Place::new();
        for number in 0..5 {
            place.outbox().keep(numbered(Event::Failed, number));
        }
        let (one, other) = (place.outbox(), place.outbox());
        let (_stopper, stop) = Canceller::new();
        let channel = channel(&server.mail);
        let (first, second) =
            tokio::join!(one.flush(&channel, &stop), other.flush(&channel, &stop));
        assert_eq!((first.sent, second.sent, second.left), (5, 0, 5));
        assert_eq!(server.took().len(), 5);
        // Held by a process that is at it, nothing is done; once it is free, all is.
        place.outbox().keep(numbered(Event::Failed, 9));
        let held = Lock::take(
            &place.folder().with_file_name("outbox.mail.lock"),
            &place.folder(),
        )
        .unwrap();
        let flushed = other.flush(&channel, &stop).await;
        assert_eq!((flushed.sent, flushed.left, flushed.setback), (0, 1, None));
        drop(held);
        assert_eq!(other.flush(&channel, &stop).await.sent, 1);
        assert_eq!(server.took().len(), 6);
    });
}

#[test]
fn a_server_that_wants_no_more_for_now_ends_the_round_and_the_order_is_kept() {
    run(async {
        let server = Server::start(|subject| {
            if subject == "s2" {
                "421 closing\r\n"
            } else {
                "250 ok\r\n"
            }
        })
        .await;
        let place = Place::new();
        let outbox = place.outbox();
        for number in 1..4 {
            outbox.keep(numbered(Event::Failed, number));
        }
        let (_stopper, stop) = Canceller::new();
        let flushed = outbox.flush(&channel(&server.mail), &stop).await;
        assert_eq!((flushed.sent, flushed.left), (1, 2));
        assert!(flushed.setback.unwrap().is_transient);
        assert_eq!(ids(&place.outbox()), ["n2", "n3"]);
    });
}

#[test]
fn one_that_is_put_off_for_ever_does_not_block_the_others_and_is_tried_again() {
    run(async {
        let server = Server::start(|subject| {
            if subject == "s1" {
                "451 the filter broke\r\n"
            } else {
                "250 ok\r\n"
            }
        })
        .await;
        let place = Place::new();
        let outbox = place.outbox();
        let (_stopper, stop) = Canceller::new();
        for numbers in [1..4, 4..6] {
            let new = numbers.clone().count() - usize::from(numbers.start == 1);
            for number in numbers {
                outbox.keep(numbered(Event::Failed, number));
            }
            let flushed = outbox.flush(&channel(&server.mail), &stop).await;
            assert_eq!((flushed.sent, flushed.left), (new, 1));
            assert!(flushed.setback.unwrap().is_transient);
        }
        assert_eq!(server.took(), ["s2", "s3", "s4", "s5"]);
        assert_eq!(ids(&place.outbox()), ["n1"]);
    });
}

#[test]
fn one_that_is_never_answered_holds_up_no_other_and_is_not_sent_for_ever() {
    run(async {
        let server = Server::start(|subject| match subject {
            "s1" => "",
            _ => "250 ok\r\n",
        })
        .await;
        let place = Place::new();
        let (_stopper, stop) = Canceller::new();
        let flush = async |outbox: &Outbox| outbox.flush(&channel(&server.mail), &stop).await;
        for number in 1..4 {
            place.outbox().keep(numbered(Event::Failed, number));
        }
        let flushed = flush(&place.outbox()).await;
        assert_eq!((flushed.sent, flushed.left), (2, 1));
        assert!(flushed.setback.unwrap().is_transient && flushed.complaints.is_empty());
        assert_eq!(server.took(), ["s2", "s3"]);
        // It is counted over restarts, and in memory where there is no disk.
        for _ in 0..2 {
            assert_eq!(flush(&place.outbox()).await.left, 1);
        }
        let outbox = place.outbox();
        for _ in 0..2 {
            assert_eq!(flush(&outbox).await.left, 1);
        }
        let flushed = flush(&outbox).await;
        assert_eq!((flushed.sent, flushed.left, flushed.setback), (0, 0, None));
        let problem = flushed.complaints[0].to_string();
        assert!(
            problem.contains(
                "took longer than 1.0 s, handing over the mail; it was handed over 6 times"
            ),
            "{problem}"
        );
        assert_eq!(server.calls.load(Ordering::Relaxed), 3 + 5);
        assert_eq!(files(&place.folder()).len(), 0);
    });
}

#[test]
fn where_no_disk_can_note_it_it_is_counted_in_memory() {
    run(async {
        let place = Place::new();
        fs::remove_dir(place.own()).unwrap();
        let phone = Puppet::new("phone", |_| Delivery::Unanswered(Problem::new("hm", "")));
        let outbox = place.outbox_for(&[Arc::clone(&phone)]);
        let (_stopper, stop) = Canceller::new();
        outbox.keep(numbered(Event::Failed, 1));
        for _ in 0..10 {
            outbox.flush(phone.as_ref(), &stop).await;
        }
        assert_eq!(phone.took().len(), 6);
    });
}

#[test]
fn a_server_that_never_answers_is_not_asked_about_all() {
    run(async {
        let place = Place::new();
        let phone = Puppet::new("phone", |_| Delivery::Unanswered(Problem::new("hm", "")));
        let outbox = place.outbox_for(&[Arc::clone(&phone)]);
        let (_stopper, stop) = Canceller::new();
        for number in 1..7 {
            outbox.keep(numbered(Event::Failed, number));
        }
        assert_eq!(outbox.flush(phone.as_ref(), &stop).await.left, 6);
        assert_eq!(phone.took(), ["n1", "n2", "n3"]);
        // None is held up for ever.
        for _ in 0..11 {
            outbox.flush(phone.as_ref(), &stop).await;
        }
        assert_eq!(outbox.flush(phone.as_ref(), &stop).await.left, 0);
        assert_eq!(phone.took().len(), 36);
    });
}

#[test]
fn one_that_is_refused_for_good_does_not_block_the_others() {
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
            outbox.keep(numbered(Event::Failed, number));
        }
        let (_stopper, stop) = Canceller::new();
        let flush = async |outbox: &Outbox| outbox.flush(&channel(&server.mail), &stop).await;
        let flushed = flush(&outbox).await;
        assert_eq!((flushed.sent, flushed.left), (2, 1));
        assert!(flushed.setback.is_some_and(|setback| !setback.is_transient));
        // Not tried again now, but at the next start.
        assert_eq!(flush(&outbox).await.setback, None);
        assert!(flush(&place.outbox()).await.setback.is_some());
        assert_eq!(ids(&place.outbox()), ["n1"]);
    });
}

#[test]
fn a_server_that_lets_nobody_in_is_asked_once_for_all() {
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
            outbox.keep(numbered(Event::Failed, number));
        }
        let (_stopper, stop) = Canceller::new();
        let flushed = outbox.flush(&channel(&mail), &stop).await;
        assert_eq!((flushed.sent, flushed.left), (0, 3));
        let setback = flushed.setback.unwrap();
        assert!(!setback.is_transient);
        assert!(
            setback.problem.summary.contains("ways to sign in"),
            "{setback:?}"
        );
        assert_eq!(server.calls.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn one_that_reached_somebody_is_not_sent_again() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let mail = server.mail_to(&["nobody", "a"]);
        let place = Place::new();
        let outbox = place.outbox();
        for number in 1..3 {
            outbox.keep(numbered(Event::Failed, number));
        }
        let (_stopper, stop) = Canceller::new();
        let flushed = outbox.flush(&channel(&mail), &stop).await;
        assert_eq!((flushed.sent, flushed.left, flushed.setback), (2, 0, None));
        // It is the same with both.
        assert_eq!(flushed.complaints.len(), 1);
        let problem = flushed.complaints[0].to_string();
        assert!(
            problem.contains("not for nobody@example.org (550 who?); check EMAIL_TO"),
            "{problem}"
        );
        assert_eq!(server.took(), ["s1", "s2"]);
    });
}

#[test]
fn a_recipient_that_is_put_off_gets_it_later_alone_and_one_that_is_refused_is_left_out() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let channel = channel(&server.mail_to(&["a", "later", "nobody"]));
        let place = Place::new();
        let (_stopper, stop) = Canceller::new();
        place.outbox().keep(numbered(Event::Failed, 1));
        let flushed = place.outbox().flush(&channel, &stop).await;
        assert_eq!((flushed.sent, flushed.left), (1, 1));
        let setback = flushed.setback.unwrap();
        assert!(setback.is_transient);
        assert!(
            setback
                .problem
                .summary
                .contains("later@example.org (451 greylisted)"),
            "{setback:?}"
        );
        assert_eq!(server.reached(), ["<a@example.org>"]);
        // It holds up no other one.
        let outbox = place.outbox();
        outbox.keep(numbered(Event::Failed, 2));
        let flushed = outbox.flush(&channel, &stop).await;
        assert_eq!((flushed.sent, flushed.left), (1, 2));
        assert_eq!(server.reached(), ["<a@example.org>"]);
        assert_eq!(server.took(), ["s1", "s2"]);
        // Known over a restart.
        server.puts_off.store(false, Ordering::Relaxed);
        let flushed = place.outbox().flush(&channel, &stop).await;
        assert_eq!((flushed.sent, flushed.left, flushed.setback), (2, 0, None));
        assert_eq!(server.reached(), ["<later@example.org>"; 2]);
        assert_eq!(files(&place.folder()).len(), 0);
    });
}

#[test]
fn a_recipient_that_is_put_off_for_days_is_given_up_and_that_is_said() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let channel = channel(&server.mail_to(&["a", "later"]));
        let place = Place::new();
        let (_stopper, stop) = Canceller::new();
        place.outbox().keep(numbered(Event::Failed, 1));
        let outbox = place.outbox_at(|| noon() + TimeDelta::days(5));
        assert_eq!(outbox.flush(&channel, &stop).await.left, 1);
        let outbox = place.outbox_at(|| noon() + TimeDelta::days(5) + TimeDelta::hours(1));
        let flushed = outbox.flush(&channel, &stop).await;
        assert_eq!((flushed.sent, flushed.left, flushed.setback), (0, 0, None));
        let problem = flushed.complaints[0].to_string();
        assert!(
            problem.contains("(451 greylisted); this has gone on for 5 days"),
            "{problem}"
        );
        assert_eq!(files(&place.folder()).len(), 0);
    });
}

#[test]
fn one_that_nobody_has_is_kept_for_as_long_as_it_takes() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let channel = channel(&server.mail_to(&["nobody", "later"]));
        let place = Place::new();
        let (_stopper, stop) = Canceller::new();
        place.outbox().keep(numbered(Event::Failed, 1));
        let outbox = place.outbox_at(|| noon() + TimeDelta::days(50));
        let flushed = outbox.flush(&channel, &stop).await;
        assert_eq!((flushed.sent, flushed.left), (0, 1));
        assert!(flushed.setback.unwrap().is_transient && flushed.complaints.is_empty());
        server.puts_off.store(false, Ordering::Relaxed);
        assert_eq!(outbox.flush(&channel, &stop).await.sent, 1);
    });
}

#[test]
fn being_told_to_stop_leaves_what_waits() {
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
        outbox.keep(numbered(Event::Failed, 1));
        let (stopper, stop) = Canceller::new();
        let channel = channel(&mail);
        let asks = async {
            let connection = listener.accept().await.unwrap();
            stopper.cancel();
            connection
        };
        let (flushed, _connection) = tokio::join!(outbox.flush(&channel, &stop), asks);
        assert_eq!((flushed.sent, flushed.left, flushed.setback), (0, 1, None));
        assert_eq!(ids(&place.outbox()), ["n1"]);
    });
}

fn down(_: &str) -> Delivery {
    Delivery::Retry(Problem::new("down", ""))
}

#[test]
fn a_channel_that_is_down_holds_up_no_other_and_gets_everything_later() {
    run(async {
        let place = Place::new();
        let (phone, mail) = (Puppet::new("phone", down), Puppet::new("mail", takes_all));
        let outbox = place.outbox_for(&[Arc::clone(&phone), Arc::clone(&mail)]);
        let (_stopper, stop) = Canceller::new();
        for number in 1..3 {
            outbox.keep(numbered(Event::Failed, number));
        }
        let flushed = outbox.flush(phone.as_ref(), &stop).await;
        assert_eq!((flushed.sent, flushed.left), (0, 2));
        assert!(flushed.setback.unwrap().is_transient);
        let flushed = outbox.flush(mail.as_ref(), &stop).await;
        assert_eq!((flushed.sent, flushed.left), (2, 0));
        assert_eq!(mail.took(), ["n1", "n2"]);
        // It is known over a restart who has it and who has not.
        let (phone, mail) = (
            Puppet::new("phone", takes_all),
            Puppet::new("mail", takes_all),
        );
        let outbox = place.outbox_for(&[Arc::clone(&phone), Arc::clone(&mail)]);
        assert_eq!(outbox.flush(mail.as_ref(), &stop).await.sent, 0);
        assert_eq!(outbox.flush(phone.as_ref(), &stop).await.sent, 2);
        assert_eq!(phone.took(), ["n1", "n2"]);
        assert_eq!(files(&place.folder()).len(), 0);
    });
}

#[test]
fn what_only_a_channel_that_is_gone_still_had_to_get_waits_no_more() {
    run(async {
        let place = Place::new();
        let (phone, mail) = (Puppet::new("phone", down), Puppet::new("mail", takes_all));
        let outbox = place.outbox_for(&[phone, Arc::clone(&mail)]);
        let (_stopper, stop) = Canceller::new();
        outbox.keep(numbered(Event::Failed, 1));
        outbox.flush(mail.as_ref(), &stop).await;
        assert_eq!(ids(&outbox), ["n1"]);
        // Nothing of it stays, however others count it.
        let outbox = place.outbox_for(&[Arc::clone(&mail)]);
        assert_eq!(ids(&outbox), [""; 0]);
        outbox.keep(numbered(Event::BackupNotDone, 2));
        outbox.flush(mail.as_ref(), &stop).await;
        assert_eq!(files(&place.folder()).len(), 0);
        outbox.keep(numbered(Event::Failed, 3));
        // One that came later gets what the first could not be sent.
        let later = Puppet::new("later", takes_all);
        let outbox = place.outbox_for(&[Arc::clone(&later)]);
        assert_eq!(outbox.flush(later.as_ref(), &stop).await.sent, 1);
    });
}

#[test]
fn each_channel_gets_what_it_wants() {
    run(async {
        let place = Place::new();
        let mail = Puppet::new("mail", takes_all);
        let ping = Puppet::wanting(Interest::EveryBackup, "ping", takes_all);
        let outbox = place.outbox_for(&[Arc::clone(&mail), Arc::clone(&ping)]);
        let (_stopper, stop) = Canceller::new();
        outbox.keep(numbered(Event::Failed, 1));
        outbox.keep(numbered(Event::BackupNotDone, 2));
        outbox.keep(numbered(Event::DrillDone, 3));
        outbox.flush(ping.as_ref(), &stop).await;
        outbox.flush(mail.as_ref(), &stop).await;
        assert_eq!(
            (mail.took(), ping.took()),
            (vec!["n1".into()], vec!["n2".into()])
        );
        // Nobody wants to know how drills end.
        assert_eq!(ids(&outbox), [""; 0]);
    });
}
