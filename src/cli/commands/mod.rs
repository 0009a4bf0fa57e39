//! The commands, a file each: from what was asked for to what is printed.

pub mod backup;
pub mod doctor;
pub mod drill;
pub mod health;
pub mod list;
pub mod notify_test;
pub mod prune;
pub mod restore;
pub mod run;
pub mod verify;
pub mod worker;

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
