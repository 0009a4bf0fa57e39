//! Where archives are kept.

pub(crate) mod repository;
pub(crate) mod summary;
