//! A secret that an editor on Windows saved: a byte order mark before it, CR LF after it.

use super::fixture;
use crate::support::{Server, Site};
use std::fs;

#[test]
fn bom_secret_is_read_without_its_mark() {
    let server = Server::start();
    server.seed("small");
    let secret = String::from_utf8(fs::read(fixture("bom-secret.uri")).unwrap()).unwrap();
    assert!(secret.starts_with('\u{feff}') && secret.ends_with("\r\n"));
    let secret = secret.replace("28100", &server.port.to_string());
    let site = Site::new();
    fs::write(site.path("secret"), &secret).unwrap();
    let file = site.path("secret").display().to_string();
    let site = site.with("MONGODB_URI_FILE", file);
    site.run(&["backup"]).done();
    site.run(&["verify"]).done();
    // The same as a setting, which Compose reads from a file of the same editor.
    let site = Site::new().with("MONGODB_URI", secret.trim_end());
    site.run(&["backup"]).done();
}
