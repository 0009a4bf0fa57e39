//! MongoDB connection strings: enough of them to refuse a faulty one clearly without ever showing its password, to
//! name the server without credentials, and to take the database out of the path. The real connection is made by the
//! driver and the tools, from the same text.
//!
//! Source: the connection string specification of the MongoDB drivers.

use crate::sys::redact::{Secret, percent_decode, percent_encode};
use std::fmt;
use thiserror::Error;

const PLAIN_SCHEME: &str = "mongodb://";
const SRV_SCHEME: &str = "mongodb+srv://";
const DEFAULT_PORT: u16 = 27017;

/// Mechanisms whose users live outside any database: the path never tells where to authenticate.
const EXTERNAL_MECHANISMS: [&str; 4] = ["GSSAPI", "MONGODB-AWS", "MONGODB-OIDC", "MONGODB-X509"];
const EXTERNAL_DATABASE: &str = "$external";

/// Options that hold a secret of their own.
const SECRET_OPTIONS: [&str; 3] = [
    "tlsCertificateKeyFilePassword",
    "sslClientCertificateKeyPassword",
    "proxyPassword",
];
const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN:";

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
    pub(crate) fn advice(self) -> &'static str {
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

/// A checked connection string. `Debug` shows the hosts only.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MongoUri {
    text: Secret,
    srv: bool,
    /// As written, still encoded, so that the text put together again is the same.
    userinfo: Option<Secret>,
    user: Option<String>,
    password: Option<Secret>,
    hosts_as_written: String,
    hosts: String,
    database: Option<String>,
    query: Secret,
    options: Vec<(String, Secret)>,
    /// Where it was given, for people to look.
    setting: &'static str,
    /// Where its password was given.
    password_setting: &'static str,
}

impl MongoUri {
    /// Reads a connection string.
    ///
    /// # Errors
    /// If the text is not one; the error names the fault, never a part of the text.
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        let (srv, rest) = if let Some(rest) = text.strip_prefix(PLAIN_SCHEME) {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix(SRV_SCHEME) {
            (true, rest)
        } else {
            return Err(UriError::Scheme);
        };
        let (authority, path, query) = split(rest);
        let (userinfo, hosts_as_written) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        // An `@` after the host's place means that the host was searched for in the middle of a password. In the
        // options it is legitimate (some providers put it into appName), but only after credentials of their own.
        if path.contains('@') || (userinfo.is_none() && query.contains('@')) {
            return Err(UriError::Unescaped);
        }
        let (user, password) = userinfo.map_or(Ok((None, None)), credentials)?;
        let options = options(query)?;
        let hosts = hosts(hosts_as_written, srv)?;
        Ok(Self {
            text: Secret::new(text),
            srv,
            userinfo: userinfo.map(Secret::new),
            user,
            password,
            hosts_as_written: hosts_as_written.to_owned(),
            hosts,
            database: database(path)?,
            query: Secret::new(query),
            options,
            setting: "MONGODB_URI",
            password_setting: "MONGODB_URI",
        })
    }

    /// The same, given in another place than MONGODB_URI.
    pub(crate) fn given_as(self, setting: &'static str) -> Self {
        Self {
            setting,
            password_setting: setting,
            ..self
        }
    }

    /// The same with its password given in a setting of its own.
    pub(crate) fn with_password_of(self, password_setting: &'static str) -> Self {
        Self {
            password_setting,
            ..self
        }
    }

    /// Where its password was given.
    pub(crate) fn password_setting(&self) -> &'static str {
        self.password_setting
    }

    /// Where it was given.
    pub(crate) fn setting(&self) -> &'static str {
        self.setting
    }

    /// `host:port,host:port`, without credentials, for people to read; a DNS seed list (`mongodb+srv`) has no port.
    pub(crate) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// The user, decoded.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, decoded.
    pub(crate) fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The database of the path, decoded.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The first value of an option, decoded; the name's case does not matter, as in every driver.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.expose())
    }

    /// All options in their order, decoded.
    pub(crate) fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
    }

    /// Options that neither the driver nor anything else here follows.
    pub(crate) fn dropped_options(&self) -> Vec<String> {
        crate::mongo::driver_options::DriverUri::of(self).dropped
    }

    /// Whether it names one server and no replica set. mongodump goes straight to such a server, since the names by which
    /// members of a set know each other often do not resolve outside their network.
    pub(crate) fn is_direct(&self) -> bool {
        let set = self.option("replicaSet").is_some_and(|set| !set.is_empty());
        let balanced = self
            .option("loadBalanced")
            .is_some_and(|value| value == "true");
        !self.srv && !set && !balanced && !self.hosts_as_written.contains(',')
    }

    /// The whole text, password included.
    pub(crate) fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The whole text without the path's database, for the tools: they would dump that one database only.
    ///
    /// The path is also where a user is looked up when no `authSource` is given, so one is added then. Not so for
    /// mechanisms that never look there, and not for `mongodb+srv`: there the DNS record commonly says
    /// `authSource=admin`, which outranks the path and would in turn be outranked by what we add.
    pub(crate) fn without_database(&self) -> Secret {
        let scheme = if self.srv { SRV_SCHEME } else { PLAIN_SCHEME };
        let mut text = scheme.to_owned();
        if let Some(userinfo) = &self.userinfo {
            text.push_str(userinfo.expose());
            text.push('@');
        }
        text.push_str(&self.hosts_as_written);
        text.push('/');
        let mut separator = '?';
        if !self.query.expose().is_empty() {
            text.push(separator);
            text.push_str(self.query.expose());
            separator = '&';
        }
        if let Some(source) = self.implied_auth_source() {
            text.push(separator);
            text.push_str("authSource=");
            text.push_str(&percent_encode(source));
            separator = '&';
        }
        // The tools know it by this name alone.
        let lax = self
            .option("tlsAllowInvalidCertificates")
            .is_some_and(|value| value == "true");
        if lax && self.option("tlsInsecure").is_none() {
            text.push(separator);
            text.push_str("tlsInsecure=true");
        }
        Secret::new(text)
    }

    fn implied_auth_source(&self) -> Option<&str> {
        let external = self.option("authMechanism").is_some_and(|mechanism| {
            EXTERNAL_MECHANISMS
                .iter()
                .any(|name| name.eq_ignore_ascii_case(mechanism))
        });
        if self.srv || external || self.user.is_none() || self.option("authSource").is_some() {
            return None;
        }
        // Without a database, PLAIN has a rule of its own. The others look in admin, which has to be said: mongodump would
        // look in the database it is told to dump.
        let plain = self
            .option("authMechanism")
            .is_some_and(|mechanism| mechanism.eq_ignore_ascii_case("PLAIN"));
        self.database().or((!plain).then_some("admin"))
    }

    /// Everything in it that must never be shown.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let written = self
            .userinfo
            .as_ref()
            .and_then(|userinfo| userinfo.expose().split_once(':'))
            .map(|(_, password)| Secret::new(password));
        let of_options = self.options.iter().filter_map(|(name, value)| {
            if SECRET_OPTIONS.iter().any(|s| s.eq_ignore_ascii_case(name)) {
                return Some(value.clone());
            }
            let (_, token) = value.expose().split_once(AWS_SESSION_TOKEN)?;
            Some(Secret::new(token.split(',').next().unwrap_or(token)))
        });
        let mut secrets: Vec<Secret> = self.password.iter().cloned().chain(written).collect();
        secrets.extend(of_options);
        secrets
    }
}

