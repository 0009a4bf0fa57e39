//! Where archives are kept.

pub(crate) mod remote;
pub(crate) mod repository;
pub(crate) mod summary;
