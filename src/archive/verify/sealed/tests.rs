use super::*;
use crate::archive::compression::Compression;
use crate::archive::seal::{Recipient, Sealing, generate, unseal};
use crate::archive::source::ReadAt;
use crate::archive::verify;
use crate::testing::{STEM, archive_in, kitchen};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Seek};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tempfile::NamedTempFile;

struct Memory(Vec<u8>);

impl ReadAt for Memory {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let from = usize::try_from(position).unwrap().min(self.0.len());
        (&self.0[from..]).read(buffer)
    }
}

/// A sealed archive, what is known of it, and its key.
struct Sample {
    sealed: Vec<u8>,
    known: SealedAs,
    keyring: Keyring,
    _key: NamedTempFile,
}

impl Sample {
    fn new() -> Self {
        let mut file = tempfile::tempfile().unwrap();
        archive_in(&file, &kitchen(20_000), Compression::Gzip).unwrap();
        file.rewind().unwrap();
        let (public, secret) = generate();
        let key = NamedTempFile::new().unwrap();
        std::fs::write(key.path(), secret.expose()).unwrap();
        let to = [Recipient::parse(&public).unwrap()];
        let mut sealed = Vec::new();
        Sealing::new(file, &to)
            .unwrap()
            .read_to_end(&mut sealed)
            .unwrap();
        let known = SealedAs {
            archive_bytes: sealed.len() as u64,
            sha256: hex::encode(Sha256::digest(&sealed)),
            documents: 7,
            bytes: 70,
        };
        Sample {
            sealed,
            known,
            keyring: Keyring::new(Some(key.path().to_owned())),
            _key: key,
        }
    }

    fn without_key(&self, bytes: Vec<u8>) -> VerifyReport {
        let source = Source::new(Arc::new(Memory(bytes)));
        let (missing, known) = (Sidecar::Missing, Some(&self.known));
        with_options(|options| verify_sealed("x", source, known, &missing, &Closed::NoKey, options))
    }

    /// None when it could not even be opened.
    fn with_key(&self, bytes: Vec<u8>) -> Option<VerifyReport> {
        let source = Source::new(Arc::new(Memory(bytes)));
        let source = unseal(source, &self.keyring).ok()?;
        let name = format!("{STEM}.tar.gz.age");
        let missing = Sidecar::Missing;
        Some(with_options(|options| {
            verify::verify(&name, source, &missing, options)
        }))
    }

    fn flipped(&self, number: usize) -> Vec<u8> {
        let mut bytes = self.sealed.clone();
        // A prime walks over all of it.
        let bit = number * 7919 % (8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    }
}

fn with_options(read: impl FnOnce(&Options) -> Result<VerifyReport, Interrupted>) -> VerifyReport {
    let cancelled = AtomicBool::new(false);
    let options = Options {
        threads: NonZeroUsize::MIN,
        cancelled: &cancelled,
        moved: &|_| {},
    };
    read(&options).unwrap()
}

#[test]
fn what_was_sealed_is_sound_with_its_key_and_without() {
    let sample = Sample::new();
    let without = sample.without_key(sample.sealed.clone());
    assert!(without.sound, "{without:?}");
    assert_eq!(without.documents, 7);
    assert!(without.not_checked[0].contains("there is no key here"));
    let with = sample.with_key(sample.sealed.clone()).unwrap();
    assert!(with.sound, "{with:?}");
    assert!(with.documents > 0);
    assert_eq!(with.sha256, without.sha256);
    assert_eq!(with.archive_bytes, sample.sealed.len() as u64);
}

#[test]
fn without_a_key_and_anything_to_compare_with_nothing_is_called_sound() {
    let sample = Sample::new();
    let source = Source::new(Arc::new(Memory(sample.sealed)));
    let missing = Sidecar::Missing;
    let report =
        with_options(|options| verify_sealed("x", source, None, &missing, &Closed::NoKey, options));
    assert!(!report.sound);
    assert!(report.damage[0].contains("nothing to hold its checksum against"));
}

#[test]
fn ten_thousand_flips_are_found_without_the_key() {
    let sample = Sample::new();
    for number in 0..10_000 {
        assert!(
            !sample.without_key(sample.flipped(number)).sound,
            "{number}"
        );
    }
}

#[test]
fn flips_are_found_with_the_key_and_no_checksum_beside_it() {
    let sample = Sample::new();
    flips_with_key(&sample, (0..10_000).step_by(97));
}

/// Takes some minutes: `cargo test --release -- --ignored ten_thousand`.
#[test]
#[ignore = "opens 10,000 archives"]
fn ten_thousand_flips_are_found_with_the_key() {
    let sample = Sample::new();
    flips_with_key(&sample, 0..10_000);
}

fn flips_with_key(sample: &Sample, numbers: impl Iterator<Item = usize>) {
    for number in numbers {
        let report = sample.with_key(sample.flipped(number));
        assert!(report.is_none_or(|report| !report.sound), "{number}");
    }
}
