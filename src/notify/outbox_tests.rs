//! The outbox against full and read-only disks, restarts, other processes, and servers of every mood.

use super::MailError;
use super::outbox::Outbox;
use super::send_tests::letter;
use crate::letter::{Kind, Letter};
use crate::lock::Lock;
use crate::secret::{Redactor, Secret};
use crate::settings::{MailSecurity, MailSettings};
use crate::stop::Stopper;
use crate::testing::noon;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const AMPLE: Duration = Duration::from_secs(20);

fn numbered(kind: Kind, number: i64) -> Letter {
    let written_at = noon() + chrono::Duration::seconds(number);
    Letter { id: format!("n{number}"), kind, written_at, subject: format!("s{number}"), ..letter() }
}

fn ids(outbox: &Outbox) -> Vec<String> {
    outbox.waiting().into_iter().map(|letter| letter.id).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { root: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join(".pantry-keeper/outbox")
    }

    fn outbox(&self) -> Outbox {
        Outbox::new(self.folder())
    }
}

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
        let noted = Arc::clone(&took);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let noted = Arc::clone(&noted);
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
                                None if ["EHLO", "MAIL", "RCPT", "QUIT"].iter().any(|word| said.starts_with(word)) => {
                                    "250 ok\r\n"
                                }
                                None => continue,
                            },
                        };
                        if reply.starts_with("250") && said.trim_end() == "." {
                            noted.lock().unwrap().push(subject.clone());
                        }
                        if stream.get_mut().write_all(reply.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Server { mail, took, calls, task }
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

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn letters_survive_a_restart_and_are_their_owner_s_alone() {
    let place = Place::new();
    assert!(place.outbox().waiting().is_empty() && !place.folder().exists());
    for number in [3, 1, 2] {
        assert!(place.outbox().keep(numbered(Kind::Failed, number)).is_none());
    }
    let outbox = place.outbox();
    assert_eq!(outbox.waiting(), [1, 2, 3].map(|number| numbered(Kind::Failed, number)));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.folder()), 0o700);
    let paths = files(&place.folder());
    assert!(paths.iter().all(|path| mode(path) == 0o600));
    let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names[0], "20250531T120001000Z-n1.json");
    assert_eq!(names.len(), 3);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&paths[0]).unwrap()).unwrap();
    assert_eq!((&json["kind"], &json["written_at"]), (&"failed".into(), &"2025-05-31T12:00:01Z".into()));
    assert!(outbox.sent("n2").is_none() && outbox.sent("unknown").is_none());
    assert_eq!(ids(&place.outbox()), ["n1", "n3"]);
}

#[test]
fn an_id_can_be_anything_but_a_way_out_of_the_folder() {
    let place = Place::new();
    let outbox = place.outbox();
    for id in ["../../x", "a/b", "", "ñ\0", &"long".repeat(100)] {
        assert!(outbox.keep(Letter { id: id.into(), ..letter() }).is_none(), "{id:?}");
    }
    assert_eq!(files(&place.folder()).len(), 5);
    assert_eq!(fs::read_dir(place.root.path()).unwrap().count(), 1);
    for id in ids(&outbox) {
        outbox.sent(&id);
    }
    assert_eq!(files(&place.folder()).len(), 0);
}

#[test]
fn files_that_are_no_letters_are_passed_over_and_stay() {
    let place = Place::new();
    let outbox = place.outbox();
    outbox.keep(numbered(Kind::Failed, 1));
    let folder = place.folder();
    fs::write(folder.join("a.json"), "{").unwrap();
    fs::write(folder.join("b.json"), vec![b' '; 2 << 20]).unwrap();
    fs::write(folder.join("notes.txt"), "x").unwrap();
    fs::create_dir(folder.join("c.json")).unwrap();
    fs::copy(&files(&folder)[0], folder.join(".d.json.partial")).unwrap();
    symlink("/dev/zero", folder.join("e.json")).unwrap();
    assert_eq!(ids(&place.outbox()), ["n1"]);
    place.outbox().sent("n1");
    assert_eq!(files(&folder).len(), 6);
}

#[test]
fn a_newer_letter_that_it_still_fails_replaces_the_older_one() {
    let place = Place::new();
    let outbox = place.outbox();
    outbox.keep(numbered(Kind::Failed, 1));
    for number in 2..6 {
        outbox.keep(numbered(Kind::StillFailing, number));
    }
    assert_eq!(ids(&outbox), ["n1", "n5"]);
    assert_eq!(files(&place.folder()).len(), 2);
}

