//! Whether a login that failed was refused, or only did not come to its end: a server that restarts answers it with an error as
//! well, and the same user and password are right a moment later.

use mongodb::error::{Error, ErrorKind};
use std::error::Error as _;

/// The server's code for a wrong user name or password.
const AUTHENTICATION_FAILED: i32 = 18;
/// The proxy before a cluster of Atlas has one code for all it refuses.
const REFUSED_BY_ATLAS: i32 = 8000;
/// What Atlas says there; some servers give their code no name, so that only the words are left in mongodump's output.
const REFUSALS: [&str; 2] = ["bad auth", "authentication failed"];
/// How the Go driver of the tools begins what went wrong with a login, whatever it was.
const LOGIN: [&str; 2] = ["auth error", "unable to authenticate"];

/// Whether the server refused the user or the password.
pub(super) fn is_refused(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Command(command) => is_refusal(command.code, &command.message),
        // The driver keeps the server's own answer, other than for certificates (X.509).
        ErrorKind::Authentication { message, .. } => {
            let answer = error.source().and_then(|source| source.downcast_ref());
            answer.map_or_else(|| is_refusal_in_words(message), is_refused)
        }
        _ => false,
    }
}

fn is_refusal(code: i32, message: &str) -> bool {
    code == AUTHENTICATION_FAILED || (code == REFUSED_BY_ATLAS && is_refusal_in_words(message))
}

fn is_refusal_in_words(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    REFUSALS.iter().any(|words| text.contains(words))
}

/// The same by a line of mongodump.
pub(super) fn is_refused_in(line: &str) -> bool {
    line.contains("(AuthenticationFailed)") || (is_failure_in(line) && is_refusal_in_words(line))
}

/// Whether a line of mongodump is about a login, refused or cut off.
pub(super) fn is_failure_in(line: &str) -> bool {
    LOGIN.iter().any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "t\tFailed: can't create session: failed to connect to mongodb://db/: connection() error occurred \
                         during connection handshake: auth error: ";

    #[test]
    fn servers_refuse_in_several_ways() {
        // Any mongod since 3.4, a server whose codes have no names, Atlas.
        for words in [
            "sasl conversation error: unable to authenticate using mechanism \"SCRAM-SHA-256\": (AuthenticationFailed) \
             Authentication failed.",
            "unable to authenticate using mechanism \"SCRAM-SHA-1\": Authentication failed.",
            "sasl conversation error: unable to authenticate using mechanism \"SCRAM-SHA-1\": (AtlasError) bad auth : \
             authentication failed",
        ] {
            assert!(is_refused_in(&format!("{START}{words}")), "{words}");
        }
        assert!(is_refusal(18, "Authentication failed."));
        assert!(is_refusal(8000, "bad auth : Authentication failed."));
    }

    #[test]
    fn a_login_that_is_cut_off_is_not_refused() {
        for words in [
            "unable to authenticate using mechanism \"SCRAM-SHA-256\": connection(db:27017[-5]) socket was unexpectedly \
             closed: EOF",
            "sasl conversation error: unable to authenticate using mechanism \"SCRAM-SHA-256\": (InterruptedAtShutdown) \
             interrupted at shutdown",
            "unable to authenticate using mechanism \"SCRAM-SHA-256\": read tcp 127.0.0.1:5->127.0.0.1:6: read: connection \
             reset by peer",
        ] {
            let line = format!("{START}{words}");
            assert!(is_failure_in(&line) && !is_refused_in(&line), "{words}");
        }
        assert!(!is_refusal(11600, "interrupted at shutdown"));
        assert!(!is_refusal(8000, "user is not allowed to do action [find]"));
    }
}
