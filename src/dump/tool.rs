//! mongodump itself: where it is, whether it starts, and whether it is new enough.

use crate::process::find_program;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

/// `--config`, through which the connection string goes, came with this version.
const OLDEST: (u32, u32) = (100, 3);
/// Printing a version takes milliseconds; a slow disk, a little more.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);

const GET_IT: &str = "install MongoDB Database Tools 100.3 or later, or use the Pantry Keeper image, which brings them";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    pub program: PathBuf,
    pub version: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("there is no mongodump on PATH; {GET_IT}")]
    Missing,
    #[error("{program} does not start: {source}; it may be for another kind of processor. {GET_IT}")]
    Start { program: String, source: io::Error },
    #[error("{program} --version does not answer like mongodump; {GET_IT}")]
    Strange { program: String },
    #[error("{program} has version {version}, which cannot be given a connection string safely; {GET_IT}")]
    Old { program: String, version: String },
}

impl Tool {
    /// Finds mongodump on `path` and asks for its version.
    pub async fn find(path: &OsStr) -> Result<Self, ToolError> {
        let found = find_program("mongodump", path).ok_or(ToolError::Missing)?;
        let program = found.display().to_string();
        let mut command = tokio::process::Command::new(&found);
        command.arg("--version").env_clear().env("PATH", path).stdin(Stdio::null()).kill_on_drop(true);
        let answer = tokio::time::timeout(LONGEST_ANSWER, command.output()).await;
        let output = match answer {
            Ok(Ok(output)) => output,
            Ok(Err(source)) => return Err(ToolError::Start { program, source }),
            Err(_) => return Err(ToolError::Strange { program }),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().find_map(|line| line.strip_prefix("mongodump version: ")).map(str::trim);
        let Some(version) = version.filter(|_| output.status.success()) else {
            return Err(ToolError::Strange { program });
        };
        let version = version.to_owned();
        match number(&version) {
            Some(number) if number >= OLDEST => Ok(Tool { program: found, version }),
            Some(_) => Err(ToolError::Old { program, version }),
            None => Err(ToolError::Strange { program }),
        }
    }
}

/// Major and minor of `100.12.2` or `r100.9.4`.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches(['r', 'v']).split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(number("100.12.2") >= Some(OLDEST));
        assert!(number("r100.9.4") >= Some(OLDEST));
        assert!(number("100.2.1") < Some(OLDEST));
        assert!(number("4.2.0") < Some(OLDEST));
        assert_eq!(number("built-without-version-string"), None);
    }
}
