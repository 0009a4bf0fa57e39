//! The commands, a file each: from what was asked for to what is printed.

pub(super) mod backup;
pub(super) mod diff;
pub(super) mod doctor;
pub(super) mod drill;
pub(super) mod extract;
pub(super) mod health;
pub(super) mod keygen;
pub(super) mod list;
pub(super) mod notify_test;
pub(super) mod offsite;
pub(super) mod prune;
pub(super) mod restore;
pub(super) mod restore_matched;
pub(super) mod run;
pub(super) mod send;
pub(super) mod show;
pub(super) mod status;
pub(super) mod verify;
pub(super) mod worker;

use super::exit::CommandError;
use crate::mongo::uri::MongoUri;
use crate::settings::Settings;

/// The server of the settings. `Settings::load` made sure of it for every command that needs one.
fn server(settings: &Settings) -> Result<&MongoUri, CommandError> {
    settings
        .mongodb
        .as_ref()
        .ok_or_else(|| CommandError::usage("MONGODB_URI is not set"))
}
