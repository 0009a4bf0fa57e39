//! Copies elsewhere, at real servers: a folder, S3 (moto), WebDAV (wsgidav), OpenSSH's SFTP, and rclone.

mod changed;
mod choosing;
mod false_rclone;
mod faulty;
mod interrupted;
mod order;
mod reading;
mod refused;
mod round_trip;
mod sealed;
mod told;
mod two_services;

use crate::support::Site;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

/// Copies go to a second disk; where that is.
fn with_disk(site: Site) -> (Site, PathBuf) {
    let disk = site.path("disk2");
    std::fs::create_dir(&disk).unwrap();
    let url = format!("file://{}", disk.display());
    (site.with("OFFSITE_URL", url), disk)
}

/// With a key; where its private half is.
fn with_key(site: Site) -> (Site, PathBuf) {
    let path = site.path("key.txt");
    let made = site.run(&["keygen", "--output", path.to_str().unwrap()]);
    let recipient = made.done().stdout.trim().to_owned();
    (site.with("ENCRYPT_TO", recipient), path)
}
