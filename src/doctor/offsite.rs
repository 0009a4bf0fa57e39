//! Whether copies can be written elsewhere, read and listed; and what else these credentials may do there.

use super::findings::Findings;
use crate::context::Context;
use crate::offsite;
use crate::settings::{OffsitePlace, Settings};
use crate::store::remote::{Source, StoreError, StoreErrorKind, Transfer};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Written, read and removed again. Its name goes on with the time, so that one which could not be removed is not taken for
/// one that can be written.
const PROBE: &str = "pantry-keeper-doctor";
const CONTENT: &[u8] = b"Written by `pantry-keeper doctor` to see whether that is possible.\n";

pub(super) async fn offsite(findings: &mut Findings, settings: &Settings, ctx: &Context) {
    for place in &settings.offsite.places {
        let trying = try_out(settings, ctx, place);
        match tokio::time::timeout(settings.stall_timeout, trying).await {
            Ok(Ok(true)) => {
                findings.fine(
                    "offsite",
                    format!("{place} can be written, read and listed; copies can be removed"),
                );
                if !matches!(place, OffsitePlace::Folder(_)) {
                    findings.advice(
                        "offsite",
                        format!("whoever gets into this machine can remove the copies at {place}"),
                        "docs/offsite.md shows credentials that cannot, and object lock",
                    );
                }
            }
            Ok(Ok(false)) => findings.fine(
                "offsite",
                format!(
                    "{place} can be written, read and listed, and nothing can be removed with these credentials: \
                     that keeps the copies safe; retention there is up to a lifecycle rule"
                ),
            ),
            Ok(Err(error)) => {
                let mut problem = error.problem;
                problem.summary = format!("{place}: {}", problem.summary);
                findings.problem("offsite", problem);
            }
            Err(_) => findings.wrong("offsite", format!("{place} does not answer"), ""),
        }
        if let OffsitePlace::Folder(path) = place
            && is_same_disk(path, &settings.backup_dir)
        {
            findings.advice(
                "offsite",
                format!("{place} is on the same disk as BACKUP_DIR: both are lost with it"),
                "name a folder on another disk in OFFSITE_URL",
            );
        }
        if is_in_clear(settings, place) {
            findings.advice(
                "offsite",
                format!("{place} is reached without TLS: archives are sent in clear"),
                "use https:// in endpoint= or AWS_ENDPOINT_URL, unless the network is yours alone",
            );
        }
    }
}

/// Whether a place is reached without TLS, wherever its address is given.
fn is_in_clear(settings: &Settings, place: &OffsitePlace) -> bool {
    let OffsitePlace::S3 { endpoint, .. } = place else {
        return false;
    };
    let general = settings.offsite.credentials.aws_endpoint_url.as_ref();
    let endpoint = endpoint.as_ref().or(general);
    endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"))
}

fn is_same_disk(one: &Path, other: &Path) -> bool {
    let disk = |path| fs::metadata(path).map(|found| found.dev());
    matches!((disk(one), disk(other)), (Ok(one), Ok(other)) if one == other)
}

/// Whether what was written could be removed.
async fn try_out(
    settings: &Settings,
    ctx: &Context,
    place: &OffsitePlace,
) -> Result<bool, StoreError> {
    let store = offsite::open(settings, ctx, place).await?;
    store.list().await?;
    let probe = format!("{PROBE}-{}.txt", (ctx.now)().format("%Y%m%dT%H%M%S%.3fZ"));
    let source = Source::of_bytes(CONTENT, &Transfer::new(None));
    store.put(&probe, source).await?;
    let mut read = Vec::new();
    let mut sink = |piece: &[u8]| {
        read.extend_from_slice(piece);
        Ok(())
    };
    let reading = store.read(&probe, 0..CONTENT.len() as u64, &mut sink).await;
    // It does not stay because of what it told.
    let removed = store.remove(&probe).await;
    reading?;
    if read != CONTENT {
        return Err(StoreError::new(
            StoreErrorKind::Differs,
            "what was read there is not what was written",
            "",
        ));
    }
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.is(StoreErrorKind::Denied) => Ok(false),
        Err(error) => Err(error),
    }
}
