//! What every step of a conversation with a mail server needs, and how the connection comes about.

use super::error::{MailError, Stage};
use super::reply::Reply;
use super::tls::{self, server_name};
use crate::notify::channels::harmless;
use crate::settings::MailSettings;
use crate::sys::redact::Redactor;
use crate::sys::tls::RootStore;
use lettre::transport::smtp;
use std::error::Error;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

/// What every step needs: where, until when, and what must not be told.
pub(super) struct SessionContext<'a> {
    pub place: String,
    pub limit: Duration,
    pub deadline: Instant,
    pub redactor: &'a Redactor,
    pub own: Redactor,
}

impl SessionContext<'_> {
    pub(super) async fn within<T>(
        &self,
        stage: Stage,
        step: impl Future<Output = T>,
    ) -> Result<T, MailError> {
        timeout_at(self.deadline, step)
            .await
            .map_err(|_| self.late(stage))
    }

    fn late(&self, stage: Stage) -> MailError {
        MailError::TimedOut {
            place: self.place.clone(),
            stage,
            limit: self.limit,
        }
    }

    pub(super) fn failure(&self, stage: Stage, error: &smtp::Error) -> MailError {
        let place = self.place.clone();
        let said = error.source().map(ToString::to_string);
        match error.status() {
            Some(code) => {
                let reply = Reply::new(
                    code.into(),
                    &said.unwrap_or_default(),
                    &[self.redactor, &self.own],
                );
                match stage {
                    _ if reply.is_transient() => MailError::Temporary {
                        place,
                        stage,
                        reply,
                    },
                    Stage::SignIn => MailError::SignIn { place, reply },
                    _ => MailError::Rejected {
                        place,
                        stage,
                        reply,
                    },
                }
            }
            None => {
                let problem = said.unwrap_or_else(|| error.to_string());
                let problem = match error.is_response() {
                    true => format!("what it sent is no reply of a mail server ({problem})"),
                    false => problem,
                };
                MailError::Broken {
                    place,
                    stage,
                    problem: harmless(&problem, &[self.redactor, &self.own]),
                }
            }
        }
    }

    /// Tries one address after the other, each with its share of the time: one that never answers, such as over an
    /// IPv6 that leads nowhere, must not use up what another needs.
    pub(super) async fn connect(&self, mail: &MailSettings) -> Result<TcpStream, MailError> {
        let resolved = self
            .within(Stage::Resolve, lookup_host((mail.host.as_str(), mail.port)))
            .await?;
        let unresolved = |problem: String| MailError::Resolve {
            place: self.place.clone(),
            problem,
        };
        let addresses: Vec<_> = resolved
            .map_err(|error| unresolved(error.to_string()))?
            .collect();
        let mut failure = unresolved("the name has no address".into());
        for (tried, address) in addresses.iter().enumerate() {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            failure = match timeout(left / untried, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => MailError::Connect {
                    place: self.place.clone(),
                    problem: error.to_string(),
                },
                Err(_) => self.late(Stage::Connect),
            };
        }
        Err(failure)
    }

    pub(super) async fn handshake(
        &self,
        mail: &MailSettings,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, MailError> {
        let name = server_name(&mail.host, &self.place)?;
        let broken = |problem: String| MailError::Broken {
            place: self.place.clone(),
            stage: Stage::Tls,
            problem,
        };
        let reading = tokio::task::spawn_blocking(RootStore::of_system);
        let roots = self
            .within(Stage::Tls, reading)
            .await?
            .map_err(|error| broken(error.to_string()))?;
        let connector = tls::connector(&roots).map_err(|error| broken(error.to_string()))?;
        let shaken = self
            .within(Stage::Tls, connector.connect(name, stream))
            .await?;
        shaken.map_err(|error| tls::failure(&roots, &self.place, &error))
    }
}
