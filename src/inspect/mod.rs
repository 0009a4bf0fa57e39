//! Looking into archives: what they hold, documents out of them, and what became different between two.
//!
//! Nothing is held in memory but a document at a time, and nothing is changed.

mod archive;
pub(crate) mod diff;
mod error;
mod select;
mod summary;

pub(crate) use crate::archive::extended_json::{JsonStyle, to_json};
pub(crate) use archive::{Archive, Next, ReadEnd, ReadError};
pub(crate) use error::InspectError;
pub(crate) use select::{SelectEnd, Selected, Wanted, select};
pub(crate) use summary::summarize;

/// Where all of an archive was read before, it was told then.
fn warn_once(warnings: &mut Vec<String>, warning: String) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}
