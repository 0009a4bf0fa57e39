//! What lies at a place: looked at, swept, and taken away by retention.

use super::super::{answered, is_ours, retention};
use super::{Listing, Visit};
use crate::archive::file_name;
use crate::settings::OffsitePlace;
use crate::state::{StateStore, warn_unsaved};
use crate::store::remote::{Entry, Store, StoreError, StoreErrorKind};
use crate::sys::atomic_file::{self, PARTIAL_EXTENSION};
use crate::sys::humanize;

impl Visit<'_> {
    /// What is there now, and what is known to have been there.
    pub(super) async fn look(&mut self, store: &Store) -> Result<Listing, StoreError> {
        let listed = answered(self.settings, store.list()).await?;
        let there: Listing = listed
            .into_iter()
            .map(|Entry { name, bytes }| (name, bytes))
            .collect();
        let known = self.book.place(self.place);
        let gone: Vec<String> = known
            .copies
            .keys()
            .filter(|archive| !there.contains_key(*archive))
            .cloned()
            .collect();
        if !gone.is_empty()
            && gone.len() == known.copies.len()
            && matches!(self.place, OffsitePlace::Folder(_))
        {
            return Err(StoreError::new(
                StoreErrorKind::NoPlace,
                format!(
                    "it is not the disk it was: none of its {} is there",
                    humanize::counted(gone.len() as u64, "copy").replace("copys", "copies")
                ),
                "mount the right disk; if this is a new one, say so by removing .pantry-keeper/offsite.json",
            ));
        }
        for archive in gone {
            known.copies.remove(&archive);
            tracing::warn!(
                "{}: the copy of {archive} is gone, and nobody here removed it",
                self.shown
            );
        }
        Ok(there)
    }

    /// Takes away what an interrupted transfer left.
    pub(super) async fn sweep(&mut self, store: &Store, there: &mut Listing) {
        let prefix = self.settings.prefix.clone();
        let ours = |name: &str| is_ours(&prefix, name);
        let left: Vec<String> = there
            .keys()
            .filter(|name| partly_sent(name).is_some_and(ours))
            .cloned()
            .collect();
        for name in left {
            match answered(self.settings, store.remove(&name)).await {
                Ok(()) => drop(there.remove(&name)),
                Err(error) => tracing::debug!("{}: {error}", self.shown),
            }
        }
        // Not all credentials may list or abort uploads.
        if let Err(error) = answered(self.settings, store.sweep(&ours)).await {
            tracing::debug!("{}: {error}", self.shown);
        }
    }

    /// Removes the copies that retention there lets go; how many went.
    pub(super) async fn retain(&mut self, store: &Store) -> Result<usize, StoreError> {
        let mut gone = 0;
        let state = StateStore::new(self.repository.own_folder()).state();
        let now = (self.ctx.now)();
        let plan = retention::plan(self.settings, &state, self.book.place(self.place), &[], now);
        for going in plan.go {
            let stem = file_name::stem_of(&going.name);
            let sidecar = stem.map(file_name::sidecar);
            match answered(self.settings, store.remove(&going.name)).await {
                Ok(()) => {}
                Err(error) if error.is(StoreErrorKind::Missing) => {}
                Err(error) if error.is(StoreErrorKind::Denied) => {
                    let known = self.book.place(self.place);
                    if !std::mem::replace(&mut known.keeps_all, true) {
                        tracing::info!(
                            "{}: nothing can be removed there with these credentials, so all copies stay: {error}",
                            self.shown
                        );
                    }
                    return Ok(gone);
                }
                Err(error) => return Err(error),
            }
            gone += 1;
            if let Some(sidecar) = sidecar
                && let Err(error) = answered(self.settings, store.remove(&sidecar)).await
            {
                tracing::debug!("{}: {error}", self.shown);
            }
            self.book.place(self.place).copies.remove(&going.name);
            tracing::info!(
                "{}: the copy of {} was removed: nothing keeps it",
                self.shown,
                going.name
            );
            warn_unsaved(self.book.save());
        }
        Ok(gone)
    }
}

/// Whose beginning a file is: ours has a dot in front, rclone's has eight hexadecimal digits behind.
fn partly_sent(name: &str) -> Option<&str> {
    atomic_file::target_of_partial(name).or_else(|| {
        let (target, tag) = name.strip_suffix(PARTIAL_EXTENSION)?.rsplit_once('.')?;
        let is_tag = tag.len() == 8 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_tag.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::partly_sent;

    #[test]
    fn what_an_interrupted_transfer_leaves_is_known_by_its_name() {
        for (name, whose) in [
            (".a.tar.gz.partial", Some("a.tar.gz")),
            ("a.tar.gz.4ee9405b.partial", Some("a.tar.gz")),
            ("a.tar.gz.partial", None),
            ("a.tar.gz.4ee9405.partial", None),
            ("a.tar.gz.4ee9405x.partial", None),
            ("a.tar.gz.4ee9405b", None),
            ("a.tar.gz", None),
        ] {
            assert_eq!(partly_sent(name), whose, "{name}");
        }
    }
}
