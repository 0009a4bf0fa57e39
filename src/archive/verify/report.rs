//! What reading an archive showed.

use crate::archive::namespace::{Kind, Namespace};
use serde::Serialize;

/// One namespace, as read from an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NamespaceCheck {
    #[serde(flatten)]
    pub namespace: Namespace,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Documents that were read, also when some are missing.
    pub documents: u64,
    pub bytes: u64,
    /// What is wrong with it; none when it is sound.
    pub damage: Option<String>,
}

/// What reading an archive from end to end showed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct VerifyReport {
    /// The file's name.
    pub archive: String,
    pub sound: bool,
    pub archive_bytes: u64,
    pub documents: u64,
    pub bytes: u64,
    pub sha256: Option<String>,
    pub namespaces: Vec<NamespaceCheck>,
    /// What it is instead of an archive that can be read here, and what reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_format: Option<String>,
    /// Damage that belongs to no single namespace.
    pub damage: Vec<String>,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
    pub elapsed_seconds: f64,
}

impl VerifyReport {
    /// For a file that could not even be opened.
    pub(crate) fn unreadable(archive: &str, problem: String) -> Self {
        VerifyReport {
            archive: archive.to_owned(),
            sound: false,
            archive_bytes: 0,
            documents: 0,
            bytes: 0,
            sha256: None,
            namespaces: Vec::new(),
            other_format: None,
            damage: vec![problem],
            not_checked: Vec::new(),
            elapsed_seconds: 0.0,
        }
    }

    /// Every fault, in one sentence each.
    pub(crate) fn faults(&self) -> impl Iterator<Item = String> {
        let namespaces = self.namespaces.iter().filter_map(|checked| {
            let damage = checked.damage.as_ref()?;
            Some(format!("{}: {damage}", checked.namespace))
        });
        let other_format = self.other_format.iter().cloned();
        let damage = self.damage.iter().cloned();
        damage.chain(namespaces).chain(other_format)
    }
}
