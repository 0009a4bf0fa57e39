use super::{Repository, RepositoryError};
use crate::archive::compression::Compression;
use crate::archive::sidecar::Sidecar;
use crate::report::Explain;
use crate::store::summary::VerificationRecord;
use crate::sys::runtime::Runtime;
use crate::testing::zone;
use crate::testing::{Sample, archive_named, encode};
use chrono::{DateTime, Utc};
use mongodb::bson::doc;
use std::fs::{self, File};
use tempfile::TempDir;

fn kitchen() -> (TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::new(
        folder.path().to_owned(),
        "jorbites".into(),
        zone("Europe/Madrid"),
    );
    (folder, repository)
}

fn put(repository: &Repository, stem: &str, made_at: &str) {
    let file = File::create_new(repository.archive_path(stem)).unwrap();
    let samples = [Sample::new("d", "c", vec![encode(&doc! { "_id": 1 })])];
    archive_named(&file, &samples, stem, made_at.parse().unwrap()).unwrap();
}

#[test]
fn in_the_hour_that_comes_twice_the_latest_is_the_one_made_last() {
    let (_folder, repository) = kitchen();
    put(
        &repository,
        "jorbites_backup_20251019_020000",
        "2025-10-19T00:00:00Z",
    );
    // Summer time ended at 03:00, which was 02:00 again.
    put(
        &repository,
        "jorbites_backup_20251026_025000",
        "2025-10-26T00:50:00Z",
    );
    put(
        &repository,
        "jorbites_backup_20251026_021000",
        "2025-10-26T01:10:00Z",
    );
    assert_eq!(
        repository.find("latest").unwrap(),
        "jorbites_backup_20251026_021000"
    );
}

#[test]
fn a_name_that_was_used_before_the_clock_was_set_back_is_not_used_again() {
    let (_folder, repository) = kitchen();
    let now: DateTime<Utc> = "2025-05-31T11:41:08Z".parse().unwrap();
    put(
        &repository,
        "jorbites_backup_20250531_134108",
        "2025-05-31T11:41:08Z",
    );
    for (compression, free) in [
        (Compression::Gzip, "jorbites_backup_20250531_134109"),
        (Compression::Zstd, "jorbites_backup_20250531_134109.tar.zst"),
    ] {
        assert_eq!(repository.free_stem(now, compression, |_| false), free);
    }
}

#[test]
fn a_verdict_about_another_file_of_the_same_name_does_not_count() {
    let (_folder, repository) = kitchen();
    let stem = "jorbites_backup_20250531_134108";
    put(&repository, stem, "2025-05-31T11:41:08Z");
    let at = "2025-06-01T00:00:00Z".parse().unwrap();
    let bytes = fs::metadata(repository.archive_path(stem)).unwrap().len();
    let damaged = VerificationRecord {
        at,
        archive_bytes: bytes,
        damage: Some("torn".into()),
        drilled_at: None,
    };
    repository
        .record_verification(stem, damaged.clone())
        .unwrap();
    assert_eq!(repository.summary(stem).damage.as_deref(), Some("torn"));
    assert_eq!(repository.summary(stem).verified_at, None);
    repository
        .record_verification(
            stem,
            VerificationRecord {
                archive_bytes: bytes + 1,
                ..damaged
            },
        )
        .unwrap();
    assert_eq!(repository.summary(stem).damage, None);
}

