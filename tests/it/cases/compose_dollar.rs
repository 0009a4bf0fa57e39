//! `$` and ` #` in a file of settings that Docker Compose reads: without single quotes they are not what was written.

use super::fixture;
use crate::support::{Site, shared};
use std::fs;
use std::path::Path;

/// A value as Docker Compose reads it from an env file: text in single quotes as it is; else without what follows ` #`, and
/// with variables, none of which is set here.
fn as_compose_reads(value: &str) -> String {
    if let Some(quoted) = value
        .strip_prefix('\'')
        .and_then(|rest| rest.split_once('\''))
    {
        return quoted.0.to_owned();
    }
    let plain = value.split(" #").next().unwrap_or_default().trim();
    let mut read = String::new();
    let mut rest = plain;
    while let Some((before, after)) = rest.split_once('$') {
        read.push_str(before);
        rest = after
            .trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    }
    read + rest
}

/// The fault itself: two places that hold the same password are no longer the same.
#[test]
fn compose_dollar_is_what_compose_makes_of_it() {
    let text = fs::read_to_string(fixture("compose-dollar.env")).unwrap();
    let read: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(_, value)| as_compose_reads(value))
        .collect();
    assert_eq!(
        read[0], "pa",
        "the server's password, which was to be pa$word1"
    );
    assert!(read[1].contains("pa%24word1"), "{}", read[1]);
    assert_eq!(read[2], "ab");
    assert_eq!(as_compose_reads("'ab$cd #gh'"), "ab$cd #gh");
}

/// Every line of the example that holds a secret, or a connection string, is safe to be filled in.
#[test]
fn compose_dollar_examples_are_in_single_quotes_and_say_why() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example");
    let text = fs::read_to_string(path).unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let Some((name, value)) = line.trim_start_matches('#').split_once('=') else {
            continue;
        };
        let secret = name.ends_with("PASSWORD") || name == "MONGODB_URI";
        if !secret || name.contains(' ') || (value.is_empty() && line.starts_with('#')) {
            continue;
        }
        seen += 1;
        assert!(
            value.starts_with('\'') && value.ends_with('\'') && value.len() > 1,
            "not in single quotes: {line}"
        );
    }
    assert!(seen > 0, "the example shows no secret");
    let why = text
        .lines()
        .find(|line| line.starts_with('#') && line.contains("single quote") && line.contains('$'));
    assert!(why.is_some(), "it does not say why");
}

/// A password that ends where a `$` may have been, or has one: the server refuses it, and this may be why.
#[test]
fn compose_dollar_is_suspected_where_a_password_is_refused() {
    let uri = format!(
        "mongodb://root:pa%24word1@127.0.0.1:{}/?directConnection=true&authSource=admin",
        shared().port
    );
    let outcome = Site::new()
        .with("MONGODB_URI", uri)
        .run(&["doctor"])
        .ended_with(1);
    let outcome = outcome.printing(&["✗ server", "single quotes"]);
    assert!(
        !outcome.stdout.contains("pa$word1") && !outcome.stdout.contains("pa%24word1"),
        "{}",
        outcome.stdout
    );
}
