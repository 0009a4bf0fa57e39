//! Walks through a tar.gz or tar.zst that anyone may have made, and trusts nothing in it.
//!
//! Only regular files and folders pass, each path once, none that leads out of the archive. What a header claims costs
//! nothing until it is there: no name, no list of extensions and no padding is read beyond a size that honest tars stay
//! far below, so that a small file cannot unpack into a full memory.

use super::decoder::decoder;
use super::reader::{Damage, reason};
use crate::archive::io::Hashing;
use crate::archive::manifest;
use crate::archive::source::Source;
use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use tar::EntryType;

/// Bytes from the end of one file to the beginning of the next: a header, and names and extensions before it.
const LONGEST_HEADERS: u64 = 1024 * 1024;
/// Zeros behind the last file; GNU tar pads to 10 KiB, tapes to some more.
const LONGEST_PADDING: u64 = 16 * 1024 * 1024;
/// Files and folders in one archive. Five thousand collections are ten thousand files.
const MOST_ENTRIES: usize = 250_000;

/// A path in bytes. No system takes a longer one.
const LONGEST_NAME: usize = 4096;
/// All paths together, in bytes: what is kept of them is kept in memory. A hundred thousand collections take half of it.
const LONGEST_NAMES: usize = 16 * 1024 * 1024;

/// How a walk ended.
pub(crate) struct Walked {
    pub sha256: [u8; 32],
    /// Why it ended before the end of the archive.
    pub problem: Option<String>,
}

/// Reads `source` from where it stands to its end and shows each regular file to `visit`: its whole path, the part of it
/// below the dump's top folder (`DB/FILE`, or `FILE` at the top), and its content.
///
/// `moved` is told the compressed bytes read so far. Only being interrupted, or a file that cannot be read, is an error.
pub(crate) fn walk(
    source: Source,
    stop: &AtomicBool,
    moved: &dyn Fn(u64),
    visit: &mut VisitPlaced,
) -> Result<Walked, Damage> {
    let input = Watched {
        input: Hashing::new(source, u64::MAX),
        stop,
        moved,
    };
    let unpacked = match decoder(BufReader::with_capacity(256 * 1024, input)) {
        Err(_) if stop.load(Ordering::Relaxed) => return Err(Damage::Interrupted),
        unpacked => unpacked?,
    };
    let mut seen = HashSet::new();
    let (mut unpacked, outcome) = files(unpacked, &mut |name, content| {
        let parts = inside(name)
            .ok_or_else(|| format!("{:?} points outside the archive", shortened(name)))?;
        let path = below_the_top(&parts);
        if !seen.insert(path.clone()) {
            return Err(format!("{:?} is there twice", shortened(name)));
        }
        visit(&parts.join("/"), &path, content)
    });
    // The checksum of the last member stands behind the end of the tar.
    let outcome = outcome.and_then(|()| only_padding(&mut unpacked));
    if stop.load(Ordering::Relaxed) {
        return Err(Damage::Interrupted);
    }
    let (sha256, _) = unpacked.into_inner().into_inner().input.finish()?;
    Ok(Walked {
        sha256,
        problem: outcome.err(),
    })
}

/// Is shown a file's name and content, and says what is wrong with them.
pub(super) type Visit<'v> = dyn FnMut(&str, &mut dyn Read) -> Result<(), String> + 'v;

/// The same, with its whole path in front.
pub(crate) type VisitPlaced<'v> = dyn FnMut(&str, &str, &mut dyn Read) -> Result<(), String> + 'v;

/// Shows each regular file of a tar to `visit`, and gives the input back. Ends at the first problem.
pub(crate) fn files<R: Read>(input: R, visit: &mut Visit) -> (R, Result<(), String>) {
    let fence = Rc::new(Cell::new(None));
    let mut tar = tar::Archive::new(Fenced {
        input,
        left: Rc::clone(&fence),
    });
    let outcome = entries(&mut tar, &fence, visit);
    (tar.into_inner().input, outcome)
}