impl fmt::Debug for MongoUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "MongoUri({})", self.hosts)
    }
}

/// What may be the password in a text that was meant as a connection string, faulty or not: each stretch from the
/// first `:` to an `@`. It is better to hide too much of a faulty text than too little.
pub(crate) fn possible_passwords(text: &str) -> Vec<Secret> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let Some((_, rest)) = rest.split_once(':') else {
        return Vec::new();
    };
    rest.match_indices('@')
        .map(|(at, _)| Secret::new(&rest[..at]))
        .collect()
}

/// Authority, path (without its `/`) and query (without its `?`).
fn split(rest: &str) -> (&str, &str, &str) {
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    (authority, path, query)
}

fn credentials(userinfo: &str) -> Result<(Option<String>, Option<Secret>), UriError> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (userinfo, None),
    };
    let special = |c: char| ":/?#[]@".contains(c) || c.is_whitespace() || c.is_control();
    if user.contains(special) || password.is_some_and(|password| password.contains(special)) {
        return Err(UriError::Unescaped);
    }
    if user.is_empty() {
        return Err(UriError::EmptyUser);
    }
    let decode = |text: &str| percent_decode(text).ok_or(UriError::Percent);
    let password = password.map(decode).transpose()?.map(Secret::new);
    Ok((Some(decode(user)?), password))
}

fn hosts(written: &str, srv: bool) -> Result<String, UriError> {
    if srv && written.contains([',', ':']) {
        return Err(UriError::SrvHost);
    }
    let shown: Result<Vec<String>, UriError> =
        written.split(',').map(|one| host(one, srv)).collect();
    Ok(shown?.join(","))
}

fn host(written: &str, srv: bool) -> Result<String, UriError> {
    if written.contains('%') {
        let socket = percent_decode(written).ok_or(UriError::Percent)?;
        let is_socket = socket.starts_with('/') && socket.ends_with(".sock");
        return if is_socket && !srv && !socket.contains(char::is_control) {
            Ok(socket)
        } else {
            Err(UriError::Host)
        };
    }
    let (name, port) = match written.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(UriError::Host)?;
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(UriError::Host);
            }
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return Err(UriError::Host),
            };
            (&written[..address.len() + 2], port)
        }
        None => match written.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (written, None),
        },
    };
    if name.is_empty() {
        return Err(UriError::MissingHost);
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || "#\\\"'<>{}|^`".contains(c);
    if name.contains(odd) {
        return Err(UriError::Host);
    }
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(UriError::Port)?,
        Some(_) => return Err(UriError::Port),
        None => DEFAULT_PORT,
    };
    Ok(if srv {
        name.to_owned()
    } else {
        format!("{name}:{port}")
    })
}

fn database(path: &str) -> Result<Option<String>, UriError> {
    if path.is_empty() {
        return Ok(None);
    }
    let name = percent_decode(path).ok_or(UriError::Percent)?;
    if name != EXTERNAL_DATABASE && !crate::archive::namespace::is_database(&name) {
        return Err(UriError::Database);
    }
    Ok(Some(name))
}

fn options(query: &str) -> Result<Vec<(String, Secret)>, UriError> {
    let decode = |text: &str| percent_decode(text).ok_or(UriError::Percent);
    query
        .split('&')
        .filter(|option| !option.is_empty())
        .map(|option| match option.split_once('=') {
            Some((name, value)) => Ok((decode(name)?, Secret::new(decode(value)?))),
            // Half a password: its `?` ended the authority too early.
            None if option.contains('@') => Err(UriError::Unescaped),
            None => Err(UriError::Option),
        })
        .collect()
}

#[cfg(test)]
mod tests;
