//! The MongoDB Database Tools: where they are, whether they start, and whether they are new enough.

use super::start_failure::StartFailure;
use crate::report::Explain;
use crate::sys::process::find_program;
use crate::sys::redact::Secret;
use crate::sys::runtime::Runtime;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

/// `--config`, through which the connection string goes, came with this version.
const OLDEST: (u32, u32) = (100, 3);
/// The first release of the tools that knows a server of this version, by the release notes of both.
const OLDEST_FOR: [((u32, u32), (u32, u32)); 8] = [
    ((5, 0), (100, 4)),
    ((6, 0), (100, 5)),
    ((7, 0), (100, 8)),
    ((8, 0), (100, 10)),
    ((8, 1), (100, 12)),
    ((8, 2), (100, 13)),
    ((8, 3), (100, 16)),
    ((9, 0), (100, 18)),
];
/// Printing a version takes milliseconds; a slow disk, a little more.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);

const GET_IT: &str = "install MongoDB Database Tools 100.3 or later, or use the Pantry Keeper image, which brings them";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tool {
    pub program: PathBuf,
    pub version: String,
}

/// Why a tool cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("there is no {name} on PATH")]
    Missing { name: &'static str },
    #[error("{program} does not start: {source}")]
    Start { program: String, source: io::Error },
    #[error("{program} --version does not answer like {name}")]
    Strange { program: String, name: &'static str },
    #[error("{program} has version {version}, which cannot be given a connection string safely")]
    Old { program: String, version: String },
}

impl Explain for ToolError {
    fn help(&self, _: Runtime) -> Option<String> {
        Some(match self {
            Self::Start { source, .. } => StartFailure::of(source).help().into(),
            _ => GET_IT.into(),
        })
    }

    fn is_transient(&self) -> bool {
        matches!(self, Self::Start { source, .. } if StartFailure::of(source).is_transient())
    }
}

impl Tool {
    /// Finds mongodump or mongorestore on `path` and asks for its version.
    pub(crate) async fn find(name: &'static str, path: &OsStr) -> Result<Self, ToolError> {
        let found = find_program(name, path).ok_or(ToolError::Missing { name })?;
        let program = found.display().to_string();
        let mut command = tokio::process::Command::new(&found);
        command
            .arg("--version")
            .env_clear()
            .env("PATH", path)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let answer = tokio::time::timeout(LONGEST_ANSWER, command.output()).await;
        let output = match answer {
            Ok(Ok(output)) => output,
            Ok(Err(source)) => return Err(ToolError::Start { program, source }),
            Err(_) => return Err(ToolError::Strange { program, name }),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let lead = format!("{name} version: ");
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix(&lead))
            .map(str::trim);
        let Some(version) = version.filter(|_| output.status.success()) else {
            return Err(ToolError::Strange { program, name });
        };
        let version = version.to_owned();
        match number(&version) {
            Some(number) if number >= OLDEST => Ok(Tool {
                program: found,
                version,
            }),
            Some(_) => Err(ToolError::Old { program, version }),
            None => Err(ToolError::Strange { program, name }),
        }
    }
}

impl Tool {
    /// The configuration file that gives it a connection string.
    pub(crate) fn config(&self, uri: &Secret) -> Secret {
        // Text as YAML takes it: JSON's string form is a subset of it.
        Secret::new(format!(
            "uri: {}\n",
            serde_json::Value::String(uri.expose().to_owned())
        ))
    }

    /// The oldest release of the tools that is made for a server of this version, when this one is older still, and
    /// whether it does not even know the server's major version.
    pub(crate) fn too_old_for(&self, server_version: &str) -> Option<(String, bool)> {
        let (server, own) = (number(server_version)?, number(&self.version)?);
        let oldest_for = |server| {
            OLDEST_FOR
                .iter()
                .rev()
                .find(|(from, _)| *from <= server)
                .map(|(_, oldest)| *oldest)
        };
        let oldest = oldest_for(server)?;
        let of_major = oldest_for((server.0, 0)).unwrap_or(oldest);
        (own < oldest).then(|| (format!("{}.{}", oldest.0, oldest.1), own < of_major))
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

    #[test]
    fn newer_servers_need_newer_tools() {
        let tool = |version: &str| Tool {
            program: "mongodump".into(),
            version: version.into(),
        };
        for (tools, server, wanted) in [
            ("100.9.4", "8.0.4", Some(("100.10", true))),
            ("100.12.2", "8.0.4", None),
            ("100.12.2", "8.2.1", Some(("100.13", false))),
            ("100.12.2", "12.0.0", Some(("100.18", true))),
            ("100.3.0", "4.4.18", None),
            ("r100.5.1", "7.0.2-rc1", Some(("100.8", true))),
            ("100.5.1", "unknown", None),
        ] {
            let wanted = wanted.map(|(oldest, serious)| (oldest.to_owned(), serious));
            assert_eq!(
                tool(tools).too_old_for(server),
                wanted,
                "{tools} for {server}"
            );
        }
    }
}
