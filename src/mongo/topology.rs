//! Why no server could be selected: what each of them answered, or how reaching it failed.
//!
//! The driver says only that its time was up. Its heartbeats know more, so they are kept while a connection is made.

use super::host_failure::{HostFailure, absent_help};
use super::option_advice::with_option;
use crate::mongo::uri::MongoUri;
use crate::sys::runtime::Runtime;
use mongodb::bson::Document;
use mongodb::event::EventHandler;
use mongodb::event::sdam::SdamEvent;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The oldest server that the driver talks to, and its wire protocol.
const OLDEST_SERVER: &str = "4.4";
const OLDEST_WIRE_VERSION: i32 = 9;
/// Releases by their wire protocol, from 0.
const RELEASES: [&str; 9] = [
    "2.4", "2.4", "2.6", "3.0", "3.2", "3.4", "3.6", "4.0", "4.2",
];

/// The newest heartbeat of each server, by `host:port`.
#[derive(Clone, Default)]
pub(super) struct Heartbeats(Arc<Mutex<BTreeMap<String, Heartbeat>>>);

#[derive(Clone)]
enum Heartbeat {
    Answered(Document),
    Failed(HostFailure),
}

impl Heartbeats {
    pub(super) fn handler(&self) -> EventHandler<SdamEvent> {
        let kept = Arc::clone(&self.0);
        EventHandler::callback(move |event| {
            let (address, heartbeat) = match event {
                SdamEvent::ServerHeartbeatSucceeded(event) => {
                    (event.server_address, Heartbeat::Answered(event.reply))
                }
                SdamEvent::ServerHeartbeatFailed(event) => {
                    let failure = HostFailure::of(&event.failure);
                    (event.server_address, Heartbeat::Failed(failure))
                }
                _ => return,
            };
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(address.to_string(), heartbeat);
        })
    }

    /// What they come to; none while there was no heartbeat.
    pub(super) fn diagnose(&self, uri: &MongoUri) -> Option<SelectionFailure> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        diagnose(&kept, uri)
    }
}

fn diagnose(kept: &BTreeMap<String, Heartbeat>, uri: &MongoUri) -> Option<SelectionFailure> {
    let mut answers = Vec::new();
    let mut failures = Vec::new();
    for (host, heartbeat) in kept {
        match heartbeat {
            Heartbeat::Answered(reply) => answers.push((host, reply)),
            Heartbeat::Failed(failure) => failures.push((host, failure)),
        }
    }
    let asked = uri.option("replicaSet");
    let of_answer = |(host, reply): &(&String, &Document)| unusable(host, reply, asked);
    if let Some(found) = answers.iter().find_map(of_answer) {
        return Some(found);
    }
    // The server that was asked is well, but the names it gives for the members of its set lead nowhere.
    let primary = answers.iter().any(|(_, reply)| is_primary(reply));
    match failures.first() {
        Some((host, failure)) if primary => Some(SelectionFailure::Advertised {
            member: (*host).clone(),
            failure: (*failure).clone(),
        }),
        Some((host, failure)) if answers.is_empty() => Some(SelectionFailure::Host {
            host: (*host).clone(),
            failure: (*failure).clone(),
        }),
        _ if answers.is_empty() || primary => None,
        _ => {
            let answered = answers
                .iter()
                .map(|(host, reply)| format!("{host} is {}", state(reply)));
            let failed = failures
                .iter()
                .map(|(host, failure)| format!("{host}: {}", failure.summary()));
            Some(SelectionFailure::NoPrimary {
                members: answered.chain(failed).collect(),
            })
        }
    }
}

/// Whether a server was started for a replica set, and knows of none.
pub(super) fn has_no_set(hello: &Document) -> bool {
    flag(hello, "isreplicaset")
}

/// Why a server that answered cannot be used at all.
fn unusable(host: &str, reply: &Document, asked: Option<&str>) -> Option<SelectionFailure> {
    let newest = reply.get_i32("maxWireVersion").unwrap_or_default();
    if newest < OLDEST_WIRE_VERSION {
        let release = usize::try_from(newest).ok().and_then(|at| RELEASES.get(at));
        return Some(SelectionFailure::TooOld {
            host: host.to_owned(),
            release: release.copied().unwrap_or("an unknown version"),
        });
    }
    if has_no_set(reply) {
        return Some(SelectionFailure::NotInitiated {
            host: host.to_owned(),
        });
    }
    let found = reply.get_str("setName").ok();
    asked
        .filter(|asked| found != Some(*asked))
        .map(|asked| SelectionFailure::OtherSet {
            host: host.to_owned(),
            asked: asked.to_owned(),
            found: found.map(str::to_owned),
        })
}

fn flag(reply: &Document, name: &str) -> bool {
    reply.get_bool(name).unwrap_or_default()
}

