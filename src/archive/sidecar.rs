//! The `.sha256` beside an archive: one line that `sha256sum -c` reads.

/// What the archive's `.sha256` says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sidecar {
    /// The file is not there: everything else is still checked.
    Missing,
    /// The file is there, and is not one line of checksum and name.
    Unreadable(String),
    Sha256([u8; 32]),
}

/// The line that says it.
pub(crate) fn line(sha256: &str, file_name: &str) -> String {
    format!("{sha256}  {file_name}\n")
}

/// Reads such a line; only one about this very file counts.
pub(crate) fn parse(text: &str, file_name: &str) -> Sidecar {
    let Some((digest, name)) = text.trim_end().split_once("  ") else {
        return Sidecar::Unreadable("is not a line of checksum and name".into());
    };
    if name != file_name {
        return Sidecar::Unreadable("is that of another file".into());
    }
    let mut sha256 = [0; 32];
    match hex::decode_to_slice(digest, &mut sha256) {
        Ok(()) => Sidecar::Sha256(sha256),
        Err(_) => Sidecar::Unreadable("is not a SHA-256 checksum".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_not() {
        let digest = [0xab; 32];
        let written = line(&hex::encode(digest), "a.tar.gz");
        assert_eq!(parse(&written, "a.tar.gz"), Sidecar::Sha256(digest));
        for (text, words) in [
            ("", "not a line"),
            ("abc", "not a line"),
            (written.replace("a.tar", "b.tar").as_str(), "another file"),
            (written.replace("ab", "xy").as_str(), "not a SHA-256"),
            (
                written
                    .trim_start_matches("ab")
                    .replacen(' ', "", 0)
                    .as_str(),
                "not a SHA-256",
            ),
        ] {
            match parse(text, "a.tar.gz") {
                Sidecar::Unreadable(problem) => {
                    assert!(problem.contains(words), "{text}: {problem}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
