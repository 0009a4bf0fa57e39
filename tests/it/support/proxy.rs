//! A network that can be made to fail at a chosen moment.

use super::{SOON, until};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// When it fails.
#[derive(Clone, Copy)]
pub(crate) enum Trap {
    /// After so many bytes from the server, on all connections together.
    Bytes(u64),
    /// After so many bytes from clients.
    SentBytes(u64),
    /// When a client sends this text.
    Sent(&'static str),
}

/// How it fails.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    /// Connections stay open, and nothing comes from the server any more.
    Stall,
    /// The same, and what the client sent does not arrive before it is released.
    Hold,
    /// All connections are closed, and no new ones accepted.
    Cut,
}

struct State {
    passed: u64,
    sent: u64,
    sprung: bool,
    /// An answer came after that, and waits.
    holds: bool,
    released: bool,
    closed: bool,
    sockets: Vec<TcpStream>,
}

struct Shared {
    trap: Trap,
    then: Then,
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    pub(crate) fn to(server: u16, trap: Trap, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State {
            passed: 0,
            sent: 0,
            sprung: false,
            holds: false,
            released: false,
            closed: false,
            sockets: Vec::new(),
        };
        let shared = Arc::new(Shared {
            trap,
            then,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.state.lock().unwrap().closed {
                    break;
                }
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                accepting.connect(client, upstream);
            }
        });
        Proxy { port, shared }
    }

    /// Waits until it has failed.
    pub(crate) fn sprung(&self) {
        until("the network fails", SOON, || {
            self.shared.state.lock().unwrap().sprung
        });
    }

    /// Waits until the server has answered to no avail.
    pub(crate) fn holds_an_answer(&self) {
        until("the server answers", SOON, || {
            self.shared.state.lock().unwrap().holds
        });
    }

    /// How many bytes clients have sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.state.lock().unwrap().sent
    }

    /// Lets everything pass again.
    pub(crate) fn release(&self) {
        self.shared.state.lock().unwrap().released = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.close();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream, upstream: TcpStream) {
        let mut state = self.state.lock().unwrap();
        for (from, to, answers) in [(&client, &upstream, false), (&upstream, &client, true)] {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            state.sockets.push(from.try_clone().unwrap());
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(read @ 1..) = from.read(&mut buffer) {
                    let pass = if answers {
                        shared.answer(read)
                    } else {
                        shared.question(&buffer[..read])
                    };
                    if !pass || to.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
    }

    fn question(&self, bytes: &[u8]) -> bool {
        let sent = {
            let mut state = self.state.lock().unwrap();
            state.sent += bytes.len() as u64;
            state.sent
        };
        if matches!(self.trap, Trap::SentBytes(limit) if sent > limit) {
            self.spring();
        }
        if let Trap::Sent(text) = self.trap
            && bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        {
            self.spring();
            if self.then == Then::Hold {
                return self.passes();
            }
        }
        !self.state.lock().unwrap().closed
    }

    /// Whether an answer may pass; waits for as long as nothing may.
    fn answer(&self, bytes: usize) -> bool {
        let passed = {
            let mut state = self.state.lock().unwrap();
            state.passed += bytes as u64;
            state.holds |= state.sprung;
            state.passed
        };
        if matches!(self.trap, Trap::Bytes(limit) if passed > limit) {
            self.spring();
        }
        self.passes()
    }

    /// Waits for as long as nothing may pass; false when nothing ever will.
    fn passes(&self) -> bool {
        let state = self.state.lock().unwrap();
        let stalled = |state: &mut State| state.sprung && !state.released && !state.closed;
        !self.changed.wait_while(state, stalled).unwrap().closed
    }

    fn spring(&self) {
        self.state.lock().unwrap().sprung = true;
        if self.then == Then::Cut && !self.state.lock().unwrap().released {
            self.close();
        }
    }

    fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.closed = true;
        for socket in state.sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        self.changed.notify_all();
    }
}
