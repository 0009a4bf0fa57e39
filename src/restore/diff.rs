//! Holds collections on a server against an archive, document by document.
//!
//! Neither side is held in memory: both become fingerprints. Only where those differ are documents looked at again, one
//! bucket of `_id`s at a time, to name the ones that are missing, changed or too many.

use super::contents::{ArchivedId, Broken, Contents};
use super::documents::{self, shown_id};
use crate::archive::fingerprint::{Checksum, Fingerprint, bucket_of, checksum};
use crate::archive::namespace::Namespace;
use crate::mongo::error::ServerError;
use crate::mongo::target::Target;
use crate::report::Differences;
use crate::sys::cancel::{Cancel, Interruption};
use crate::sys::progress::{DumpWatch, Meter, showing};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Documents named of each kind of difference; the rest are counted.
const NAMED: usize = 10;
/// Documents that are looked at again for the sake of naming them. Beyond, they are counted only.
const LOOKED_AT: usize = 200_000;

/// Why two sides could not be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareError {
    #[error("the archive could not be read again: {0}")]
    Archive(String),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("{0}")]
    Interrupted(#[from] Interruption),
}

/// A collection on the server whose documents are not those of the archive.
struct Suspect {
    namespace: Namespace,
    buckets: HashSet<usize>,
    /// What the server has in those buckets.
    there: HashMap<Vec<u8>, (Checksum, String)>,
    complete: bool,
    found: Differences,
}

/// What is compared: a namespace of the archive, and where it was restored to.
pub(super) type Pair = (ArchivedId, Namespace);

/// Compares every pair; how those differ that do.
pub(crate) async fn run(
    contents: &Arc<Contents>,
    pairs: &[Pair],
    target: &Target,
    meter: &Arc<Meter>,
    cancel: &Cancel,
) -> Result<HashMap<ArchivedId, Differences>, CompareError> {
    let mut suspects = find_suspects(contents, pairs, target, meter, cancel).await?;
    if suspects.is_empty() {
        return Ok(HashMap::new());
    }
    for (source, suspect) in &mut suspects {
        let kind = contents[*source].kind;
        let namespace = suspect.namespace.clone();
        let look = target.documents(&namespace, kind, |document| {
            let id = documents::id(document);
            if suspect.buckets.contains(&bucket_of(id)) {
                if suspect.there.len() < LOOKED_AT {
                    let known = (checksum(document.as_bytes()), shown_id(document));
                    suspect.there.insert(id.to_vec(), known);
                } else {
                    suspect.complete = false;
                }
            }
        });
        cancel.or(look).await??;
    }
    name_documents(contents, suspects, cancel).await
}

/// The fingerprint of a namespace, which the archive's side sends to the server's.
struct ArchiveFingerprint {
    source: ArchivedId,
    fingerprint: Fingerprint,
}

/// Fingerprints of both sides: the archive's on a thread of its own, while the server's documents are read.
async fn find_suspects(
    contents: &Arc<Contents>,
    pairs: &[Pair],
    target: &Target,
    meter: &Arc<Meter>,
    cancel: &Cancel,
) -> Result<HashMap<ArchivedId, Suspect>, CompareError> {
    let wanted: HashMap<ArchivedId, Namespace> = pairs.iter().cloned().collect();
    let (sender, mut receiver) = mpsc::channel(1);
    let reading = Arc::clone(contents);
    let chosen: HashSet<ArchivedId> = wanted.keys().copied().collect();
    let watch = meter.watch();
    let reader = cancel.blocking(move |cancelled| {
        fingerprint_archive(&reading, &chosen, watch, &sender, cancelled)
    });
    let server = async {
        let mut suspects = HashMap::new();
        while let Some(ArchiveFingerprint {
            source,
            fingerprint,
        }) = receiver.recv().await
        {
            let Some(to) = wanted.get(&source) else {
                continue;
            };
            let mut of_server = Fingerprint::default();
            let reading = target.documents(to, contents[source].kind, |document| {
                of_server.add(documents::id(document), document.as_bytes());
            });
            showing(meter, reading).await?;
            if let Some(suspect) = suspect(to, &fingerprint, &of_server) {
                suspects.insert(source, suspect);
            }
        }
        Ok::<_, CompareError>(suspects)
    };
    let (read, suspects) = tokio::join!(reader, cancel.or(server));
    let suspects = suspects??;
    match read? {
        Ok(()) => Ok(suspects),
        Err(problem) => Err(CompareError::Archive(problem)),
    }
}

