//! One place where Pantry Keeper runs: its folders, its settings, and runs of the real binary.

use super::folder::{Before, OLDER};
use super::secret;
use super::server::{Server, shared};
use super::tools::path_with_tools;
use super::{SOON, until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No run of a test takes longer, even on a slow machine.
const LONGEST_RUN: Duration = Duration::from_secs(90);

pub(crate) struct Site {
    root: TempDir,
    environment: BTreeMap<String, String>,
    /// Started by this program instead of by the test.
    by: Vec<String>,
}

impl Site {
    /// A place with no settings but its folders, and with mongodump on PATH.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let site = Site {
            root,
            environment: BTreeMap::new(),
            by: Vec::new(),
        };
        let folder = |name: &str| site.root.path().join(name).display().to_string();
        let (backups, logs) = (folder("backups"), folder("logs"));
        site.with("BACKUP_DIR", backups)
            .with("LOG_DIR", logs)
            .with("PATH", path_with_tools())
            .with("BACKUP_RETRIES", 0)
    }

    /// A place that backs up a server.
    pub(crate) fn of(server: &Server) -> Self {
        Self::new().with("MONGODB_URI", server.backup_uri())
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.insert(name.into(), value.to_string());
        self
    }

    /// Starts the program with other words in front, such as `sh -c 'ulimit …; exec "$@"' sh`.
    pub(crate) fn started_by(mut self, words: &[&str]) -> Self {
        self.by = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn backups(&self) -> PathBuf {
        self.path("backups")
    }

    /// Where [`OLDER`] is.
    pub(crate) fn older(&self) -> PathBuf {
        self.backups().join(format!("{OLDER}.tar.gz"))
    }

    /// Puts this under the name of [`OLDER`] into the backup folder.
    pub(crate) fn with_older(&self, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.backups()).unwrap();
        fs::write(self.older(), content).unwrap();
    }

    /// Puts an archive from long ago, its checksum, and files of other people into the backup folder.
    pub(crate) fn with_older_files(&self) -> Before {
        let folder = self.backups();
        fs::create_dir_all(&folder).unwrap();
        let (archive, name) = (
            folder.join(format!("{OLDER}.tar.gz")),
            format!("{OLDER}.tar.gz"),
        );
        fs::write(&archive, &sound_archive().1).unwrap();
        fs::write(
            folder.join(format!("{name}.sha256")),
            format!("{}  {name}\n", "0".repeat(64)),
        )
        .unwrap();
        for name in [
            "notes.txt",
            "other_backup_20250105_020000.tar.gz",
            ".notes.txt.partial",
            "x.partial",
        ] {
            fs::write(folder.join(name), "not ours").unwrap();
        }
        Before::of(&folder)
    }

    /// Puts an archive as it was made into the folder, without a checksum beside it; its path.
    pub(crate) fn with_sound_archive(&self) -> PathBuf {
        let (name, content) = sound_archive();
        fs::create_dir_all(self.backups()).unwrap();
        let path = self.backups().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The names of all archives in the folder, oldest first.
    pub(crate) fn archives(&self) -> Vec<String> {
        let names = fs::read_dir(self.backups())
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| is_archive(name) && !name.starts_with('.'));
        names.sort();
        names
    }

    /// The only archive in the folder.
    pub(crate) fn archive(&self) -> PathBuf {
        let names = fs::read_dir(self.backups())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut archives = names.filter(|path| is_archive(&path.display().to_string()));
        let archive = archives.next().expect("an archive");
        assert_eq!(archives.next(), None);
        archive
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.start(arguments).end(LONGEST_RUN)
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let program = env!("CARGO_BIN_EXE_pantry-keeper");
        let mut words = self
            .by
            .iter()
            .map(String::as_str)
            .chain([program])
            .chain(arguments.iter().copied());
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.root.path());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{command:?}: {error}");
            });
        let stdout = Capture::of(child.stdout.take().unwrap());
        let stderr = Capture::of(child.stderr.take().unwrap());
        Running {
            child,
            stdout,
            stderr,
            begun: Instant::now(),
            root: self.root.path().to_owned(),
            done: false,
        }
    }
}

/// An archive of the shared server, made once: its name and content.
fn sound_archive() -> &'static (String, Vec<u8>) {
    static SOUND: OnceLock<(String, Vec<u8>)> = OnceLock::new();
    SOUND.get_or_init(|| {
        let site = Site::of(shared()).with("BACKUP_DATABASES", "shop,blog,library,bulk");
        site.run(&["backup"]).done();
        let path = site.archive();
        (
            path.file_name().unwrap().to_str().unwrap().to_owned(),
            fs::read(path).unwrap(),
        )
    })
}

