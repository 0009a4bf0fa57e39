//! A client that says what it is told to say, and shows what came back.

use crate::support::Running;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const ANNOUNCED: &str = "the status page is at http://127.0.0.1:";

/// Where the page is.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub port: u16,
}

/// What came back.
pub(super) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub took: Duration,
}

impl Page {
    /// Waits for a scheduler to say where it is.
    pub(super) fn of(running: &Running) -> Self {
        running.until_it_says(ANNOUNCED);
        Page::last_of(running)
    }

    /// Where it was announced last.
    pub(super) fn last_of(running: &Running) -> Self {
        let said = running.said();
        let (_, port) = said.rsplit_once(ANNOUNCED).unwrap();
        let (port, _) = port.split_once('/').unwrap();
        Page {
            port: port.parse().unwrap(),
        }
    }

    pub(super) fn connect(self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    pub(super) fn get(self, path: &str) -> Answer {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
            self.port
        ))
    }

    /// Sends this, and reads until the other side closes.
    pub(super) fn ask(self, request: &str) -> Answer {
        let begun = Instant::now();
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer to {request:?}: {text:?}"));
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
            took: begun.elapsed(),
        }
    }
}

impl Answer {
    pub(super) fn with_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    pub(super) fn showing(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.body.contains(word), "no {word:?} in:\n{}", self.body);
        }
        self
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}
