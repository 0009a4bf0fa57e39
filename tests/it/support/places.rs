//! Places for copies: a folder, and real servers for S3, WebDAV and SFTP, which end with the test that started them.

use super::site::Site;
use super::smtp::Smtp;
use super::tools::{in_project, python};
use super::{SOON, until};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// `s3`, `s3s` or `webdav`, by `tests/support/places.py`.
pub(crate) struct Place {
    kind: &'static str,
    pub port: u16,
    folder: TempDir,
    child: Child,
}

impl Place {
    pub(crate) fn s3() -> Self {
        Self::start("s3", "server")
    }

    pub(crate) fn webdav() -> Self {
        Self::start("webdav", "server")
    }

    pub(crate) fn start(kind: &'static str, certificate: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(python())
            .arg(in_project("tests/support/places.py"))
            .args([kind, &folder.path().display().to_string()])
            .args(["--certificate", certificate])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse();
        Place {
            kind,
            port: port.unwrap_or_else(|_| panic!("{kind} did not start: run scripts/setup first")),
            folder,
            child,
        }
    }

    pub(crate) fn url(&self) -> String {
        match self.kind {
            "s3" => format!(
                "s3://pantry/backups?endpoint=http://127.0.0.1:{}",
                self.port
            ),
            "s3s" => format!(
                "s3://pantry/backups?endpoint=https://localhost:{}",
                self.port
            ),
            _ => format!("webdavs://localhost:{}/", self.port),
        }
    }

    /// Tells it how to misbehave from now on.
    pub(crate) fn behave(&self, how: &str) {
        fs::write(self.folder.path().join("behave"), how).unwrap();
    }

    pub(crate) fn behave_well(&self) {
        let _ = fs::remove_file(self.folder.path().join("behave"));
    }

    /// How long the answers to GET were so far, in bytes.
    pub(crate) fn served(&self) -> Vec<u64> {
        let text = fs::read_to_string(self.folder.path().join("served")).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// A line for each request: method, path with query, length of the body.
    pub(crate) fn seen(&self) -> Vec<String> {
        let seen = fs::read_to_string(self.folder.path().join("seen")).unwrap_or_default();
        seen.lines().map(str::to_owned).collect()
    }

    /// The files that a WebDAV server serves.
    pub(crate) fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// OpenSSH's server, as the user who runs the tests.
pub(crate) struct Sshd {
    pub port: u16,
    folder: TempDir,
    child: Child,
}

impl Sshd {
    /// None, said aloud, where there is no sshd.
    pub(crate) fn start() -> Option<Self> {
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(program) = program else {
            eprintln!("SKIPPED: there is no sshd here; scripts/setup installs openssh-server");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["host", "other", "user"] {
            let arguments = ["-q", "-t", "ed25519", "-N", "", "-f", &path(name)];
            super::tools::command("ssh-keygen", arguments);
        }
        fs::copy(path("user.pub"), path("authorized")).unwrap();
        fs::create_dir(path("files")).unwrap();
        // As root, sshd wants this one.
        let _ = fs::create_dir_all("/run/sshd");
        let port = super::server::empty_port();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PidFile none\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n",
            path("host"),
            path("authorized")
        );
        fs::write(path("config"), config).unwrap();
        let child = Command::new(program)
            .args(["-D", "-e", "-f", &path("config")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Sshd {
            port,
            folder,
            child,
        };
        sshd.known_by("host");
        until("sshd listens", SOON, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(sshd)
    }

    /// Whose key the client takes for the server's: `host`, or that of another one.
    pub(crate) fn known_by(&self, key: &str) {
        let key = fs::read_to_string(self.folder.path().join(format!("{key}.pub"))).unwrap();
        let line = format!("[127.0.0.1]:{} {key}", self.port);
        fs::write(self.folder.path().join("known"), line).unwrap();
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    pub(crate) fn url(&self) -> String {
        format!("sftp://127.0.0.1:{}{}", self.port, self.files().display())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A second implementation of S3: versitygw, which scripts/setup --s3 builds where it can.
pub(crate) struct Versity {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl Versity {
    /// None, said aloud, where there is none.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // A bucket is a folder.
        fs::create_dir(folder.path().join("pantry")).unwrap();
        let port = super::server::empty_port();
        let started = Command::new("versitygw")
            .args(["--access", "right-key-id", "--secret", "right-secret-key"])
            .args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "posix"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            eprintln!("SKIPPED: there is no versitygw on PATH; scripts/setup --s3 builds it");
            return None;
        };
        let versity = Versity {
            port,
            folder,
            child,
        };
        until("versitygw listens", SOON, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(versity)
    }

    pub(crate) fn url(&self) -> String {
        let port = self.port;
        format!("s3://pantry/backups?endpoint=http://127.0.0.1:{port}")
    }

    /// What is in the bucket.
    pub(crate) fn files(&self) -> PathBuf {
        self.folder.path().join("pantry/backups")
    }
}

impl Drop for Versity {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Site {
    /// With a place for copies, and what opens its door.
    pub(crate) fn with_place(self, place: &Place) -> Self {
        self.with("OFFSITE_URL", place.url())
            .with("AWS_ACCESS_KEY_ID", "right-key-id")
            .with("AWS_SECRET_ACCESS_KEY", "right-secret-key")
            .with("WEBDAV_USERNAME", "me")
            .with("WEBDAV_PASSWORD", "right-password")
            .with("SSL_CERT_FILE", Smtp::authority().display())
    }

    pub(crate) fn with_sshd(self, sshd: &Sshd) -> Self {
        let home = std::env::var("HOME").unwrap_or_else(|_| "/".into());
        self.with("OFFSITE_URL", sshd.url())
            .with("SSH_IDENTITY_FILE", sshd.file("user").display())
            .with("SSH_KNOWN_HOSTS_FILE", sshd.file("known").display())
            .with("HOME", home)
    }

    /// With a remote of rclone's for copies, the folder `far`; none, said aloud, where there is no rclone.
    pub(crate) fn with_rclone(self) -> Option<Self> {
        let beside = python();
        let programs = beside.parent();
        let programs = programs.filter(|folder| folder.join("rclone").is_file());
        let Some(programs) = programs else {
            eprintln!("SKIPPED: there is no rclone beside the tests' Python; run scripts/setup");
            return None;
        };
        let (disk, config) = (self.path("far"), self.path("rclone.conf"));
        fs::create_dir(&disk).unwrap();
        let text = format!("[far]\ntype = alias\nremote = {}\n", disk.display());
        fs::write(&config, text).unwrap();
        let path = format!("{}:{}", programs.display(), super::path_with_tools());
        let site = self
            .with("PATH", path)
            .with("RCLONE_CONFIG", config.display())
            .with("OFFSITE_URL", "rclone:far:");
        Some(site)
    }
}
