//! Holds what people read (README, docs/, the deployment files) to what is there.

use crate::support::{command, python};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(in_project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

/// Every folder below it too.
fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = files(folder, extension);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        }
    }
    found
}

/// What GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|&c| c.is_alphanumeric() || " -_".contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for folder in ["", "docs", ".github"] {
        for page in files(&in_project(folder), "md")
            .into_iter()
            .filter(|page| !page.ends_with("THIRD-PARTY.md"))
        {
            let text = fs::read_to_string(&page).unwrap();
            let links = text
                .split("](")
                .skip(1)
                .filter_map(|rest| Some(rest.split_once(')')?.0));
            for link in links.filter(|link| !link.contains("://")) {
                seen += 1;
                let (file, place) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() {
                    page.clone()
                } else {
                    page.parent().unwrap().join(file)
                };
                let leads = target.exists()
                    && (place.is_empty()
                        || anchors(&fs::read_to_string(&target).unwrap()).contains(place));
                if !leads {
                    wrong.push(format!(
                        "{}: {link}",
                        page.file_name().unwrap().to_string_lossy()
                    ));
                }
            }
        }
    }
    assert!(seen > 40, "only {seen} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readme_is_a_front_page_with_the_promises_people_build_on() {
    let readme = read("README.md");
    assert!(
        readme.lines().count() < 120,
        "README.md has {} lines",
        readme.lines().count()
    );
    for kept in [
        "tar xzf NAME.tar.gz && mongorestore NAME/",
        "\nscripts/demo ",
        "\nscripts/test ",
    ] {
        assert!(readme.contains(kept), "{kept}");
    }
    assert!(
        read(".ci/run").contains("/scripts/test\""),
        ".ci/run runs the README's own command"
    );
}

/// The first column of the tables in docs/troubleshooting.md is what the program prints, but for the last chapter.
#[test]
fn the_messages_of_the_troubleshooting_guide_are_the_programs_own() {
    // A text that goes on in the next line of the source is one text.
    let joined = |text: String| {
        let mut lines = text.split("\\\n");
        let first = lines.next().unwrap_or_default().to_owned();
        lines.fold(first, |whole, line| whole + line.trim_start())
    };
    let source: String = files_below(&in_project("src"), "rs")
        .iter()
        .map(|path| joined(fs::read_to_string(path).unwrap()))
        .collect();
    let guide = read("docs/troubleshooting.md");
    let (ours, _) = guide
        .split_once("\n## Docker and the Pi")
        .expect("the chapter of Docker's own messages");
    let messages: Vec<&str> = ours
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0))
        .collect();
    assert!(
        messages.len() > 30,
        "only {} messages were found",
        messages.len()
    );
    for message in messages {
        for part in message
            .split('…')
            .map(|part| part.trim_matches([' ', ':', ',']))
        {
            assert!(
                source.contains(part),
                "nothing prints {part:?} any more, of {message:?}"
            );
        }
    }
}

#[test]
fn third_party_names_all_that_is_built_in() {
    command(
        python(),
        [
            in_project("tools/third-party").as_os_str(),
            "--check".as_ref(),
        ],
    );
}

/// Whoever could publish an image under the name that is pulled would get every owner's database password.
#[test]
fn an_image_of_ours_has_a_name_that_no_stranger_can_publish() {
    let mut seen = 0;
    for path in [
        "docker-compose.yml",
        ".env.example",
        "deploy/kubernetes/cronjob.yaml",
    ] {
        for line in read(path)
            .lines()
            .filter(|line| line.contains("/pantry-keeper:") && !line.contains("REGISTRY/"))
        {
            let name = line
                .rsplit(['=', ' ', '-'])
                .find(|part| part.contains("/pantry"))
                .unwrap_or(line);
            assert!(name.starts_with("localhost/pantry"), "{path}: {line}");
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
    let pulls = read("docker-compose.yml")
        .matches("${PANTRY_KEEPER_PULL:-never}")
        .count();
    assert_eq!(pulls, 1, "both services have the one policy");
}