/// Whether the server that answered this takes writes.
pub(super) fn is_primary(reply: &Document) -> bool {
    flag(reply, "isWritablePrimary") || flag(reply, "ismaster")
}

/// Whether the server that answered this lets a backup read: a member that is starting or recovering does not.
pub(super) fn is_readable(reply: &Document) -> bool {
    is_primary(reply) || flag(reply, "secondary")
}

/// What a member of a replica set is, for people.
pub(super) fn state(reply: &Document) -> &'static str {
    if is_primary(reply) {
        "primary"
    } else if flag(reply, "secondary") {
        "a secondary"
    } else if flag(reply, "arbiterOnly") {
        "an arbiter"
    } else {
        "neither primary nor secondary"
    }
}

/// Why no server could be selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SelectionFailure {
    TooOld {
        host: String,
        release: &'static str,
    },
    OtherSet {
        host: String,
        asked: String,
        found: Option<String>,
    },
    /// Started as a member of a replica set that was never initiated.
    NotInitiated {
        host: String,
    },
    NoPrimary {
        members: Vec<String>,
    },
    /// A member's name, as the replica set gives it.
    Advertised {
        member: String,
        failure: HostFailure,
    },
    /// No server answered; the first one's failure.
    Host {
        host: String,
        failure: HostFailure,
    },
    /// What the driver says, where nothing more is known.
    Unknown(String),
}

impl SelectionFailure {
    /// Whether it may pass without anyone doing anything: a server starts, a primary is elected.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::TooOld { .. } | Self::OtherSet { .. } => false,
            Self::Host { failure, .. } | Self::Advertised { failure, .. } => failure.is_transient(),
            // A member that has just started says so until it has read its configuration.
            Self::NotInitiated { .. } | Self::NoPrimary { .. } | Self::Unknown(_) => true,
        }
    }

    /// Whether nothing is there at all, so that other programs will not find it either.
    pub(crate) fn is_absence(&self) -> bool {
        let Self::Host { failure, .. } = self else {
            return false;
        };
        matches!(
            failure,
            HostFailure::Refused | HostFailure::UnknownName | HostFailure::UnknownCluster
        )
    }

    pub(crate) fn summary(&self) -> String {
        match self {
            Self::TooOld { host, release } => format!(
                "the server at {host} is too old: MongoDB {release}, and {OLDEST_SERVER} is the oldest that is supported"
            ),
            Self::OtherSet { host, asked, found } => match found {
                Some(found) => format!(
                    "the connection string asks for the replica set {asked:?}, and {host} is a member of {found:?}"
                ),
                None => format!(
                    "the connection string asks for the replica set {asked:?}, and {host} is a standalone server"
                ),
            },
            Self::NotInitiated { host } => {
                format!("{host} was started as a member of a replica set that was never initiated")
            }
            Self::NoPrimary { members } => {
                format!("the replica set has no primary ({})", members.join(", "))
            }
            Self::Advertised { member, failure } => format!(
                "the replica set calls its member {member}, which cannot be reached from here: {}",
                failure.summary()
            ),
            Self::Host { failure, .. } => failure.summary(),
            Self::Unknown(reason) => reason.clone(),
        }
    }

    /// What to do about it; `setting` holds the connection string.
    pub(crate) fn help(&self, setting: &str, runtime: Runtime) -> String {
        match self {
            Self::TooOld { .. } => format!("update MongoDB to {OLDEST_SERVER} or later"),
            Self::OtherSet {
                found: Some(found), ..
            } => {
                format!("write replicaSet={found} in {setting}")
            }
            Self::OtherSet { found: None, .. } => format!("leave replicaSet out of {setting}"),
            Self::NotInitiated { .. } => "in mongosh, once: rs.initiate()".into(),
            Self::NoPrimary { .. } => {
                "see rs.status() in mongosh; a primary needs the majority of the members".into()
            }
            Self::Advertised { .. } => format!(
                "{}, to go straight to the host it names, or make that name known here",
                with_option(setting, "directConnection=true")
            ),
            Self::Host { host, failure } => failure.help(host, setting, runtime),
            Self::Unknown(_) => absent_help(setting, runtime),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    /// As MongoDB 4.4 to 8.0 answer before `rs.initiate()`, and for a moment when they start.
    #[test]
    fn a_member_without_a_set_is_told_from_one_that_starts_by_waiting() {
        let hello = doc! {
            "isWritablePrimary": false, "secondary": false, "isreplicaset": true, "maxWireVersion": 21,
            "info": "Does not have a valid replica set config",
        };
        assert!(has_no_set(&hello));
        assert!(!has_no_set(&doc! { "isWritablePrimary": true }));
        let found = unusable("db:27017", &hello, None).unwrap();
        assert!(matches!(&found, SelectionFailure::NotInitiated { host } if host == "db:27017"));
        assert!(found.is_transient());
    }
}
