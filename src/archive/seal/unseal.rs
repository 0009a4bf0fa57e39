//! Opens what was sealed, to be read from any position.

use super::keyring::{Key, KeyError, Keyring};
use crate::archive::source::{ReadAt, Source};
use age::stream::StreamReader;
use age::{DecryptError, Decryptor};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Read ahead while the header is read, in bytes.
const HEADER_BYTES: usize = 16 * 1024;
/// Readers that wait for what follows what they read last: as many collections are restored at once, and one more.
const MOST_IDLE: usize = 5;

/// Why a sealed file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnsealError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("none of the keys in {} opens it: it was sealed to others, or its header was changed", .0.display())]
    WrongKey(PathBuf),
    #[error("the header of the sealed file is damaged")]
    Header,
    #[error("the end of the sealed file is missing or damaged: it was cut short or changed")]
    End,
    #[error("reading failed: {0}")]
    Read(#[from] io::Error),
}

/// The content of a sealed file is not what was sealed.
#[derive(Debug, thiserror::Error)]
#[error("around byte {0} of the sealed file, bytes were changed")]
struct Changed(u64);

/// Opens a sealed file with the keys that are here.
pub(crate) fn unseal(sealed: Source, keyring: &Keyring) -> Result<Source, UnsealError> {
    let keys = keyring.keys()?;
    let path = keyring
        .path()
        .unwrap_or(std::path::Path::new(""))
        .to_owned();
    Source::unsealed(sealed, |sealed| {
        let mut first = open(&sealed, &keys, &path)?;
        // The last chunk says that it is the last: a file that was cut off has none.
        let bytes = first
            .seek(SeekFrom::End(0))
            .map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => UnsealError::End,
                _ => UnsealError::Read(error),
            })?;
        first.rewind()?;
        let first = Reader {
            stream: first,
            position: 0,
        };
        let unsealed = Unsealed {
            sealed,
            keys,
            path,
            bytes,
            idle: Mutex::new(vec![first]),
        };
        Ok(Arc::new(unsealed) as Arc<dyn ReadAt>)
    })
}

type Stream = StreamReader<BufReader<Source>>;

fn open(sealed: &Source, keys: &[Key], path: &std::path::Path) -> Result<Stream, UnsealError> {
    let input = BufReader::with_capacity(HEADER_BYTES, sealed.at(0));
    let decryptor = Decryptor::new_buffered(input).map_err(|error| match error {
        DecryptError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            UnsealError::Read(error)
        }
        _ => UnsealError::Header,
    })?;
    decryptor
        .decrypt(keys.iter().map(Key::as_age))
        .map_err(|error| match error {
            DecryptError::NoMatchingKeys => UnsealError::WrongKey(path.to_owned()),
            DecryptError::Io(error) => UnsealError::Read(error),
            _ => UnsealError::Header,
        })
}

struct Unsealed {
    sealed: Source,
    keys: Arc<Vec<Key>>,
    path: PathBuf,
    bytes: u64,
    idle: Mutex<Vec<Reader>>,
}

/// Decrypts from where it stands; the oldest comes first among the idle.
struct Reader {
    stream: Stream,
    position: u64,
}

impl Unsealed {
    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader that stands at `position`.
    fn reader(&self, position: u64) -> io::Result<Reader> {
        let found = {
            let mut idle = self.idle();
            let there = idle.iter().position(|one| one.position == position);
            match there {
                Some(at) => return Ok(idle.remove(at)),
                None if idle.len() >= MOST_IDLE => Some(idle.remove(0)),
                None => None,
            }
        };
        let mut reader = match found {
            Some(reader) => reader,
            None => Reader {
                stream: open(&self.sealed, &self.keys, &self.path).map_err(io::Error::other)?,
                position: 0,
            },
        };
        reader.stream.seek(SeekFrom::Start(position))?;
        reader.position = position;
        Ok(reader)
    }
}

impl ReadAt for Unsealed {
    fn length(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        if position >= self.bytes || buffer.is_empty() {
            return Ok(0);
        }
        let most = buffer
            .len()
            .min(usize::try_from(self.bytes - position).unwrap_or(usize::MAX));
        // One that failed is not used again.
        let explain = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                io::Error::other(Changed(position))
            }
            _ => error,
        };
        let mut reader = self.reader(position).map_err(explain)?;
        let read = reader.stream.read(&mut buffer[..most]).map_err(explain)?;
        reader.position += read as u64;
        self.idle().push(reader);
        match read {
            0 => Err(io::Error::other(Changed(position))),
            read => Ok(read),
        }
    }
}

#[cfg(test)]
mod tests;
