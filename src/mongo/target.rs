//! A server that is restored into: what it holds, read back document by document, and scratch databases dropped.

use super::client::{
    Facts, NOT_AUTHORIZED, close, collections, connect, explain, facts, is_command, listed,
    require_primary, silent,
};
use super::error::ServerError;
use super::privileges::grant_drop;
use crate::archive::namespace::{BUCKETS_PREFIX, Kind, Namespace, VIEWS};
use crate::mongo::uri::MongoUri;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{CollectionOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client, Collection, Database};
use std::time::Duration;

/// Documents asked for at once. A batch is held in memory whole, and the server ends it at 16 MB.
const BATCH: u32 = 1000;

/// A connection that is kept for as long as something is restored.
pub(crate) struct Target {
    pub(super) client: Client,
    pub(super) uri: MongoUri,
    pub facts: Facts,
}

impl Target {
    /// Connects and asks what is there. A server that takes longer than `limit` to answer is treated as unreachable.
    pub(crate) async fn connect(uri: &MongoUri, limit: Duration) -> Result<Self, ServerError> {
        let connecting = async {
            let client = connect(uri).await?;
            require_primary(&client, uri).await?;
            let facts = facts(&client, uri, &[]).await?;
            Ok(Target {
                client,
                uri: uri.clone(),
                facts,
            })
        };
        tokio::time::timeout(limit, connecting)
            .await
            .unwrap_or_else(|_| Err(silent(uri, limit)))
    }

    /// What is there by now.
    pub(crate) async fn look_again(&self, limit: Duration) -> Result<Facts, ServerError> {
        let looking = facts(&self.client, &self.uri, &[]);
        let looked = tokio::time::timeout(limit, looking).await;
        looked.unwrap_or_else(|_| Err(silent(&self.uri, limit)))
    }

    /// Drops one collection, view or time series.
    pub(crate) async fn drop_collection(
        &self,
        namespace: &Namespace,
        limit: Duration,
    ) -> Result<(), ServerError> {
        let collection = self.primary::<Document>(&namespace.database, &namespace.collection);
        match tokio::time::timeout(limit, collection.drop()).await {
            Ok(dropped) => dropped.map_err(|error| explain(&self.uri, "drop a collection", error)),
            Err(_) => Err(silent(&self.uri, limit)),
        }
    }

    /// The server's own collections in a database, which [`Facts`] leave out; those in which time series and views are kept
    /// are not among them.
    pub(crate) async fn system_collections(
        &self,
        database: &str,
    ) -> Result<Vec<Namespace>, ServerError> {
        let mut names = self.listed(database).await?;
        names.retain(|name| {
            let kept_elsewhere = name.starts_with(BUCKETS_PREFIX) || name == VIEWS;
            name.starts_with("system.") && !kept_elsewhere
        });
        let named = |name| Namespace::new(database, name);
        Ok(names.into_iter().map(named).collect())
    }

    /// The name of everything in a database, the server's own included.
    async fn listed(&self, database: &str) -> Result<Vec<String>, ServerError> {
        let listing = listed(&self.client.database(database)).await;
        let listed = listing.map_err(|error| explain(&self.uri, "list collections", error))?;
        Ok(listed.into_iter().map(|(name, _)| name).collect())
    }

    /// Whether the server still answers, within `limit`.
    pub(crate) async fn answers(&self, limit: Duration) -> bool {
        let admin = self.client.database("admin");
        let asked = tokio::time::timeout(limit, admin.run_command(doc! { "ping": 1 })).await;
        // A refusal is an answer as well.
        match asked {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => matches!(
                *error.kind,
                ErrorKind::Command(_) | ErrorKind::Authentication { .. }
            ),
            Err(_) => false,
        }
    }

    pub(crate) fn hosts(&self) -> &str {
        self.uri.hosts()
    }

    /// How many documents a namespace has, from the collection's own statistics; none when we may not know.
    pub(crate) async fn estimate(&self, namespace: &Namespace) -> Result<Option<u64>, ServerError> {
        let collection = self.primary::<Document>(&namespace.database, &namespace.collection);
        self.allowed(collection.estimated_document_count().await)
    }

    /// The same, counted one by one.
    pub(crate) async fn count(&self, namespace: &Namespace) -> Result<Option<u64>, ServerError> {
        let collection = self.primary::<Document>(&namespace.database, &namespace.collection);
        self.allowed(collection.count_documents(doc! {}).await)
    }

    /// A collection that is read where it is written, whatever the connection string prefers: others may be behind.
    pub(super) fn primary<T: Send + Sync>(&self, database: &str, name: &str) -> Collection<T> {
        let options = CollectionOptions::builder()
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        let database = self.client.database(database);
        database.collection_with_options(name, options)
    }

    fn allowed(
        &self,
        counted: Result<u64, mongodb::error::Error>,
    ) -> Result<Option<u64>, ServerError> {
        match counted {
            Err(error) if is_command(&error, NOT_AUTHORIZED) => Ok(None),
            result => result
                .map(Some)
                .map_err(|error| explain(&self.uri, "count documents", error)),
        }
    }

    /// Shows every document of a namespace, as the server stores it.
    pub(crate) async fn documents(
        &self,
        namespace: &Namespace,
        kind: Kind,
        mut visit: impl FnMut(&RawDocument),
    ) -> Result<(), ServerError> {
        let failed = |error| explain(&self.uri, "read documents", error);
        let name = match kind {
            Kind::TimeSeries => format!("{BUCKETS_PREFIX}{}", namespace.collection),
            _ => namespace.collection.clone(),
        };
        let collection = self.primary::<RawDocumentBuf>(&namespace.database, &name);
        let mut cursor = collection
            .find(doc! {})
            .batch_size(BATCH)
            .no_cursor_timeout(false)
            .await
            .map_err(failed)?;
        while cursor.advance().await.map_err(failed)? {
            visit(cursor.current());
        }
        Ok(())
    }

    /// Drops a whole database, collection by collection where we may not drop it at once.
    pub(crate) async fn drop_database(&self, name: &str) -> Result<(), ServerError> {
        let database = self.client.database(name);
        match database.drop().await {
            Err(error) if is_command(&error, NOT_AUTHORIZED) => self.drop_each(&database).await,
            result => result.map_err(|error| self.not_dropped(error)),
        }
    }

    /// Once a database had a view or a time series the server keeps their list in it, and the database with it. The role
    /// `restore` does not reach that.
    async fn drop_each(&self, database: &Database) -> Result<(), ServerError> {
        let listed = collections(database).await;
        let listed = listed.map_err(|error| self.not_dropped(error))?;
        let names = listed.into_iter().map(|found| found.namespace.collection);
        for name in names.chain([VIEWS.to_owned()]) {
            match database.collection::<Document>(&name).drop().await {
                Err(error) if name == VIEWS && is_command(&error, NOT_AUTHORIZED) => {}
                result => result.map_err(|error| self.not_dropped(error))?,
            }
        }
        if self.listed(database.name()).await?.is_empty() {
            return Ok(());
        }
        Err(ServerError::Role {
            setting: self.uri.setting(),
            action: "drop the empty list of its views",
            grant: grant_drop(&self.uri),
            readable: Vec::new(),
        })
    }

    fn not_dropped(&self, error: mongodb::error::Error) -> ServerError {
        explain(&self.uri, "drop a scratch database", error)
    }

    pub(crate) async fn close(self) {
        close(self.client).await;
    }
}
