//! A server whose first login comes to nothing: it restarts just then, or refuses.

use mongodb::bson::{Document, doc};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What becomes of the login.
#[derive(Clone, Copy)]
pub(crate) enum LoginFault {
    /// The connection breaks.
    Cut,
    /// It is answered with an error of this code.
    Answered(i32),
}

/// The port of a proxy to `server` at which the first login of a client of this name fails.
pub(crate) fn bad_logins(server: u16, client: &'static str, fault: LoginFault) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let is_due = Arc::new(AtomicBool::new(true));
    thread::spawn(move || {
        for from in listener.incoming().flatten() {
            let Ok(to) = TcpStream::connect(("127.0.0.1", server)) else {
                continue;
            };
            let login = Login {
                client,
                fault,
                is_due: Arc::clone(&is_due),
            };
            let (mut answers, mut back) = (to.try_clone().unwrap(), from.try_clone().unwrap());
            thread::spawn(move || {
                let _ = std::io::copy(&mut answers, &mut back);
                let _ = back.shutdown(Shutdown::Both);
            });
            thread::spawn(move || login.pass(from, to));
        }
    });
    port
}

struct Login {
    client: &'static str,
    fault: LoginFault,
    is_due: Arc<AtomicBool>,
}

impl Login {
    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 16 * 1024];
        let mut is_client = false;
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let sent = &buffer[..read];
            is_client |= holds(sent, self.client);
            // Its messages are short, so that one read is one message.
            let fails = is_client
                && holds(sent, "saslContinue")
                && self.is_due.swap(false, Ordering::SeqCst);
            let passed = match self.fault {
                LoginFault::Cut if fails => break,
                LoginFault::Answered(code) if fails => from.write_all(&refusal(sent, code)),
                _ => to.write_all(sent),
            };
            if passed.is_err() {
                break;
            }
        }
        for socket in [from, to] {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// The answer to a message (OP_MSG).
fn refusal(question: &[u8], code: i32) -> Vec<u8> {
    let (message, name) = match code {
        18 => ("Authentication failed.", "AuthenticationFailed"),
        _ => ("interrupted at shutdown", "InterruptedAtShutdown"),
    };
    let answer: Document = doc! { "ok": 0.0, "errmsg": message, "code": code, "codeName": name };
    let mut document = Vec::new();
    answer.to_writer(&mut document).unwrap();
    let length = i32::try_from(16 + 5 + document.len()).unwrap();
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(1_i32.to_le_bytes());
    bytes.extend(&question[4..8]);
    bytes.extend(2013_i32.to_le_bytes());
    bytes.extend([0; 5]);
    bytes.extend(document);
    bytes
}
