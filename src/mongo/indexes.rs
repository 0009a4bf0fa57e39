//! Indexes built through the driver: mongorestore stops at the first one that a server refuses, and names no other.

use super::client::{GOING_AWAY, explain, silent};
use super::error::ServerError;
use super::target::Target;
use crate::archive::namespace::Namespace;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use std::time::Duration;

/// How often a server that is building is asked whether it is still there.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Why an index was not built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexBuildError {
    /// The server's own words.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl Target {
    /// Builds indexes of one collection: all of them, or none when the server refuses one. It may take hours; a server
    /// that answers nothing else for `limit` either is gone.
    pub(crate) async fn build_indexes(
        &self,
        namespace: &Namespace,
        indexes: &[Document],
        limit: Duration,
    ) -> Result<(), IndexBuildError> {
        let command = doc! { "createIndexes": &namespace.collection, "indexes": indexes.to_vec() };
        let database = self.client.database(&namespace.database);
        let building = async { database.run_command(command).await };
        tokio::select! {
            biased;
            built = building => match built {
                Ok(_) => Ok(()),
                Err(error) => Err(self.why_not_built(error)),
            },
            gone = self.gone(limit) => Err(gone.into()),
        }
    }

    fn why_not_built(&self, error: Error) -> IndexBuildError {
        match &*error.kind {
            ErrorKind::Command(refusal) if !GOING_AWAY.contains(&refusal.code) => {
                IndexBuildError::Refused(refusal.message.clone())
            }
            _ => explain(&self.uri, "build indexes", error).into(),
        }
    }

    /// Ends when the server no longer answers.
    async fn gone(&self, limit: Duration) -> ServerError {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let ping = self.client.database("admin");
            let ping = ping.run_command(doc! { "ping": 1 });
            match tokio::time::timeout(limit, async { ping.await }).await {
                Ok(Ok(_)) => {}
                // An answer all the same.
                Ok(Err(error)) if matches!(*error.kind, ErrorKind::Command(_)) => {}
                Ok(Err(error)) => return explain(&self.uri, "build indexes", error),
                Err(_) => return silent(&self.uri, limit),
            }
        }
    }

    /// Sets after how many seconds documents of a collection expire by its own options.
    pub(crate) async fn set_expiry(
        &self,
        namespace: &Namespace,
        seconds: Bson,
    ) -> Result<(), ServerError> {
        let command = doc! { "collMod": &namespace.collection, "expireAfterSeconds": seconds };
        let database = self.client.database(&namespace.database);
        let changed = database.run_command(command).await;
        changed
            .map(drop)
            .map_err(|error| explain(&self.uri, "change a collection's options", error))
    }
}
