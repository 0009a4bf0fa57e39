//! Single documents of a collection: found by their `_id`, inserted, replaced. Their bytes go and come as they are.

use super::client::{GOING_AWAY, explain, is_command, silent};
use super::error::ServerError;
use super::target::Target;
use crate::archive::namespace::Namespace;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{
    Acknowledgment, CollectionOptions, ReadPreference, ReturnDocument, SelectionCriteria,
    WriteConcern,
};
use std::collections::HashMap;
use std::time::Duration;

/// The server's code for a collection that is there already.
const NAMESPACE_EXISTS: i32 = 48;
/// Codes of what would befall every other document as well: hosts that are away, who we are and what we may, time that is
/// up, a primary that is not there, and a disk that is full.
const ABOUT_ALL: [i32; 13] = [
    6, 7, 11, 13, 18, 50, 133, 202, 391, 10058, 11601, 14031, 8000,
];
/// A filter that holds a whole document, beside the one that replaces it, has to fit the server's largest command.
const LONGEST_GUARDED_BYTES: usize = 14 * 1024 * 1024;

/// A collection whose documents are written one by one.
pub(crate) struct Documents<'t> {
    target: &'t Target,
    collection: Collection<RawDocumentBuf>,
    /// A server that takes longer to answer is treated as unreachable.
    limit: Duration,
}

/// What the server said of documents it was to insert.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// By their place among those that were sent: why not.
    pub by_place: HashMap<usize, Refusal>,
    /// They are there, but perhaps not to stay: a majority of the members did not say that they have them.
    pub concern: Option<String>,
}

/// Why a server did not take a document.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// A unique index has its value already, of `_id` or another.
    pub duplicate: bool,
    pub message: String,
}

/// How replacing a document ended.
#[derive(Debug)]
pub(crate) enum ReplaceEnd {
    /// What was there before.
    Replaced(RawDocumentBuf),
    /// It is no longer as it was seen, or gone.
    Changed,
    Refused(String),
}

impl Target {
    /// The documents of a collection, to be written so that they stay: where members keep copies, a majority has to have them.
    /// They are read where they are written, whatever the connection string prefers: others may be behind.
    pub(crate) fn by_id(&self, namespace: &Namespace, limit: Duration) -> Documents<'_> {
        let named = self.uri.option("w").is_some();
        let majority = WriteConcern::builder().w(Acknowledgment::Majority).build();
        let options = CollectionOptions::builder()
            .write_concern((!named).then_some(majority))
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        let database = self.client.database(&namespace.database);
        Documents {
            target: self,
            collection: database.collection_with_options(&namespace.collection, options),
            limit,
        }
    }

    /// Makes a collection with these options, unless it is there.
    pub(crate) async fn create(
        &self,
        namespace: &Namespace,
        options: &Document,
    ) -> Result<(), ServerError> {
        let mut command = doc! { "create": &namespace.collection };
        command.extend(options.clone());
        let database = self.client.database(&namespace.database);
        match database.run_command(command).await {
            Err(error) if is_command(&error, NAMESPACE_EXISTS) => Ok(()),
            made => made
                .map(drop)
                .map_err(|error| explain(&self.uri, "create a collection", error)),
        }
    }
}