#[test]
fn news_outlasts_what_only_repeats() {
    let place = Place::new();
    let outbox = place.outbox();
    for number in 0..10 {
        outbox.keep(numbered(Kind::Failed, number));
    }
    for number in 10..35 {
        outbox.keep(numbered(Kind::Receipt, number));
    }
    let expected = |numbers: Vec<i64>| numbers.into_iter().map(|number| format!("n{number}")).collect::<Vec<_>>();
    assert_eq!(ids(&outbox), expected((0..10).chain(25..35).collect()));
    for number in 40..65 {
        outbox.keep(numbered(Kind::Recovered, number));
    }
    assert_eq!(ids(&outbox), expected((45..65).collect()));
    outbox.keep(numbered(Kind::Warning, 70));
    assert_eq!(ids(&outbox), expected((45..65).collect()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn never_more_than_twenty_and_one_that_still_fails(kinds in proptest::collection::vec(0..5u8, 1..40)) {
        // What is in memory is bounded by the same code, and needs no disk.
        let outbox = Outbox::new(PathBuf::from("/dev/null/outbox"));
        for (number, kind) in kinds.iter().enumerate() {
            let kinds = [Kind::Failed, Kind::StillFailing, Kind::Recovered, Kind::Warning, Kind::Receipt];
            let letter = numbered(kinds[usize::from(*kind)], number as i64);
            prop_assert!(outbox.keep(letter).is_some());
        }
        let waiting = outbox.waiting();
        prop_assert!(!waiting.is_empty() && waiting.len() <= 20 && waiting.len() <= kinds.len());
        prop_assert!(waiting.iter().filter(|letter| letter.kind == Kind::StillFailing).count() <= 1);
        prop_assert!(waiting.is_sorted_by_key(|letter| letter.written_at));
    }
}

#[test]
fn what_the_disk_does_not_take_is_kept_in_memory_and_written_later() {
    let place = Place::new();
    // A file where the folder should be: it stops root, too.
    fs::write(place.root.path().join(".pantry-keeper"), "").unwrap();
    let outbox = place.outbox();
    let error = outbox.keep(numbered(Kind::Failed, 1)).expect("an error");
    assert!(error.to_string().contains(".pantry-keeper/outbox"), "{error}");
    assert_eq!(ids(&outbox), ["n1"]);
    assert!(place.outbox().waiting().is_empty());
    fs::remove_file(place.root.path().join(".pantry-keeper")).unwrap();
    assert!(outbox.keep(numbered(Kind::Failed, 2)).is_none());
    assert_eq!(ids(&outbox), ["n1", "n2"]);
    assert_eq!(ids(&place.outbox()), ["n1", "n2"]);
    assert!(outbox.sent("n1").is_none());
    assert_eq!(ids(&outbox), ["n2"]);
}

#[test]
fn a_letter_in_memory_is_sent_though_there_is_no_disk() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let place = Place::new();
        fs::write(place.root.path().join(".pantry-keeper"), "").unwrap();
        let outbox = place.outbox();
        outbox.keep(numbered(Kind::Failed, 1));
        let (_stopper, stop) = Stopper::new();
        let flushed = outbox.flush(&server.mail, &Redactor::default(), AMPLE, &stop).await;
        assert_eq!((flushed.sent, flushed.left), (1, 0));
        assert_eq!(server.took(), ["s1"]);
    });
}

#[test]
fn the_oldest_goes_first_and_nothing_is_left_or_touched_without_need() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let place = Place::new();
        let (_stopper, stop) = Stopper::new();
        let flush = async |outbox: &Outbox| outbox.flush(&server.mail, &Redactor::default(), AMPLE, &stop).await;
        assert_eq!(flush(&place.outbox()).await.sent, 0);
        assert_eq!(fs::read_dir(place.root.path()).unwrap().count(), 0);
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
        let (_stopper, stop) = Stopper::new();
        let redactor = Redactor::default();
        let (first, second) = tokio::join!(
            one.flush(&server.mail, &redactor, AMPLE, &stop),
            other.flush(&server.mail, &redactor, AMPLE, &stop)
        );
        assert_eq!((first.sent, second.sent, second.left), (5, 0, 5));
        assert_eq!(server.took().len(), 5);
        // Held by a process that is at it, nothing is done; once it is free, all is.
        place.outbox().keep(numbered(Kind::Failed, 9));
        let held = Lock::take(&place.folder().with_file_name("outbox.lock"), &place.folder()).unwrap();
        let flushed = other.flush(&server.mail, &redactor, AMPLE, &stop).await;
        assert_eq!((flushed.sent, flushed.left, flushed.error), (0, 1, None));
        drop(held);
        assert_eq!(other.flush(&server.mail, &redactor, AMPLE, &stop).await.sent, 1);
        assert_eq!(server.took().len(), 6);
    });
}

