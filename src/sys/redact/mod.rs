//! Secrets, and keeping them out of everything that people read.
//!
//! Tools that Pantry Keeper starts print whole connection strings when they fail, so every line of theirs, and every
//! message of our own, passes through a [`Redactor`] before it is logged, mailed or kept.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

mod encodings;

pub(crate) use encodings::{percent_decode, percent_encode};

/// What stands where a secret was.
pub(crate) const MASK: &str = "***";

/// Below this many bytes a secret is likely to be part of ordinary words. It must be longer than [`MASK`]: the
/// redactor relies on every replacement making the text shorter.
const SHORTEST_NEEDLE_BYTES: usize = 4;

/// A text may be cut within a character, which is no longer what it was then.
const LONGEST_CHAR_BYTES: usize = 4;

/// A text that must not be shown: `Debug` and `Display` print `***`, and it cannot be serialised.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASK)
    }
}

/// Replaces secrets in a text by `***`. Cloning is cheap.
///
/// Hidden are, wherever they stand: each secret as it is, percent-decoded, percent-encoded in the ways common
/// libraries do it, with the escapes of JSON and of quoted strings, and with and without its spaces (mail providers
/// show app passwords in groups). Independent of the known secrets, `://user:PASSWORD@` becomes `://user:***@`, up to
/// the last `@` before white space, since a password that was not encoded may itself contain `@`, `/` or `:`.
///
/// A secret of fewer than 4 bytes would shred ordinary text. It is hidden only in `:SECRET@`, and as a whole word
/// right after `password`, `passwd` or `pwd`.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Arc<Needles>);

#[derive(Default)]
struct Needles {
    long: Vec<String>,
    short: Vec<String>,
}

impl Redactor {
    /// A redactor for these secrets; empty ones are ignored.
    pub(crate) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut needles = Needles::default();
        for secret in secrets {
            for form in encodings::of(secret.expose()) {
                if form.len() >= SHORTEST_NEEDLE_BYTES {
                    needles.long.push(form);
                } else if !form.is_empty() {
                    needles.short.push(form);
                }
            }
        }
        for list in [&mut needles.long, &mut needles.short] {
            list.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            list.dedup();
        }
        Self(Arc::new(needles))
    }

    /// The same for more secrets.
    pub(crate) fn with(self, secrets: impl IntoIterator<Item = Secret>) -> Self {
        let known = self.0.long.iter().chain(&self.0.short).map(Secret::new);
        Self::new(known.chain(secrets).collect::<Vec<_>>())
    }

    /// `text` without the secrets; borrowed when there was nothing to hide.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // All kinds of match are found in the original text and joined before anything is replaced: replacing one
        // first could cut another in two and leave its rest readable.
        let found = self.find(text);
        match found.is_empty() {
            true => Cow::Borrowed(text),
            false => Cow::Owned(self.masked(text, found)),
        }
    }

    /// How many bytes behind the end of what is to be shown of a text must be known, lest a part of a secret is shown.
    pub(crate) fn margin(&self) -> usize {
        let longest = self.0.long.first().map_or(0, String::len);
        longest.max(SHORTEST_NEEDLE_BYTES) + LONGEST_CHAR_BYTES
    }

    /// The beginning of a text that goes on behind `text`, without the secrets and without the last [`margin`] bytes, in
    /// which one may begin.
    ///
    /// [`margin`]: Redactor::margin
    pub(crate) fn redact_beginning(&self, text: &str) -> String {
        let end = beginning_of(text, text.len().saturating_sub(self.margin())).len();
        let mut found = self.find(text);
        // The `@` behind a password may be what is missing.
        let last_word = text.rfind(char::is_whitespace).unwrap_or_default();
        if let Some(scheme_end) = text[last_word..].find(SCHEME_END) {
            let authority = last_word + scheme_end + SCHEME_END.len();
            let colon = text[authority..].find(':');
            found.extend(colon.map(|colon| authority + colon + 1..text.len()));
        }
        found.retain(|range| range.start < end);
        for range in &mut found {
            range.end = range.end.min(end);
        }
        self.masked(&text[..end], found)
    }

    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        find_credentials(text, &mut found);
        self.find_long(text, &mut found);
        self.find_short(text, &mut found);
        found
    }

    fn masked(&self, text: &str, found: Vec<Range<usize>>) -> String {
        let mut redacted = mask(text, found);
        // A mask may join with the text around it into a secret that holds asterisks. Each such round shortens the
        // text, so this ends.
        loop {
            let mut found = Vec::new();
            self.find_long(&redacted, &mut found);
            if found.is_empty() {
                return redacted;
            }
            redacted = mask(&redacted, found);
        }
    }

    fn find_long(&self, text: &str, found: &mut Vec<Range<usize>>) {
        for needle in &self.0.long {
            found.extend(occurrences(text, needle));
        }
    }

    fn find_short(&self, text: &str, found: &mut Vec<Range<usize>>) {
        for needle in &self.0.short {
            for range in occurrences(text, needle) {
                let (before, after) = (&text[..range.start], &text[range.end..]);
                let in_userinfo = before.ends_with(':') && after.starts_with('@');
                let whole_word = !after.starts_with(char::is_alphanumeric);
                if in_userinfo || (whole_word && follows_password_word(before)) {
                    found.push(range);
                }
            }
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Redactor")
    }
}

/// As much of a text as `bytes` hold, to the end of a character.
pub(crate) fn beginning_of(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Every occurrence, overlapping ones too, since each of them would betray a part of the secret.
fn occurrences<'t>(text: &'t str, needle: &'t str) -> impl Iterator<Item = Range<usize>> + 't {
    let first_char_bytes = needle.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text.get(from..)?.find(needle)?;
        from = start + first_char_bytes;
        Some(start..start + needle.len())
    })
}

const SCHEME_END: &str = "://";

fn find_credentials(text: &str, found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(at) = text[from..].find(SCHEME_END) {
        let authority = from + at + SCHEME_END.len();
        let end = text[authority..]
            .find(char::is_whitespace)
            .map_or(text.len(), |at| authority + at);
        let token = &text[authority..end];
        if let (Some(colon), Some(last_at)) = (token.find(':'), token.rfind('@'))
            && colon + 1 < last_at
            && &token[colon + 1..last_at] != MASK
        {
            found.push(authority + colon + 1..authority + last_at);
        }
        from = end;
    }
}

fn follows_password_word(before: &str) -> bool {
    let separators = |c: char| c.is_whitespace() || matches!(c, '=' | ':' | '"' | '\'' | '`' | '(');
    let word = before.trim_end_matches(separators);
    word.len() < before.len()
        && ["password", "passwd", "pwd"].iter().any(|name| {
            word.len()
                .checked_sub(name.len())
                .and_then(|at| word.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(name))
        })
}

fn mask(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    let mut ranges = ranges.into_iter().peekable();
    while let Some(mut range) = ranges.next() {
        while let Some(next) = ranges.next_if(|next| next.start <= range.end) {
            range.end = range.end.max(next.end);
        }
        masked.push_str(&text[done..range.start]);
        masked.push_str(MASK);
        done = range.end;
    }
    masked.push_str(&text[done..]);
    masked
}

#[cfg(test)]
mod tests;