/// Blocks; ends soon once it is cancelled.
fn fingerprint_archive(
    contents: &Contents,
    chosen: &HashSet<ArchivedId>,
    mut watch: DumpWatch,
    sender: &mpsc::Sender<ArchiveFingerprint>,
    cancelled: &AtomicBool,
) -> Result<(), String> {
    let mut bytes = 0;
    let is_chosen = |source| chosen.contains(&source);
    let outcome = contents.each(&is_chosen, cancelled, &mut |source, content| {
        let mut fingerprint = Fingerprint::default();
        documents::each(content, |document| {
            fingerprint.add(documents::id(document), document.as_bytes());
            match cancelled.load(Ordering::Relaxed) {
                true => Err(std::io::ErrorKind::Interrupted.into()),
                false => Ok(()),
            }
        })
        .map_err(|error| crate::archive::container::reason(&error))?;
        bytes += fingerprint.bytes();
        watch.at(&contents[source].namespace, bytes);
        // It is received unless the other side has failed.
        sender
            .blocking_send(ArchiveFingerprint {
                source,
                fingerprint,
            })
            .map_err(|_| String::new())
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(Broken::Archive(problem) | Broken::Visitor(problem)) => Err(problem),
    }
}

/// None when both sides are the same.
fn suspect(to: &Namespace, of_archive: &Fingerprint, of_server: &Fingerprint) -> Option<Suspect> {
    let buckets: HashSet<usize> = of_archive.differences(of_server).into_iter().collect();
    (!buckets.is_empty()).then(|| Suspect {
        namespace: to.clone(),
        buckets,
        there: HashMap::new(),
        complete: true,
        found: Differences {
            documents: of_archive.documents(),
            on_server: of_server.documents(),
            ..Differences::default()
        },
    })
}

/// Reads the archive's side of the suspects again and names what differs.
async fn name_documents(
    contents: &Arc<Contents>,
    mut suspects: HashMap<ArchivedId, Suspect>,
    cancel: &Cancel,
) -> Result<HashMap<ArchivedId, Differences>, CompareError> {
    let reading = Arc::clone(contents);
    let looked = cancel.blocking(move |cancelled: &AtomicBool| {
        let wanted: HashSet<ArchivedId> = suspects.keys().copied().collect();
        let outcome = reading.each(
            &|source| wanted.contains(&source),
            cancelled,
            &mut |source, content| {
                let Some(suspect) = suspects.get_mut(&source) else {
                    return Ok(());
                };
                documents::each(content, |document| {
                    let id = documents::id(document);
                    if suspect.buckets.contains(&bucket_of(id)) {
                        match suspect.there.remove(id) {
                            None if suspect.complete => name(&mut suspect.found.missing, document),
                            Some((there, _)) if there != checksum(document.as_bytes()) => {
                                name(&mut suspect.found.changed, document);
                            }
                            _ => {}
                        }
                    }
                    Ok(())
                })
                .map_err(|error| crate::archive::container::reason(&error))
            },
        );
        match outcome {
            Ok(()) => Ok(suspects),
            Err(Broken::Archive(problem) | Broken::Visitor(problem)) => Err(problem),
        }
    });
    let suspects = match looked.await? {
        Ok(suspects) => suspects,
        Err(problem) => return Err(CompareError::Archive(problem)),
    };
    Ok(suspects
        .into_iter()
        .map(|(id, mut suspect)| {
            let mut extra: Vec<String> = suspect.there.into_values().map(|(_, id)| id).collect();
            extra.sort();
            extra.truncate(NAMED);
            suspect.found.extra = extra;
            (id, suspect.found)
        })
        .collect())
}

fn name(list: &mut Vec<String>, document: &bson::RawDocument) {
    if list.len() < NAMED {
        list.push(shown_id(document));
    }
}
