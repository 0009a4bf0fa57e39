//! Web servers: they note every request, and answer as a test says.

use super::{SOON, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: Vec<String>,
    pub body: String,
}

impl Request {
    /// What the body holds.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn has(&self, header: &str) -> bool {
        self.headers
            .iter()
            .any(|line| line.eq_ignore_ascii_case(header))
    }
}

/// What a request is answered.
pub(crate) enum Reply {
    Is(u16, String),
    /// Nothing, while the server is there.
    Hang,
}

impl Reply {
    /// What ntfy says: that it is well, and which message it took.
    pub(crate) fn ok() -> Self {
        Reply::Is(200, "{\"healthy\":true,\"id\":\"x\"}".into())
    }
}

type Answer = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

pub(crate) struct Web {
    pub port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(0, answer)
    }

    /// On this port, or on any.
    pub(crate) fn on(
        port: u16,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, over) = (
            Arc::<Mutex<Vec<Request>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (noted, ends) = (Arc::clone(&seen), Arc::clone(&over));
        let answer: Answer = Arc::new(answer);
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                held.push(stream.try_clone().unwrap());
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                thread::spawn(move || converse(stream, &noted, &answer));
            }
        });
        Web {
            port,
            seen,
            over,
            thread: Some(thread),
        }
    }

    /// Every request, the oldest first.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Its requests once there are so many.
    pub(crate) fn until_seen(&self, count: usize) -> Vec<Request> {
        until("the requests arrive", SOON, || self.seen().len() >= count);
        self.seen()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn converse(stream: TcpStream, seen: &Mutex<Vec<Request>>, answer: &Answer) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let reply = answer(&request);
        seen.lock().unwrap().push(request);
        let Reply::Is(status, body) = reply else {
            return;
        };
        let answer = format!(
            "HTTP/1.1 {status} So\r\ncontent-length: {}\r\nlocation: http://127.0.0.1:1/\r\n\r\n{body}",
            body.len()
        );
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let first = lines.remove(0);
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.parse::<usize>().ok()).flatten()
    });
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        headers: lines,
        body: String::from_utf8(body).ok()?,
    })
}
