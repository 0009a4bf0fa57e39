//! The parts of a connection string.

use super::UriError;
use crate::archive::namespace::is_database;
use crate::sys::redact::{Secret, percent_decode};
use std::net::Ipv6Addr;

const DEFAULT_PORT: u16 = 27017;
const EXTERNAL_DATABASE: &str = "$external";

/// Authority, path (without its `/`) and query (without its `?`).
pub(super) fn split(rest: &str) -> (&str, &str, &str) {
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    (authority, path, query)
}

pub(super) fn credentials(userinfo: &str) -> Result<(Option<String>, Option<Secret>), UriError> {
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

pub(super) fn hosts(written: &str, srv: bool) -> Result<String, UriError> {
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
            if address.parse::<Ipv6Addr>().is_err() {
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

pub(super) fn database(path: &str) -> Result<Option<String>, UriError> {
    if path.is_empty() {
        return Ok(None);
    }
    let name = percent_decode(path).ok_or(UriError::Percent)?;
    if name != EXTERNAL_DATABASE && !is_database(&name) {
        return Err(UriError::Database);
    }
    Ok(Some(name))
}

pub(super) fn options(query: &str) -> Result<Vec<(String, Secret)>, UriError> {
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
