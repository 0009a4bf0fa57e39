//! Holds the code to the layers that `src/lib.rs` describes: data flows one way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the purest to the top; a module may import from the layers before its own.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "pure",
        &[
            "manifest",
            "checksum",
            "namespace",
            "document",
            "name",
            "report",
            "schedule",
            "timetable",
            "retention",
            "shrink",
            "fingerprint",
            "forecast",
            "alarm",
            "letter",
            "secret",
            "units",
        ],
    ),
    ("edges", &["settings"]),
    (
        "tools",
        &[
            "durable", "lock", "logging", "pool", "process", "progress", "server", "stop", "tool",
        ],
    ),
    (
        "stages",
        &[
            "dump", "archive", "load", "verify", "catalog", "notify", "status",
        ],
    ),
    (
        "sequences",
        &[
            "job", "prune", "run", "restore", "drill", "health", "doctor",
        ],
    ),
    ("top", &["service", "cli"]),
];

/// What a module may import from its own layer, and why.
const WITHIN_A_LAYER: &[(&str, &str, &str)] = &[
    ("manifest", "namespace", "its entries are namespaces"),
    ("report", "namespace", "so are those of a report"),
    ("letter", "report", "what a mail is about"),
    ("letter", "units", "numbers as people read them"),
    ("timetable", "schedule", "whose slots it keeps"),
    ("forecast", "schedule", "when archives will be added"),
    ("forecast", "retention", "what will have gone by then"),
    ("shrink", "manifest", "compares two of them"),
    ("shrink", "namespace", "what was lost"),
    ("shrink", "units", "numbers as people read them"),
    ("report", "units", "numbers as people read them"),
    ("tool", "process", "finds programs"),
    (
        "lock",
        "durable",
        "the error that names a file and what was done to it",
    ),
    ("logging", "durable", "folders for their owner only"),
    (
        "logging",
        "progress",
        "the screen, on which lines and bars take turns",
    ),
    ("verify", "archive", "its reader"),
    (
        "catalog",
        "archive",
        "its reader, for a glance at manifests",
    ),
    ("run", "job", "makes the archive"),
    ("run", "prune", "what follows a success"),
    ("restore", "job", "the safety backup, and which folder"),
    ("drill", "job", "which folder"),
    ("drill", "restore", "what it tries"),
    ("drill", "run", "where letters are written"),
    ("health", "job", "which folder"),
    ("doctor", "job", "which folder, and where programs are"),
    ("doctor", "prune", "what keeps archives from going"),
    (
        "doctor",
        "run",
        "the last good archive, and when the disk will be full",
    ),
    ("cli", "service", "its longest command"),
];

/// Modules that exist for tests of others only.
const FOR_TESTS: &[&str] = &["testing"];

/// Where the process's surroundings may be touched. `split_paths` and `current_exe` read no variable.
const SURROUNDINGS: &[(&str, &[&str])] = &[
    (
        "std::env::",
        &[
            "main.rs",
            "process.rs: split_paths",
            "process.rs: current_exe",
        ],
    ),
    ("process::exit", &["cli.rs: process::exit"]),
    ("Utc::now", &["cli.rs: Utc::now", "logging.rs: Utc::now"]),
    ("SystemTime::now", &[]),
    ("Local::now", &[]),
    ("\"sh\"", &[]),
    ("/bin/sh", &[]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file with its path below `src`, without comments and tests.
fn files() -> Vec<(String, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found)
            } else {
                found.push(path)
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

fn layer_of(module: &str) -> Option<usize> {
    LAYERS
        .iter()
        .position(|(_, modules)| modules.contains(&module))
}

#[test]
fn every_module_is_in_a_layer_and_in_the_table_of_the_documentation() {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let declared = modules();
    let declared: BTreeSet<&str> = declared.iter().map(String::as_str).collect();
    let table: Vec<&str> = LAYERS
        .iter()
        .flat_map(|(_, modules)| modules.iter().copied())
        .collect();
    for module in &declared {
        let known = table.contains(module) || FOR_TESTS.contains(module);
        assert!(known, "{module} is in no layer");
    }
    for (layer, modules) in LAYERS {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("//! | {layer}")))
            .expect(layer);
        for module in *modules {
            assert!(declared.contains(module), "{module} is gone");
            assert!(
                line.contains(&format!("[`{module}`]")),
                "src/lib.rs does not name {module} in {layer}"
            );
        }
        assert_eq!(
            line.matches("[`").count(),
            modules.len(),
            "src/lib.rs names others in {layer}"
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
fn modules_import_only_from_the_layers_above_their_own() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in files() {
        let module = module_of(&path);
        if ["lib", "main"].contains(&module) || FOR_TESTS.contains(&module) {
            continue;
        }
        let own = layer_of(module).unwrap_or_else(|| panic!("{module} is in no layer"));
        for import in imports(&text).iter().filter(|import| *import != module) {
            let excepted = WITHIN_A_LAYER
                .iter()
                .position(|(from, to, _)| *from == module && to == import);
            match layer_of(import) {
                Some(layer) if layer < own => {}
                Some(layer) if layer == own && excepted.is_some() => used.extend(excepted),
                _ => wrong.push(format!("{path}: crate::{import}")),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these imports go against the layers:\n{}",
        wrong.join("\n")
    );
    for (number, (from, to, _)) in WITHIN_A_LAYER.iter().enumerate() {
        assert!(
            used.contains(&number),
            "{from} no longer imports {to}: take it out of the list"
        );
    }
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
