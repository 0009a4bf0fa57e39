//! Mail through a real mail server: what arrives, and what is said when nothing does.

mod arrives;
mod refused;

use crate::support::{PASSWORD, Site, Smtp};

/// A place that mails through a server on this machine, reached under the name of its certificate.
fn site(smtp: &Smtp, security: &str) -> Site {
    Site::new()
        .with("SMTP_HOST", "localhost")
        .with("SMTP_PORT", smtp.port)
        .with("SMTP_SECURITY", security)
        .with("SSL_CERT_FILE", Smtp::authority().display())
        .with("EMAIL_FROM", "Pantry <pantry@example.org>")
        .with("EMAIL_TO", "mira@example.org, Jo Ñandú <jo@example.org>")
}

fn signing_in(smtp: &Smtp, security: &str) -> Site {
    site(smtp, security)
        .with("SMTP_USERNAME", "pantry")
        .with("SMTP_PASSWORD", PASSWORD)
}
