//! Where archives are kept.

mod error;
mod find;
pub(crate) mod located;
pub(crate) mod locked;
pub(crate) mod remote;
pub(crate) mod repository;
pub(crate) mod sealed;
pub(crate) mod summary;
