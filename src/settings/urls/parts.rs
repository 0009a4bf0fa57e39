//! A URL in its parts. Those of messages are none by the letter of the standard: `tgram://123:ABC/…` has no port.

use super::Fault;
use crate::sys::http::Uri;
use crate::sys::redact::{Secret, percent_decode};

/// A URL in its parts.
pub(super) struct Parts<'t> {
    pub(super) scheme: &'t str,
    /// As typed; the password after the first colon.
    pub(super) login: Option<&'t str>,
    /// With the port.
    pub(super) host: &'t str,
    pub(super) path: Vec<String>,
    /// All behind the host, as typed.
    pub(super) target: &'t str,
    pub(super) query: Vec<(&'t str, String)>,
}

impl<'t> Parts<'t> {
    pub(super) fn of(item: &'t str) -> Option<Self> {
        let (scheme, all) = item.split_once("://")?;
        let (rest, query) = all.split_once('?').unwrap_or((all, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let path: Option<Vec<String>> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(percent_decode)
            .collect();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query: Option<Vec<_>> = pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((name, percent_decode(value)?))
            })
            .collect();
        (!host.is_empty()).then_some(Parts {
            scheme,
            login,
            host,
            path: path?,
            target: &all[authority.len()..],
            query: query?,
        })
    }

    /// The user and the password; the outer none where they cannot be decoded.
    #[expect(
        clippy::option_option,
        reason = "a login that is faulty, and one that is not there"
    )]
    pub(super) fn login(&self) -> Option<Option<(String, Option<Secret>)>> {
        let Some(login) = self.login else {
            return Some(None);
        };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(percent_decode(password)?)),
            None => (login, None),
        };
        Some(Some((percent_decode(user)?, password.map(Secret::new))))
    }

    /// The items of lists under any of these names, case aside.
    pub(super) fn list(&self, names: &[&str]) -> impl Iterator<Item = String> {
        let named = |name: &str| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        let values = self.query.iter().filter(|(name, _)| named(name));
        let items = values.flat_map(|(_, value)| value.split(',').map(str::trim));
        let items: Vec<String> = items
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect();
        items.into_iter()
    }
}

/// `https://host`, and what leads there on it.
pub(super) fn server(host: &str, secure: bool, before: &[String]) -> Result<String, Fault> {
    let scheme = if secure { "https" } else { "http" };
    let path: String = before.iter().map(|part| format!("/{part}")).collect();
    let server = format!("{scheme}://{host}{path}");
    let valid = Uri::try_from(server.as_str()).is_ok_and(|uri| names_server(&uri));
    if host.contains('@') || !valid {
        return Err((
            "it names no server",
            "write HOST or HOST:PORT after :// and the login",
        ));
    }
    Ok(server)
}

pub(super) fn names_server(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // What follows a colon and is no port is passed over by the parser.
    let port = authority.rsplit(']').next().unwrap_or_default();
    let port = port
        .split_once(':')
        .is_none_or(|_| uri.port_u16().is_some());
    !host.is_empty() && !host.starts_with('.') && port
}
