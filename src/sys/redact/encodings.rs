//! The shapes in which one secret may turn up in a text.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeSet;

/// What encoders encode. They leave some punctuation as it is, beside `-._~`: libraries differ, and each of them may print
/// a URI.
static ENCODED: [AsciiSet; 4] = [
    all_but(b""),            // RFC 3986, unreserved characters only; Go's url.QueryEscape
    all_but(b"$&+,;="),      // Go's url.UserPassword
    all_but(b"!$&'()*+,;="), // RFC 3986 userinfo: unreserved and sub-delims
    all_but(b"!*'()"),       // JavaScript's encodeURIComponent
];

const fn all_but(as_is: &[u8]) -> AsciiSet {
    let mut set = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let mut at = 0;
    while at < as_is.len() {
        set = set.remove(as_is[at]);
        at += 1;
    }
    set
}

pub(super) fn of(secret: &str) -> BTreeSet<String> {
    let mut plain = BTreeSet::from([secret.to_owned()]);
    plain.extend(percent_decode(secret));
    for text in plain.clone() {
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        // Mail providers show a 16-letter app password as four groups of four.
        if compact.len() == 16 && compact.bytes().all(|b| b.is_ascii_alphanumeric()) {
            let groups = [0, 4, 8, 12].map(|at| &compact[at..at + 4]);
            plain.insert(groups.join(" "));
        }
        // Dropping white space from anything else than an app password still gives the same secret to most readers.
        plain.insert(compact);
    }
    let mut encodings = BTreeSet::new();
    for text in plain {
        for set in &ENCODED {
            for encoded in [encode(&text, set), lower_hex(&text, set)] {
                encodings.insert(encoded.replace("%20", "+"));
                encodings.insert(encoded);
            }
        }
        encodings.extend(escaped(&text));
        encodings.insert(text);
    }
    encodings
}

/// The text in JSON (with and without Go's HTML-safe escapes) and in a quoted string of Go or Rust.
fn escaped(text: &str) -> Vec<String> {
    let json = quoted_inner(&serde_json::Value::from(text).to_string());
    let go_json = json
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e");
    let rust = quoted_inner(&format!("{text:?}"));
    vec![go_quote(text), json, go_json, rust]
}

fn quoted_inner(quoted: &str) -> String {
    quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(quoted)
        .to_owned()
}

/// Go's `%q`, without the quotes.
fn go_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            '\0'..' ' | '\x7f' => quoted.push_str(&format!("\\x{:02x}", c as u8)),
            _ => quoted.push(c),
        }
    }
    quoted
}

/// `text` with everything but RFC 3986's unreserved characters percent-encoded: safe in any part of a URI.
pub(crate) fn percent_encode(text: &str) -> String {
    encode(text, &ENCODED[0])
}

fn encode(text: &str, set: &'static AsciiSet) -> String {
    utf8_percent_encode(text, set).to_string()
}

/// The same with `%2f` for `%2F`.
fn lower_hex(text: &str, set: &'static AsciiSet) -> String {
    let pieces = utf8_percent_encode(text, set);
    let lower = pieces.map(|piece| match piece.starts_with('%') {
        true => piece.to_ascii_lowercase(),
        false => piece.to_owned(),
    });
    lower.collect()
}

/// `text` percent-decoded; `None` if a `%` is not followed by two hex digits, or the result is not UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let is_byte = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_byte) {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}
