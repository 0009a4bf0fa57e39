//! Messages and pings through servers on this machine: what they are sent, and what happens when they do not take it.

mod mails;
mod messages;
mod pings;

use crate::support::{Site, shared};

/// Searched for in everything that is written.
const TOKEN: &str = "Tok-s3ntinel-9";

/// Backs up one small database of the shared server.
fn site() -> Site {
    Site::of(shared()).with("BACKUP_DATABASES", "shop")
}

/// Its backups fail quickly.
fn failing(site: Site) -> Site {
    site.with("BACKUP_DATABASES", "shopp")
}

fn mended(site: Site) -> Site {
    site.with("BACKUP_DATABASES", "shop")
}
