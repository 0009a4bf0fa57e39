//! TLS with a mail server, and what a failure means.

use super::error::{MailError, Stage};
use crate::sys::certificate::{self, CertificateProblem};
use crate::sys::tls::RootStore;
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::ServerName;

/// A TLS client that trusts the certificates of `roots`.
pub(super) fn connector(roots: &RootStore) -> Result<TlsConnector, rustls::Error> {
    Ok(TlsConnector::from(Arc::new(roots.client_config()?)))
}

/// What a failed handshake means.
pub(super) fn failure(roots: &RootStore, place: &str, error: &io::Error) -> MailError {
    let place = place.to_owned();
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(rustls::Error::InvalidCertificate(invalid)) => {
            let problem = CertificateProblem::of(invalid);
            let advice = certificate_help(&problem, &place);
            let advice = match roots.problem() {
                Some(problem) => {
                    format!("{advice} (the system's own certificates could not be read: {problem})")
                }
                None => advice,
            };
            MailError::Certificate {
                place,
                problem: problem.to_string(),
                advice,
            }
        }
        Some(rustls::Error::InvalidMessage(_)) => MailError::Tls {
            place,
            problem: "it does not speak TLS there".into(),
            advice: "port 587 mostly wants SMTP_SECURITY=starttls, port 465 wants tls",
        },
        Some(other) => MailError::Tls {
            place,
            problem: other.to_string(),
            advice: "the server must offer TLS 1.2 or 1.3, or someone in between disturbs it",
        },
        None => MailError::Broken {
            place,
            stage: Stage::Tls,
            problem: error.to_string(),
        },
    }
}

/// The name that a certificate must be for.
pub(super) fn server_name(host: &str, place: &str) -> Result<ServerName<'static>, MailError> {
    ServerName::try_from(host.to_owned()).map_err(|_| MailError::Tls {
        place: place.to_owned(),
        problem: "no certificate can be for such a name".into(),
        advice: "check SMTP_HOST",
    })
}

/// What to do about a certificate of `place`.
fn certificate_help(problem: &CertificateProblem, place: &str) -> String {
    let name = place.rsplit_once(':').map_or(place, |(name, _)| name);
    match problem {
        CertificateProblem::Expired | CertificateProblem::NotValidYet => {
            "check this machine's clock, then the server's certificate".into()
        }
        CertificateProblem::OtherName(_) => "check SMTP_HOST".into(),
        CertificateProblem::IsAuthority => format!(
            "make one for the server that can be trusted, and name it in SSL_CERT_FILE here: {}",
            certificate::self_signed_command(name.trim_matches(['[', ']']))
        ),
        CertificateProblem::UnknownIssuer | CertificateProblem::Other(_) => {
            "if the server is your own, set SSL_CERT_FILE to a file with the certificate of its authority (CA)".into()
        }
    }
}
