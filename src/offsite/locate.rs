//! Finding an archive that is to be read: here, or at the first place elsewhere that has it whole. Nothing is brought home;
//! it is read where it lies.

use super::checksums::checksum;
use super::copies::{named, words};
use super::record::{self, CopyRecord, Record};
use super::{answered_within, open, way};
use crate::archive::file_name;
use crate::archive::sidecar::Sidecar;
use crate::context::Context;
use crate::report::Explain;
use crate::settings::{OffsitePlace, Settings};
use crate::store::located::Located;
use crate::store::remote::{Entry, Store, StoreError, StoreErrorKind};
use crate::store::repository::{Repository, RepositoryError};
use crate::sys::cancel::Interruption;
use crate::sys::runtime::Runtime;
use chrono::{DateTime, Utc};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long looking at a place may take, or reading a `.sha256`.
const LONGEST_LOOK: Duration = Duration::from_secs(120);
const NOT_WHAT_WAS_SENT: &str = "or its .sha256 is not what was sent";
const ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(500);

/// Where an archive may lie that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// In the backup folder alone.
    Here,
    /// In the backup folder, or else elsewhere.
    Anywhere,
    /// Elsewhere alone.
    Offsite,
}

/// Why there is no archive to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocateError {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error("--from offsite: OFFSITE_URL is not set, there are no copies elsewhere")]
    NoPlaces,
    #[error("there is no copy of {0:?} elsewhere")]
    NoCopy(String),
    #[error("there are no copies elsewhere yet")]
    Empty {
        /// Prefixes of archives that are there.
        others: Vec<String>,
    },
    #[error("no copy could be looked for everywhere: {}", .0.join("; "))]
    Unreachable(Vec<String>),
    #[error("{place}: {problem}")]
    Unreadable { place: String, problem: String },
    #[error(transparent)]
    Interrupted(#[from] Interruption),
}

impl LocateError {
    /// Whether the arguments were wrong, rather than what they name.
    pub(crate) fn is_usage(&self) -> bool {
        use RepositoryError::{NoSuchArchive, NotAName};
        matches!(
            self,
            Self::NoPlaces | Self::NoCopy(_) | Self::Repository(NotAName(_) | NoSuchArchive { .. })
        )
    }
}

impl Explain for LocateError {
    fn help(&self, runtime: Runtime) -> Option<String> {
        match self {
            Self::Repository(error) => error.help(runtime),
            Self::NoCopy(_) => Some("`pantry-keeper list --offsite` shows them".into()),
            Self::Empty { others } if !others.is_empty() => Some(format!(
                "there are archives that begin with {}: that is what BACKUP_PREFIX must say",
                others.join(", ")
            )),
            _ => None,
        }
    }
}

/// A copy that is whole: its `.sha256` is there.
struct Candidate {
    place: usize,
    archive: String,
    bytes: u64,
    at: Option<DateTime<Utc>>,
    damage: Option<String>,
    /// The checksum that was written down of it, until its `.sha256` was held against that.
    unchecked: Option<[u8; 32]>,
}

/// Finds the archive of this name, or the latest, and says so where it is not read from the backup folder.
pub(crate) async fn locate(
    settings: &Settings,
    ctx: &Context,
    name: &str,
    within: Within,
) -> Result<Located, LocateError> {
    let repository = Repository::of(settings);
    let places = &settings.offsite.places;
    let absent = match within {
        Within::Offsite if places.is_empty() => return Err(LocateError::NoPlaces),
        Within::Offsite => None,
        Within::Here | Within::Anywhere => match repository.find(name) {
            Ok(stem) => return Ok(Located::here(repository, stem)),
            Err(error) if within == Within::Here || places.is_empty() || !is_absence(&error) => {
                return Err(error.into());
            }
            Err(error) => Some(error),
        },
    };
    let found = Search::run(
        settings,
        ctx,
        name,
        &record::read(&repository, &settings.offsite.places),
    )
    .await?;
    match found.best(settings, ctx, name).await? {
        Some(located) => {
            let (archive, place) = (located.name(), located.place().unwrap_or_default());
            match absent {
                Some(absent) => tracing::warn!("{absent}: reading {archive} from {place}"),
                None => tracing::info!("reading {archive} from {place}"),
            }
            Ok(located)
        }
        None => Err(found.nothing(name, absent)),
    }
}

