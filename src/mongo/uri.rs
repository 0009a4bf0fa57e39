//! MongoDB connection strings: enough of them to refuse a faulty one clearly without ever showing its password, to
//! name the server without credentials, and to take the database out of the path. The real connection is made by the
//! driver and the tools, from the same text.
//!
//! Source: the connection string specification of the MongoDB drivers.

mod error;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use error::UriError;

use crate::sys::redact::{Secret, percent_encode};
use parse::{credentials, database, hosts, options, split};
use std::ffi::OsString;
use std::fmt;

const PLAIN_SCHEME: &str = "mongodb://";
const SRV_SCHEME: &str = "mongodb+srv://";

/// Mechanisms whose users live outside any database: the path never tells where to authenticate.
const EXTERNAL_MECHANISMS: [&str; 4] = ["GSSAPI", "MONGODB-AWS", "MONGODB-OIDC", "MONGODB-X509"];

/// Options that name a file, by their names of today and of earlier.
const TLS_FILES: [&str; 4] = [
    "tlsCAFile",
    "tlsCertificateKeyFile",
    "sslCertificateAuthorityFile",
    "sslClientCertificateKeyFile",
];

/// Options that hold a secret of their own.
const SECRET_OPTIONS: [&str; 3] = [
    "tlsCertificateKeyFilePassword",
    "sslClientCertificateKeyPassword",
    "proxyPassword",
];
const CONNECT_TIMEOUT: &str = "connectTimeoutMS";
const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN:";

/// Timeouts that the tools take for a thousand times as long when they are told in a connection string, and the flags that
/// take seconds and mean them. Without them, `serverSelectionTimeoutMS=3000` is a wait of 50 minutes for a server that died.
///
/// Source: `NormalizeOptionsAndURI` and `configureClient` of the Database Tools 100.12: milliseconds are read as seconds.
const TOOL_TIMEOUTS: [(&str, &str); 3] = [
    (CONNECT_TIMEOUT, "--dialTimeout"),
    ("socketTimeoutMS", "--socketTimeout"),
    ("serverSelectionTimeoutMS", "--serverSelectionTimeout"),
];

/// How long the driver takes to connect when it is not told. The tools give up after 3 seconds, which a server that swaps, or one
/// at the end of a tunnel, does not keep: both take the same.
const CONNECT_SECONDS: u32 = 10;

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
        let mut options = options(query)?;
        options.retain(|option| !is_default_mechanism(option));
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

    /// The options that name a file for TLS, and the file.
    pub(super) fn tls_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options().filter(|(name, _)| {
            TLS_FILES
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        })
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

    /// The timeouts it asks for, as the tools are told of them: in whole seconds, rounded up. Also the driver's own for connecting.
    pub(crate) fn tool_timeouts(&self) -> Vec<OsString> {
        let flag = |(name, flag)| {
            let seconds = match self.option(name) {
                Some(given) => given.parse::<u32>().ok()?.div_ceil(1000),
                None if name == CONNECT_TIMEOUT => CONNECT_SECONDS,
                None => return None,
            };
            Some(format!("{flag}={seconds}").into())
        };
        TOOL_TIMEOUTS.into_iter().filter_map(flag).collect()
    }

    /// The whole text for the tools: without the path's database, since they would dump that one only, and without the
    /// timeouts of [`MongoUri::tool_timeouts`].
    ///
    /// The path is also where a user is looked up when no `authSource` is given, so one is added then. Not so for
    /// mechanisms that never look there, and not for `mongodb+srv`: there the DNS record commonly says
    /// `authSource=admin`, which outranks the path and would in turn be outranked by what we add.
    pub(crate) fn for_tools(&self) -> Secret {
        let scheme = if self.srv { SRV_SCHEME } else { PLAIN_SCHEME };
        let mut text = scheme.to_owned();
        if let Some(userinfo) = &self.userinfo {
            text.push_str(userinfo.expose());
            text.push('@');
        }
        text.push_str(&self.hosts_as_written);
        text.push('/');
        let given = self.options();
        let mut options: Vec<(&str, &str)> =
            given.filter(|option| !is_tool_timeout(*option)).collect();
        options.extend(
            self.implied_auth_source()
                .map(|source| ("authSource", source)),
        );
        options.extend(self.implied_tls());
        let options: Vec<String> = options
            .into_iter()
            .map(|(name, value)| format!("{name}={}", percent_encode(value)))
            .collect();
        if !options.is_empty() {
            text.push('?');
            text.push_str(&options.join("&"));
        }
        Secret::new(text)
    }

    /// Whether DNS may say where its user is kept, which mongodump then does not look for: it takes the database it dumps.
    pub(super) fn leaves_source_to_dns(&self) -> bool {
        self.srv
            && self.user.is_some()
            && self.option("authSource").is_none()
            && self.option("authMechanism").is_none()
    }

    /// What the driver takes from the options about TLS, and the tools do not.
    fn implied_tls(&self) -> Vec<(&'static str, &'static str)> {
        let is_true = |name| self.option(name).is_some_and(|value| value == "true");
        let mut implied = Vec::new();
        // The tools know it by this name alone.
        if is_true("tlsAllowInvalidCertificates") && self.option("tlsInsecure").is_none() {
            implied.push(("tlsInsecure", "true"));
        }
        // Who says how TLS is to be done wants TLS; the tools would go on in clear.
        let lax = is_true("tlsAllowInvalidCertificates") || is_true("tlsInsecure");
        if lax && !self.srv && self.option("tls").is_none() && self.option("ssl").is_none() {
            implied.push(("tls", "true"));
        }
        implied
    }

    fn implied_auth_source(&self) -> Option<&str> {
        if self.srv || self.user.is_none() || self.option("authSource").is_some() {
            return None;
        }
        self.source_of_path()
    }

    /// Where the user is kept: as drivers take it where the connection string does not say.
    pub(super) fn user_database(&self) -> &str {
        let said = self.option("authSource");
        said.or_else(|| self.source_of_path())
            .unwrap_or("$external")
    }

    /// Where users are looked for without authSource; none where that follows from the mechanism.
    fn source_of_path(&self) -> Option<&str> {
        let mechanism = self.option("authMechanism").unwrap_or_default();
        let is = |name: &&str| name.eq_ignore_ascii_case(mechanism);
        if EXTERNAL_MECHANISMS.iter().any(is) {
            return None;
        }
        // Without a database, PLAIN has a rule of its own. The others look in admin, which has to be said: mongodump would
        // look in the database it is told to dump.
        self.database().or((!is(&"PLAIN")).then_some("admin"))
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

/// What Compass writes where nothing was chosen, and neither the driver nor the tools take.
fn is_default_mechanism((name, value): &(String, Secret)) -> bool {
    name.eq_ignore_ascii_case("authMechanism") && value.expose().eq_ignore_ascii_case("DEFAULT")
}

/// Whether an option is a timeout that the tools are told of by a flag.
fn is_tool_timeout((name, value): (&str, &str)) -> bool {
    let mut timeouts = TOOL_TIMEOUTS.iter();
    timeouts.any(|(known, _)| known.eq_ignore_ascii_case(name)) && value.parse::<u32>().is_ok()
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
