//! Which archive a person means.

use super::error::RepositoryError;
use super::repository::{Repository, stems_of};
use crate::archive::file_name;
use chrono::TimeDelta;
use std::fs;

/// The most by which two time zones differ, and some: TZ may have been changed, and clocks are set back in autumn.
pub(super) const OVERLAP: TimeDelta = TimeDelta::hours(27);

impl Repository {
    /// The stem of a name as a person gives it: with or without its extension, or `latest`.
    pub(crate) fn find(&self, name: &str) -> Result<String, RepositoryError> {
        if name == "latest" {
            return self.latest();
        }
        let stem = file_name::bare(name);
        if stem.is_empty() || stem.starts_with('.') || stem.contains(['/', '\\', '\0']) {
            return Err(RepositoryError::NotAName(name.to_owned()));
        }
        let mut there = match file_name::stem_of(name) {
            Some(stem) => vec![stem.to_owned()],
            None => stems_of(name),
        };
        there.retain(|stem| {
            fs::symlink_metadata(self.archive_path(stem)).is_ok_and(|metadata| metadata.is_file())
        });
        match there.as_slice() {
            [_, _, ..] => Err(RepositoryError::SeveralSuchArchives(
                there.iter().map(|stem| file_name::archive(stem)).collect(),
            )),
            [stem] => Ok(stem.clone()),
            [] => Err(RepositoryError::NoSuchArchive {
                name: file_name::archive(file_name::stem_of(name).unwrap_or(name)),
                folder: self.folder.clone(),
            }),
        }
    }

    /// The newest archive. Names are in local time: of those that lie this close together, the manifests know the order.
    fn latest(&self) -> Result<String, RepositoryError> {
        let mut stems = self.stems()?;
        let newest = stems
            .last()
            .ok_or_else(|| RepositoryError::Empty(self.folder.clone()))?;
        let time = |stem: &str| file_name::time_of(&self.prefix, stem);
        let from = time(newest).and_then(|newest| newest.checked_sub_signed(OVERLAP));
        stems.retain(|stem| time(stem) >= from);
        if stems.len() > 1 {
            stems.sort_by_key(|stem| self.summary(stem).made_at);
        }
        stems
            .pop()
            .ok_or_else(|| RepositoryError::Empty(self.folder.clone()))
    }
}
