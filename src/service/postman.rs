//! Sends the mails beside everything else: nothing ever waits for a mail server.

use crate::job::Surroundings;
use crate::letter::Letter;
use crate::logging::SCHEDULER;
use crate::notify::Outbox;
use crate::secret::Redactor;
use crate::settings::{MailSettings, Settings};
use crate::stop::Stop;
use crate::units;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The longest conversation with a mail server.
pub const LIMIT: Duration = Duration::from_secs(30);
/// How long putting the rest away may take at the end.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// Waits between attempts; the last one is repeated.
const WAITS: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(4 * 60 * 60),
];

/// Takes letters; what becomes of them is not its customers' concern.
pub struct Postman {
    letters: Option<mpsc::UnboundedSender<Letter>>,
    round: Option<JoinHandle<()>>,
}

impl Postman {
    /// Lets him put away what he has not sent.
    pub async fn finish(self) {
        drop(self.letters);
        if let Some(round) = self.round {
            let _ = tokio::time::timeout(LAST_WRITES, round).await;
        }
    }

    /// Starts with what was left unsent.
    pub fn start(settings: &Settings, around: &Surroundings, outbox: Outbox) -> Self {
        let Some(mail) = settings.mail.clone() else {
            tracing::info!(target: SCHEDULER, "mail is off: SMTP_HOST is not set");
            return Postman { letters: None, round: None };
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let round = Round { mail, outbox, redactor: around.redactor.clone(), stop: around.stop.clone() };
        let round = tokio::spawn(round.walk(receiver));
        Postman { letters: Some(sender), round: Some(round) }
    }

    pub fn post(&self, letters: Vec<Letter>) {
        for letter in letters {
            if let Some(postman) = &self.letters {
                // He only goes when we do.
                let _ = postman.send(letter);
            }
        }
    }
}

struct Round {
    mail: MailSettings,
    outbox: Outbox,
    redactor: Redactor,
    stop: Stop,
}

impl Round {
    async fn walk(mut self, mut letters: mpsc::UnboundedReceiver<Letter>) {
        let mut failures = 0;
        let mut due = !self.outbox.waiting().is_empty();
        loop {
            if due {
                failures = if self.deliver().await { 0 } else { failures + 1 };
            }
            let wait = match failures {
                0 => None,
                some => Some(WAITS[usize::min(some - 1, WAITS.len() - 1)]),
            };
            let pause = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = self.stop.requested() => {
                    while let Some(letter) = letters.recv().await {
                        self.keep(letter);
                    }
                    return;
                }
                letter = letters.recv() => {
                    let Some(letter) = letter else { return };
                    self.keep(letter);
                    while let Ok(letter) = letters.try_recv() {
                        self.keep(letter);
                    }
                }
                () = pause => {}
            }
            due = true;
        }
    }

    fn keep(&mut self, letter: Letter) {
        if let Some(error) = self.outbox.keep(letter) {
            tracing::debug!(target: SCHEDULER, "an unsent mail is kept in memory only: {error}");
        }
    }

    /// False when it is worth another attempt.
    async fn deliver(&mut self) -> bool {
        let flushed = self.outbox.flush(&self.mail, &self.redactor, LIMIT, &self.stop).await;
        if flushed.sent > 0 {
            tracing::info!(target: SCHEDULER, "{} sent", units::counted(flushed.sent as u64, "mail"));
        }
        let Some(error) = flushed.error else { return true };
        let kept = units::counted(flushed.left as u64, "mail");
        if error.may_pass() {
            tracing::warn!(target: SCHEDULER, "{kept} not sent yet: {error}");
        } else {
            tracing::error!(target: SCHEDULER, "{kept} not sent: {error}\nit is tried again at the next start or mail");
        }
        !error.may_pass()
    }
}
