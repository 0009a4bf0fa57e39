use super::*;
use crate::archive::seal::keyring::is_sealed;
use crate::archive::seal::{Recipient, Sealing, generate};
use std::fs::{self, File};
use tempfile::TempDir;

struct Sealed {
    folder: TempDir,
    plain: Vec<u8>,
    keyring: Keyring,
}

impl Sealed {
    fn of(bytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plain: Vec<u8> = (0..bytes as u32)
            .flat_map(u32::to_le_bytes)
            .take(bytes)
            .collect();
        let (public, secret) = generate();
        let key = folder.path().join("key");
        fs::write(&key, secret.expose()).unwrap();
        let recipient = Recipient::parse(&public).unwrap();
        let mut sealed = Vec::new();
        Sealing::new(plain.as_slice(), &[recipient])
            .unwrap()
            .read_to_end(&mut sealed)
            .unwrap();
        fs::write(folder.path().join("sealed"), sealed).unwrap();
        Sealed {
            folder,
            plain,
            keyring: Keyring::new(Some(key)),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("sealed")).unwrap()
    }

    fn open(&self) -> Result<Source, UnsealError> {
        let file = File::open(self.folder.path().join("sealed")).unwrap();
        unseal(Source::file(file).unwrap(), &self.keyring)
    }

    /// Reads a changed copy, all of it.
    fn read_changed(&self, bytes: &[u8]) -> Result<Vec<u8>, UnsealError> {
        let path = self.folder.path().join("changed");
        fs::write(&path, bytes).unwrap();
        let mut source = unseal(
            Source::file(File::open(&path).unwrap()).unwrap(),
            &self.keyring,
        )?;
        let mut read = Vec::new();
        source.read_to_end(&mut read)?;
        Ok(read)
    }
}

#[test]
fn what_was_sealed_is_read_from_any_position() {
    for bytes in [0, 1, 65_535, 65_536, 65_537, 3 * 65_536, 500_000] {
        let sealed = Sealed::of(bytes);
        assert!(is_sealed(&sealed.bytes()));
        let source = sealed.open().unwrap();
        assert_eq!(
            (source.length(), source.file_length()),
            (bytes as u64, sealed.bytes().len() as u64)
        );
        let mut all = Vec::new();
        source.at(0).read_to_end(&mut all).unwrap();
        assert!(all == sealed.plain, "{bytes}");
        for position in [
            bytes / 2,
            65_536,
            0,
            65_535,
            131_072,
            bytes.saturating_sub(1),
            bytes / 3,
        ] {
            let mut rest = Vec::new();
            source
                .at(position as u64)
                .take(100_000)
                .read_to_end(&mut rest)
                .unwrap();
            let from = position.min(bytes);
            assert!(
                rest == sealed.plain[from..bytes.min(from + 100_000)],
                "{bytes} at {position}"
            );
        }
    }
}

#[test]
fn four_read_at_once() {
    let sealed = Sealed::of(1_000_000);
    let source = sealed.open().unwrap();
    std::thread::scope(|scope| {
        for start in [0usize, 250_000, 500_000, 750_000] {
            let (mut from, plain) = (source.at(start as u64), &sealed.plain);
            scope.spawn(move || {
                let mut piece = [0; 999];
                let mut at = start;
                while at < start + 250_000 {
                    let read = from.read(&mut piece).unwrap();
                    assert!(piece[..read] == plain[at..at + read]);
                    at += read;
                }
            });
        }
    });
}

#[test]
fn a_change_anywhere_and_a_cut_anywhere_are_found() {
    let sealed = Sealed::of(140_000);
    let bytes = sealed.bytes();
    let header = bytes.len() - 140_000;
    for at in (0..header).chain((header..bytes.len()).step_by(1009)) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(sealed.read_changed(&changed).is_err(), "byte {at}");
    }
    for length in
        (0..bytes.len())
            .step_by(997)
            .chain([header + 32, header + 65_552, bytes.len() - 1])
    {
        assert!(
            sealed.read_changed(&bytes[..length]).is_err(),
            "cut at {length}"
        );
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(matches!(
        sealed.read_changed(&longer),
        Err(UnsealError::End)
    ));
}

#[test]
fn each_problem_is_told_by_its_name() {
    let sealed = Sealed::of(200_000);
    let bytes = sealed.bytes();
    let problem = |bytes: &[u8]| sealed.read_changed(bytes).unwrap_err().to_string();
    assert!(problem(b"").contains("header"));
    assert!(problem(&bytes[..40]).contains("header"));
    assert!(problem(&bytes[..bytes.len() - 1]).contains("cut short"));
    let mut changed = bytes.clone();
    changed[100_000] ^= 1;
    assert!(problem(&changed).contains("bytes were changed"));
    let other = Sealed::of(10);
    let file = File::open(sealed.folder.path().join("sealed")).unwrap();
    let wrong = unseal(Source::file(file).unwrap(), &other.keyring);
    assert!(matches!(wrong.err(), Some(UnsealError::WrongKey(_))));
    let file = File::open(sealed.folder.path().join("sealed")).unwrap();
    let none = unseal(Source::file(file).unwrap(), &Keyring::default());
    assert!(matches!(
        none.err(),
        Some(UnsealError::Key(KeyError::NoKey))
    ));
}