impl Documents<'_> {
    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, ServerError>>,
    ) -> Result<T, ServerError> {
        let ended = tokio::time::timeout(self.limit, work).await;
        ended.unwrap_or_else(|_| Err(silent(&self.target.uri, self.limit)))
    }

    fn failed(&self, action: &'static str) -> impl Fn(Error) -> ServerError {
        let uri = self.target.uri.clone();
        move |error| explain(&uri, action, error)
    }

    /// Shows all that have one of these `_id`s, in any order; so many are held at a time.
    pub(crate) async fn find(
        &self,
        ids: Vec<Bson>,
        at_once: u32,
        visit: &mut impl AsyncFnMut(&RawDocument),
    ) -> Result<(), ServerError> {
        let failed = self.failed("read documents");
        let finding = self.collection.find(doc! { "_id": { "$in": ids } });
        let opening = async { finding.batch_size(at_once).await.map_err(&failed) };
        let mut cursor = self.within(opening).await?;
        loop {
            let next = async { cursor.advance().await.map_err(&failed) };
            if !self.within(next).await? {
                return Ok(());
            }
            visit(cursor.current()).await;
        }
    }

    /// The one of this `_id`, as the collection compares it.
    pub(crate) async fn find_one(&self, id: Bson) -> Result<Option<RawDocumentBuf>, ServerError> {
        let failed = self.failed("read documents");
        let finding = async {
            let found = self.collection.find_one(doc! { "_id": id });
            found.await.map_err(&failed)
        };
        self.within(finding).await
    }

    /// Inserts all that the server takes.
    pub(crate) async fn insert(
        &self,
        documents: &[&RawDocumentBuf],
    ) -> Result<Refused, ServerError> {
        self.within(async {
            let inserting = self.collection.insert_many(documents.iter().copied());
            match inserting.ordered(false).await {
                Ok(_) => Ok(Refused::default()),
                Err(error) => refused(error).map_err(self.failed("insert documents")),
            }
        })
        .await
    }

    /// Replaces the document of this `_id` if it is still as it was `seen`.
    ///
    /// The server compares by value: numbers of another type count as the same, and what cannot be sent to be compared, being
    /// too long, no UTF-8, or with a key that is there twice, is replaced whatever it is. What it was in truth comes back.
    pub(crate) async fn replace(
        &self,
        id: Bson,
        seen: &RawDocumentBuf,
        by: &RawDocumentBuf,
    ) -> Result<ReplaceEnd, ServerError> {
        let mut filter = doc! { "_id": id };
        if seen.as_bytes().len() + by.as_bytes().len() <= LONGEST_GUARDED_BYTES
            && let Some(seen) = as_it_is(seen)
        {
            let unchanged = doc! { "$eq": ["$$ROOT", { "$literal": seen }] };
            filter.insert("$expr", unchanged);
        }
        self.within(async {
            let replacing = self.collection.find_one_and_replace(filter, by);
            match replacing.return_document(ReturnDocument::Before).await {
                Ok(Some(before)) => Ok(ReplaceEnd::Replaced(before)),
                Ok(None) => Ok(ReplaceEnd::Changed),
                Err(error) => match &*error.kind {
                    ErrorKind::Command(refusal) if is_about_the_document(refusal.code) => {
                        Ok(ReplaceEnd::Refused(refusal.message.clone()))
                    }
                    _ => Err(self.failed("replace documents")(error)),
                },
            }
        })
        .await
    }
}

/// A document as the driver sends it, where that is to the byte what it is.
fn as_it_is(document: &RawDocumentBuf) -> Option<Document> {
    let read = Document::try_from(&**document).ok()?;
    let sent = read.to_vec().ok()?;
    (sent == document.as_bytes()).then_some(read)
}

/// Whether other documents may fare better. Servers have many reasons not to take a document, and more with each version:
/// a unique index, a validator, a shard key, places and texts that an index cannot hold. Few are about all of them.
fn is_about_the_document(code: i32) -> bool {
    !GOING_AWAY.contains(&code) && !ABOUT_ALL.contains(&code)
}

/// The refusals of single documents, out of an error.
fn refused(error: Error) -> Result<Refused, Error> {
    let ErrorKind::InsertMany(failure) = &*error.kind else {
        return Err(error);
    };
    let mut refused = Refused::default();
    for one in failure.write_errors.iter().flatten() {
        let refusal = Refusal {
            duplicate: one.code == 11000,
            message: one.message.clone(),
        };
        refused.by_place.insert(one.index, refusal);
    }
    let concern = failure.write_concern_error.as_ref();
    refused.concern = concern.map(|concern| concern.message.clone());
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::rawdoc;

    #[test]
    fn what_a_server_has_against_a_document_ends_nothing_and_what_is_about_all_does() {
        // Points and lists that no index can hold, languages, names of fields, and what the next version brings.
        for code in [
            2, 52, 61, 66, 121, 171, 10334, 11000, 13027, 16755, 17261, 17262, 17280, 17419, 99_999,
        ] {
            assert!(is_about_the_document(code), "{code}");
        }
        // Not authorized, no user, time that is up, no primary, shutting down.
        for code in [13, 18, 50, 262, 10107, 11600] {
            assert!(!is_about_the_document(code), "{code}");
        }
    }

    #[test]
    fn what_would_be_sent_as_another_document_is_not_compared() {
        let once = rawdoc! { "_id": 1, "of": "FIRST", "list": [1, 2] };
        assert!(as_it_is(&once).is_some());
        let mut twice = once;
        twice.append(mongodb::bson::cstr!("of"), "SECOND");
        assert!(as_it_is(&twice).is_none());
    }
}
