//! The stock `ssh`: how it is started, and what it says when a session ends.

use super::Access;
use super::error::{StoreError, StoreErrorKind};
use crate::settings::OffsitePlace;
use crate::sys::process;
use russh_sftp::client::error::Error;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// What ssh needs of our environment.
pub(super) const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "SSH_AUTH_SOCK",
];

/// The stock client.
pub(super) fn find(access: &Access<'_>) -> Result<PathBuf, StoreError> {
    let search = access.environment.iter().find(|(name, _)| name == "PATH");
    let search = search.map_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"), |(_, path)| path);
    process::find_program("ssh", search).ok_or_else(|| {
        StoreError::new(
            StoreErrorKind::Other,
            "there is no ssh on PATH",
            "install openssh-client",
        )
    })
}

/// A host's key that is not known or not the same ends it, and nothing is ever asked.
pub(super) fn arguments(place: &OffsitePlace, access: &Access<'_>) -> Vec<OsString> {
    let OffsitePlace::Sftp {
        user, host, port, ..
    } = place
    else {
        return Vec::new();
    };
    let mut arguments: Vec<OsString> = Vec::new();
    let mut option = |text: OsString| arguments.extend(["-o".into(), text]);
    for text in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "ConnectTimeout=15",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "RequestTTY=no",
    ] {
        option(text.into());
    }
    // ssh takes a path apart at its spaces, outside of quotes.
    let quoted = |name: &str, path: &std::path::Path| {
        let mut text = OsString::from(format!("{name}=\""));
        text.push(path);
        text.push("\"");
        text
    };
    if let Some(path) = &access.credentials.ssh_known_hosts {
        option(quoted("UserKnownHostsFile", path));
        option("GlobalKnownHostsFile=/dev/null".into());
    }
    if let Some(path) = &access.credentials.ssh_identity {
        option(quoted("IdentityFile", path));
        option("IdentitiesOnly=yes".into());
    }
    if let Some(port) = port {
        arguments.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(user) = user {
        arguments.extend(["-l".into(), user.into()]);
    }
    arguments.extend(["-s".into(), "--".into(), host.into(), "sftp".into()]);
    arguments
}

/// Why a session ended, by what ssh said.
pub(super) fn explain(lines: &[String], error: &Error) -> StoreError {
    let said = lines.join(" ");
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let (kind, help) = if any(&["HOST IDENTIFICATION HAS CHANGED"]) {
        (
            StoreErrorKind::Denied,
            "the server's key is not the known one: someone may be in between. Only if you know why it changed, put the \
             new one into SSH_KNOWN_HOSTS_FILE",
        )
    } else if any(&["Host key verification failed"]) {
        (
            StoreErrorKind::Denied,
            "put the server's key into SSH_KNOWN_HOSTS_FILE: ssh-keyscan HOST, compared with what the provider publishes",
        )
    } else if any(&["Permission denied"]) {
        (
            StoreErrorKind::Denied,
            "check SSH_IDENTITY_FILE, the user, and that the key is known there",
        )
    } else if any(&["No user exists for uid"]) {
        (
            StoreErrorKind::Other,
            "ssh wants the user it runs as in /etc/passwd: run the container as 1000:1000, or mount a passwd file that has it",
        )
    } else {
        (StoreErrorKind::Unreachable, "")
    };
    let last = lines.iter().rev().find(|line| !line.starts_with('@'));
    let why = last.map_or_else(|| error.to_string(), Clone::clone);
    StoreError::new(kind, format!("no SFTP session: {why}"), help)
}
