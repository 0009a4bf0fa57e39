//! What every command is given: the clock, the request to stop, the environment, where to print.

use crate::mongo::driver_options::auth_source;
use crate::mongo::supervise::ToolOptions;
use crate::mongo::tool::Tool;
use crate::mongo::uri::MongoUri;
use crate::report::{Explain, Problem};
use crate::sys::cancel::Cancel;
use crate::sys::logging::Tail;
use crate::sys::progress::Screen;
use crate::sys::redact::Redactor;
use crate::sys::runtime::Runtime;
use chrono::{DateTime, Utc};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// How long DNS may take to say where a user is kept.
const LONGEST_LOOKUP: Duration = Duration::from_secs(20);

/// What work needs besides the settings.
pub(crate) struct Context {
    pub environment: Vec<(OsString, OsString)>,
    pub redactor: Redactor,
    pub screen: Screen,
    /// The clock.
    pub now: fn() -> DateTime<Utc>,
    pub cancel: Cancel,
    /// The end of the log.
    pub tail: Tail,
    /// What the program runs under.
    pub runtime: Runtime,
}

impl Context {
    /// An error as it may be shown: what is wrong, and what to do about it.
    pub(crate) fn problem(&self, error: &impl Explain) -> Problem {
        let problem = error.problem(self.runtime);
        let redacted = |text: String| self.redactor.redact(&text).into_owned();
        Problem {
            summary: redacted(problem.summary),
            help: problem.help.map(redacted),
        }
    }

    /// The same in one line.
    pub(crate) fn explain(&self, error: &impl Explain) -> String {
        self.problem(error).to_string()
    }

    /// What mongodump or mongorestore is told about a server.
    pub(crate) async fn tool_options(
        &self,
        tool: Tool,
        uri: &MongoUri,
        stall_timeout: Duration,
    ) -> ToolOptions {
        let mut flags = uri.tool_timeouts();
        let source = tokio::time::timeout(LONGEST_LOOKUP, auth_source(uri)).await;
        if let Ok(Some(source)) = source {
            flags.push(format!("--authenticationDatabase={source}").into());
        }
        ToolOptions {
            tool,
            uri: uri.for_tools(),
            password_setting: uri.password_setting(),
            flags,
            environment: self.environment.clone(),
            redactor: self.redactor.clone(),
            stall_timeout,
        }
    }

    /// Where programs are looked for.
    pub(crate) fn path(&self) -> &OsStr {
        let given = self
            .environment
            .iter()
            .find(|(name, _)| name == "PATH")
            .map(|(_, path)| path.as_os_str());
        given.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"))
    }
}
