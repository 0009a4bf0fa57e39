//! To whom archives are sealed.

use crate::sys::redact::Secret;
use age::secrecy::ExposeSecret;
use std::fmt;

/// The public half of a key: it seals, and opens nothing.
#[derive(Clone)]
pub(crate) struct Recipient {
    text: String,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Age(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

impl Recipient {
    /// Reads `age1…`, `ssh-ed25519 …` or `ssh-rsa …`; else a phrase on what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let key = if text.starts_with("AGE-SECRET-KEY-") || text.contains("PRIVATE KEY") {
            return Err("is a private key, which does not belong here");
        } else if text.starts_with("ssh-") {
            let parsed = text.parse::<age::ssh::Recipient>();
            Key::Ssh(parsed.map_err(|_| "is not an SSH key that can be sealed to")?)
        } else {
            match text.parse::<age::x25519::Recipient>() {
                Ok(parsed) => Key::Age(parsed),
                Err(_) if is_of_plugin(text) => {
                    return Err("is a recipient of a plugin of age, which is not supported");
                }
                Err(_) => return Err("is not an age recipient: a character is wrong or missing"),
            }
        };
        Ok(Recipient {
            text: text.to_owned(),
            key,
        })
    }

    pub(super) fn as_age(&self) -> &dyn age::Recipient {
        match &self.key {
            Key::Age(key) => key,
            Key::Ssh(key) => key,
        }
    }

    /// What is kept of it in notes: without an SSH key's comment, which may name a person.
    pub(crate) fn short(&self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().take(2).collect();
        words.join(" ")
    }
}

/// `age1NAME1…` belongs to the plugin NAME.
fn is_of_plugin(text: &str) -> bool {
    text.strip_prefix("age1")
        .is_some_and(|rest| rest.contains('1'))
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.short())
    }
}

/// A new key: the public half, and the private one.
pub(crate) fn generate() -> (String, Secret) {
    let identity = age::x25519::Identity::generate();
    let secret = Secret::new(identity.to_string().expose_secret());
    (identity.to_public().to_string(), secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_can_be_sealed_to_are_told_from_all_others() {
        let (public, secret) = generate();
        assert_eq!(Recipient::parse(&public).unwrap().to_string(), public);
        let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMnNLR7KalXUePitYmckQ8OKlFE6o8UBLeX15GsAPBBO ana@home";
        let parsed = Recipient::parse(ssh).unwrap();
        assert!(!parsed.to_string().contains("ana"));
        for (text, problem) in [
            (secret.expose(), "private key"),
            (&public[..public.len() - 1], "a character is wrong"),
            (
                "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
                "plugin",
            ),
            ("ssh-dss AAAAB3NzaC1kc3M=", "not an SSH key"),
            ("", "not an age recipient"),
        ] {
            let refused = Recipient::parse(text).unwrap_err();
            assert!(refused.contains(problem), "{text}: {refused}");
        }
    }
}
