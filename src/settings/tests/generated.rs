//! `.env.example` and the table of `docs/configuration.md` are written from the descriptors. After a change to them:
//! `UPDATE=1 cargo test --lib settings`.

use super::*;
use crate::settings::descriptor::Secrecy;
use crate::settings::table::{RawSettings, TABLE};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const HEAD: &str = "\
# Pantry Keeper's settings. Copy this file to .env, change MONGO_PASSWORD at its end, and you are done; without
# docker-compose.yml, set MONGODB_URI. A line with a # in front shows the default, or an example of what has none. Every
# setting NAME can instead be given as NAME_FILE, the path of a file that holds it.
#
# Passwords stand in single quotes: without them, Docker Compose replaces $word by a variable, and drops what follows a
# space and a #. A password that holds a single quote itself is best given as a file.
";

/// What is for `docker-compose.yml` alone.
struct ComposeVariable {
    name: &'static str,
    default: &'static str,
    why: &'static str,
}

const fn variable(name: &'static str, default: &'static str, why: &'static str) -> ComposeVariable {
    ComposeVariable { name, default, why }
}

/// The one line that is not commented out.
const REQUIRED: &str = "MONGO_PASSWORD";

const COMPOSE_VARIABLES: &[ComposeVariable] = &[
    variable(
        "MONGO_PASSWORD",
        "'change-me'",
        "The password of MongoDB's administrator: set at the first start, later changed in MongoDB and here.",
    ),
    variable("MONGO_USERNAME", "root", "The administrator's name."),
    variable(
        "MONGO_VERSION",
        "7.0",
        "The version of MongoDB: 7.0 for a Raspberry Pi 5 and for servers, 4.4.18 for a Pi 3 or 4.",
    ),
    variable(
        "HOST_BACKUP_DIR",
        "./backups",
        "Where the archives go on this machine, such as /mnt/usb/backups.",
    ),
    variable(
        "HOST_LOG_DIR",
        "./logs",
        "Where the log files go on this machine.",
    ),
    variable(
        "HOST_STATUS",
        "127.0.0.1:8080",
        "Where the status page is on this machine; 0.0.0.0:8080 shows it to the network: set STATUS_PASSWORD, too.",
    ),
    variable(
        "PUID",
        "1000",
        "Whose the archives are: the numbers that `id` shows.",
    ),
    variable("PGID", "1000", ""),
    variable(
        "PANTRY_KEEPER_IMAGE",
        concat!("localhost/pantry-keeper:", env!("CARGO_PKG_VERSION")),
        "The image: this one is built from the folder. A published one: ghcr.io/OWNER/REPOSITORY:VERSION, and missing below.",
    ),
    variable(
        "PANTRY_KEEPER_PULL",
        "never",
        "Whether to pull it: never, or missing for a published one that is not here yet.",
    ),
];

fn example() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for setting in TABLE {
        let docs = setting.docs;
        if docs.section != section {
            section = docs.section;
            write!(text, "\n# --- {section} ---\n\n").unwrap();
        }
        let value = format!("{}{}", setting.default, docs.sample);
        write!(text, "# {}\n#{}={value}\n", docs.why, setting.name).unwrap();
    }
    text.push_str("\n# --- For docker-compose.yml alone ---\n\n");
    for ComposeVariable { name, default, why } in COMPOSE_VARIABLES {
        if !why.is_empty() {
            writeln!(text, "# {why}").unwrap();
        }
        let comment = if *name == REQUIRED { "" } else { "#" };
        writeln!(text, "{comment}{name}={default}").unwrap();
    }
    text
}

fn table() -> String {
    let mut text = "| name | default | |\n|---|---|---|\n".to_owned();
    for setting in TABLE {
        let default = match setting.default {
            "" => "none".to_owned(),
            default => format!("`{default}`"),
        };
        let (name, about) = (setting.name, setting.docs.table);
        writeln!(text, "| `{name}` | {default} | {about} |").unwrap();
    }
    text
}

