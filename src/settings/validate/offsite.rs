//! Copies elsewhere: where to, with which credentials, and what stays there.

use super::{Checker, Faulty};
use crate::settings::fault::Refusal;
use crate::settings::{
    Needs, OffsiteCredentials, OffsitePlace, OffsiteSettings, RetentionPolicy, table,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) fn offsite(
    checker: &mut Checker,
    needs: Needs,
    backup_dir: Option<&Path>,
    local: Result<RetentionPolicy, Faulty>,
) -> Result<OffsiteSettings, Faulty> {
    let mut places = checker.optional(&table::OFFSITE_URL);
    let verify = checker.value(&table::OFFSITE_VERIFY);
    let bandwidth = checker.optional(&table::OFFSITE_BANDWIDTH);
    let max_lag = checker.value(&table::OFFSITE_MAX_LAG);
    let retention = retention(checker, local);
    let credentials = credentials(checker);
    if let (Ok(Some(places)), true) = (&places, needs != Needs::Knowledge) {
        keys(checker, places);
    }
    if let (Ok(Some(places)), Ok(credentials)) = (&mut places, &credentials) {
        for place in places.iter_mut() {
            place.settle(credentials);
        }
        each_once(checker, places, credentials.aws_endpoint_url.is_some())?;
    }
    if let (Ok(Some(places)), Some(backup_dir)) = (&places, backup_dir) {
        elsewhere(checker, places, backup_dir)?;
    }
    Ok(OffsiteSettings {
        places: places?.unwrap_or_default(),
        verify: verify?,
        bandwidth: bandwidth?,
        max_lag: max_lag?,
        retention: retention?,
        credentials: credentials?,
    })
}

/// What stays elsewhere is what stays here, where nothing else was said.
fn retention(
    checker: &mut Checker,
    local: Result<RetentionPolicy, Faulty>,
) -> Result<RetentionPolicy, Faulty> {
    let days = checker.optional(&table::OFFSITE_RETENTION_DAYS);
    let min_keep = checker.optional(&table::OFFSITE_RETENTION_MIN_KEEP);
    let daily = checker.optional(&table::OFFSITE_RETENTION_DAILY);
    let weekly = checker.optional(&table::OFFSITE_RETENTION_WEEKLY);
    let monthly = checker.optional(&table::OFFSITE_RETENTION_MONTHLY);
    let yearly = checker.optional(&table::OFFSITE_RETENTION_YEARLY);
    let local = local?;
    Ok(RetentionPolicy {
        days: days?.unwrap_or(local.days),
        min_keep: min_keep?.unwrap_or(local.min_keep),
        daily: daily?.unwrap_or(local.daily),
        weekly: weekly?.unwrap_or(local.weekly),
        monthly: monthly?.unwrap_or(local.monthly),
        yearly: yearly?.unwrap_or(local.yearly),
    })
}

fn credentials(checker: &mut Checker) -> Result<OffsiteCredentials, Faulty> {
    let aws_access_key_id = checker.optional(&table::AWS_ACCESS_KEY_ID);
    let aws_secret_access_key = checker.optional(&table::AWS_SECRET_ACCESS_KEY);
    let aws_session_token = checker.optional(&table::AWS_SESSION_TOKEN);
    let aws_region = checker.optional(&table::AWS_REGION);
    let aws_endpoint_url = checker.optional(&table::AWS_ENDPOINT_URL);
    let ssh_identity = checker.optional(&table::SSH_IDENTITY_FILE);
    let ssh_known_hosts = checker.optional(&table::SSH_KNOWN_HOSTS_FILE);
    let webdav_username = checker.optional(&table::WEBDAV_USERNAME);
    let webdav_password = checker.optional(&table::WEBDAV_PASSWORD);
    let rclone_config = checker.optional(&table::RCLONE_CONFIG);
    Ok(OffsiteCredentials {
        aws_access_key_id: aws_access_key_id?,
        aws_secret_access_key: aws_secret_access_key?,
        aws_session_token: aws_session_token?,
        aws_region: aws_region?,
        aws_endpoint_url: aws_endpoint_url?,
        ssh_identity: ssh_identity?,
        ssh_known_hosts: ssh_known_hosts?,
        webdav_username: webdav_username?,
        webdav_password: webdav_password?,
        rclone_config: rclone_config?,
    })
}

/// Refuses a bucket that is named once with its service and once without, where that is the same service.
fn each_once(
    checker: &mut Checker,
    places: &[OffsitePlace],
    has_service: bool,
) -> Result<(), Faulty> {
    let mut seen = BTreeSet::new();
    if places.iter().all(|place| seen.insert(place.identity())) {
        return Ok(());
    }
    let problem = match has_service {
        true => "names one place twice, since AWS_ENDPOINT_URL is where its buckets are",
        false => {
            "names one place twice, since AWS is where its buckets are, in the region of AWS_REGION"
        }
    };
    let refusal = Refusal::new(problem, "name each place once");
    Err(checker.refuse(&table::OFFSITE_URL.setting, None, refusal))
}

/// Refuses the backup folder itself, where retention for copies would remove the archives.
fn elsewhere(
    checker: &mut Checker,
    places: &[OffsitePlace],
    backup_dir: &Path,
) -> Result<(), Faulty> {
    let backup_dir: PathBuf = backup_dir.components().collect();
    let inside = |place: &OffsitePlace| matches!(place, OffsitePlace::Folder(path) if path.starts_with(&backup_dir));
    if !places.iter().any(inside) {
        return Ok(());
    }
    let refusal = Refusal::new(
        "names BACKUP_DIR, or a folder in it, as the place for copies",
        "name a folder on another disk: what happens to the one must not happen to the other",
    );
    Err(checker.refuse(&table::OFFSITE_URL.setting, None, refusal))
}

/// Refuses a place whose door has no key.
fn keys(checker: &mut Checker, places: &[OffsitePlace]) {
    let any = |kind: fn(&OffsitePlace) -> bool| places.iter().any(kind);
    let needed = [
        (
            any(|place| matches!(place, OffsitePlace::S3 { .. })),
            [
                &table::AWS_ACCESS_KEY_ID.setting,
                &table::AWS_SECRET_ACCESS_KEY.setting,
            ],
            "is not set, but OFFSITE_URL names a bucket",
        ),
        (
            any(|place| matches!(place, OffsitePlace::WebDav { .. })),
            [
                &table::WEBDAV_USERNAME.setting,
                &table::WEBDAV_PASSWORD.setting,
            ],
            "is not set, but OFFSITE_URL names a WebDAV server",
        ),
    ];
    for (_, settings, problem) in needed.into_iter().filter(|(needed, ..)| *needed) {
        for setting in settings {
            if !checker.is_given(setting) {
                checker.missing(setting, problem, "set it");
            }
        }
    }
}