fn entries<R: Read>(
    tar: &mut tar::Archive<Fenced<R>>,
    fence: &Cell<Option<u64>>,
    visit: &mut Visit,
) -> Result<(), String> {
    let mut entries = tar.entries().map_err(|error| reason(&error))?;
    let mut names = 0;
    for number in 0.. {
        fence.set(Some(LONGEST_HEADERS));
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(|error| reason(&error))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        names += name.len();
        check_names(&name, names)?;
        match entry.header().entry_type() {
            EntryType::Directory if inside(&name).is_some() => {}
            EntryType::Directory => {
                return Err(format!("{:?} points outside the archive", shortened(&name)));
            }
            // Its content counts as headers.
            EntryType::XGlobalHeader => {
                io::copy(&mut entry, &mut io::sink()).map_err(|error| reason(&error))?;
            }
            EntryType::Regular | EntryType::Continuous => {
                fence.set(None);
                let (size, mut content) = (
                    entry.size(),
                    Counted {
                        input: &mut entry,
                        bytes: 0,
                    },
                );
                visit(&name, &mut content)?;
                // What was left lying must not count as headers, and what is missing must not pass for nothing.
                io::copy(&mut content, &mut io::sink()).map_err(|error| reason(&error))?;
                if content.bytes != size {
                    let (name, there) = (shortened(&name), content.bytes);
                    return Err(format!(
                        "{name:?} is cut short: {there} of {size} bytes are there"
                    ));
                }
            }
            _ => {
                return Err(format!(
                    "{:?} is a link or a device, which no dump contains",
                    shortened(&name)
                ));
            }
        }
        if number >= MOST_ENTRIES {
            return Err(format!(
                "there are more than {MOST_ENTRIES} files in it, which no dump has"
            ));
        }
    }
    Ok(())
}

fn check_names(name: &str, together: usize) -> Result<(), String> {
    if name.len() > LONGEST_NAME {
        let name = shortened(name);
        return Err(format!("{name:?}… is longer than any path can be"));
    }
    match together > LONGEST_NAMES {
        true => Err("the names in it are longer together than those of any dump".into()),
        false => Ok(()),
    }
}

/// A hostile name may be very long.
fn shortened(name: &str) -> String {
    name.chars().take(300).collect()
}

/// Reads what follows the tar: only the zeros that tars are padded with may.
fn only_padding(unpacked: &mut impl Read) -> Result<(), String> {
    let mut buffer = vec![0; 64 * 1024];
    let mut padding = 0;
    loop {
        match unpacked.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) if buffer[..read].iter().all(|byte| *byte == 0) => padding += read as u64,
            Ok(_) => return Err("something follows the end of the tar".into()),
            Err(error) => return Err(reason(&error)),
        }
        if padding > LONGEST_PADDING {
            return Err("more zeros follow the end of the tar than any tar is padded with".into());
        }
    }
}

/// The parts of a path; none when it climbs out of the archive.
fn inside(name: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    for component in Path::new(name).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            _ => return None,
        }
    }
    Some(parts)
}

/// A path without what stands above the dump's own folders.
fn below_the_top(parts: &[&str]) -> String {
    // `dump/db/coll.bson` and `db/coll.bson` are both met; what counts is the last two.
    match parts {
        [_, file] if is_top_level(file) => (*file).to_owned(),
        _ => parts[parts.len().saturating_sub(2)..].join("/"),
    }
}

/// Files that lie beside the databases' folders, and are never those of a collection.
fn is_top_level(file: &str) -> bool {
    let plain = file.strip_suffix(".gz").unwrap_or(file);
    matches!(plain, manifest::PRELUDE_NAME | manifest::FILE_NAME)
}

/// The file, which can be told to stop.
struct Watched<'o> {
    input: Hashing<Source>,
    stop: &'o AtomicBool,
    moved: &'o dyn Fn(u64),
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other(Damage::Interrupted));
        }
        let read = self.input.read(buffer)?;
        (self.moved)(self.input.position());
        Ok(read)
    }
}

/// Gives no more than is left, where a limit is set.
struct Fenced<R> {
    input: R,
    left: Rc<Cell<Option<u64>>>,
}

impl<R: Read> Read for Fenced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.left.get() else {
            return self.input.read(buffer);
        };
        if left == 0 {
            return Err(io::Error::other(
                "a header in it is larger than any name or size can make it",
            ));
        }
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.input.read(&mut buffer[..most])?;
        self.left.set(Some(left - read as u64));
        Ok(read)
    }
}

struct Counted<R> {
    input: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
