//! TLS as a client: whom to trust.

use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// The certificates to trust.
pub(crate) struct RootStore {
    roots: RootCertStore,
    /// Why those of the system are not among them.
    problem: Option<String>,
}

impl RootStore {
    /// Those of the system (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others), or where it has none, such as in a bare
    /// container, those that are built in. Reads files.
    pub(crate) fn of_system() -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added > 0 {
            return RootStore {
                roots,
                problem: None,
            };
        }
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let problem = found.errors.first().map(ToString::to_string);
        RootStore { roots, problem }
    }

    /// Why the system's own certificates could not be read, where that is so.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// # Errors
    /// If the built-in cryptography can do none of the protocol's versions, which no machine of ours has shown.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
        // Named, since a process-wide default is there only if someone has installed it.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        Ok(config)
    }
}
