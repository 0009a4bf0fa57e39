//! A password that is hard to hide, and the search for it.

use std::path::Path;

/// Holds what has a meaning in a URI, and what is another text once it is percent-decoded again.
pub(crate) const PASSWORD: &str = "Pa@n/t:r%79-s3ntinel";
pub(crate) const PASSWORD_ENCODED: &str = "Pa%40n%2Ft%3Ar%2579-s3ntinel";

/// The password for a script, whose text is searched as well.
pub(crate) fn password_in_shell() -> String {
    format!(
        "'{}'",
        PASSWORD.replace("Pa@", "Pa@''").replace("s3nt", "s3nt''")
    )
}

/// Parts that no form of the password lacks, or that one form alone has.
const TRACES: &[&str] = &["s3ntinel", "Pa@n", "Pa%40n", "pa%40n%2ft"];

/// Fails the test when the password, in any form, is in `bytes`.
pub(super) fn nowhere_in(place: &str, bytes: &[u8]) {
    for trace in TRACES {
        let found = bytes
            .windows(trace.len())
            .position(|window| window == trace.as_bytes());
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(80)..bytes.len().min(at + 80)];
            panic!(
                "the password is in {place}: …{}…",
                String::from_utf8_lossy(around)
            );
        }
    }
}

/// Searches every file below `folder` but archives, which hold the owner's data.
pub(super) fn nowhere_below(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        nowhere_in("a file's name", path.as_os_str().as_encoded_bytes());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            nowhere_below(&path);
        } else if kind.is_file()
            && ![".tar.gz", ".tar.zst"]
                .iter()
                .any(|end| path.display().to_string().ends_with(end))
        {
            nowhere_in(
                &path.display().to_string(),
                &std::fs::read(&path).unwrap_or_default(),
            );
        }
    }
}
