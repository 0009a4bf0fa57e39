//! Which `oplog.bson` of a folder packed by hand is the dump's oplog, and which are the documents of a collection called `oplog`.
//!
//! mongodump puts the oplog beside the databases' folders: `TOP/oplog.bson`, `TOP/DB/COLL.bson`. Packed from within,
//! `DB/oplog.bson` looks just the same, so that only the files around it tell.

use std::collections::{BTreeSet, HashSet};

/// The oplog's file, and that of a collection of the same name.
pub(super) const OPLOG_FILE: &str = "oplog.bson";

/// Where the files of a dump lie, by their whole paths.
#[derive(Default)]
pub(super) struct Places {
    /// Folders of documents, options and indexes.
    folders: BTreeSet<String>,
    /// The folder of each `oplog.bson`, and how it is called elsewhere.
    oplogs: Vec<(String, String)>,
}

/// What an `oplog.bson` is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Oplog,
    Collection,
    /// Files beside it and below it say different things.
    Unclear,
}

impl Places {
    /// Notes a file by its whole path, both without `.gz`; `path` is how it is called elsewhere.
    pub(super) fn note(&mut self, whole: &str, path: &str) {
        let (folder, name) = whole.rsplit_once('/').unwrap_or(("", whole));
        if name == OPLOG_FILE {
            self.oplogs.push((folder.to_owned(), path.to_owned()));
        } else if name.ends_with(".bson") || name.ends_with(".metadata.json") {
            self.folders.insert(folder.to_owned());
        }
    }

    /// Each `oplog.bson`, by what it is called elsewhere, and what it is.
    pub(super) fn oplogs(&self) -> Vec<(&str, Meant)> {
        let of_oplogs = self.oplogs.iter().map(|(folder, _)| folder);
        let above: HashSet<&str> = self
            .folders
            .iter()
            .chain(of_oplogs)
            .map(|folder| above(folder))
            .collect();
        let top_folders = self.folders.iter().filter(|one| is_at_the_top(one)).count();
        let has_one_at_the_top = self.oplogs.iter().any(|(folder, _)| folder.is_empty());
        let meant = |folder: &String| {
            let has_databases = above.contains(folder.as_str());
            let is_database = self.folders.contains(folder);
            let beside = top_folders - usize::from(is_database && is_at_the_top(folder));
            match (is_database, has_databases) {
                _ if folder.is_empty() => Meant::Oplog,
                (true, true) => Meant::Unclear,
                (true, false) => Meant::Collection,
                (false, true) => Meant::Oplog,
                // Nothing of its own tells: the other databases do, and a folder of one oplog alone is a dump's.
                (false, false) if !is_at_the_top(folder) => Meant::Collection,
                (false, false) if beside > 0 || has_one_at_the_top => Meant::Collection,
                (false, false) => Meant::Oplog,
            }
        };
        let all = self.oplogs.iter();
        all.map(|(folder, path)| (path.as_str(), meant(folder)))
            .collect()
    }
}

fn above(folder: &str) -> &str {
    folder.rsplit_once('/').map_or("", |(above, _)| above)
}

fn is_at_the_top(folder: &str) -> bool {
    !folder.is_empty() && !folder.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(files: &[&str]) -> Vec<Meant> {
        let mut places = Places::default();
        for file in files {
            places.note(file, file);
        }
        places
            .oplogs()
            .into_iter()
            .map(|(_, meant)| meant)
            .collect()
    }

    #[test]
    fn the_files_around_it_tell_what_an_oplog_is() {
        use Meant::{Collection, Oplog, Unclear};
        for (files, wanted) in [
            (&["oplog.bson", "shop/orders.bson"][..], vec![Oplog]),
            (&["dump/oplog.bson", "dump/shop/orders.bson"], vec![Oplog]),
            (
                &["b/dump/oplog.bson", "b/dump/shop/orders.bson"],
                vec![Oplog],
            ),
            (&["dump/oplog.bson"], vec![Oplog]),
            (&["dump/oplog.bson", "dump/prelude.json"], vec![Oplog]),
            (
                &["dump/oplog.bson", "dump/shop/v.metadata.json"],
                vec![Oplog],
            ),
            (&["shop/oplog.bson", "shop/orders.bson"], vec![Collection]),
            (
                &["shop/oplog.metadata.json", "shop/oplog.bson"],
                vec![Collection],
            ),
            (&["shop/oplog.bson", "blog/posts.bson"], vec![Collection]),
            (
                &["d/shop/oplog.bson", "d/blog/posts.bson"],
                vec![Collection],
            ),
            (&["d/shop/oplog.bson"], vec![Collection]),
            (&["oplog.bson", "shop/oplog.bson"], vec![Oplog, Collection]),
            (
                &["dump/shop/oplog.bson", "dump/oplog.bson"],
                vec![Collection, Oplog],
            ),
            (
                &["shop/oplog.bson", "shop/a.bson", "shop/shop/a.bson"],
                vec![Unclear],
            ),
        ] {
            assert_eq!(meant(files), wanted, "{files:?}");
            let turned: Vec<&str> = files.iter().rev().copied().collect();
            let wanted: Vec<Meant> = wanted.into_iter().rev().collect();
            assert_eq!(meant(&turned), wanted, "{turned:?}");
        }
    }
}
