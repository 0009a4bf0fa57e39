//! A MongoDB server of a test's own.

use super::secret::{PASSWORD, PASSWORD_ENCODED};
use super::tools::{mongo, server_command};
use super::{SOON, until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Starts the server, tells its process id, and ends it when the test lets go of the pipe or is itself killed.
const KEEPER: &str = r#""$@" >"$LOG" 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null; wait $! 2>/dev/null; rm -rf "$FOLDER""#;

const ADMIN: &str = "root:r00t-of-the-test";

pub struct Server {
    pub port: u16,
    keeper: Child,
    pid: Pid,
    folder: TempDir,
    auth: bool,
    standalone: bool,
}

/// A port on which nobody listens.
pub fn empty_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A server that many tests read from and none changes: three small databases, and a password.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::with_password(&["small", "bulk"]))
}

impl Server {
    /// An empty server with an oplog.
    pub fn start() -> Self {
        Self::launch(tempfile::tempdir().unwrap(), false, false)
    }

    pub fn standalone() -> Self {
        Self::launch(tempfile::tempdir().unwrap(), false, true)
    }

    /// A server that asks for a password, which is [`PASSWORD`] for the user who makes backups.
    pub fn with_password(sets: &[&str]) -> Self {
        let server = Self::start();
        for set in sets {
            server.seed(set);
        }
        let (name, password) = ADMIN.split_once(':').unwrap();
        let users = serde_json::json!([
            { "user": name, "password": password, "role": "root" },
            { "user": "backup@er", "password": PASSWORD, "role": "backup" },
            { "user": "owner", "password": PASSWORD, "role": "root" },
            { "user": "reader", "password": PASSWORD, "role": { "role": "read", "db": "shop" } },
            { "user": "nobody", "password": PASSWORD, "role": "read" },
        ]);
        mongo(&["users", &server.uri()], &users.to_string());
        let (standalone, folder) = (server.standalone, server.stop());
        Self::launch(folder, true, standalone)
    }

    fn launch(folder: TempDir, auth: bool, standalone: bool) -> Self {
        let port = empty_port();
        let data = folder.path().join("data").display().to_string();
        let mut arguments = server_command();
        let real = arguments[0].ends_with("mongod");
        let fresh = !folder.path().join("data").exists();
        std::fs::create_dir_all(&data).unwrap();
        arguments.extend(["--port".into(), port.to_string()]);
        if real {
            arguments.extend([
                "--dbpath".into(),
                data,
                "--bind_ip".into(),
                "127.0.0.1".into(),
            ]);
            if !standalone {
                arguments.extend(["--replSet".into(), "pantry".into()]);
            }
            if auth && !standalone {
                let key = folder.path().join("key");
                std::fs::write(&key, "cGFudHJ5a2VlcGVy").unwrap();
                std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                    .unwrap();
                arguments.extend(["--keyFile".into(), key.display().to_string()]);
            }
        } else {
            arguments.extend([
                "--storage-path".into(),
                data,
                "--log-level".into(),
                "WARNING".into(),
            ]);
            arguments.extend(standalone.then(|| "--standalone".into()));
        }
        arguments.extend(auth.then(|| "--auth".into()));
        let log = folder.path().join("server.log");
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .args(arguments)
            .env("LOG", &log)
            .env("FOLDER", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let pid = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let server = Server {
            port,
            keeper,
            pid,
            folder,
            auth,
            standalone,
        };
        mongo(&["wait", &server.address("", "")], "");
        if real && !standalone && fresh {
            mongo(&["initiate", &server.address("", "")], "");
        }
        server
    }

    /// Ends the server and keeps its data.
    fn stop(self) -> TempDir {
        kill_process(self.pid, Signal::TERM).unwrap();
        until("the server ends", SOON, || {
            test_kill_process(self.pid).is_err()
        });
        let folder = tempfile::tempdir().unwrap();
        // The folder it had goes with it.
        std::fs::rename(self.folder.path().join("data"), folder.path().join("data")).unwrap();
        folder
    }

    fn address(&self, user: &str, options: &str) -> String {
        format!("mongodb://{user}127.0.0.1:{}/{options}", self.port)
    }

    /// For the test itself, which may do everything.
    pub fn uri(&self) -> String {
        match self.auth {
            true => self.address(&format!("{ADMIN}@"), "?authSource=admin"),
            false => self.address("", ""),
        }
    }

    /// For Pantry Keeper.
    pub fn backup_uri(&self) -> String {
        self.backup_uri_by(self.port)
    }

    /// The same through another port.
    pub fn backup_uri_by(&self, port: u16) -> String {
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
    pub fn owner_uri(&self) -> String {
        self.address(
            &format!("owner:{PASSWORD_ENCODED}@"),
            "?directConnection=true&authSource=admin",
        )
    }

    pub fn seed(&self, set: &str) {
        mongo(&["seed", &self.uri(), set], "");
    }

    /// Makes so many collections of one document each.
    pub fn seed_many(&self, collections: u32) {
        mongo(&["seed", &self.uri(), "many", &collections.to_string()], "");
    }

    /// Changes a collection: `drop`, `empty` or `fill` it.
    pub fn change(&self, how: &str, namespace: &str) {
        mongo(&["change", &self.uri(), how, namespace], "");
    }

    /// Everything it holds, by namespace, as a plain client sees it.
    pub fn fingerprint(&self) -> BTreeMap<String, serde_json::Value> {
        serde_json::from_slice(&mongo(&["fingerprint", &self.uri()], "").stdout).unwrap()
    }

    /// Whether it is MongoDB itself, which can do what its stand-in cannot.
    pub fn is_mongod(&self) -> bool {
        server_command()[0].ends_with("mongod")
    }

    /// Drops all that is on it but what is its own.
    pub fn clear(&self) {
        mongo(&["clear", &self.uri()], "");
    }

    /// Whether there is nothing on it but what is its own.
    pub fn is_empty(&self) -> bool {
        self.fingerprint().is_empty()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(self.pid, Signal::KILL);
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
