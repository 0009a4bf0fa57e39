//! Why a server's TLS certificate was not accepted, in words; the same for MongoDB and for mail.

use std::fmt;
use tokio_rustls::rustls::CertificateError;

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CertificateProblem {
    Expired,
    NotValidYet,
    UnknownIssuer,
    /// The names it is for, as far as they are known.
    OtherName(Vec<String>),
    /// Made by `openssl req -x509` without more: it says that it is an authority, and is used by a server all the same.
    IsAuthority,
    Other(String),
}

impl CertificateProblem {
    pub(crate) fn of(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotValidYet
            }
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::NotValidForName => Self::OtherName(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                // They come as Debug of the parser's types, such as DnsName("example.org").
                let names = presented
                    .iter()
                    .map(|name| name.split('"').nth(1).unwrap_or(name).to_owned());
                Self::OtherName(names.collect())
            }
            // rustls has no variant of its own for it.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                Self::IsAuthority
            }
            other => Self::Other(other.to_string()),
        }
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("it has expired"),
            Self::NotValidYet => f.write_str("it is not valid yet"),
            Self::UnknownIssuer => f.write_str("it was not issued by a trusted authority"),
            Self::OtherName(names) if names.is_empty() => f.write_str("it is for another name"),
            Self::OtherName(names) => write!(f, "it is for another name ({})", names.join(", ")),
            Self::IsAuthority => f.write_str("it is an authority's (CA), not a server's"),
            Self::Other(problem) => f.write_str(problem),
        }
    }
}

/// The command that makes a self-signed certificate which every client can be told to trust.
pub(crate) fn self_signed_command(host: &str) -> String {
    let kind = match host.parse::<std::net::IpAddr>() {
        Ok(_) => "IP",
        Err(_) => "DNS",
    };
    format!(
        "openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj /CN={host} -addext subjectAltName={kind}:{host} \
         -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem"
    )
}
