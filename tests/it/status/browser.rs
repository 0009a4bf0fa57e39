//! The page as a browser shows it: `tests/support/browser.py` drives a real Chromium.

use super::{pantry, serve, site};
use crate::service::stop;
use crate::support::{in_project, python};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where Chromium is, if it is anywhere.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let candidates = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.into_iter().find(|program| program.is_file())
}

/// Light and dark, wide and narrow; no request leaves the page, and axe-core finds nothing serious where it is there.
/// `UPDATE_SCREENSHOTS=1` writes the pictures of `docs/`.
#[test]
fn it_is_whole_and_accessible_in_chromium() {
    let Some(chromium) = chromium() else {
        println!("SKIPPED: there is no Chromium on PATH (`scripts/setup --browser` gets it)");
        return;
    };
    let site = site()
        .with("RETENTION_DAYS", "120")
        .with("BACKUP_SCHEDULE", "0 2 * * *");
    let names = pantry::fill(&site, 120, 24);
    pantry::remember(&site, &names, &[]);
    let (running, page) = serve(&site);
    let pictures = site.path("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let pictures = match std::env::var_os("UPDATE_SCREENSHOTS") {
        Some(_) => in_project("docs"),
        None => pictures,
    };
    let output = Command::new(python())
        .arg(in_project("tests/support/browser.py"))
        .arg(chromium)
        .arg(format!("http://127.0.0.1:{}", page.port))
        .arg(format!("/archives/{}", names[119]))
        .arg(&pictures)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    stop(running);
}
