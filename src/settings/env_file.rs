//! What an env file may have done to a password on its way here.

use super::table::TABLE;
use crate::mongo::uri::MongoUri;
use std::ffi::OsString;

/// The password that docker-compose.yml sets MongoDB up with. `.env` comes here as a whole, so it does too.
const OF_COMPOSE: &str = "MONGO_PASSWORD";

/// Why the password may not be the one that its owner wrote, for when the server refuses it; nothing when it came from a
/// file of its own, which nothing changes.
pub(crate) fn env_file_hint(
    uri: &MongoUri,
    environment: &[(OsString, OsString)],
) -> Option<&'static str> {
    let (setting, password) = (uri.password_setting(), uri.password()?);
    let is_setting = TABLE.iter().any(|known| known.name == setting);
    let from_file = format!("{setting}_FILE");
    if !is_setting || environment.iter().any(|(name, _)| *name == *from_file) {
        return None;
    }
    let of_compose = environment
        .iter()
        .find(|(name, _)| name == OF_COMPOSE)
        .and_then(|(_, value)| value.to_str());
    Some(hint(password.expose(), of_compose))
}

fn hint(password: &str, of_compose: Option<&str>) -> &'static str {
    let is_cut = of_compose.is_some_and(|other| other != password && other == unquoted(password));
    if is_cut {
        return "MONGO_PASSWORD is what Docker Compose leaves of this password without single quotes around it: MongoDB got \
                that one when it was set up; quote it in .env, and change it in MongoDB";
    }
    if is_quoted(password) {
        return "it begins and ends with a quote: `docker run --env-file` takes quotes as part of the value, Docker Compose \
                and systemd do not";
    }
    if unquoted(password) != password {
        return "it holds a $ or a #: a server that was set up from a .env without single quotes around it has another one";
    }
    "no $, # or quote arrived in it: if it has one, put it in single quotes in .env, where Docker Compose replaces $word, \
     and drops what follows a space and #"
}

/// Whether a value begins and ends with a quote, which `docker run --env-file` leaves there.
pub(super) fn is_quoted(text: &str) -> bool {
    let quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    quoted('\'') || quoted('"')
}

/// What Docker Compose makes of a value without quotes, with no variable of that name set.
fn unquoted(text: &str) -> String {
    let text = text.split(" #").next().unwrap_or_default().trim();
    let mut read = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        read.push_str(before);
        let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
        rest = match after
            .strip_prefix('{')
            .and_then(|braced| braced.split_once('}'))
        {
            Some((_, after)) => after,
            None if after.starts_with('$') => {
                read.push('$');
                &after[1..]
            }
            None if !after.starts_with(|c: char| named(c) && !c.is_ascii_digit()) => {
                read.push('$');
                after
            }
            None => after.trim_start_matches(named),
        };
    }
    read.push_str(rest);
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::redact::percent_encode;

    #[test]
    fn what_compose_leaves_of_a_password_is_known() {
        for (written, read) in [
            ("pa$word1", "pa"),
            ("ab$cd #gh", "ab"),
            ("a${b}c", "ac"),
            ("a$$b", "a$b"),
            ("a$1b", "a$1b"),
            ("a#b", "a#b"),
            ("plain", "plain"),
            ("end$", "end$"),
        ] {
            assert_eq!(unquoted(written), read, "{written}");
        }
    }

    #[test]
    fn a_password_that_was_cut_is_told_from_one_that_was_not() {
        let hint = |password: &str, environment: &[(&str, &str)]| {
            let environment: Vec<_> = environment
                .iter()
                .map(|(name, value)| (OsString::from(name), OsString::from(value)))
                .collect();
            let text = format!("mongodb://root:{}@db/", percent_encode(password));
            env_file_hint(&MongoUri::parse(&text).unwrap(), &environment)
        };
        let starts = |password: &str, environment: &[(&str, &str)], start: &str| {
            let found = hint(password, environment).unwrap_or_default();
            assert!(found.starts_with(start), "{password}: {found}");
        };
        // What Compose makes of the two lines MONGO_PASSWORD=pa$word1 and MONGODB_URI=mongodb://root:pa%24word1@….
        let cut = [("MONGO_PASSWORD", "pa")];
        let whole = [("MONGO_PASSWORD", "pa$word1")];
        starts(
            "pa$word1",
            &cut,
            "MONGO_PASSWORD is what Docker Compose leaves",
        );
        starts("pa$word1", &whole, "it holds a $ or a #");
        starts("pa$word1", &[], "it holds a $ or a #");
        starts("ab", &[], "no $, # or quote arrived in it");
        starts("'ab'", &[], "it begins and ends with a quote");
        assert_eq!(hint("ab", &[("MONGODB_URI_FILE", "/run/x")]), None);
        let target = MongoUri::parse("mongodb://root:ab@db/")
            .unwrap()
            .given_as("--to");
        assert_eq!(env_file_hint(&target, &[]), None);
    }
}
