//! What the tests themselves count on.

use crate::support::{in_project, python, succeed};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A replica set's configuration names the port, and a mongod on another one is no primary. The stand-in is not so strict:
/// here it stands behind a false mongod that is.
#[test]
fn a_server_with_users_becomes_primary_also_where_that_is_a_mongod() {
    let folder = tempfile::tempdir().unwrap();
    let mongod = folder.path().join("mongod");
    let strict = in_project("tests/support/mongod_like.py");
    let script = format!(
        "#!/bin/sh\nexec {} {} \"$@\"\n",
        python().display(),
        strict.display()
    );
    fs::write(&mongod, script).unwrap();
    fs::set_permissions(&mongod, fs::Permissions::from_mode(0o755)).unwrap();
    let mut shared = Command::new(python());
    shared
        .arg(in_project("tests/support/server.py"))
        .args(["shared", "sh", "-c", "echo \"$PANTRY_SHARED_SERVER\""])
        .env("PANTRY_TEST_SERVER", &mongod);
    let known: serde_json::Value = serde_json::from_slice(&succeed(shared).stdout).unwrap();
    assert_eq!(
        (&known["mongod"], &known["users"]),
        (&true.into(), &true.into()),
        "{known}"
    );
}
