//! Holds the code to the layers that `docs/architecture.md` describes: data flows one way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest to the top: a folder of `src` imports only from those before its own. No exceptions.
const ORDER: &[&str] = &[
    "sys",
    "archive",
    "query",
    "schedule",
    "retention",
    "report",
    "mongo",
    "settings",
    "state",
    "store",
    "context",
    "notify",
    "prune",
    "offsite",
    "backup",
    "restore",
    "drill",
    "inspect",
    "health",
    "status",
    "doctor",
    "scheduler",
    "cli",
];

/// Modules that exist for tests of others only.
const FOR_TESTS: &[&str] = &["testing"];

/// Where the process's surroundings may be touched. `split_paths` and `current_exe` read no variable.
const SURROUNDINGS: &[(&str, &[&str])] = &[
    (
        "std::env::",
        &[
            "main.rs",
            "sys/process.rs: split_paths",
            "sys/process.rs: current_exe",
        ],
    ),
    ("process::exit", &["cli/signals.rs: process::exit"]),
    (
        "Utc::now",
        &["cli/mod.rs: Utc::now", "sys/logging.rs: Utc::now"],
    ),
    ("SystemTime::now", &[]),
    ("Local::now", &[]),
    ("\"sh\"", &[]),
    ("/bin/sh", &[]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file with its path below `src`, without comments and tests.
pub(crate) fn files() -> Vec<(String, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    collect(&source(), &mut paths);
    paths.sort();
    let relative = |path: &Path| path.strip_prefix(source()).unwrap().display().to_string();
    let of_tests = |path: &String| {
        path.split('/')
            .any(|part| part.trim_end_matches(".rs").ends_with("tests"))
    };
    let read = |path: PathBuf| {
        (
            relative(&path),
            without_tests(&fs::read_to_string(path).unwrap()),
        )
    };
    paths
        .into_iter()
        .map(read)
        .filter(|(path, _)| !of_tests(path))
        .collect()
}

/// Drops comments, and what stands behind `#[cfg(test)]` up to the end of its item.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = line.len() - line.trim_start().len();
            for line in lines.by_ref() {
                let at_item = line.len() - line.trim_start().len() == indent;
                if at_item && !line.trim_start().starts_with("#[") && line.ends_with(['}', ';']) {
                    break;
                }
            }
            continue;
        }
        // An address in a text has a colon before its slashes.
        let comment = line
            .match_indices("//")
            .find(|(at, _)| !line[..*at].ends_with(':'));
        kept.push_str(comment.map_or(line, |(at, _)| &line[..at]));
        kept.push('\n');
    }
    kept
}

fn module_of(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The modules that a text names after `crate::`, in braces too.
fn imports(text: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut found = BTreeSet::new();
    for (at, start) in text.match_indices("crate::") {
        let rest = &text[at + start.len()..];
        if rest.starts_with('{') {
            let mut depth = 0;
            let mut fresh = true;
            for (at, c) in rest.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && fresh && (c.is_alphabetic() || c == '_') {
                    found.insert(word(&rest[at..]));
                    fresh = false;
                }
                fresh |= depth == 1 && (c == ',' || c == '{');
            }
        } else {
            found.insert(word(rest));
        }
    }
    found
}

fn place_of(module: &str) -> usize {
    let place = ORDER.iter().position(|known| *known == module);
    place.unwrap_or_else(|| panic!("{module} has no place in ORDER"))
}

#[test]
fn every_folder_of_src_is_in_the_order_and_in_the_page_on_architecture() {
    let declared = modules();
    for module in ORDER {
        assert!(declared.contains(*module), "{module} is gone");
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = fs::read_to_string(page).unwrap();
    for module in declared
        .iter()
        .filter(|module| !FOR_TESTS.contains(&module.as_str()))
    {
        place_of(module);
        let named = [format!("`{module}/`"), format!("`{module}.rs`")];
        assert!(
            named.iter().any(|name| page.contains(name)),
            "docs/architecture.md does not name {module}"
        );
    }
}

fn modules() -> BTreeSet<String> {
    let names = files()
        .into_iter()
        .map(|(path, _)| module_of(&path).to_owned());
    names
        .filter(|module| !["lib", "main"].contains(&module.as_str()))
        .collect()
}

#[test]
fn folders_import_only_from_those_below_their_own() {
    let mut wrong = Vec::new();
    for (path, text) in files() {
        let module = module_of(&path);
        if ["lib", "main"].contains(&module) || FOR_TESTS.contains(&module) {
            continue;
        }
        for import in imports(&text).iter().filter(|import| *import != module) {
            if place_of(import) > place_of(module) {
                wrong.push(format!("{path}: crate::{import}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these imports go against the order:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_environment_the_clock_and_the_exit_are_touched_in_one_place_each() {
    for (what, places) in SURROUNDINGS {
        for (path, text) in files() {
            for line in text.lines().filter(|line| line.contains(what)) {
                let allowed = places.iter().any(|place| match place.split_once(": ") {
                    Some((file, word)) => path == file && line.contains(word),
                    None => path == *place,
                });
                assert!(allowed, "{path} has {what}: {}", line.trim());
            }
        }
    }
}

#[test]
fn the_scan_sees_imports_of_every_form_and_no_tests() {
    let text = "use crate::one;\nuse crate::{two::X, three::{self, Y}, four};\nfn f() { crate::five::g() }\n\
                // crate::six\n#[cfg(test)]\nmod tests {\n    use crate::seven;\n}\n#[cfg(test)]\nuse crate::eight;\n";
    let found: Vec<String> = imports(&without_tests(text)).into_iter().collect();
    assert_eq!(found, ["five", "four", "one", "three", "two"]);
}
