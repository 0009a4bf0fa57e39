use super::*;
use crate::archive::seal::{Keyring, generate, unseal};
use crate::archive::source;
use std::fs;

struct Sample {
    folder: tempfile::TempDir,
    plain: Vec<u8>,
    to: Recipient,
}

impl Sample {
    fn of(bytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plain: Vec<u8> = (0..bytes).map(|at| (at * 7 / 3) as u8).collect();
        fs::write(folder.path().join("plain"), &plain).unwrap();
        let (public, secret) = generate();
        fs::write(folder.path().join("key"), secret.expose()).unwrap();
        let to = Recipient::parse(&public).unwrap();
        Sample { folder, plain, to }
    }

    fn source(&self, sha256: [u8; 32], announce: Announce) -> Source {
        let file = File::open(self.folder.path().join("plain")).unwrap();
        let (bytes, to) = (self.plain.len() as u64, [self.to.clone()]);
        Source::sealed(file, bytes, sha256, &to, announce, &Transfer::new(None)).unwrap()
    }

    fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.plain).into()
    }

    fn opened(&self, sealed: &[u8]) -> Vec<u8> {
        let path = self.folder.path().join("sealed");
        fs::write(&path, sealed).unwrap();
        let keyring = Keyring::new(Some(self.folder.path().join("key")));
        let sealed = source::Source::file(File::open(&path).unwrap()).unwrap();
        let mut plain = Vec::new();
        unseal(sealed, &keyring)
            .unwrap()
            .read_to_end(&mut plain)
            .unwrap();
        plain
    }
}

fn quiet() -> Announce {
    Arc::new(|_| Ok(()))
}

/// All that comes, and how it ended.
async fn drain(source: &mut Source) -> (Vec<u8>, Result<(), StoreError>) {
    let mut all = Vec::new();
    loop {
        match source.next().await {
            Ok(Some(piece)) => all.extend_from_slice(&piece),
            Ok(None) => return (all, Ok(())),
            Err(error) => return (all, Err(error)),
        }
    }
}

#[tokio::test]
async fn what_is_sealed_on_its_way_has_the_length_that_was_said_and_opens_again() {
    for bytes in [0, 1, 65_535, 65_536, 65_537, 131_072, 300_000] {
        let sample = Sample::of(bytes);
        let mut source = sample.source(sample.sha256(), quiet());
        let outcome = source.outcome();
        let (sealed, ended) = drain(&mut source).await;
        ended.unwrap();
        assert_eq!(sealed.len() as u64, source.bytes(), "{bytes}");
        let measured = outcome.get().unwrap();
        assert_eq!(measured.sha256, <[u8; 32]>::from(Sha256::digest(&sealed)));
        assert!(sample.opened(&sealed) == sample.plain, "{bytes}");
    }
}

#[tokio::test]
async fn another_pass_has_another_key_and_its_own_outcome() {
    let sample = Sample::of(200_000);
    let mut first = sample.source(sample.sha256(), quiet());
    let (one, _) = drain(&mut first).await;
    let mut second = first.again().unwrap();
    assert_eq!(first.outcome().get(), None);
    let (two, ended) = drain(&mut second).await;
    ended.unwrap();
    // Not one chunk is the same: they have no key in common.
    let chunks = |sealed: &[u8]| -> Vec<Vec<u8>> {
        let windows = sealed.chunks(64).map(<[u8]>::to_vec);
        windows.skip(10).collect()
    };
    assert!(
        chunks(&one)
            .iter()
            .all(|chunk| !chunks(&two).contains(chunk))
    );
    let measured = first.outcome().get().unwrap();
    assert_eq!(measured.sha256, <[u8; 32]>::from(Sha256::digest(&two)));
    assert!(sample.opened(&two) == sample.plain);
}

#[tokio::test]
async fn an_archive_that_is_no_longer_what_was_verified_never_comes_to_its_end() {
    let sample = Sample::of(200_000);
    let mut source = sample.source([7; 32], quiet());
    let (sealed, ended) = drain(&mut source).await;
    assert!(ended.unwrap_err().to_string().contains("its checksum"));
    assert!((sealed.len() as u64) < source.bytes() && source.outcome().get().is_none());
    // One that was cut short, too.
    let mut source = sample.source(sample.sha256(), quiet());
    let file = File::options()
        .write(true)
        .open(sample.folder.path().join("plain"));
    file.unwrap().set_len(100_000).unwrap();
    let (_, ended) = drain(&mut source).await;
    assert!(ended.unwrap_err().to_string().contains("shorter"));
}

#[tokio::test]
async fn the_last_piece_waits_for_the_note_of_it() {
    let sample = Sample::of(10);
    let mut source = sample.source(
        sample.sha256(),
        Arc::new(|_| Err("the disk is full".into())),
    );
    let (sealed, ended) = drain(&mut source).await;
    assert!(sealed.is_empty() && ended.unwrap_err().to_string().contains("the disk is full"));
}
