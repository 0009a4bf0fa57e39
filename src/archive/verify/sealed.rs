//! What can be said of a sealed archive without its key: whether it is, byte for byte, what was sealed and verified.

use super::report::VerifyReport;
use super::{Interrupted, Options};
use crate::archive::file_name;
use crate::archive::seal::{self, KeyError, Keyring, UnsealError};
use crate::archive::sidecar::Sidecar;
use crate::archive::source::Source;

/// What was noted when it was sealed.
pub(crate) struct SealedAs {
    pub archive_bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
    /// What it held then.
    pub documents: u64,
    pub bytes: u64,
}

/// Why its content cannot be looked at.
enum Closed {
    /// There is no key: its owner keeps it elsewhere.
    NoKey,
    /// A key was named, and does not open it.
    Problem(String),
}

/// Verifies an archive's file, sealed or not: all of it where a key opens it, and else what can be told from outside.
pub(crate) fn verify_file(
    name: &str,
    file: Source,
    keyring: &Keyring,
    known: Option<&SealedAs>,
    sidecar: &Sidecar,
    options: &Options,
) -> Result<VerifyReport, Interrupted> {
    if !file_name::is_sealed(name) {
        return super::verify(name, file, sidecar, options);
    }
    let closed = match seal::unseal(file.at(0), keyring) {
        Ok(source) => return super::verify(name, source, sidecar, options),
        Err(UnsealError::Key(KeyError::NoKey)) => Closed::NoKey,
        Err(error) => Closed::Problem(error.to_string()),
    };
    verify_sealed(name, file, known, sidecar, &closed, options)
}

/// Verifies a sealed archive by its length and checksum.
fn verify_sealed(
    name: &str,
    file: Source,
    known: Option<&SealedAs>,
    sidecar: &Sidecar,
    closed: &Closed,
    options: &Options,
) -> Result<VerifyReport, Interrupted> {
    let archive_bytes = file.length();
    let mut report = VerifyReport::unreadable(name, String::new());
    report.damage.clear();
    report.archive_bytes = archive_bytes;
    match seal::measure(file, options.cancelled, options.moved) {
        Ok(Some(measured)) => report.sha256 = Some(hex::encode(measured.sha256)),
        Ok(None) => return Err(Interrupted),
        Err(error) => report.damage.push(format!("reading failed: {error}")),
    }
    if let Some(sha256) = &report.sha256 {
        compare(&mut report.damage, archive_bytes, sha256, known, sidecar);
    }
    match closed {
        Closed::Problem(problem) => report.damage.push(problem.clone()),
        Closed::NoKey if known.is_none() && !matches!(sidecar, Sidecar::Sha256(_)) => {
            report.damage.push(
                "it is sealed, there is no key here (AGE_IDENTITY_FILE), and nothing to hold its checksum against".into(),
            );
        }
        Closed::NoKey => report.not_checked.push(
            "what is inside, since there is no key here; it is byte for byte what was sealed and verified".into(),
        ),
    }
    report.sound = report.damage.is_empty();
    if !report.sound {
        report.not_checked.clear();
    }
    if let Some(known) = known.filter(|_| report.sound) {
        report.documents = known.documents;
        report.bytes = known.bytes;
    }
    Ok(report)
}

fn compare(
    damage: &mut Vec<String>,
    archive_bytes: u64,
    sha256: &str,
    known: Option<&SealedAs>,
    sidecar: &Sidecar,
) {
    if let Some(known) = known {
        if known.archive_bytes != archive_bytes {
            damage.push(format!(
                "it has {archive_bytes} bytes, and had {} when it was sealed and verified",
                known.archive_bytes
            ));
        } else if known.sha256 != sha256 {
            damage.push("its SHA-256 is not what it was when it was sealed and verified".into());
        }
    }
    match sidecar {
        Sidecar::Sha256(expected) if hex::encode(expected) != sha256 => {
            damage.push("its SHA-256 is not the one in the .sha256".into());
        }
        Sidecar::Unreadable(problem) => damage.push(format!("the .sha256 {problem}")),
        Sidecar::Sha256(_) | Sidecar::Missing => {}
    }
}

#[cfg(test)]
mod tests;