/// Whether an archive is not here because it was lost, or never was.
fn is_absence(error: &RepositoryError) -> bool {
    use RepositoryError::{Empty, NoFolder, NoSuchArchive};
    matches!(error, NoFolder(_) | NoSuchArchive { .. } | Empty(_))
}

/// What looking at the places showed.
#[derive(Default)]
struct Search {
    /// Those that could be looked at.
    stores: Vec<(usize, Store)>,
    candidates: Vec<Candidate>,
    problems: Vec<String>,
    /// Prefixes of archives that are not ours.
    others: BTreeSet<String>,
}

impl Search {
    /// Looks at one place after the other: for an archive with a name until one has it, for the latest at all of them.
    async fn run(
        settings: &Settings,
        ctx: &Context,
        name: &str,
        record: &Record,
    ) -> Result<Self, LocateError> {
        let mut search = Search::default();
        for (at, place) in settings.offsite.places.iter().enumerate() {
            match ctx.cancel.or(list(settings, ctx, place)).await? {
                Ok((store, entries)) => {
                    search.add(settings, record, at, &entries);
                    search.stores.push((at, store));
                }
                Err(error) => {
                    let problem = format!("{place}: {}", words(ctx, &error));
                    tracing::warn!("could not look at {problem}");
                    search.problems.push(problem);
                }
            }
            if name == "latest" {
                continue;
            }
            search.check(settings, ctx, name).await?;
            let sound = |one: &Candidate| one.damage.is_none() && is_named(one, name);
            if search.candidates.iter().any(sound) {
                break;
            }
        }
        search.check(settings, ctx, name).await?;
        Ok(search)
    }

    /// Holds the `.sha256` of the copy that would be taken against what was written down of that copy, and of the next one
    /// where it is another: whoever can replace a copy can replace its `.sha256` too.
    async fn check(
        &mut self,
        settings: &Settings,
        ctx: &Context,
        name: &str,
    ) -> Result<(), LocateError> {
        loop {
            let first = self.chosen(name).first().copied();
            let first = first.filter(|one| one.damage.is_none());
            let unchecked = first.and_then(|one| Some((one, one.unchecked?)));
            let Some((one, sent)) = unchecked else {
                return Ok(());
            };
            let (place, archive) = (one.place, one.archive.clone());
            let Some((_, store)) = self.stores.iter().find(|(at, _)| *at == place) else {
                return Ok(());
            };
            let reading = bounded(settings, || checksum(store, &archive));
            let differs = match ctx.cancel.or(reading).await? {
                Ok(found) => found != sent,
                // What cannot be read is told of when that copy is taken.
                Err(error) => error.is(StoreErrorKind::Differs),
            };
            let mut all = self.candidates.iter_mut();
            if let Some(one) = all.find(|one| one.place == place && one.archive == archive) {
                one.unchecked = None;
                one.damage = differs.then(|| NOT_WHAT_WAS_SENT.to_owned());
            }
        }
    }

    fn add(&mut self, settings: &Settings, record: &Record, at: usize, entries: &[Entry]) {
        let place = &settings.offsite.places[at];
        let known = record.of(place);
        let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        for Entry { name, bytes } in entries {
            let Some(time) = named(settings, name) else {
                self.others.extend(file_name::prefix_of(name));
                continue;
            };
            let stem = file_name::stem_of(name).unwrap_or(name);
            if !names.contains(file_name::sidecar(stem).as_str()) {
                tracing::debug!("{name} at {place} is not whole: it has no .sha256");
                continue;
            }
            let copy = known.and_then(|known| known.copies.get(name));
            self.candidates.push(Candidate {
                place: at,
                archive: name.clone(),
                bytes: *bytes,
                at: copy.and_then(|copy| copy.made_at).or(time),
                damage: copy.and_then(|copy| copy.damage_at(*bytes)),
                unchecked: copy.and_then(CopyRecord::measured).map(|sent| sent.sha256),
            });
        }
    }

