//! What lies in a backup folder, and that it stays as it was.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of an archive from long ago.
pub(crate) const OLDER: &str = "jorbites_backup_20250105_020000";

/// A folder's content at one moment, without `.pantry-keeper`.
pub(crate) struct Before {
    folder: PathBuf,
    content: BTreeMap<String, String>,
}

impl Before {
    pub(crate) fn of(folder: &Path) -> Self {
        Before {
            folder: folder.to_owned(),
            content: content(folder),
        }
    }

    /// Fails unless everything is as it was, and nothing was added.
    pub(crate) fn still_holds(&self) {
        assert_eq!(
            content(&self.folder),
            self.content,
            "{} has changed",
            self.folder.display()
        );
        assert_eq!(self.added_in_own(), Vec::<String>::new(), "leftovers");
    }

    /// Names that have been added; everything older must be as it was.
    pub(crate) fn added(&self) -> Vec<String> {
        let mut now = content(&self.folder);
        for (name, what) in &self.content {
            assert_eq!(now.remove(name).as_ref(), Some(what), "{name} has changed");
        }
        now.into_keys().collect()
    }

    fn added_in_own(&self) -> Vec<String> {
        content(&self.folder.join(".pantry-keeper"))
            .into_keys()
            .filter(|name| name.ends_with(".partial"))
            .collect()
    }
}

fn content(folder: &Path) -> BTreeMap<String, String> {
    let mut content = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let what = if metadata.is_symlink() {
            format!("link to {}", fs::read_link(&path).unwrap().display())
        } else if metadata.is_file() {
            let bytes = fs::read(&path).unwrap();
            format!(
                "{:o} {} bytes {:x?}",
                metadata.mode(),
                bytes.len(),
                Sha256::digest(&bytes)
            )
        } else {
            format!("{:o}", metadata.mode())
        };
        if name != ".pantry-keeper" {
            content.insert(name, what);
        }
    }
    content
}
