//! A folder as it is after months: archives that grew, and the history of the runs that made them.

use crate::support::{Site, forge, shared};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use std::fs;
use std::sync::OnceLock;

/// Puts `count` archives into the folder, one every `hours`, the newest of two hours ago.
pub(super) fn fill(site: &Site, count: u64, hours: i64) -> Vec<String> {
    let content = small_archive();
    fs::create_dir_all(site.backups()).unwrap();
    let newest = Utc::now() - TimeDelta::hours(2);
    let mut names = Vec::new();
    for number in 0..count {
        let at = newest - TimeDelta::hours(hours * (count - 1 - number) as i64);
        let name = format!("jorbites_backup_{}.tar.gz", at.format("%Y%m%d_%H%M%S"));
        let archive = site.backups().join(&name);
        fs::write(&archive, content).unwrap();
        forge(&archive, |manifest| grow(manifest, at, number, count));
        names.push(name);
    }
    names
}

/// Puts `count` names into the folder, an hour apart, all of one archive: what is in each is not looked at.
pub(super) fn crowd(site: &Site, count: usize) -> Vec<String> {
    let newest = Utc::now() - TimeDelta::hours(2);
    let one = site.path("one");
    fs::write(&one, small_archive()).unwrap();
    fs::create_dir_all(site.backups()).unwrap();
    let name = |number: usize| {
        let at = newest - TimeDelta::hours((count - 1 - number) as i64);
        let name = format!("jorbites_backup_{}.tar.gz", at.format("%Y%m%d_%H%M%S"));
        fs::hard_link(&one, site.backups().join(&name)).unwrap();
        name
    };
    (0..count).map(name).collect()
}

/// An archive of the shared server's smallest databases, made once.
fn small_archive() -> &'static [u8] {
    static SMALL: OnceLock<Vec<u8>> = OnceLock::new();
    SMALL.get_or_init(|| {
        let site = Site::of(shared()).with("BACKUP_DATABASES", "shop,blog");
        site.run(&["backup"]).done();
        fs::read(site.archive()).unwrap()
    })
}

/// Gives a manifest a time, and collections that grew with it.
fn grow(manifest: &mut Value, at: DateTime<Utc>, number: u64, count: u64) {
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    manifest["started_at"] = text(at).into();
    manifest["finished_at"] = text(at + TimeDelta::seconds(9)).into();
    manifest["server"]["hosts"] = "mongodb:27017".into();
    let mut documents = 0;
    for entry in manifest["namespaces"].as_array_mut().unwrap() {
        let grown = entry["documents"].as_u64().unwrap() * (count + number) / count;
        documents += grown;
        entry["documents"] = grown.into();
        entry["bytes"] = (grown * 310).into();
    }
    manifest["documents"] = documents.into();
}

/// A history in which most went well, with what the last days brought in `last`.
pub(super) fn remember(site: &Site, names: &[String], last: &[Value]) {
    let own = site.backups().join(".pantry-keeper");
    fs::create_dir_all(&own).unwrap();
    let mut runs: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(at, name)| good(name, at))
        .collect();
    runs.extend_from_slice(last);
    fs::write(own.join("history.json"), json!(runs).to_string()).unwrap();
}

fn good(name: &str, at: usize) -> Value {
    let stamp = &name["jorbites_backup_".len()..name.len() - ".tar.gz".len()];
    let began = chrono::NaiveDateTime::parse_from_str(stamp, "%Y%m%d_%H%M%S").unwrap();
    let documents = 3000 + 11 * at as u64;
    let warnings: &[&str] = match at % 17 {
        9 => &["shop.carts was dropped during the dump"],
        _ => &[],
    };
    json!({
        "began_at": began.and_utc(), "ended_at": began.and_utc() + TimeDelta::seconds(14), "trigger": "scheduled",
        "ended": {
            "outcome": "done", "archive": name, "archive_bytes": 200_000 + documents * 7, "documents": documents,
            "bytes": documents * 310, "removed": [], "warnings": warnings,
            "steps": [{ "step": "dump", "seconds": 8.4 }, { "step": "verify", "seconds": 3.1 }],
        },
    })
}

/// A run of so many hours ago that did not do what it should.
pub(super) fn failed(hours_ago: i64) -> Value {
    let at = Utc::now() - TimeDelta::hours(hours_ago);
    json!({
        "began_at": at, "ended_at": at + TimeDelta::seconds(31), "trigger": "scheduled",
        "ended": { "outcome": "failed", "stage": "asking the server", "error": "cannot reach MongoDB at <b>mongodb</b>:27017" },
    })
}
