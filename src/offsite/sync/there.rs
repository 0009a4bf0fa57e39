//! What lies at a place: looked at, swept, and taken away by retention.

use super::super::copies::sidecar_of;
use super::super::record::Vanished;
use super::super::{answered, is_copy_of, is_ours, retention};
use super::{Listing, Visit};
use crate::archive::{file_name, sidecar};
use crate::notify::notifier::DifferingCopy;
use crate::report::ArchiveSummary;
use crate::settings::OffsitePlace;
use crate::state::{StateStore, warn_unsaved};
use crate::store::remote::{Entry, Source, Store, StoreError, StoreErrorKind, Transfer};
use crate::sys::atomic_file::{self, PARTIAL_EXTENSION};

/// An empty file of this name in a folder without copies says that it is meant to have none yet.
const NEW_DISK: &str = ".pantry-keeper-new";

impl Visit<'_> {
    /// What is there now, and what is known to have been there.
    pub(super) async fn look(&mut self, store: &Store) -> Result<Listing, StoreError> {
        let listed = answered(self.settings, store.list()).await?;
        let there: Listing = listed
            .into_iter()
            .map(|Entry { name, bytes }| (name, bytes))
            .collect();
        if self.have_all_gone(&there)
            && let OffsitePlace::Folder(folder) = self.place
            && !self.is_new_disk(store, &there).await?
        {
            let (copies, mark) = (self.sound().len(), folder.join(NEW_DISK));
            let missing = match copies {
                1 => "its only copy is not there".to_owned(),
                copies => format!("none of its {copies} copies is there"),
            };
            return Err(StoreError::new(
                StoreErrorKind::NoPlace,
                format!("it is not the disk it was: {missing}"),
                format!(
                    "mount the right disk; if this is a new one, say so with an empty file: touch {}",
                    mark.display()
                ),
            ));
        }
        self.forget_gone(&there);
        self.compare(&there);
        Ok(there)
    }

    /// The copies that are known and were not found damaged: those are removed by hand, as we ask for.
    fn sound(&mut self) -> Vec<&String> {
        let copies = self.book.place(self.place).copies.iter();
        let sound = copies.filter(|(_, copy)| copy.damage.is_none());
        sound.map(|(archive, _)| archive).collect()
    }

    fn have_all_gone(&mut self, there: &Listing) -> bool {
        let sound = self.sound();
        !sound.is_empty() && !sound.iter().any(|archive| there.contains_key(*archive))
    }

    /// Whether the owner has said that the disk is another one now. It is said once.
    async fn is_new_disk(&self, store: &Store, there: &Listing) -> Result<bool, StoreError> {
        if !there.contains_key(NEW_DISK) {
            return Ok(false);
        }
        answered(self.settings, store.remove(NEW_DISK)).await?;
        tracing::info!("{}: it is a new disk, and copies begin anew", self.shown);
        Ok(true)
    }

    /// Takes note of copies that are gone, that of their going if it was all of them, and of those that are back.
    fn forget_gone(&mut self, there: &Listing) {
        let now = (self.ctx.now)();
        let vanished = self.have_all_gone(there).then(|| Vanished {
            at: now,
            copies: self.sound().len(),
        });
        let known = self.book.place(self.place);
        if vanished.is_some() && !matches!(self.place, OffsitePlace::Folder(_)) {
            known.vanished = vanished;
        }
        for archive in known.put_aside(there, now) {
            tracing::warn!(
                "{}: the copy of {archive} is gone, and nobody here removed it",
                self.shown
            );
        }
        for archive in known.take_back(there, now) {
            tracing::info!(
                "{}: the copy of {archive} is there again; it counts once it is read back",
                self.shown
            );
        }
    }

    /// Holds what is known of the copies against what a look shows, also of those whose archives are gone here.
    fn compare(&mut self, there: &Listing) {
        let now = (self.ctx.now)();
        for (archive, copy) in &mut self.book.place(self.place).copies {
            let Some(bytes) = there.get(archive) else {
                continue;
            };
            copy.is_bare = !there.contains_key(&sidecar_of(archive));
            if copy.damage.is_some() {
                continue;
            }
            let Some(damage) = copy.damage_at(*bytes) else {
                continue;
            };
            tracing::warn!("{}: the copy of {archive} {damage}", self.shown);
            (copy.damage, copy.at) = (Some(damage.clone()), now);
            self.differing.push(DifferingCopy {
                place: self.shown.clone(),
                archive: file_name::unsealed(archive).to_owned(),
                damage,
            });
        }
    }

    /// Writes the `.sha256` anew that is gone beside the copy of an archive that is gone here. Where the archive is here,
    /// the copy is read back first.
    pub(super) async fn write_sidecars(&mut self, store: &Store, local: &[ArchiveSummary]) {
        let copies = self.book.place(self.place).copies.iter();
        let bare = copies.filter(|(_, copy)| copy.is_bare && copy.damage.is_none());
        let bare: Vec<(String, String)> = bare
            .filter(|(name, _)| !local.iter().any(|one| is_copy_of(name, &one.archive)))
            .map(|(name, copy)| (name.clone(), copy.sha256.clone()))
            .collect();
        for (name, sha256) in bare {
            match self.put_sidecar(store, &name, &sha256).await {
                Ok(()) => {
                    let copies = &mut self.book.place(self.place).copies;
                    if let Some(copy) = copies.get_mut(&name) {
                        copy.is_bare = false;
                    }
                    tracing::info!(
                        "{}: the .sha256 of {name} was gone, and is there again",
                        self.shown
                    );
                }
                Err(error) => self.problems.push(format!(
                    "{name}: its .sha256 is gone, and could not be written anew: {error}"
                )),
            }
        }
    }

    /// Puts the `.sha256` beside a copy.
    pub(super) async fn put_sidecar(
        &self,
        store: &Store,
        copy: &str,
        sha256: &str,
    ) -> Result<(), StoreError> {
        let transfer = Transfer::new(None);
        let source = Source::of_bytes(sidecar::line(sha256, copy), &transfer);
        let name = sidecar_of(copy);
        let putting = store.put(&name, source);
        let limit = self.settings.stall_timeout;
        transfer.unless_stalled(limit, putting).await.map(drop)
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
