//! A false mongodump or mongorestore, for what the real one cannot be made to do.

use super::server::shared;
use super::site::Site;
use super::tools::{command, path_with_tools, tool};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a script begins with to be taken for mongodump.
pub(crate) const ANSWER_VERSION: &str =
    r#"[ "$1" = --version ] && { echo "mongodump version: 100.12.2"; exit 0; }"#;

/// The same for mongorestore. `$REAL` is the real one.
pub(super) fn answer_restore_version() -> String {
    format!(
        "[ \"$1\" = --version ] && {{ echo 'mongorestore version: 100.12.2'; exit 0; }}\nREAL={}",
        tool("mongorestore").display()
    )
}

impl Site {
    /// Puts a program named mongorestore before all others on PATH; its version is asked for before the script runs.
    pub(crate) fn with_false_mongorestore(self, script: &str) -> Self {
        let script = format!("#!/bin/sh\n{}\n{script}\n", answer_restore_version());
        self.put_program("mongorestore", script.as_bytes(), "755");
        let path = format!("{}:{}", self.path("bin").display(), path_with_tools());
        self.with("PATH", path)
    }

    /// A false mongodump beside a false mongorestore.
    pub(crate) fn with_false_mongodump_beside(self, script: &str) -> Self {
        self.put_program(
            "mongodump",
            format!("#!/bin/sh\n{ANSWER_VERSION}\n{script}\n").as_bytes(),
            "755",
        );
        self
    }

    /// Puts a program named rclone before all others on PATH.
    pub(crate) fn with_false_rclone(self, script: &str) -> Self {
        self.put_program("rclone", format!("#!/bin/sh\n{script}\n").as_bytes(), "755");
        let path = format!("{}:{}", self.path("bin").display(), path_with_tools());
        self.with("PATH", path)
    }

    /// A mongorestore that only leaves a trace of having been started.
    pub(crate) fn with_mongorestore_traced(self) -> Self {
        let trace = self.path("mongorestore-was-started");
        self.with_false_mongorestore(&format!(
            "touch {}; cat > /dev/null; exit 1",
            trace.display()
        ))
    }

    /// Whether the one of [`Site::with_mongorestore_traced`] was started.
    pub(crate) fn mongorestore_was_started(&self) -> bool {
        self.path("mongorestore-was-started").exists()
    }

    /// Puts a program named mongodump before all others on PATH.
    pub(crate) fn with_false_mongodump(self, script: &str) -> Self {
        self.with_mongodump_file(format!("#!/bin/sh\n{script}\n").as_bytes(), "755")
    }

    /// Leaves no mongodump but this file on PATH.
    pub(crate) fn with_mongodump_file(self, content: &[u8], mode: &str) -> Self {
        self.put_program("mongodump", content, mode);
        // Programs that the scripts use lie in these.
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        self.with("PATH", path)
    }

    fn put_program(&self, name: &str, content: &[u8], mode: &str) {
        let folder = self.path("bin");
        fs::create_dir_all(&folder).unwrap();
        // Written by another process: while this one has it open for writing, a child that another test is just
        // starting has it open too, and nobody can run it.
        let mut shell = Command::new("sh")
            .args(["-c", &format!("cat > {name} && chmod {mode} {name}")])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(content).unwrap();
        assert!(shell.wait().unwrap().success());
    }

    /// A mongodump that sends these bytes and is content.
    pub(crate) fn with_mongodump_sending(self, stream: &[u8]) -> Self {
        fs::write(self.path("stream"), stream).unwrap();
        let script = format!("{ANSWER_VERSION}\ncat {}", self.path("stream").display());
        self.with_false_mongodump(&script)
    }
}

/// What the real mongodump sent once.
pub(crate) fn recorded_stream() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file: PathBuf = folder.path().join("stream");
        let arguments = [
            format!("--uri={}", shared().uri()),
            "--db=shop".into(),
            "--numParallelCollections=1".into(),
            format!("--archive={}", file.display()),
        ];
        command(tool("mongodump"), arguments);
        fs::read(file).unwrap()
    })
}
