//! Bringing data back. It reads top to bottom:
//!
//! ```text
//! find → verify what will be read → choose and rename → ask the target → preview
//!     → [ asked for ] → safety backup → load documents → count → build indexes → compare → report
//! ```
//!
//! Everything before the brackets only looks, and comes to a [`RestorePlan`]; what follows comes to a report. The archive itself
//! is never written to.

mod checked;
mod compatibility;
mod contents;
mod definition;
mod diff;
mod documents;
mod error;
mod execute;
mod feed;
mod indexes;
mod interleave;
pub(crate) mod matched;
mod mongosh;
mod oplog;
mod plan;
mod preflight;
mod prepare;
mod reconcile;
mod replay;
mod selection;
mod steps;
mod system;

pub(crate) use contents::{Contents, open};
pub(crate) use definition::StoredDefinition;
pub(crate) use diff::{CompareError, run as compare};
pub(crate) use error::RestoreError;
pub(crate) use execute::execute;
pub(crate) use feed::{Load, most_readers};
pub(crate) use indexes::{BuildEnd, BuildOutcome, IndexBuilder, IndexCatalog, describe_left_out};
pub(crate) use plan::RestorePlan;
pub(crate) use prepare::prepare;
pub(crate) use replay::problem_of as problem_of_oplog;
pub(crate) use selection::Selection;
pub(crate) use steps::{RestoreStep, steps};
pub(crate) use system::is_auth_version;
