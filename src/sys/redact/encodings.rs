//! The shapes in which one secret may turn up in a text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Punctuation that encoders leave as it is, beside `-._~`. Libraries differ, and each of them may print a URI.
const LEFT_AS_IS: [&str; 4] = [
    "",            // RFC 3986, unreserved characters only; Go's url.QueryEscape
    "$&+,;=",      // Go's url.UserPassword
    "!$&'()*+,;=", // RFC 3986 userinfo: unreserved and sub-delims
    "!*'()",       // JavaScript's encodeURIComponent
];

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
    let mut forms = BTreeSet::new();
    for text in plain {
        for as_is in LEFT_AS_IS {
            for upper in [true, false] {
                let encoded = encode(&text, as_is, upper);
                forms.insert(encoded.replace("%20", "+"));
                forms.insert(encoded);
            }
        }
        forms.extend(escaped(&text));
        forms.insert(text);
    }
    forms
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
            '\0'..' ' | '\x7f' => push_hex(&mut quoted, "\\x", c as u8, false),
            _ => quoted.push(c),
        }
    }
    quoted
}

/// `text` with everything but RFC 3986's unreserved characters percent-encoded: safe in any part of a URI.
pub(crate) fn percent_encode(text: &str) -> String {
    encode(text, "", true)
}

fn encode(text: &str, as_is: &str, upper: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || as_is.contains(c) {
            encoded.push(c);
        } else {
            push_hex(&mut encoded, "%", byte, upper);
        }
    }
    encoded
}

fn push_hex(text: &mut String, before: &str, byte: u8, upper: bool) {
    // Writing into a String cannot fail.
    let _ = if upper {
        write!(text, "{before}{byte:02X}")
    } else {
        write!(text, "{before}{byte:02x}")
    };
}

/// `text` percent-decoded; `None` if a `%` is not followed by two hex digits, or the result is not UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
