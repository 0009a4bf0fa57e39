//! A part of what is sent whose checksums are known before it goes, and which can go again: a service that checks them wants
//! them first.
//!
//! It is read twice where it lies, so that no memory is taken for it, however large it is. What is sealed on its way is never
//! sealed twice: it is kept, in memory while it is small, otherwise in a file.

use super::error::StoreError;
use super::scratch::Scratch;
use super::source::{Source, unsound};
use super::transfer::Share;
use crate::sys::http::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// What is kept in memory at most.
const MOST_IN_MEMORY: u64 = 8 * 1024 * 1024;
/// How much of it is handed to the connection at a time. What it was given counts as moved.
const PIECE_BYTES: u64 = 128 * 1024;

/// A part, and what tells whether it arrived.
pub(super) struct Portion {
    content: Content,
    pub bytes: u64,
    pub sha256: [u8; 32],
    pub md5: [u8; 16],
}

enum Content {
    Memory(Bytes),
    /// From this position on.
    File(Arc<File>, u64),
    Scratch(Scratch),
}

/// What becomes a content.
enum Kept {
    Lies(Arc<File>, u64),
    Memory(BytesMut),
    Scratch(Scratch),
}

impl Portion {
    /// The next `most` bytes of a source, or what is left of it; `name` is that of a file for it in `scratch`.
    pub(super) async fn next(
        source: &mut Source,
        most: u64,
        scratch: &Path,
        name: &str,
    ) -> Result<Self, StoreError> {
        let mut kept = match source.lies() {
            Some((file, position)) => Kept::Lies(file, position),
            None if most <= MOST_IN_MEMORY => {
                let room = most.min(source.bytes()) as usize;
                Kept::Memory(BytesMut::with_capacity(room))
            }
            None => Kept::Scratch(Scratch::create(scratch, name, most)?),
        };
        let (mut sha256, mut md5, mut bytes) = (Sha256::new(), Md5::new(), 0);
        while bytes < most {
            let Some(piece) = source.next_unhurried().await? else {
                break;
            };
            source.transfer().stir();
            sha256.update(&piece);
            md5.update(&piece);
            bytes += piece.len() as u64;
            match &mut kept {
                Kept::Lies(..) => {}
                Kept::Memory(content) => content.extend_from_slice(&piece),
                Kept::Scratch(scratch) => scratch.write(piece).await?,
            }
        }
        let content = match kept {
            Kept::Lies(file, start) => Content::File(file, start),
            Kept::Memory(content) => Content::Memory(content.freeze()),
            Kept::Scratch(scratch) => Content::Scratch(scratch),
        };
        Ok(Portion {
            content,
            bytes,
            sha256: sha256.finalize().into(),
            md5: md5.finalize().into(),
        })
    }

    /// All of it, as a body that is read as it is sent. What is not what it was when its checksum was made never comes to
    /// its end.
    pub(super) fn body(&self, share: &Arc<Share>) -> Body {
        let reading = Reading {
            input: match &self.content {
                Content::Memory(bytes) => Input::Memory(bytes.clone()),
                Content::File(file, start) => Input::File(Arc::clone(file), *start),
                Content::Scratch(scratch) => Input::File(scratch.partial().file(), 0),
            },
            bytes: self.bytes,
            sha256: self.sha256,
            position: 0,
            hasher: Sha256::new(),
            share: Arc::clone(share),
        };
        let pieces = futures_util::stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(piece)) => Some((Ok(Frame::data(piece)), Some(reading))),
                Ok(None) => None,
                Err(problem) => {
                    let error = unsound(&problem);
                    reading.share.broke(&error);
                    Some((Err(io::Error::other(error.to_string())), None))
                }
            }
        });
        StreamBody::new(pieces).boxed_unsync()
    }
}

enum Input {
    Memory(Bytes),
    File(Arc<File>, u64),
}

/// One pass over a portion.
struct Reading {
    input: Input,
    bytes: u64,
    sha256: [u8; 32],
    position: u64,
    hasher: Sha256,
    share: Arc<Share>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, String> {
        let length = (self.bytes - self.position).min(PIECE_BYTES);
        if length == 0 {
            return Ok(None);
        }
        let piece = self.piece(length as usize).await?;
        self.position += length;
        if self.position == self.bytes && self.hasher.clone().finalize() != self.sha256 {
            return Err("it became another file while it was sent".into());
        }
        self.share.pass(piece.len(), self.position).await;
        Ok(Some(piece))
    }

    async fn piece(&mut self, length: usize) -> Result<Bytes, String> {
        let (file, at) = match &self.input {
            Input::Memory(bytes) => {
                let at = self.position as usize;
                let piece = bytes.slice(at..at + length);
                self.hasher.update(&piece);
                return Ok(piece);
            }
            Input::File(file, start) => (Arc::clone(file), start + self.position),
        };
        let mut hasher = std::mem::take(&mut self.hasher);
        let reading = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; length];
            file.read_exact_at(&mut piece, at)?;
            hasher.update(&piece);
            Ok::<_, io::Error>((piece, hasher))
        });
        match reading.await.map_err(io::Error::other).flatten() {
            Ok((piece, hasher)) => {
                self.hasher = hasher;
                Ok(piece.into())
            }
            Err(error) => Err(format!("it cannot be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::seal::{Recipient, generate};
    use crate::store::remote::Transfer;
    use std::fs;

    async fn sent(portion: &Portion, transfer: &Arc<Transfer>) -> Vec<u8> {
        let body = portion.body(&Share::of(transfer)).collect().await;
        body.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn whatever_it_is_a_part_of_it_goes_twice_and_takes_little_memory() {
        const PART: u64 = MOST_IN_MEMORY + 1024 * 1024;
        let folder = tempfile::tempdir().unwrap();
        let (scratch, path) = (folder.path().join("sending"), folder.path().join("plain"));
        let plain: Vec<u8> = (0..PART + 1000).map(|at| (at / 7) as u8).collect();
        fs::write(&path, &plain).unwrap();
        let (bytes, sha256) = (plain.len() as u64, Sha256::digest(&plain).into());
        let transfer = Transfer::new(None);
        let file = || File::open(&path).unwrap();
        let to = [Recipient::parse(&generate().0).unwrap()];
        for sealed in [false, true] {
            let mut source = match sealed {
                false => Source::of_file(file(), path.clone(), bytes, sha256, &transfer),
                true => {
                    let quiet = Arc::new(|_: &_| Ok(()));
                    Source::sealed(file(), bytes, sha256, &to, quiet, &transfer).unwrap()
                }
            };
            let (total, mut all) = (source.bytes(), Sha256::new());
            for (number, length) in [(1, PART), (2, total - PART)] {
                let name = number.to_string();
                let portion = Portion::next(&mut source, PART, &scratch, &name)
                    .await
                    .unwrap();
                assert_eq!(portion.bytes, length);
                match (&portion.content, sealed) {
                    (Content::File(..), false) | (Content::Scratch(_), true) => {}
                    _ => panic!("a part that is large is in memory"),
                }
                let (one, two) = (
                    sent(&portion, &transfer).await,
                    sent(&portion, &transfer).await,
                );
                assert!(one == two && portion.sha256 == <[u8; 32]>::from(Sha256::digest(&one)));
                all.update(&one);
            }
            let outcome = source.outcome().get().unwrap();
            assert_eq!(outcome.sha256, <[u8; 32]>::from(all.finalize()));
        }
        assert_eq!(
            fs::read_dir(&scratch).unwrap().count(),
            0,
            "nothing is left over"
        );
    }
}