/// The page with its table replaced: all of its lines that begin with a bar, which stand in one place.
fn page_with_table(page: &str) -> String {
    let is_row = |line: &&str| line.starts_with('|');
    let before = page.lines().take_while(|line| !is_row(line));
    let after = page
        .lines()
        .skip_while(|line| !is_row(line))
        .skip_while(is_row);
    let lines = |lines: Vec<&str>| {
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    lines(before.collect()) + &table() + &lines(after.collect())
}

fn in_project(path: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a file of the project with what it should be, or writes it.
fn assert_generated(path: &str, expected: &str) {
    let file = in_project(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap();
    let differs = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(
        found == expected,
        "{path} is not what the settings' table says: run UPDATE=1 cargo test --lib settings\nfirst difference: {differs:#?}"
    );
}

#[test]
fn the_example_is_what_the_descriptors_say() {
    assert_generated(".env.example", &example());
}

#[test]
fn the_table_in_the_docs_is_what_the_descriptors_say() {
    let path = "docs/configuration.md";
    let page = std::fs::read_to_string(in_project(path)).unwrap();
    assert_generated(path, &page_with_table(&page));
}

#[test]
fn fields_are_called_like_their_settings() {
    // envy finds the field of a variable by its name in lower case.
    let names: Vec<String> = TABLE
        .iter()
        .map(|setting| setting.name.to_lowercase())
        .collect();
    assert_eq!(RawSettings::FIELDS, names);
}

#[test]
fn every_setting_is_filled_by_envy_and_read_back_by_its_descriptor() {
    for setting in TABLE {
        let raw: RawSettings =
            envy::from_iter([(setting.name.to_owned(), "x".to_owned())]).unwrap();
        for other in TABLE {
            let expected = (other.name == setting.name).then_some("x");
            assert_eq!(
                raw.typed(other),
                expected,
                "{} of {}",
                other.name,
                setting.name
            );
        }
    }
}

#[test]
fn the_example_quotes_every_secret_and_gives_nothing_both_a_default_and_a_sample() {
    for setting in TABLE {
        let sample = setting.docs.sample;
        assert!(
            setting.default.is_empty() || sample.is_empty(),
            "{}",
            setting.name
        );
        let risky = sample.contains(['$', '#', '"', ' ']) || setting.secrecy != Secrecy::Open;
        let is_quoted = sample.starts_with('\'') && sample.ends_with('\'');
        assert!(!risky || is_quoted || sample.is_empty(), "{}", setting.name);
    }
}

#[test]
fn the_compose_file_takes_from_the_example_what_is_for_it_alone_with_the_same_defaults() {
    let compose = include_str!("../../../docker-compose.yml");
    // `${NAME:-default}`, or `${NAME:?what to do}`.
    let taken: BTreeMap<&str, &str> = compose
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}')?.0.split_once(':'))
        .map(|(name, rest)| (name, rest.strip_prefix('-').unwrap_or("'change-me'")))
        .collect();
    let shown: BTreeMap<&str, &str> = COMPOSE_VARIABLES
        .iter()
        .map(|v| (v.name, v.default))
        .collect();
    assert_eq!(shown, taken);
    // The env file is handed to us as a whole: none of these may look like a setting that was mistyped.
    assert!(load(&shown.into_iter().collect::<Vec<_>>()).is_ok());
}

#[test]
fn every_default_spelled_out_is_the_default() {
    let defaults: Vec<(&str, &str)> = TABLE.iter().map(|s| (s.name, s.default)).collect();
    let spelled_out: Vec<_> = defaults
        .into_iter()
        .filter(|(name, _)| *name != "MONGODB_URI")
        .collect();
    assert_eq!(load(&spelled_out), load(&[]));
    assert!(load(&[]).is_ok());
}

#[test]
fn every_sample_is_accepted() {
    let unquoted = |sample: &'static str| sample.trim_matches('\'');
    let given: Vec<_> = TABLE
        .iter()
        .filter(|setting| !setting.docs.sample.is_empty())
        .collect();
    let uri = "MONGODB_URI";
    let by_host = given.iter().filter(|setting| setting.name != uri);
    let mut pairs: Vec<_> = by_host.map(|s| (s.name, unquoted(s.docs.sample))).collect();
    pairs.extend([
        ("SMTP_HOST", "mail"),
        ("SMTP_USERNAME", "me@example.org"),
        ("EMAIL_TO", "me@example.org"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]);
    let settings = Settings::load(vars(&pairs), Needs::Server);
    assert!(settings.is_ok(), "{settings:?}");
    let sample = given.iter().find(|setting| setting.name == uri).unwrap();
    assert!(load(&[(uri, unquoted(sample.docs.sample))]).is_ok());
}
