//! A relay before a test server that refuses what MongoDB refuses, and passes for MongoDB of a chosen version.
//!
//! The stand-in for MongoDB takes much that MongoDB does not take. What is refused here, and how that is known, stands in
//! `tests/it/strict/refusals.json`; a test sends each row through this relay.

mod indexes;
mod manner;
mod replay;
mod rules;
mod shell;
mod wire;

pub(crate) use manner::{Manner, Version};
pub(super) use wire::Refusal;

use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeSet;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use wire::Message;

/// Longer answers are never those about the server itself.
const LONGEST_GREETING: usize = 64 * 1024;

pub(crate) struct Strict {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    port: u16,
    manner: Manner,
    closed: AtomicBool,
    /// Whether the user who is connected was replaced.
    user_is_gone: AtomicBool,
    /// Databases in which a view or a time series was made: the server keeps their list in it.
    with_views: Mutex<BTreeSet<String>>,
    sockets: Mutex<Vec<TcpStream>>,
    refused: Mutex<Vec<(String, Refusal)>>,
}

impl Strict {
    /// Before the server on this port.
    pub(crate) fn before(server: u16, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            port,
            manner,
            closed: AtomicBool::new(false),
            user_is_gone: AtomicBool::new(false),
            with_views: Mutex::default(),
            sockets: Mutex::default(),
            refused: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.closed.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                accepting.connect(client, upstream);
            }
        });
        Strict { port, shared }
    }

    /// To connect as a user who only knows a host and a port does.
    pub(crate) fn uri(&self) -> String {
        format!(
            "mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=3000",
            self.port
        )
    }

    /// The same for a server under one host and port, whatever set it is of.
    pub(crate) fn direct_uri(&self) -> String {
        format!("{}&directConnection=true", self.uri())
    }

    /// Sends one command through it.
    pub(crate) fn ask(&self, database: &str, command: Document) -> Document {
        Upstream {
            port: self.port,
            stream: None,
        }
        .ask(database, command)
    }

    /// What was refused so far: the command, and why.
    pub(crate) fn refused(&self) -> Vec<(String, Refusal)> {
        self.shared.refused.lock().unwrap().clone()
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream, upstream: TcpStream) {
        let clone = |stream: &TcpStream| stream.try_clone().unwrap();
        self.sockets
            .lock()
            .unwrap()
            .extend([clone(&client), clone(&upstream)]);
        // Both threads write to the client, each a whole message at a time.
        let to_client = Arc::new(Mutex::new(clone(&client)));
        let (shared, answers) = (Arc::clone(self), Arc::clone(&to_client));
        let (mut from, mut to) = (clone(&client), clone(&upstream));
        thread::spawn(move || {
            let _ = shared.questions(&mut from, &mut to, &answers);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
        let (shared, mut from) = (Arc::clone(self), upstream);
        thread::spawn(move || {
            let _ = shared.answers(&mut from, &to_client);
            let _ = (
                from.shutdown(Shutdown::Both),
                client.shutdown(Shutdown::Both),
            );
        });
    }

    fn questions(
        &self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        client: &Mutex<TcpStream>,
    ) -> io::Result<()> {
        while let Some(message) = Message::read(from)? {
            match message
                .document()
                .and_then(|command| self.own_answer(&command))
            {
                Some(answer) if message.is_awaited() => message
                    .answer(&answer)
                    .write(&mut *client.lock().unwrap())?,
                Some(_) => {}
                None => message.write(to)?,
            }
        }
        Ok(())
    }

    fn answers(&self, from: &mut TcpStream, client: &Mutex<TcpStream>) -> io::Result<()> {
        while let Some(message) = Message::read(from)? {
            let greeting = (message.len() < LONGEST_GREETING)
                .then(|| message.document())
                .flatten();
            let dressed =
                greeting.and_then(|document| self.manner.dress(document, self.server, self.port));
            let message = match dressed {
                Some(document) => message.saying(&document),
                None => message,
            };
            message.write(&mut *client.lock().unwrap())?;
        }
        Ok(())
    }

    /// What is said without the server: a refusal, or what it could not say.
    fn own_answer(&self, command: &Document) -> Option<Document> {
        let (name, _) = command.iter().next()?;
        let database = command.get_str("$db").unwrap_or("admin");
        if self.user_is_gone.load(Ordering::Relaxed)
            && !matches!(name.as_str(), "hello" | "ping" | "drop")
        {
            return Some(
                doc! { "ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized" },
            );
        }
        let mut server = Upstream {
            port: self.server,
            stream: None,
        };
        if let Some(refusal) = rules::refuse(&self.manner, database, command, &mut server) {
            self.refused
                .lock()
                .unwrap()
                .push((name.clone(), refusal.clone()));
            return Some(refusal.document());
        }
        self.note_views(database, command);
        match name.as_str() {
            "listCollections" if self.keeps_views(database, command) => {
                let mut list = server.ask(database, doc! { "listCollections": 1 });
                let batch = list.get_document_mut("cursor").unwrap();
                let batch = batch.get_array_mut("firstBatch").unwrap();
                let views = doc! { "name": "system.views", "type": "collection", "options": {}, "info": { "readOnly": false } };
                batch.push(views.into());
                keep_named(&mut list, command);
                Some(list)
            }
            "applyOps" => Some(replay::apply(command, &mut server)),
            "listCollections" if database == "admin" => {
                let mut list = self.manner.admin_collections()?;
                keep_named(&mut list, command);
                Some(list)
            }
            "getParameter" if command.contains_key("authSchemaVersion") => {
                Some(doc! { "authSchemaVersion": 5, "ok": 1.0 })
            }
            "_mergeAuthzCollections" => {
                self.user_is_gone
                    .store(command.get_bool("drop").unwrap_or(false), Ordering::Relaxed);
                Some(doc! { "ok": 1.0 })
            }
            "connectionStatus" => self.manner.connection_status(command),
            "dbStats" => self.manner.statistics(database),
            _ => None,
        }
    }

    /// Whether the stand-in leaves the list of views out of this answer, which a user with roles may see.
    fn keeps_views(&self, database: &str, command: &Document) -> bool {
        let known = self.with_views.lock().unwrap().contains(database);
        known && self.manner.roles.is_some() && !command.contains_key("filter")
    }

    fn note_views(&self, database: &str, command: &Document) {
        let made = ["viewOn", "timeseries"]
            .iter()
            .any(|option| command.contains_key(option));
        let mut known = self.with_views.lock().unwrap();
        if command.contains_key("create") && made {
            known.insert(database.to_owned());
        } else if command.contains_key("dropDatabase")
            || command
                .get_str("drop")
                .is_ok_and(|name| name == "system.views")
        {
            known.remove(database);
        }
    }
}

/// A connection of the relay's own, to look at the server and to change it; made when it is first needed. The server
/// must not ask for a password.
pub(super) struct Upstream {
    port: u16,
    stream: Option<TcpStream>,
}

impl Upstream {
    pub(super) fn ask(&mut self, database: &str, command: Document) -> Document {
        self.try_ask(database, command)
            .unwrap_or_else(|error| doc! { "ok": 0.0, "code": 6, "errmsg": error.to_string() })
    }

    fn try_ask(&mut self, database: &str, command: Document) -> io::Result<Document> {
        if self.stream.is_none() {
            self.stream = Some(TcpStream::connect(("127.0.0.1", self.port))?);
        }
        let Some(stream) = &mut self.stream else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        Message::command(1, database, command).write(stream)?;
        let answer = Message::read(stream)?.and_then(|message| message.document());
        answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Leaves of a list of collections what a command asks for by name: mongorestore its temporary collections, a restore what it
/// has restored.
fn keep_named(list: &mut Document, command: &Document) {
    let Some(wanted) = command
        .get_document("filter")
        .ok()
        .and_then(|filter| filter.get("name"))
    else {
        return;
    };
    let names: Vec<&str> = match wanted {
        Bson::Document(wanted) => {
            let names = wanted.get_array("$in").expect("names are asked for by $in");
            names.iter().filter_map(Bson::as_str).collect()
        }
        name => name.as_str().into_iter().collect(),
    };
    let cursor = list.get_document_mut("cursor").unwrap();
    cursor.get_array_mut("firstBatch").unwrap().retain(|one| {
        let name = one.as_document().and_then(|one| one.get_str("name").ok());
        name.is_some_and(|name| names.contains(&name))
    });
}
