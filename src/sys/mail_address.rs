//! Mail addresses, as people write them and as a mail server is told them.

use lettre::Address;

/// `me@example.org`, or that in angle brackets after a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MailAddress {
    pub name: Option<String>,
    /// Its domain is in ASCII: every server takes `xn--mller-kva.de`, and few `müller.de`.
    pub address: Address,
}

impl MailAddress {
    /// Reads one. lettre's own parser refuses names that people do have, such as `J. R.`.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, bare) = match text
            .trim()
            .strip_suffix('>')
            .and_then(|text| text.rsplit_once('<'))
        {
            Some((name, bare)) => (name.trim(), bare.trim()),
            None => ("", text.trim()),
        };
        let unquoted = name
            .strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'))
            .unwrap_or(name);
        let name = unquoted.replace("\\\"", "\"").replace("\\\\", "\\");
        let wrong = |error: lettre::address::AddressError| error.to_string().to_lowercase();
        let address: Address = bare.parse().map_err(wrong)?;
        let address = match address.domain().is_ascii() {
            true => address,
            false => {
                let domain = idna::domain_to_ascii(address.domain());
                let domain = domain.map_err(|_| "invalid email domain".to_owned())?;
                Address::new(address.user(), domain).map_err(wrong)?
            }
        };
        Ok(MailAddress {
            name: (!name.is_empty()).then_some(name),
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<String, String> {
        MailAddress::parse(text).map(|parsed| parsed.address.to_string())
    }

    #[test]
    fn a_domain_is_in_ascii_and_what_is_before_it_is_as_typed() {
        for (text, expected) in [
            ("a@example.org", "a@example.org"),
            ("Zoë <jörg@Müller.de>", "jörg@xn--mller-kva.de"),
            ("a@[127.0.0.1]", "a@[127.0.0.1]"),
            ("root@localhost", "root@localhost"),
            ("a+b@sub.example.org", "a+b@sub.example.org"),
        ] {
            assert_eq!(address(text), Ok(expected.to_owned()));
        }
        for text in [
            "a..b@x.org",
            "a@exa mple",
            "a@",
            "a",
            ".a@x.org",
            "a@ü..de",
            "a@b..c",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
