//! What a backup that succeeded has to say, and what tells one such thing from another.

use crate::state::alerts::{Concern, Topic};
use sha2::{Digest, Sha256};

/// What a backup that succeeded has to say.
#[derive(Debug)]
pub(crate) struct Remark {
    /// It is news when any of them is.
    pub topics: Vec<Topic>,
    /// May hold secrets.
    pub text: String,
}

impl Remark {
    /// `about` is what tells it from others of its kind.
    pub(crate) fn new(concern: Concern, about: &str, text: impl Into<String>) -> Self {
        Remark {
            topics: vec![Topic::new(concern, about)],
            text: text.into(),
        }
    }

    /// One that only its text tells from others of its kind. Words with digits in them change from run to run.
    pub(crate) fn of_text(concern: Concern, text: impl Into<String>) -> Self {
        let text = text.into();
        let words = text.split_whitespace();
        let words = words.filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
        // Not the words themselves, which may hold secrets.
        let digest = Sha256::digest(words.collect::<Vec<_>>().join(" "));
        Remark::new(concern, &hex::encode(&digest[..8]), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_the_same_with_other_numbers_and_its_words_are_not_kept() {
        let topics = |text: &str| Remark::of_text(Concern::Warned, text).topics;
        let one = topics("3 documents of a_20260531_020000.tar.gz are too large");
        assert_eq!(
            one,
            topics("41 documents of a_20260601_020000.tar.gz are too large")
        );
        assert_ne!(one, topics("3 documents are too large"));
        assert!(one[0].about.len() == 16);
    }
}
