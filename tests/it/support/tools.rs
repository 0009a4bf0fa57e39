//! The real parts, which `scripts/setup` brings.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SETUP: &str = "run scripts/setup first";

pub(crate) fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// A program that the machine is expected to have.
pub(crate) fn needed(name: &str, how: &str) -> PathBuf {
    on_path(name).unwrap_or_else(|| panic!("this test needs {name} on PATH: {how}"))
}

/// mongodump, mongorestore or bsondump: what is installed for the project comes before what the machine has.
pub(crate) fn tool(name: &str) -> PathBuf {
    let ours = in_project(".tools/bin").join(name);
    let found = if ours.is_file() {
        Some(ours)
    } else {
        on_path(name)
    };
    found.unwrap_or_else(|| panic!("there is no {name}: {SETUP}"))
}

/// A Python that has pymongo and aiosmtpd.
pub(crate) fn python() -> PathBuf {
    let given = std::env::var_os("PANTRY_TEST_PYTHON").map(PathBuf::from);
    let ours = in_project(".tools/venv/bin/python");
    given
        .or_else(|| ours.is_file().then_some(ours))
        .unwrap_or_else(|| panic!("there is no Python with pymongo: {SETUP}"))
}

/// A PATH on which mongodump is found.
pub(crate) fn path_with_tools() -> String {
    format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        tool("mongodump").parent().unwrap().display()
    )
}

/// Runs a program that must succeed.
pub(crate) fn command<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    succeed(command)
}

pub(crate) fn succeed(mut command: Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{errors}",
        output.status
    );
    output
}

/// Runs `tests/support/mongo.py`.
pub(super) fn mongo(arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut command = Command::new(python());
    command
        .arg(in_project("tests/support/mongo.py"))
        .args(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; {SETUP}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "mongo.py {arguments:?}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
