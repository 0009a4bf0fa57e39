//! Mail servers: `tests/support/smtp.py`, which ends with the test that started it.

use super::site::Site;
use super::tools::{in_project, python};
use serde::Deserialize;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A mail as a mail program shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Mail {
    pub subject: String,
    pub text: String,
    pub html: String,
    headers: Vec<(String, String)>,
    /// Of the envelope, not of the headers.
    pub from: String,
    pub to: Vec<String>,
}

impl Mail {
    /// The only header of this name.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self
            .headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let (_, value) = found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        assert_eq!(found.next(), None);
        value
    }
}

pub(crate) struct Smtp {
    pub port: u16,
    folder: TempDir,
    options: Vec<String>,
    child: Option<Child>,
}

impl Smtp {
    /// A server with the options of `smtp.py`.
    pub(crate) fn start(options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut smtp = Smtp {
            port: 0,
            folder: tempfile::tempdir().unwrap(),
            options,
            child: None,
        };
        smtp.come_back();
        smtp
    }

    /// What a client must trust; the server's names are `localhost` and `127.0.0.1`.
    pub(crate) fn authority() -> PathBuf {
        in_project("tests/fixtures/smtp/ca.pem")
    }

    /// Goes down; connections are then refused.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }

    /// Starts, on the same port as before if there was one, with the mails it had.
    pub(crate) fn come_back(&mut self) {
        self.stop();
        let mut child = Command::new(python())
            .arg(in_project("tests/support/smtp.py"))
            .arg(self.folder.path())
            .args(["--port", &self.port.to_string()])
            .args(&self.options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        self.port = line
            .trim()
            .parse()
            .unwrap_or_else(|error| panic!("smtp.py says {line:?}: {error}"));
        self.child = Some(child);
    }

    /// The same with other options.
    pub(crate) fn come_back_with(&mut self, options: &[&str]) {
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
        self.come_back();
    }

    /// Every mail it accepted, the oldest first.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let paths = (0..).map(|number| self.folder.path().join(format!("{number}.json")));
        let texts = paths.map_while(|path| fs::read(path).ok());
        texts
            .map(|text| serde_json::from_slice(&text).unwrap())
            .collect()
    }

    /// The commands it was sent, each as `clear WORD` or `tls WORD`.
    pub(crate) fn seen(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("seen")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How many commands with this word it was sent.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.seen()
            .iter()
            .filter(|line| line.ends_with(&format!(" {word}")))
            .count()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Site {
    /// Mails through this server, without signing in.
    pub(crate) fn mailing_through(self, smtp: &Smtp) -> Self {
        self.with("SMTP_HOST", "127.0.0.1")
            .with("SMTP_PORT", smtp.port)
            .with("SMTP_SECURITY", "none")
            .with("EMAIL_FROM", "pantry@example.org")
            .with("EMAIL_TO", "mira@example.org")
    }
}