    /// The copy to read, and those of the same archive elsewhere, should it turn out to be out of reach.
    fn chosen(&self, name: &str) -> Vec<&Candidate> {
        let mut all: Vec<&Candidate> = match name {
            "latest" => self.candidates.iter().collect(),
            name => {
                let named = self.candidates.iter();
                named.filter(|one| is_named(one, name)).collect()
            }
        };
        let is_damaged = |one: &Candidate| one.damage.is_some();
        match name {
            // What is known to be damaged is not the latest that there is.
            "latest" => all.sort_by_key(|one| {
                let newest = Reverse((one.at, one.archive.clone()));
                (is_damaged(one), newest, one.place)
            }),
            name => all.sort_by_key(|one| (is_damaged(one), one.archive != name, one.place)),
        }
        let first = all.first().map(|first| file_name::bare(&first.archive));
        let same = |one: &&Candidate| Some(file_name::bare(&one.archive)) == first;
        all.iter().copied().filter(same).collect()
    }

    async fn best(
        &self,
        settings: &Settings,
        ctx: &Context,
        name: &str,
    ) -> Result<Option<Located>, LocateError> {
        let mut failed = None;
        for candidate in self.chosen(name) {
            let place = &settings.offsite.places[candidate.place];
            let Some((_, store)) = self.stores.iter().find(|(at, _)| *at == candidate.place) else {
                continue;
            };
            if let Some(damage) = &candidate.damage {
                let archive = &candidate.archive;
                tracing::warn!("the copy of {archive} at {place} {damage}; there is no better one");
            }
            let reading = bounded(settings, || checksum(store, &candidate.archive));
            let sidecar = match ctx.cancel.or(reading).await? {
                Ok(sha256) => Sidecar::Sha256(sha256),
                Err(error) if error.is(StoreErrorKind::Differs) => {
                    Sidecar::Unreadable("is not a checksum of it".into())
                }
                Err(error) => {
                    let (place, problem) = (place.to_string(), words(ctx, &error));
                    failed.get_or_insert(LocateError::Unreadable { place, problem });
                    continue;
                }
            };
            let (archive, bytes) = (&candidate.archive, candidate.bytes);
            let way = way(settings, ctx, place);
            let keyring = &settings.encrypt.keyring;
            let located = Located::there(way, archive, bytes, sidecar, keyring);
            return located.map(Some).map_err(|error| LocateError::Unreadable {
                place: place.to_string(),
                problem: format!("no thread could be started: {error}"),
            });
        }
        failed.map_or(Ok(None), Err)
    }

    fn nothing(self, name: &str, absent: Option<RepositoryError>) -> LocateError {
        match absent {
            _ if !self.problems.is_empty() => LocateError::Unreachable(self.problems),
            _ if name == "latest" => LocateError::Empty {
                others: self.others.into_iter().collect(),
            },
            Some(absent) => absent.into(),
            None => LocateError::NoCopy(name.to_owned()),
        }
    }
}

fn is_named(candidate: &Candidate, name: &str) -> bool {
    candidate.archive == name
        || file_name::stem_of(&candidate.archive) == Some(name)
        || file_name::bare(&candidate.archive) == name
        // Sealed on its way, it is still the archive that had this name here.
        || file_name::unsealed(&candidate.archive) == name
}

async fn list(
    settings: &Settings,
    ctx: &Context,
    place: &OffsitePlace,
) -> Result<(Store, Vec<Entry>), StoreError> {
    let looking = || async {
        let store = open(settings, ctx, place).await?;
        let entries = store.list().await?;
        Ok((store, entries))
    };
    bounded(settings, looking).await
}

/// Asks for something small: a few times if need be, and not for ever.
async fn bounded<T, F: Future<Output = Result<T, StoreError>>>(
    settings: &Settings,
    ask: impl Fn() -> F,
) -> Result<T, StoreError> {
    let limit = settings.stall_timeout.min(LONGEST_LOOK);
    let mut attempts = 0;
    loop {
        attempts += 1;
        match answered_within(limit, ask()).await {
            Err(error) if error.is(StoreErrorKind::Unreachable) && attempts < ATTEMPTS => {
                tracing::debug!("{error}; trying again");
                tokio::time::sleep(BETWEEN_ATTEMPTS).await;
            }
            result => return result,
        }
    }
}
