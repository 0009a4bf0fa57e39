//! What is wrong with a connection string, and how to write it instead.

use thiserror::Error;

/// Why a text is not a usable connection string. Never holds any part of it, since a misplaced character can make a
/// password look like a host or a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum UriError {
    /// Neither `mongodb://` nor `mongodb+srv://`.
    #[error("does not start with mongodb:// or mongodb+srv://")]
    Scheme,
    /// The user or password holds a character that has a meaning in a URI.
    #[error("has a special character in its user or password")]
    Unescaped,
    /// A `%` that starts no percent-encoded UTF-8 text.
    #[error("has a % that is not followed by two hex digits of an encoded character")]
    Percent,
    /// A password or an `@`, but no user before it.
    #[error("has an empty user name")]
    EmptyUser,
    /// No host, or an empty one in the list.
    #[error("has no host, or an empty one in its list of hosts")]
    MissingHost,
    /// A host with characters that no host name has.
    #[error("has a host that is not a host name")]
    Host,
    /// A port that is not a number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// A mongodb+srv address with several hosts or a port.
    #[error("has more than one host, or a port, which mongodb+srv:// does not allow")]
    SrvHost,
    /// The path is not a database name.
    #[error("has a path that is not a database name")]
    Database,
    /// An option without `=`.
    #[error("has an option that is not NAME=VALUE")]
    Option,
}

impl UriError {
    /// What to do about it.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Scheme => {
                "write it like mongodb://HOST:27017/, with USER:PASSWORD@ before HOST if it asks for them"
            }
            Self::Unescaped | Self::Percent => {
                "percent-encode it: @ is %40, / is %2F, : is %3A, % is %25, ? is %3F, # is %23"
            }
            Self::EmptyUser => "write USER:PASSWORD@HOST, or HOST alone for a server without users",
            Self::MissingHost | Self::Host | Self::Port => {
                "write the server as HOST or HOST:PORT, several of them with commas between"
            }
            Self::SrvHost => "give one host name without a port, or use mongodb://",
            Self::Database => "end it with /?OPTIONS, or /DATABASE?OPTIONS",
            Self::Option => "write the options as ?NAME=VALUE&NAME=VALUE",
        }
    }
}
