//! What a server says of collections beside their documents: their options and indexes.

use super::client::{NOT_AUTHORIZED, explain, is_command};
use super::error::ServerError;
use super::target::Target;
use crate::archive::namespace::Namespace;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use std::collections::{BTreeMap, BTreeSet};

/// Names that a server is asked about at once. It looks each of them up; whoever asks for one at a time may find that some
/// servers list all there are, each time.
pub(crate) const NAMES_AT_ONCE: usize = 200;

/// What a server says of a collection beside its documents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub options: Document,
    /// None of a view; not known where we may not list them.
    pub indexes: Option<Vec<Document>>,
}

/// What a server says when it is asked for the indexes of a collection.
enum IndexAnswer {
    All(Vec<Document>),
    NotAllowed,
    /// It was dropped since it was listed.
    NoCollection,
}

/// MongoDB's code for a collection that is not there.
const NAMESPACE_NOT_FOUND: i32 = 26;

/// An entry of a server's list of collections.
struct Listed {
    namespace: Namespace,
    options: Document,
    is_view: bool,
}

impl Target {
    /// Options and indexes of a namespace; none when it is not there.
    pub(crate) async fn definition(
        &self,
        namespace: &Namespace,
    ) -> Result<Option<Definition>, ServerError> {
        Ok(self.definitions(&[namespace]).await?.remove(namespace))
    }

    /// Options and indexes of those of `namespaces` that are there.
    pub(crate) async fn definitions(
        &self,
        namespaces: &[&Namespace],
    ) -> Result<BTreeMap<Namespace, Definition>, ServerError> {
        let mut found = BTreeMap::new();
        for listed in self.list(namespaces).await? {
            let indexes = match listed.is_view {
                true => Some(Vec::new()),
                false => match self.list_indexes(&listed.namespace).await? {
                    IndexAnswer::All(indexes) => Some(indexes),
                    IndexAnswer::NotAllowed => None,
                    IndexAnswer::NoCollection => continue,
                },
            };
            let options = listed.options;
            found.insert(listed.namespace, Definition { options, indexes });
        }
        Ok(found)
    }

    /// Which of `namespaces` are there.
    pub(crate) async fn existing(
        &self,
        namespaces: &[&Namespace],
    ) -> Result<BTreeSet<Namespace>, ServerError> {
        let listed = self.list(namespaces).await?.into_iter();
        Ok(listed.map(|one| one.namespace).collect())
    }

    async fn list(&self, namespaces: &[&Namespace]) -> Result<Vec<Listed>, ServerError> {
        let mut by_database: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for namespace in namespaces {
            let names = by_database.entry(&namespace.database).or_default();
            names.push(&namespace.collection);
        }
        let mut found = Vec::new();
        for (database, names) in by_database {
            for names in names.chunks(NAMES_AT_ONCE) {
                self.list_in(database, names, &mut found).await?;
            }
        }
        Ok(found)
    }

    async fn list_in(
        &self,
        database: &str,
        names: &[&str],
        found: &mut Vec<Listed>,
    ) -> Result<(), ServerError> {
        let failed = |error| explain(&self.uri, "list collections", error);
        let command = doc! { "listCollections": 1, "filter": { "name": { "$in": names } } };
        let asking = self.client.database(database);
        let mut cursor = asking.run_cursor_command(command).await.map_err(failed)?;
        while let Some(mut info) = cursor.try_next().await.map_err(failed)? {
            let options = info.get_document_mut("options").map(std::mem::take);
            found.push(Listed {
                namespace: Namespace::new(database, info.get_str("name").unwrap_or_default()),
                options: options.unwrap_or_default(),
                is_view: info.get_str("type").is_ok_and(|kind| kind == "view"),
            });
        }
        Ok(())
    }

    async fn list_indexes(&self, namespace: &Namespace) -> Result<IndexAnswer, ServerError> {
        let failed = |error| explain(&self.uri, "list indexes", error);
        let database = self.client.database(&namespace.database);
        let command = doc! { "listIndexes": &namespace.collection };
        let mut cursor = match database.run_cursor_command(command).await {
            Err(error) if is_command(&error, NOT_AUTHORIZED) => {
                return Ok(IndexAnswer::NotAllowed);
            }
            Err(error) if is_command(&error, NAMESPACE_NOT_FOUND) => {
                return Ok(IndexAnswer::NoCollection);
            }
            result => result.map_err(failed)?,
        };
        let mut indexes = Vec::new();
        while let Some(index) = cursor.try_next().await.map_err(failed)? {
            indexes.push(index);
        }
        Ok(IndexAnswer::All(indexes))
    }
}
