//! Who may read the page: who knows its password, under a name that is meant for it.

use crate::settings::StatusSettings;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{HeaderMap, Uri};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Whether a request asks for a name that is ours.
///
/// A page in the owner's browser may have a name of its own point to this machine, and would then be let read what is here.
/// No such page can have an address for a name, or one without a dot.
pub(super) fn knows_host(settings: &StatusSettings, headers: &HeaderMap, uri: &Uri) -> bool {
    let given = headers.get_all(HOST).iter().collect::<Vec<_>>();
    let host = match (uri.authority(), given.as_slice()) {
        (Some(authority), _) => authority.as_str(),
        (None, [one]) => one.to_str().unwrap_or_default(),
        (None, _) => return false,
    };
    let name = name_of(host).to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_local = !name.is_empty() && (!name.contains('.') || name.ends_with(".localhost"));
    let is_listed = |listed: &String| listed == "*" || listed == name;
    is_address || is_local || settings.hosts.iter().any(is_listed)
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        // Not the last part of an IPv6 address.
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// Whether a request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Granted,
    /// It gave no password.
    Asked,
    /// It gave a wrong one.
    Refused,
}

/// Basic authentication, under any user name.
pub(super) fn access(settings: &StatusSettings, headers: &HeaderMap) -> Access {
    let Some(password) = &settings.password else {
        return Access::Granted;
    };
    let Some(given) = headers.get(AUTHORIZATION) else {
        return Access::Asked;
    };
    let given = given.to_str().ok().and_then(|text| {
        let (scheme, credentials) = text.split_once(' ')?;
        let decoded = STANDARD.decode(credentials.trim()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        scheme
            .eq_ignore_ascii_case("basic")
            .then(|| decoded[colon + 1..].to_vec())
    });
    // Digests are compared, so that the time it takes tells nothing of the password.
    let right = Sha256::digest(password.expose());
    match given.map(Sha256::digest) {
        Some(given) if given == right => Access::Granted,
        _ => Access::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::redact::Secret;
    use hyper::header::HeaderValue;

    fn settings(password: Option<&str>, hosts: &[&str]) -> StatusSettings {
        StatusSettings {
            listen: None,
            password: password.map(Secret::new),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        }
    }

    fn with(name: hyper::header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_names_that_no_stranger_can_have_are_known() {
        let uri = Uri::from_static("/");
        let known = |hosts: &[&str], host: &str| {
            knows_host(&settings(None, hosts), &with(HOST, host), &uri)
        };
        for host in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "::1",
            "192.168.1.4",
            "localhost",
            "pi:8080",
            "a.localhost",
        ] {
            assert!(known(&[], host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "",
            "pi.local",
            "127.0.0.1.evil.example",
            "127.0.0.1:80.evil.example",
        ] {
            assert!(!known(&[], host), "{host}");
        }
        assert!(known(&["pi.local"], "PI.local.:8080") && known(&["*"], "any.example"));
        let none = HeaderMap::new();
        assert!(!knows_host(&settings(None, &[]), &none, &uri));
    }

    #[test]
    fn a_password_is_asked_for_and_compared_whole() {
        let guarded = settings(Some("päss: word"), &[]);
        let basic = |text: &str| with(AUTHORIZATION, &format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(
            access(&settings(None, &[]), &HeaderMap::new()),
            Access::Granted
        );
        assert_eq!(access(&guarded, &HeaderMap::new()), Access::Asked);
        assert_eq!(
            access(&guarded, &basic("anyone:päss: word")),
            Access::Granted
        );
        for wrong in ["anyone:päss", "anyone:", "anyone", "anyone:päss: word "] {
            assert_eq!(access(&guarded, &basic(wrong)), Access::Refused, "{wrong}");
        }
        for odd in ["Bearer päss", "Basic", "Basic ***"] {
            let Ok(value) = HeaderValue::from_bytes(odd.as_bytes()) else {
                continue;
            };
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            assert_eq!(access(&guarded, &headers), Access::Refused, "{odd}");
        }
    }
}