/// What a process writes, read as it comes so that it never waits for us.
struct Capture {
    text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Capture {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&text);
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                written.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        });
        Capture { text, thread }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// A run that has not ended yet; killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Capture,
    stderr: Capture,
    begun: Instant,
    root: PathBuf,
    done: bool,
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said something on stderr.
    pub(crate) fn until_it_says(&self, words: &str) {
        let deadline = Instant::now() + SOON;
        while !self.said().contains(words) {
            assert!(
                Instant::now() < deadline,
                "it does not say {words:?} within {SOON:?}:\n{}",
                self.said()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process id of the first one it started: the program, when something else started that.
    pub(crate) fn child(&self) -> u32 {
        children(self.child.id())[0]
    }

    /// A signal to [`child`](Self::child): strace, for one, passes none on.
    pub(crate) fn tell_child(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child() as i32).unwrap(), signal).unwrap();
    }

    /// What it has said on stderr so far.
    pub(crate) fn said(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits until it has said something so many times.
    pub(crate) fn until_it_says_times(&self, words: &str, times: usize) {
        until(&format!("it says {words:?} {times} times"), SOON, || {
            self.said().matches(words).count() >= times
        });
    }

    /// Waits for the mongodump that it starts, and gives its process id.
    pub(crate) fn mongodump(&self) -> u32 {
        self.tool("mongodump")
    }

    /// Waits for a tool that it starts, and gives its process id.
    pub(crate) fn tool(&self, name: &str) -> u32 {
        let mut found = None;
        until(&format!("{name} is started"), SOON, || {
            found = descendants(self.child.id()).into_iter().find(|pid| {
                let words = command_line(*pid);
                words
                    .first()
                    .is_some_and(|word| !word.contains("pantry-keeper") && word != "/proc/self/exe")
                    && words.iter().any(|word| word.ends_with(name))
                    && !words.iter().any(|word| word == "--version")
            });
            found.is_some()
        });
        found.unwrap()
    }

    /// The command lines of it and of all that it has started.
    pub(crate) fn command_lines(&self) -> Vec<String> {
        let own = [vec![self.child.id()], descendants(self.child.id())].concat();
        own.iter().map(|pid| command_line(*pid).join(" ")).collect()
    }

    /// Waits for its end, and looks for the password wherever it was written.
    pub(crate) fn end(mut self, limit: Duration) -> Outcome {
        let deadline = self.begun + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                panic!(
                    "it has not ended within {limit:?}:\n{}",
                    self.stderr.so_far()
                );
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.done = true;
        // Whoever still holds the pipes has outlived it.
        until("its output ends", SOON, || {
            self.stdout.thread.is_finished() && self.stderr.thread.is_finished()
        });
        let outcome = Outcome {
            status,
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            took: self.begun.elapsed(),
        };
        secret::nowhere_in("stdout", outcome.stdout.as_bytes());
        secret::nowhere_in("stderr", outcome.stderr.as_bytes());
        secret::nowhere_below(&self.root);
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Children, their children, and so on.
fn descendants(parent: u32) -> Vec<u32> {
    let own = children(parent);
    own.iter()
        .flat_map(|child| [vec![*child], descendants(*child)].concat())
        .collect()
}

fn children(parent: u32) -> Vec<u32> {
    let of_thread = |path: PathBuf| fs::read_to_string(path.join("children")).unwrap_or_default();
    let threads = fs::read_dir(format!("/proc/{parent}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists: Vec<String> = threads.map(|entry| of_thread(entry.path())).collect();
    lists
        .iter()
        .flat_map(|list| list.split_whitespace())
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn command_line(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// How a run ended.
pub(crate) struct Outcome {
    status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Outcome {
    /// None when a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Everything went well.
    pub(crate) fn done(self) -> Self {
        self.ended_with(0)
    }

    pub(crate) fn ended_with(self, code: i32) -> Self {
        let Outcome {
            status,
            stdout,
            stderr,
            ..
        } = &self;
        assert_eq!(
            status.code(),
            Some(code),
            "ended with {status} (signal {:?}):\n{stdout}\n{stderr}",
            status.signal()
        );
        self
    }

    /// All of these are in what it said on stderr.
    pub(crate) fn saying(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "it does not say {word:?}:\n{}",
                self.stderr
            );
        }
        self
    }

    /// All of these are in what it printed on stdout.
    pub(crate) fn printing(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stdout.contains(word),
                "it does not print {word:?}:\n{}",
                self.stdout
            );
        }
        self
    }

    pub(crate) fn within(self, limit: Duration) -> Self {
        assert!(
            self.took < limit,
            "it took {:?}:\n{}",
            self.took,
            self.stderr
        );
        self
    }

    /// The largest memory of [`Site::measured`], in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let peak = self
            .stderr
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("peak "));
        peak.unwrap_or_else(|| panic!("no peak in:\n{}", self.stderr))
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    /// The one JSON document on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.stdout, self.stderr))
    }
}

/// Whether a process is there; one that has ended but was not asked after is not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))
        .unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn is_archive(name: &str) -> bool {
    name.ends_with(".tar.gz") || name.ends_with(".tar.zst")
}
