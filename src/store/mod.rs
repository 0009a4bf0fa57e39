//! Where archives are kept.

pub(crate) mod error;
pub(crate) mod repository;
pub(crate) mod sealed;
pub(crate) mod summary;
