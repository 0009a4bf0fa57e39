//! A false mongodump, for what the real one cannot be made to do.

use super::server::shared;
use super::site::Site;
use super::tools::{command, tool};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a script begins with to be taken for mongodump.
pub const ANSWER_VERSION: &str = r#"[ "$1" = --version ] && { echo "mongodump version: 100.12.2"; exit 0; }"#;

impl Site {
    /// Puts a program named mongodump before all others on PATH.
    pub fn with_false_mongodump(self, script: &str) -> Self {
        self.with_mongodump_file(format!("#!/bin/sh\n{script}\n").as_bytes(), "755")
    }

    /// Leaves no mongodump but this file on PATH.
    pub fn with_mongodump_file(self, content: &[u8], mode: &str) -> Self {
        let folder = self.path("bin");
        fs::create_dir_all(&folder).unwrap();
        // Written by another process: while this one has it open for writing, a child that another test is just
        // starting has it open too, and nobody can run it.
        let mut shell = Command::new("sh")
            .args(["-c", &format!("cat > mongodump && chmod {mode} mongodump")])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(content).unwrap();
        assert!(shell.wait().unwrap().success());
        // Programs that the scripts use lie in these.
        let path = format!("{}:/usr/bin:/bin", folder.display());
        self.with("PATH", path)
    }

    /// A mongodump that sends these bytes and is content.
    pub fn with_mongodump_sending(self, stream: &[u8]) -> Self {
        fs::write(self.path("stream"), stream).unwrap();
        let script = format!("{ANSWER_VERSION}\ncat {}", self.path("stream").display());
        self.with_false_mongodump(&script)
    }
}

/// What the real mongodump sent once.
pub fn recorded_stream() -> &'static [u8] {
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
