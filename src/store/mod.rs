//! Where archives are kept.

mod error;
pub(crate) mod located;
pub(crate) mod remote;
pub(crate) mod repository;
pub(crate) mod sealed;
pub(crate) mod summary;
