//! How reaching one server failed, and what to do about it.

use super::option_advice::{takes_no_options, with_option};
use crate::sys::certificate::{self, CertificateProblem};
use crate::sys::runtime::Runtime;
use mongodb::error::{Error, ErrorKind};
use std::io;
use tokio_rustls::rustls;

/// How it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostFailure {
    UnknownName,
    /// A `mongodb+srv` name for which DNS names no servers.
    UnknownCluster,
    Refused,
    TimedOut,
    /// The server closed the connection without an answer.
    Closed,
    /// It answered something that is not TLS.
    NotTls,
    WantsClientCertificate,
    Certificate(CertificateProblem),
    Other(String),
}

impl HostFailure {
    pub(super) fn of(error: &Error) -> Self {
        match &*error.kind {
            ErrorKind::Io(error) => Self::of_io(error),
            ErrorKind::DnsResolve { .. } => Self::UnknownName,
            other => Self::Other(other.to_string()),
        }
    }

    fn of_io(error: &io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(invalid)) => {
                return Self::Certificate(CertificateProblem::of(invalid));
            }
            Some(rustls::Error::InvalidMessage(_)) => return Self::NotTls,
            Some(rustls::Error::AlertReceived(alert)) => {
                let alert = format!("{alert:?}");
                return match alert.contains("CertificateRequired") || alert == "BadCertificate" {
                    true => Self::WantsClientCertificate,
                    false => Self::Other(format!("the server ended TLS with {alert}")),
                };
            }
            _ => {}
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Closed,
            // The standard library has no kind for it.
            _ if error.to_string().contains("failed to lookup address") => Self::UnknownName,
            _ => Self::Other(error.to_string()),
        }
    }

    /// Whether DNS names no servers for a `mongodb+srv` name, in the words of the driver and of its resolver.
    pub(super) fn is_unknown_cluster(message: &str) -> bool {
        ["no records found", "returned no records"]
            .iter()
            .any(|words| message.contains(words))
    }

    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::UnknownName
                | Self::UnknownCluster
                | Self::Refused
                | Self::TimedOut
                | Self::Closed
                | Self::Other(_)
        )
    }

    pub(super) fn summary(&self) -> String {
        match self {
            Self::UnknownName => "its name does not resolve here".into(),
            Self::UnknownCluster => "DNS names no servers for it (mongodb+srv)".into(),
            Self::Refused => "the connection was refused".into(),
            Self::TimedOut => "it did not answer in time".into(),
            Self::Closed => "it closed the connection without an answer".into(),
            Self::NotTls => "it does not speak TLS on this port".into(),
            Self::WantsClientCertificate => "it wants a client certificate".into(),
            Self::Certificate(problem) => format!("its TLS certificate is not valid: {problem}"),
            Self::Other(problem) => problem.clone(),
        }
    }

    pub(super) fn help(&self, host: &str, setting: &str, runtime: Runtime) -> String {
        match self {
            Self::UnknownName => {
                let elsewhere = match runtime {
                    Runtime::Container => {
                        ": for one of another compose project or on the host, see docs/deploy.md"
                    }
                    _ => "",
                };
                format!(
                    "check the host name in {setting}, and that this program is in the same network as MongoDB{elsewhere}"
                )
            }
            Self::UnknownCluster => format!(
                "check the host name in {setting} against the one that Atlas shows under Connect, and that DNS works here"
            ),
            Self::Closed if takes_no_options(setting) => format!(
                "without TLS, a server that wants it does that: if yours does, {}",
                with_option(setting, "tls=true")
            ),
            Self::Closed => format!(
                "with TLS on one side only it does that: tls=true in {setting} if the server wants TLS, no tls=true if it has none"
            ),
            Self::NotTls => format!("leave tls=true out of {setting}, or give the server TLS"),
            Self::WantsClientCertificate => format!(
                "{}, with a certificate and its key",
                with_option(setting, "tlsCertificateKeyFile=FILE")
            ),
            Self::Certificate(problem) => certificate_help(problem, host, setting),
            _ => absent_help(setting, runtime),
        }
    }
}

pub(super) fn absent_help(setting: &str, runtime: Runtime) -> String {
    format!(
        "check that it runs ({}) and that {setting} names it",
        runtime.see_mongodb()
    )
}

fn certificate_help(problem: &CertificateProblem, host: &str, setting: &str) -> String {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_matches(['[', ']']);
    match problem {
        CertificateProblem::Expired | CertificateProblem::NotValidYet => {
            "check this machine's clock, then renew the server's certificate".into()
        }
        CertificateProblem::OtherName(_) => format!(
            "name the server in {setting} as its certificate does, or give it a certificate for {name}"
        ),
        CertificateProblem::IsAuthority => format!(
            "mongodump takes such a certificate, this program does not; make one that both take, with the key in the \
             server's certificateKeyFile and the certificate as tlsCAFile: {}",
            certificate::self_signed_command(name)
        ),
        CertificateProblem::UnknownIssuer | CertificateProblem::Other(_) => format!(
            "if it is your own, {}, with the certificate of its authority (CA)",
            with_option(setting, "tlsCAFile=FILE")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_cluster_is_known_by_the_resolvers_words() {
        let message = "no records found for Query { name: Name(\"_mongodb._tcp.c.x.mongodb.net.\"), query_type: SRV }";
        assert!(HostFailure::is_unknown_cluster(message));
        assert!(!HostFailure::is_unknown_cluster("request timed out"));
    }

    #[test]
    fn in_a_container_an_unknown_name_has_a_recipe() {
        let help = |runtime| HostFailure::UnknownName.help("db:27017", "MONGODB_URI", runtime);
        assert!(help(Runtime::Container).contains("docs/deploy.md"));
        assert!(!help(Runtime::Systemd).contains("docs/deploy.md"));
    }

    #[test]
    fn a_cluster_that_dns_does_not_know_is_not_looked_for_in_compose() {
        let help =
            HostFailure::UnknownCluster.help("c.x.mongodb.net", "MONGODB_URI", Runtime::Container);
        assert!(
            help.contains("MONGODB_URI") && !help.contains("docker"),
            "{help}"
        );
    }
}