#[test]
fn only_leftovers_of_ours_are_swept() {
    let (folder, repository) = kitchen();
    let locked = repository.lock(false).unwrap();
    let ours = [
        ".jorbites_backup_20250531_134108.tar.gz.partial",
        ".jorbites_backup_20250531_134108.tar.gz.sha256.partial",
        ".jorbites_backup_20250531_134108.tar.zst.partial",
        ".jorbites_backup_20250531_134108.tar.zst.sha256.partial",
    ];
    let foreign = [
        "jorbites_backup_20250531_134108.tar.gz.partial",
        ".jorbites_backup_20250531_134108.partial",
        ".jorbites_backup_2025.tar.gz.partial",
        ".jorbites_backup_2025.tar.zst.partial",
        ".jorbites_backup_20250531_134108.tar.xz.partial",
        ".other_backup_20250531_134108.tar.gz.partial",
        "jorbites_backup_20250531_134108.tar.gz",
    ];
    for name in ours.iter().chain(&foreign) {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let link = folder
        .path()
        .join(".jorbites_backup_20250601_000000.tar.gz.partial");
    std::os::unix::fs::symlink(folder.path().join(foreign[0]), &link).unwrap();
    assert_eq!(locked.sweep(), ours.len() as u64);
    assert!(foreign.iter().all(|name| folder.path().join(name).exists()));
    assert!(
        fs::symlink_metadata(&link).is_ok(),
        "a link is not a leftover of ours"
    );
    drop(locked);
}

#[test]
fn a_folder_that_bears_no_trace_of_us_is_refused_when_the_disk_has_to_be_the_one_it_was() {
    let (folder, repository) = kitchen();
    let refusal = repository.lock(true).unwrap_err().problem(Runtime::Plain);
    let help = refusal.help.unwrap_or_default();
    assert!(
        refusal.summary.contains("is not the disk it was") && help.contains("mkdir -p"),
        "{}; {help}",
        refusal.summary
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was made there"
    );
    put(
        &repository,
        "jorbites_backup_20250531_134108",
        "2025-05-31T11:41:08Z",
    );
    assert!(repository.lock(true).is_ok(), "an archive is a trace");
    fs::remove_file(repository.archive_path("jorbites_backup_20250531_134108")).unwrap();
    assert!(repository.lock(true).is_ok(), "so is our own folder");
}

/// Two archives that differ in nothing but the extension are two.
#[test]
fn both_kinds_of_archive_lie_in_one_folder_and_are_told_apart() {
    let (folder, repository) = kitchen();
    let [plain, other] = [
        "jorbites_backup_20250531_134108",
        "jorbites_backup_20250601_020000",
    ];
    let zstd = &format!("{plain}.tar.zst");
    put(&repository, plain, "2025-05-31T11:41:08Z");
    put(&repository, zstd, "2025-05-31T11:41:08Z");
    put(
        &repository,
        &format!("{other}.tar.zst"),
        "2025-06-01T00:00:00Z",
    );
    fs::write(
        folder.path().join("jorbites_backup_20250601_030000.tar.xz"),
        "x",
    )
    .unwrap();
    let stems = repository.stems().unwrap();
    assert_eq!(stems, [plain, zstd, &format!("{other}.tar.zst")]);
    assert_eq!(
        repository.find("latest").unwrap(),
        format!("{other}.tar.zst")
    );
    assert_eq!(repository.find(other).unwrap(), format!("{other}.tar.zst"));
    assert_eq!(repository.find(&format!("{plain}.tar.gz")).unwrap(), plain);
    assert_eq!(repository.find(zstd).unwrap(), *zstd);
    let error = repository.find(plain).unwrap_err();
    assert!(
        matches!(error, RepositoryError::SeveralSuchArchives(_)),
        "{error}"
    );
    assert_eq!(
        repository
            .find(&format!("{other}.tar.gz"))
            .unwrap_err()
            .to_string(),
        format!("there is no {other}.tar.gz in {}", folder.path().display())
    );
    // What is known of one says nothing of the other.
    let locked = repository.lock(false).unwrap();
    let sidecar = format!("{}  {zstd}\n", "ab".repeat(32));
    fs::write(folder.path().join(format!("{zstd}.sha256")), sidecar).unwrap();
    assert_eq!(repository.sidecar(zstd), Sidecar::Sha256([0xab; 32]));
    assert_eq!(repository.sidecar(plain), Sidecar::Missing);
    locked.remove(zstd).unwrap();
    assert_eq!(
        repository.stems().unwrap(),
        [plain, &format!("{other}.tar.zst")]
    );
    assert!(!folder.path().join(format!("{zstd}.sha256")).exists());
}
