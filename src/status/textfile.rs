//! Metrics in a file, for runs of which no server is left to be asked: node_exporter's textfile collector reads it.

use super::metrics;
use super::snapshot::Reader;
use crate::settings::Settings;
use crate::sys::atomic_file;
use chrono::{DateTime, Utc};

/// node_exporter is another user. There is no secret in it.
const FOR_ALL_TO_READ: u32 = 0o644;

/// Writes METRICS_FILE, if there is to be one. A run does not fail for it.
pub(crate) fn write(settings: &Settings, now: DateTime<Utc>) {
    let Some(path) = &settings.metrics_file else {
        return;
    };
    let text = metrics::text(&Reader::for_a_file(settings).look(now));
    if let Err(error) = atomic_file::replace_for(path, text.as_bytes(), FOR_ALL_TO_READ) {
        tracing::warn!("METRICS_FILE is not written: {error}");
    }
}
