//! The safety copy: what is about to be replaced, in an archive of its own that is verified before anything is sent.

use super::present::{self, Present};
use super::source::Batch;
use super::{MOST_REPLACED, MatchPlan};
use crate::archive::extended_json::{self, JsonStyle};
use crate::archive::file_name;
use crate::archive::fingerprint::checksum;
use crate::backup::handed::{self, Handed, Origin};
use crate::context::Context;
use crate::mongo::definitions::Definition;
use crate::restore::RestoreError;
use crate::settings::Settings;
use crate::store::repository::Repository;
use mongodb::bson::{Bson, Document};
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::mpsc::{Sender, channel};

/// Documents on their way to the disk.
const AHEAD: usize = 1;

/// A document's content, short enough to be remembered of many.
pub(super) type Digest = [u8; 16];

pub(super) fn digest(document: &[u8]) -> Digest {
    let mut short = Digest::default();
    short.copy_from_slice(&checksum(document)[..16]);
    short
}

/// What was saved, by its place among the documents that fit.
#[derive(Default)]
pub(super) struct Saved {
    /// The archive's file name.
    pub archive: Option<String>,
    /// In ascending order of places.
    documents: Vec<(u64, Digest)>,
}

impl Saved {
    /// Whether this very content was saved for the document of this place.
    pub(super) fn holds(&self, place: u64, content: &Digest) -> bool {
        let found = self.documents.binary_search_by_key(&place, |one| one.0);
        found.is_ok_and(|at| self.documents[at].1 == *content)
    }
}

/// Saves every document of the target that is about to be replaced.
pub(super) async fn save(
    plan: &MatchPlan,
    settings: &Settings,
    ctx: &Context,
) -> Result<Saved, RestoreError> {
    let settings = Settings {
        prefix: file_name::safety_prefix(&settings.prefix),
        // Each thread takes memory, and mostly there is little to compress.
        threads: NonZeroUsize::MIN,
        ..settings.clone()
    };
    let definition = ctx.cancel.or(plan.target.definition(&plan.step.to));
    let origin = Origin {
        server: plan.target.facts.server.clone(),
        namespace: plan.step.to.clone(),
        metadata: metadata(definition.await??),
        tool_version: plan.tool_version(),
    };
    let repository = Repository::of(&settings).lock(settings.require_mount)?;
    tracing::info!("saving first what will be replaced");
    let (sender, receiver) = channel(AHEAD);
    let making = handed::archive(&settings, ctx, &repository, origin, receiver);
    let (collected, made) = tokio::join!(collect(plan, ctx, sender), making);
    // Why its documents did not come says more than that they did not.
    match (collected, made) {
        (Err(error @ RestoreError::Safety(_)), Err(failed)) if !failed.was_cancelled() => {
            drop(error);
            Err(RestoreError::Safety(ctx.explain(&failed.error)))
        }
        (Err(error), _) => Err(error),
        (Ok(_), Err(failed)) => Err(RestoreError::Safety(ctx.explain(&failed.error))),
        (Ok(mut saved), Ok(report)) => {
            saved.archive = report.map(|report| report.archive);
            Ok(saved)
        }
    }
}

async fn collect(
    plan: &MatchPlan,
    ctx: &Context,
    sender: Sender<Handed>,
) -> Result<Saved, RestoreError> {
    let mut saved = Saved::default();
    let documents = plan.documents();
    let mut batch_of = async |batch: Arc<Batch>| {
        let all: Vec<usize> = (0..batch.documents.len()).collect();
        let mut found = Vec::new();
        let mut gone = false;
        let mut visit = async |_: usize, present: Present<'_>| {
            if present.is_same()
                || !present.has_same_id()
                || saved.documents.len() + found.len() > MOST_REPLACED
            {
                return;
            }
            let bytes = present.document.as_bytes();
            found.push((present.archived.place, digest(bytes)));
            gone |= sender.send(Handed::Document(bytes.to_vec())).await.is_err();
        };
        let looking = present::each(&documents, &batch, &all, &mut visit);
        ctx.cancel.or(looking).await??;
        if gone {
            return Err(RestoreError::Safety("it could not be written".into()));
        }
        found.sort_unstable();
        saved.documents.append(&mut found);
        match saved.documents.len() > MOST_REPLACED {
            true => Err(plan.too_many()),
            false => Ok(()),
        }
    };
    plan.source().each(ctx, "saving", &mut batch_of).await?;
    let _ = sender.send(Handed::End).await;
    Ok(saved)
}

/// Options and indexes as mongodump writes them.
fn metadata(definition: Option<Definition>) -> String {
    let mut document = Document::new();
    let (options, indexes) = match definition {
        Some(definition) => (definition.options, definition.indexes.unwrap_or_default()),
        None => (Document::new(), Vec::new()),
    };
    document.insert("options", options);
    let indexes: Vec<Bson> = indexes.into_iter().map(Bson::Document).collect();
    document.insert("indexes", indexes);
    document.insert("type", "collection");
    extended_json::value(Bson::Document(document), JsonStyle::Canonical).to_string()
}
