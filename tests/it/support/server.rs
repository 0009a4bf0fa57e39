//! A MongoDB server of a test's own.

use super::secret::PASSWORD_ENCODED;
use super::tools::{in_project, mongo, python};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The first of `tests/support/users.json`, where all are whom [`Server::with_password`] knows.
const ADMIN: &str = "root:r00t-of-the-test";

pub(crate) struct Server {
    pub port: u16,
    /// Starts the server, and ends it when the test lets go of the pipe or is itself killed: `tests/support/server.py`.
    keeper: Option<Child>,
    pid: Pid,
    auth: bool,
    mongod: bool,
    version: (u64, u64),
    _folder: Option<TempDir>,
}

/// A port on which nobody listens.
pub(crate) fn empty_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A server that many tests read from and none changes: three small databases, and a password. Where each test is a
/// process, one server waits for all of them: `server.py shared`.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| match std::env::var("PANTRY_SHARED_SERVER") {
        Ok(line) => Server::described_by(&line, None),
        Err(_) => Server::with_password(&["small", "bulk"]),
    })
}

impl Server {
    /// An empty server with an oplog.
    pub(crate) fn start() -> Self {
        Self::launch(&json!({}))
    }

    pub(crate) fn standalone() -> Self {
        Self::launch(&json!({ "standalone": true }))
    }

    /// A server that asks for a password, which is [`PASSWORD`](super::PASSWORD) for all but its administrator.
    pub(crate) fn with_password(sets: &[&str]) -> Self {
        Self::launch(&json!({ "seed": sets, "users": true }))
    }

    fn launch(wanted: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Command::new(python())
            .arg(in_project("tests/support/server.py"))
            .arg("keep")
            .arg(folder.path().join("server"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(keeper.stdin.as_mut().unwrap(), "{wanted}").unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self::described_by(&line, Some((keeper, folder)))
    }

    fn described_by(line: &str, ours: Option<(Child, TempDir)>) -> Self {
        let known: Value =
            serde_json::from_str(line).expect("the server does not start, see above");
        let number = |value: &Value| value.as_u64().unwrap();
        let (keeper, _folder) = ours.unzip();
        Server {
            port: number(&known["port"]).try_into().unwrap(),
            keeper,
            pid: Pid::from_raw(number(&known["pid"]).try_into().unwrap()).unwrap(),
            auth: known["users"] == true,
            mongod: known["mongod"] == true,
            version: (number(&known["version"][0]), number(&known["version"][1])),
            _folder,
        }
    }

    fn address(&self, user: &str, options: &str) -> String {
        format!("mongodb://{user}127.0.0.1:{}/{options}", self.port)
    }

    /// For the test itself, which may do everything.
    pub(crate) fn uri(&self) -> String {
        match self.auth {
            true => self.address(&format!("{ADMIN}@"), "?authSource=admin"),
            false => self.address("", ""),
        }
    }

    /// For Pantry Keeper.
    pub(crate) fn backup_uri(&self) -> String {
        self.backup_uri_by(self.port)
    }

    /// The same through another port.
    pub(crate) fn backup_uri_by(&self, port: u16) -> String {
        let (user, source) = match self.auth {
            true => (
                format!("backup%40er:{PASSWORD_ENCODED}@"),
                "&authSource=admin",
            ),
            false => (String::new(), ""),
        };
        // Without directConnection a driver finds out about the real port.
        format!(
            "mongodb://{user}127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=3000{source}"
        )
    }

    /// For somebody who may do everything, with the password that is searched for.
    pub(crate) fn owner_uri(&self) -> String {
        self.address(
            &format!("owner:{PASSWORD_ENCODED}@"),
            "?directConnection=true&authSource=admin",
        )
    }

    pub(crate) fn seed(&self, set: &str) {
        mongo(&["seed", &self.uri(), set], "");
    }

    /// Makes so many collections of one document each.
    pub(crate) fn seed_many(&self, collections: u32) {
        mongo(&["seed", &self.uri(), "many", &collections.to_string()], "");
    }

    /// Changes a collection: `drop`, `empty` or `fill` it.
    pub(crate) fn change(&self, how: &str, namespace: &str) {
        mongo(&["change", &self.uri(), how, namespace], "");
    }

    /// Writes into a collection what these lines say, such as `{"insert": {"_id": 1}}`.
    pub(crate) fn write(&self, namespace: &str, lines: &[String]) {
        mongo(&["write", &self.uri(), namespace], &lines.join("\n"));
    }

    /// For each query in Extended JSON, the `_id` of what it finds, or the server's refusal.
    pub(crate) fn find(&self, namespace: &str, queries: &[String]) -> Vec<Value> {
        let found = mongo(&["find", &self.uri(), namespace], &queries.join("\n"));
        let found = String::from_utf8(found.stdout).unwrap();
        found
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Everything it holds, by namespace, as a plain client sees it.
    pub(crate) fn fingerprint(&self) -> BTreeMap<String, Value> {
        serde_json::from_slice(&mongo(&["fingerprint", &self.uri()], "").stdout).unwrap()
    }

    /// Whether it is MongoDB itself, which can do what its stand-in cannot.
    pub(crate) fn is_mongod(&self) -> bool {
        self.mongod
    }

    /// Such as (7, 0); what stands in for MongoDB says which one it is like.
    pub(crate) fn version(&self) -> (u64, u64) {
        self.version
    }

    /// Drops all that is on it but what is its own.
    pub(crate) fn clear(&self) {
        mongo(&["clear", &self.uri()], "");
    }

    /// Whether there is nothing on it but what is its own.
    pub(crate) fn is_empty(&self) -> bool {
        self.fingerprint().is_empty()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}
