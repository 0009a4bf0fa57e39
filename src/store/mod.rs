//! Where archives are kept.

pub mod repository;
pub mod summary;
