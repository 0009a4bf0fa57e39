//! What is to be seen from outside: the page, metrics, JSON, the terminal, through the real program.

mod browser;
mod client;
mod guarded;
mod metrics;
mod pantry;
mod served;
mod slow;
mod states;

use crate::support::{Running, Site, shared};
use client::Page;

/// A scheduler with a page, at a port of the system's choice; its next run is far away.
fn site() -> Site {
    Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with("BACKUP_SCHEDULE", "0 0 1 1 *")
        .with("STATUS_LISTEN", "127.0.0.1:0")
}

/// Starts it, and waits until the page is there.
fn serve(site: &Site) -> (Running, Page) {
    let running = site.start(&["run"]);
    let page = Page::of(&running);
    running.until_it_says("next backup");
    (running, page)
}
