//! A place of each kind whose files lie on this disk: what is seen of them, and the search for what opens it.

use super::places::{Place, Sshd};
use super::site::{Outcome, Running, Site};
use std::fs;
use std::path::{Path, PathBuf};

/// What runs for as long as the place is there.
enum Server {
    None,
    WebDav(Place),
    Sftp(Sshd),
}

pub(crate) struct Elsewhere {
    /// Where its files lie.
    pub files: PathBuf,
    /// What opens it, in every form that is sent or kept.
    credentials: Vec<String>,
    server: Server,
}

impl Elsewhere {
    /// A place of this kind, `file`, `sftp`, `webdav` or `rclone`, for the copies of a site; none, said aloud, where the tool for it
    /// is not there.
    pub(crate) fn start(kind: &str, site: Site) -> Option<(Self, Site)> {
        match kind {
            "file" => {
                let files = site.path("disk2");
                fs::create_dir(&files).unwrap();
                let url = format!("file://{}", files.display());
                let place = Self::of(files, &[], Server::None);
                Some((place, site.with("OFFSITE_URL", url)))
            }
            "webdav" => {
                let server = Place::webdav();
                let site = site.with_place(&server);
                // The second is what is sent: `me:right-password` in base64.
                let secrets = ["right-password", "bWU6cmlnaHQtcGFzc3dvcmQ"];
                let place = Self::of(server.files(), &secrets, Server::WebDav(server));
                Some((place, site))
            }
            "sftp" => {
                let sshd = Sshd::start()?;
                let site = site.with_sshd(&sshd);
                let key = fs::read_to_string(sshd.file("user")).unwrap();
                let key: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
                let place = Self::of(sshd.files(), &key, Server::Sftp(sshd));
                Some((place, site))
            }
            "rclone" => {
                let site = site.with_rclone()?;
                let config = site.path("rclone.conf");
                let text = fs::read_to_string(&config).unwrap();
                fs::write(&config, text + "secret_access_key = rclone-secret\n").unwrap();
                let place = Self::of(site.path("far"), &["rclone-secret"], Server::None);
                Some((place, site))
            }
            other => panic!("{other} is no kind of place"),
        }
    }

    fn of(files: PathBuf, credentials: &[&str], server: Server) -> Self {
        let credentials = credentials.iter().map(|text| (*text).to_owned());
        Elsewhere {
            files,
            credentials: credentials.collect(),
            server,
        }
    }

    /// The server, where that is OpenSSH's.
    pub(crate) fn sshd(&self) -> Option<&Sshd> {
        match &self.server {
            Server::Sftp(sshd) => Some(sshd),
            _ => None,
        }
    }

    /// The files there.
    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(&self.files).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// The files there that do not have their final names.
    pub(crate) fn unfinished(&self) -> Vec<PathBuf> {
        let names = self.names().into_iter();
        let unfinished = names.filter(|name| name.starts_with('.') || name.ends_with(".partial"));
        unfinished.map(|name| self.files.join(name)).collect()
    }

    /// Whether a part of an archive is on its way or there already.
    pub(crate) fn is_being_sent(&self) -> bool {
        if let Server::WebDav(place) = &self.server {
            let seen = place.seen();
            return seen
                .iter()
                .any(|line| line.starts_with("PUT ") && !line.contains(".sha256"));
        }
        let files = self.unfinished();
        let mut sizes = files
            .iter()
            .map(|file| fs::metadata(file).map_or(0, |file| file.len()));
        sizes.any(|bytes| bytes > 0)
    }

    /// What has a final name is what it is here, to the last byte; the number of such files.
    pub(crate) fn nothing_half(&self, site: &Site) -> usize {
        let unfinished = self.unfinished();
        let names = self.names();
        let finished = names
            .iter()
            .filter(|name| !unfinished.contains(&self.files.join(name)));
        finished
            .map(|name| {
                let here = fs::read(site.backups().join(name)).unwrap();
                assert!(
                    fs::read(self.files.join(name)).unwrap() == here,
                    "{name} is half"
                );
            })
            .count()
    }

    /// Fails the test when a credential is in a command line.
    pub(crate) fn nowhere_in_arguments(&self, running: &Running) {
        nowhere_in_arguments(running, &self.credentials);
    }

    /// Fails the test when a credential is in what was said, or in a file of ours.
    pub(crate) fn nowhere_told(&self, site: &Site, outcome: &Outcome) {
        for secret in &self.credentials {
            let said = [&outcome.stdout, &outcome.stderr];
            assert!(!said.iter().any(|text| text.contains(secret)), "{said:?}");
            for folder in [site.backups().join(".pantry-keeper"), site.path("logs")] {
                nowhere_below(&folder, secret);
            }
        }
    }
}

/// Fails the test when one of these is in the command line of a run or of what it has started.
pub(crate) fn nowhere_in_arguments(running: &Running, secrets: &[String]) {
    let lines = running.command_lines();
    for secret in secrets {
        let found = lines.iter().find(|line| line.contains(secret));
        assert_eq!(found, None, "a credential is in a command line");
    }
}

fn nowhere_below(folder: &Path, secret: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            nowhere_below(&path, secret);
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            assert!(
                !text.contains(secret),
                "a credential is in {}",
                path.display()
            );
        }
    }
}