#[test]
fn what_may_pass_ends_the_round_and_keeps_the_order() {
    run(async {
        let server = Server::start(|subject| if subject == "s2" { "451 later\r\n" } else { "250 ok\r\n" }).await;
        let place = Place::new();
        let outbox = place.outbox();
        for number in 1..4 {
            outbox.keep(numbered(Kind::Failed, number));
        }
        let (_stopper, stop) = Stopper::new();
        let flushed = outbox.flush(&server.mail, &Redactor::default(), AMPLE, &stop).await;
        assert_eq!((flushed.sent, flushed.left), (1, 2));
        assert!(matches!(flushed.error, Some(MailError::Temporary { .. })), "{:?}", flushed.error);
        assert_eq!(ids(&place.outbox()), ["n2", "n3"]);
    });
}

#[test]
fn a_letter_that_is_refused_for_good_does_not_block_the_others() {
    run(async {
        let server = Server::start(|subject| if subject == "s1" { "554 spam\r\n" } else { "250 ok\r\n" }).await;
        let place = Place::new();
        let outbox = place.outbox();
        for number in 1..4 {
            outbox.keep(numbered(Kind::Failed, number));
        }
        let (_stopper, stop) = Stopper::new();
        let flush = async |outbox: &Outbox| outbox.flush(&server.mail, &Redactor::default(), AMPLE, &stop).await;
        let flushed = flush(&outbox).await;
        assert_eq!((flushed.sent, flushed.left), (2, 1));
        assert!(flushed.error.is_some_and(|error| error.is_about_the_letter()));
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
        let (_stopper, stop) = Stopper::new();
        let flushed = outbox.flush(&mail, &Redactor::default(), AMPLE, &stop).await;
        assert_eq!((flushed.sent, flushed.left), (0, 3));
        assert!(matches!(flushed.error, Some(MailError::NoSignIn { .. })), "{:?}", flushed.error);
        assert_eq!(server.calls.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_letter_that_reached_somebody_is_not_sent_again() {
    run(async {
        let server = Server::start(|_| "250 ok\r\n").await;
        let to = vec!["nobody@example.org".into(), "a@example.org".into()];
        let mail = MailSettings { to, ..server.mail.clone() };
        let place = Place::new();
        let outbox = place.outbox();
        for number in 1..3 {
            outbox.keep(numbered(Kind::Failed, number));
        }
        let (_stopper, stop) = Stopper::new();
        let flushed = outbox.flush(&mail, &Redactor::default(), AMPLE, &stop).await;
        assert_eq!((flushed.sent, flushed.left), (2, 0));
        assert!(matches!(flushed.error, Some(MailError::SomeRecipients { .. })), "{:?}", flushed.error);
        assert_eq!(server.took(), ["s1", "s2"]);
    });
}

#[test]
fn being_told_to_stop_leaves_the_letters() {
    run(async {
        // Never answered, so only the request can end it.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start(|_| "250 ok\r\n").await;
        let mail = MailSettings { port: listener.local_addr().unwrap().port(), ..server.mail.clone() };
        let place = Place::new();
        let outbox = place.outbox();
        outbox.keep(numbered(Kind::Failed, 1));
        let (stopper, stop) = Stopper::new();
        let redactor = Redactor::default();
        let asks = async {
            let connection = listener.accept().await.unwrap();
            stopper.stop();
            connection
        };
        let (flushed, _connection) =
            tokio::join!(outbox.flush(&mail, &redactor, Duration::from_secs(3600), &stop), asks);
        assert_eq!((flushed.sent, flushed.left, flushed.error), (0, 1, None));
        assert_eq!(ids(&place.outbox()), ["n1"]);
    });
}
