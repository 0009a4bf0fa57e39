//! Holds the code to the other half of `layering`: no two files import from each other, be it by way of others.
//!
//! A module and those inside it may use each other: what a folder's `mod.rs` defines is shared by the files in it. A circle that
//! leads on through a third file is one.

use std::collections::{BTreeMap, BTreeSet};

use super::layering::files;

/// Re-exports of re-exports are followed this far.
const DEEPEST: usize = 8;

type Path = Vec<String>;

/// What a source file says about others.
struct File {
    /// Names that `use` brings in, each with the path it stands for. A glob's name is `*`.
    bound: Vec<(String, Path)>,
    /// Paths in the code itself, such as `child::function`.
    inline: Vec<Path>,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn module_path(file: &str) -> Path {
    let parts = file.trim_end_matches(".rs").split('/').map(str::to_owned);
    let mut path: Path = parts.collect();
    if path
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        path.pop();
    }
    path
}

/// Takes `a::{b::C, d as e, f::*}` apart, into names and what they stand for.
fn expand(prefix: &[String], tree: &str, found: &mut Vec<(String, Path)>) {
    let tree = tree.trim();
    if let Some((head, inner)) = tree.split_once('{') {
        let head = head
            .split("::")
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let prefix: Path = prefix
            .iter()
            .cloned()
            .chain(head.map(str::to_owned))
            .collect();
        let inner = &inner[..inner.rfind('}').unwrap()];
        let mut depth = 0;
        let at_comma = |c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        };
        for part in inner.split(at_comma).filter(|part| !part.trim().is_empty()) {
            expand(&prefix, part, found);
        }
        return;
    }
    let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
    let mut path: Path = prefix
        .iter()
        .cloned()
        .chain(path.split("::").map(|part| part.trim().to_owned()))
        .collect();
    if path.len() > 1 && path.last().unwrap() == "self" {
        path.pop();
    }
    let name = if alias.is_empty() {
        path.last().unwrap().clone()
    } else {
        alias.trim().to_owned()
    };
    found.push((name, path));
}

/// What follows `use`, or `pub(crate) use`, if the line starts so.
fn after_use(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1,
        Some(rest) => rest,
        None => line,
    };
    line.trim_start().strip_prefix("use ")
}

fn read(text: &str) -> File {
    let (mut bound, mut code) = (Vec::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(start) = after_use(line) else {
            code.push_str(line);
            code.push('\n');
            continue;
        };
        let mut tree = start.to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().unwrap());
        }
        expand(&[], tree.split(';').next().unwrap(), &mut bound);
    }
    let chains = code.split(|c: char| !is_word(c) && c != ':');
    let inline = chains
        .map(|chain| {
            chain
                .trim_end_matches(':')
                .split("::")
                .map(str::to_owned)
                .collect()
        })
        .filter(|path: &Path| path.len() > 1);
    File {
        inline: inline.collect(),
        bound,
    }
}

/// The module in which the name at a path's end is defined, seen from `from`: a re-export is followed to where it leads.
/// None for another crate, a name of the file's own, or a path that names a whole module.
fn home(files: &BTreeMap<Path, File>, from: &Path, path: &[String], depth: usize) -> Option<Path> {
    let (mut at, mut rest, mut entered) = (from.clone(), path, false);
    while let Some((first, others)) = rest.split_first() {
        let child: Path = at.iter().chain([first]).cloned().collect();
        match first.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()?),
            "self" => {}
            _ if files.contains_key(&child) => at = child,
            _ => break,
        }
        (rest, entered) = (others, true);
    }
    let (first, others) = rest.split_first()?;
    let mut bound = files.get(&at)?.bound.iter();
    match bound.find(|(name, path)| name == first && path.first() != Some(first) && name != "*") {
        Some((_, target)) if depth < DEEPEST => {
            let onwards: Path = target.iter().chain(others).cloned().collect();
            home(files, &at, &onwards, depth + 1)
        }
        _ => entered.then_some(at),
    }
}

fn reached_from(imports: &BTreeMap<Path, BTreeSet<Path>>, from: &Path) -> BTreeSet<Path> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        for next in imports.get(file).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen
}

/// The modules that import from each other, a group a line.
fn circles(sources: &[(String, String)]) -> BTreeSet<String> {
    let read = |(path, text): &(String, String)| (module_path(path), read(text));
    let files: BTreeMap<Path, File> = sources.iter().map(read).collect();
    let mut imports: BTreeMap<Path, BTreeSet<Path>> = BTreeMap::new();
    for (module, file) in &files {
        let named = file.bound.iter().map(|(_, path)| path).chain(&file.inline);
        let homes = named.filter_map(|path| home(&files, module, path, 0));
        let apart = homes.filter(|home| !module.starts_with(home));
        imports.insert(module.clone(), apart.collect());
    }
    let reached: BTreeMap<_, _> = imports
        .keys()
        .map(|file| (file, reached_from(&imports, file)))
        .collect();
    let circle = |file: &Path| {
        let both_ways = reached[file]
            .iter()
            .filter(|other| reached[*other].contains(file));
        both_ways
            .map(|file| file.join("/"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let circles = reached.keys().map(|file| circle(file));
    circles.filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn no_files_import_from_each_other() {
    let found: Vec<String> = circles(&files()).into_iter().collect();
    assert!(found.is_empty(), "circles:\n{}", found.join("\n"));
}

#[test]
fn the_scan_sees_circles_of_every_form() {
    let source = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let house = |back: &str| {
        circles(&[
            source(
                "a.rs",
                "use crate::room::{\n    B,\n    c as d,\n};\npub struct A;",
            ),
            source(
                "room/mod.rs",
                "mod b;\nmod c;\npub(crate) use b::B;\nuse c::C;\npub(crate) fn shared() {}",
            ),
            source("room/b.rs", &format!("use super::shared;\n{back}")),
            source("room/c.rs", "pub(crate) struct C;\nuse super::shared;"),
        ])
    };
    let circle = BTreeSet::from(["a, room/b".to_owned()]);
    for back in [
        "use crate::a::A;",
        "use super::super::a::{self, A as Other};",
        "use crate::a;\nfn f() { a::g() }",
        "fn f(a: &crate::a::A) {}",
        "use crate::a::*;",
    ] {
        assert_eq!(house(back), circle, "{back}");
    }
    let round_about = circles(&[
        source("a.rs", "use crate::room::shared;"),
        source("room.rs", "mod b;\nuse b::B;\npub(crate) fn shared() {}"),
        source(
            "room/b.rs",
            "use super::shared;\nuse crate::a;\nfn f() { a::g() }",
        ),
    ]);
    let circle = BTreeSet::from(["a, room, room/b".to_owned()]);
    assert_eq!(round_about, circle);
    for none in ["", "use std::a::A;", "use super::c::C;"] {
        assert_eq!(house(none), BTreeSet::new(), "{none}");
    }
}
