//! Where an archive's bytes come from: a file, a sealed file that is opened on the way, or ranges of a file elsewhere.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are read from any position, by several readers at once.
pub(crate) trait ReadAt: Send + Sync {
    /// How many there are.
    fn length(&self) -> u64;

    /// Reads some bytes from `position` on; none at the end.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
}

/// A file as it was when it was opened.
struct OpenFile {
    file: File,
    bytes: u64,
}

impl ReadAt for OpenFile {
    fn length(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }
}

/// An archive that is open to be read. A clone reads from a position of its own.
#[derive(Clone)]
pub(crate) struct Source {
    content: Arc<dyn ReadAt>,
    position: u64,
    /// The file that the content is sealed in.
    sealed: Option<Arc<Watched>>,
}

impl Source {
    /// A file that is open.
    pub(crate) fn file(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Source::new(Arc::new(OpenFile { file, bytes })))
    }

    pub(crate) fn new(content: Arc<dyn ReadAt>) -> Self {
        Source {
            content,
            position: 0,
            sealed: None,
        }
    }

    /// What is inside `sealed`, which `open` makes readable.
    pub(super) fn unsealed<E>(
        sealed: Source,
        open: impl FnOnce(Source) -> Result<Arc<dyn ReadAt>, E>,
    ) -> Result<Self, E> {
        let watched = Arc::new(Watched::new(sealed.content));
        let content = open(Source::new(Arc::clone(&watched) as Arc<dyn ReadAt>))?;
        Ok(Source {
            content,
            position: 0,
            sealed: Some(watched),
        })
    }

    /// Bytes of the archive.
    pub(crate) fn length(&self) -> u64 {
        self.content.length()
    }

    /// Bytes of the file that it lies in: more than its own where it is sealed.
    pub(crate) fn file_length(&self) -> u64 {
        let sealed = self.sealed.as_ref().map(|sealed| sealed.length());
        sealed.unwrap_or(self.length())
    }

    /// The SHA-256 of the file it lies in, where that is not the archive's own: of what was read of it, and of the rest,
    /// which is read now.
    pub(crate) fn sealed_sha256(&self) -> io::Result<Option<[u8; 32]>> {
        let sealed = self.sealed.as_ref();
        sealed.map(|sealed| sealed.finish()).transpose()
    }

    /// Reads from `position` on, whatever others read.
    pub(crate) fn at(&self, position: u64) -> Self {
        Source {
            position,
            ..self.clone()
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.length().checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Hashes what is read in order, so that a file that is read through is read once.
struct Watched {
    content: Arc<dyn ReadAt>,
    hashed: Mutex<Hashed>,
}

#[derive(Default)]
struct Hashed {
    bytes: u64,
    sha256: Sha256,
}

impl Watched {
    fn new(content: Arc<dyn ReadAt>) -> Self {
        Watched {
            content,
            hashed: Mutex::default(),
        }
    }

    /// Bytes that were read before count once; those behind a gap count when the gap is read.
    fn note(&self, bytes: &[u8], position: u64) {
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hashed.bytes.checked_sub(position);
        let fresh = known.and_then(|known| bytes.get(usize::try_from(known).ok()?..));
        if let Some(fresh) = fresh {
            hashed.sha256.update(fresh);
            hashed.bytes += fresh.len() as u64;
        }
    }

    fn finish(&self) -> io::Result<[u8; 32]> {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let position = {
                let hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
                if hashed.bytes >= self.length() {
                    return Ok(hashed.sha256.clone().finalize().into());
                }
                hashed.bytes
            };
            if self.read_at(&mut buffer, position)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl ReadAt for Watched {
    fn length(&self) -> u64 {
        self.content.length()
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let read = self.content.read_at(buffer, position)?;
        self.note(&buffer[..read], position);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_file_in_whatever_order_it_was_read() {
        let bytes: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &bytes).unwrap();
        let file = Source::file(File::open(path.path()).unwrap()).unwrap();
        let unsealed = Source::unsealed(file, |file| Ok::<_, io::Error>(Arc::clone(&file.content)));
        let source = unsealed.unwrap();
        let mut piece = vec![0; 1000];
        for position in [99_500, 0, 500, 50_000, 1000, 0] {
            let read = source.at(position).read(&mut piece).unwrap();
            let at = position as usize;
            assert_eq!(piece[..read], bytes[at..at + read]);
        }
        let expected: [u8; 32] = Sha256::digest(&bytes).into();
        assert_eq!(source.sealed_sha256().unwrap(), Some(expected));
    }
}
