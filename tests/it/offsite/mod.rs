//! Copies elsewhere, at real servers: a folder, S3 (moto), WebDAV (wsgidav), OpenSSH's SFTP, and rclone.

mod interrupted;
mod reading;
mod refused;
mod round_trip;
mod sealed;
mod told;

use crate::support::Site;
use std::collections::BTreeSet;
use std::path::Path;

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The copies as `list --offsite` shows them at its first place.
fn copies(site: &Site) -> Vec<serde_json::Value> {
    let listed = site.run(&["list", "--offsite", "--json"]).done().json();
    listed["places"][0]["copies"].as_array().unwrap().clone()
}
