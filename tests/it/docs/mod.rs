//! What `docs/` says about formats, held against real archives and real output.

mod archive_format;
mod json;

use crate::support::in_project;
use std::fs;

/// A page of `docs/`.
fn page(name: &str) -> String {
    fs::read_to_string(in_project("docs").join(name)).unwrap()
}

/// The code blocks of a page: the words behind the fence, and the lines.
fn code_blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let inside = lines.by_ref().take_while(|line| *line != "```");
            blocks.push((info, inside.collect::<Vec<_>>().join("\n")));
        }
    }
    blocks
}
