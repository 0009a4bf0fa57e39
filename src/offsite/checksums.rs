//! The checksum that a copy should have, by the `.sha256` beside it, and the one it has.

use super::copies::sidecar_of;
use super::moving;
use crate::archive::sidecar::{self, Sidecar};
use crate::settings::Settings;
use crate::store::remote::{Comparison, Store, StoreError, StoreErrorKind, Transfer};
use crate::sys::progress::Meter;
use std::sync::Arc;

/// A `.sha256` is one short line.
const LONGEST_SIDECAR: u64 = 4096;

/// What the `.sha256` beside a copy says.
pub(super) async fn checksum(store: &Store, archive: &str) -> Result<[u8; 32], StoreError> {
    let name = sidecar_of(archive);
    let bytes = store.size(&name).await?.ok_or_else(|| {
        StoreError::new(
            StoreErrorKind::Missing,
            format!("there is no {name}: the copy is not whole"),
            "",
        )
    })?;
    let mut text = Vec::new();
    let mut sink = |piece: &[u8]| {
        text.extend_from_slice(piece);
        Ok(())
    };
    store
        .read(&name, 0..bytes.min(LONGEST_SIDECAR), &mut sink)
        .await?;
    match sidecar::parse(&String::from_utf8_lossy(&text), archive) {
        Sidecar::Sha256(sha256) => Ok(sha256),
        Sidecar::Missing | Sidecar::Unreadable(_) => Err(StoreError::new(
            StoreErrorKind::Differs,
            format!("{name} is not a checksum of it"),
            "",
        )),
    }
}

/// Bytes and SHA-256 of a file elsewhere, read from its start to its end.
pub(super) async fn hash(
    settings: &Settings,
    store: &Store,
    name: &str,
    bytes: u64,
    meter: &Arc<Meter>,
) -> Result<(u64, [u8; 32]), StoreError> {
    let transfer = Transfer::new(None);
    let mut comparison = Comparison::new(&transfer);
    let mut sink = |piece: &[u8]| {
        comparison.update(piece);
        Ok(())
    };
    let reading = store.read(name, 0..bytes, &mut sink);
    moving(settings, &transfer, meter, reading).await?;
    Ok(comparison.finish())
}
