//! Reads a file elsewhere by ranges: only the blocks that are wanted, and those that follow while they are being read.
//!
//! Who reads in order is followed: what comes next is fetched by several connections at once while the first is read, never
//! more of it than was read before. Who jumps costs one block. Several readers are told apart. What was fetched is kept for a
//! while, so that what is verified first and then restored comes over the wire once where it is little.

use super::source::ReadAt;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Fetched at a time: small beside a collection, large beside the way there and back.
const BLOCK_BYTES: u64 = 256 * 1024;
/// Requests on their way at once, each over a connection of its own where that is possible.
const MOST_FETCHING: usize = 4;
/// Blocks that are kept: 24 MiB, more than is fetched ahead of all readers.
const MOST_KEPT: usize = 96;
/// Blocks that are read in order before the next ones are fetched ahead.
const IN_ORDER: u64 = 2;
/// Blocks that are fetched ahead of one reader: 4 MiB.
const MOST_AHEAD: u64 = 16;
/// Blocks that one request fetches ahead.
const LONGEST_RUN: u64 = MOST_AHEAD / MOST_FETCHING as u64;
/// Readers that are followed: as many collections are restored at once, and some.
const MOST_READERS: usize = 8;

/// Where ranges come from. Each call may run on a thread of its own.
pub(crate) trait Ranges: Send + Sync + 'static {
    /// Exactly the bytes of this range, which lies inside the file. Blocks, but not for ever.
    fn fetch(&self, range: Range<u64>) -> io::Result<Vec<u8>>;
}

/// A file elsewhere, of a length that is known.
pub(crate) struct Ranged {
    inner: Arc<Inner>,
}

struct Inner {
    ranges: Box<dyn Ranges>,
    length: u64,
    blocks: Mutex<Blocks>,
    arrived: Condvar,
}

#[derive(Default)]
struct Blocks {
    by_index: BTreeMap<u64, Block>,
    fetching: usize,
    /// Counts what was used, so that what was not for longest goes first.
    clock: u64,
    /// Who reads, the one that read last at the end.
    readers: Vec<Reader>,
}

/// The block that was wanted last, and how many before it were read in order.
struct Reader {
    last: u64,
    in_order: u64,
}

struct Block {
    content: Content,
    used: u64,
}

enum Content {
    /// On its way.
    Coming,
    Here(Arc<Vec<u8>>),
    Failed(io::Error),
}

impl Ranged {
    pub(crate) fn new(ranges: impl Ranges, length: u64) -> Self {
        let inner = Inner {
            ranges: Box::new(ranges),
            length,
            blocks: Mutex::default(),
            arrived: Condvar::new(),
        };
        Ranged {
            inner: Arc::new(inner),
        }
    }

    fn block(&self, index: u64) -> io::Result<Arc<Vec<u8>>> {
        let inner = &self.inner;
        let mut blocks = inner.blocks();
        let mut asked = false;
        let in_order = blocks.follow(index);
        loop {
            match blocks.take(index) {
                Taken::Here(content) => {
                    self.fetch_ahead(blocks, index, in_order);
                    return Ok(content);
                }
                Taken::Failed(error) if asked => return Err(error),
                // It was fetched ahead; now it is wanted.
                Taken::Failed(_) => {}
                Taken::Coming => {
                    blocks = inner
                        .arrived
                        .wait(blocks)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Taken::Unknown => {
                    asked = true;
                    blocks.begin(index..index + 1);
                    self.fetch_ahead(blocks, index, in_order);
                    inner.fetch(index..index + 1);
                    blocks = inner.blocks();
                }
            }
        }
    }

    /// Fetches what follows, where it is being read in order.
    fn fetch_ahead(&self, mut blocks: MutexGuard<'_, Blocks>, index: u64, in_order: u64) {
        if in_order < IN_ORDER {
            return;
        }
        let ahead = in_order.min(MOST_AHEAD);
        let run = (ahead / MOST_FETCHING as u64).clamp(1, LONGEST_RUN);
        let blocks_there = self.inner.length.div_ceil(BLOCK_BYTES);
        let end = blocks_there.min(index + 1 + ahead);
        let mut start = index + 1;
        while blocks.fetching < MOST_FETCHING {
            while blocks.by_index.contains_key(&start) {
                start += 1;
            }
            // A run that is not whole yet is fetched when more was read.
            if start >= end || (start + run > end && end < blocks_there) {
                return;
            }
            let mut stop = start + 1;
            while stop < end.min(start + run) && !blocks.by_index.contains_key(&stop) {
                stop += 1;
            }
            if !self.start(&mut blocks, start..stop) {
                return;
            }
            start = stop;
        }
    }

    fn start(&self, blocks: &mut Blocks, run: Range<u64>) -> bool {
        blocks.begin(run.clone());
        let (inner, fetched) = (Arc::clone(&self.inner), run.clone());
        let thread = thread::Builder::new().name("fetch".into());
        let started = thread.spawn(move || inner.fetch(fetched)).is_ok();
        if !started {
            // It is fetched when it is wanted.
            blocks.by_index.retain(|index, _| !run.contains(index));
            blocks.fetching -= 1;
        }
        started
    }
}

impl Inner {
    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, run: Range<u64>) {
        let start = run.start * BLOCK_BYTES;
        let end = self.length.min(run.end * BLOCK_BYTES);
        let fetched = self.ranges.fetch(start..end);
        let mut blocks = self.blocks();
        match fetched {
            Ok(bytes) if bytes.len() as u64 == end - start => {
                for (index, piece) in run.zip(bytes.chunks(BLOCK_BYTES as usize)) {
                    blocks.arrive(index, Content::Here(Arc::new(piece.to_vec())));
                }
            }
            Ok(_) => blocks.fail(run, &io::ErrorKind::UnexpectedEof.into()),
            Err(error) => blocks.fail(run, &error),
        }
        blocks.fetching -= 1;
        drop(blocks);
        self.arrived.notify_all();
    }
}

enum Taken {
    Here(Arc<Vec<u8>>),
    Failed(io::Error),
    Coming,
    Unknown,
}

impl Blocks {
    /// How many blocks the one who wants this one has read in order.
    fn follow(&mut self, index: u64) -> u64 {
        let known = self
            .readers
            .iter()
            .rposition(|reader| reader.last == index || reader.last + 1 == index);
        let reader = match known {
            Some(at) => {
                let Reader { last, in_order } = self.readers.remove(at);
                Reader {
                    last: index,
                    in_order: in_order + u64::from(last != index),
                }
            }
            None => Reader {
                last: index,
                in_order: 0,
            },
        };
        let in_order = reader.in_order;
        self.readers.push(reader);
        if self.readers.len() > MOST_READERS {
            self.readers.remove(0);
        }
        in_order
    }

    fn take(&mut self, index: u64) -> Taken {
        self.clock += 1;
        let clock = self.clock;
        let Some(block) = self.by_index.get_mut(&index) else {
            return Taken::Unknown;
        };
        match &block.content {
            Content::Coming => return Taken::Coming,
            Content::Here(content) => {
                block.used = clock;
                return Taken::Here(Arc::clone(content));
            }
            Content::Failed(_) => {}
        }
        match self.by_index.remove(&index) {
            Some(Block {
                content: Content::Failed(error),
                ..
            }) => Taken::Failed(error),
            _ => Taken::Unknown,
        }
    }

    fn begin(&mut self, run: Range<u64>) {
        self.fetching += 1;
        for index in run {
            let block = Block {
                content: Content::Coming,
                used: self.clock,
            };
            self.by_index.insert(index, block);
        }
    }

    fn fail(&mut self, run: Range<u64>, error: &io::Error) {
        for index in run {
            let same = io::Error::new(error.kind(), error.to_string());
            self.arrive(index, Content::Failed(same));
        }
    }

    fn arrive(&mut self, index: u64, content: Content) {
        let used = self.clock;
        self.by_index.insert(index, Block { content, used });
        while self.by_index.len() > MOST_KEPT {
            let settled = self
                .by_index
                .iter()
                .filter(|(other, block)| {
                    **other != index && !matches!(block.content, Content::Coming)
                })
                .min_by_key(|(_, block)| block.used);
            let Some(oldest) = settled.map(|(oldest, _)| *oldest) else {
                return;
            };
            self.by_index.remove(&oldest);
        }
    }
}

impl ReadAt for Ranged {
    fn length(&self) -> u64 {
        self.inner.length
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        if position >= self.inner.length || buffer.is_empty() {
            return Ok(0);
        }
        let block = self.block(position / BLOCK_BYTES)?;
        let from = (position % BLOCK_BYTES) as usize;
        let there = block.get(from..).unwrap_or_default();
        let read = there.len().min(buffer.len());
        buffer[..read].copy_from_slice(&there[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::source::Source;
    use std::io::Read;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    #[derive(Default)]
    struct Counts {
        bytes: AtomicU64,
        calls: AtomicU64,
        at_once: AtomicU64,
        most_at_once: AtomicU64,
        broken: AtomicBool,
    }

    struct Memory {
        bytes: Vec<u8>,
        counts: Arc<Counts>,
    }

    impl Ranges for Memory {
        fn fetch(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
            let at_once = self.counts.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.counts
                .most_at_once
                .fetch_max(at_once, Ordering::SeqCst);
            self.counts.calls.fetch_add(1, Ordering::SeqCst);
            let bytes = self.bytes[range.start as usize..range.end as usize].to_vec();
            self.counts
                .bytes
                .fetch_add(bytes.len() as u64, Ordering::SeqCst);
            self.counts.at_once.fetch_sub(1, Ordering::SeqCst);
            match self.counts.broken.load(Ordering::SeqCst) {
                true => Err(io::ErrorKind::ConnectionReset.into()),
                false => Ok(bytes),
            }
        }
    }

    fn file(length: usize) -> (Vec<u8>, Arc<Counts>, Source) {
        let bytes: Vec<u8> = (0..length).map(|at| (at / 7 % 251) as u8).collect();
        let counts = Arc::new(Counts::default());
        let memory = Memory {
            bytes: bytes.clone(),
            counts: Arc::clone(&counts),
        };
        let source = Source::new(Arc::new(Ranged::new(memory, length as u64)));
        (bytes, counts, source)
    }

    #[test]
    fn all_of_it_is_read_once_in_order() {
        let (bytes, counts, source) = file(5_000_001);
        let mut read = Vec::new();
        source.at(0).read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        assert_eq!(counts.bytes.load(Ordering::SeqCst), 5_000_001);
        assert!(counts.most_at_once.load(Ordering::SeqCst) <= MOST_FETCHING as u64 + 1);
    }

    #[test]
    fn a_jump_costs_a_block_and_what_was_read_is_kept() {
        let (bytes, counts, source) = file(20_000_000);
        for position in [19_999_000u64, 0, 7_000_000, 19_999_000, 0] {
            let mut piece = vec![0; 900];
            source.at(position).read_exact(&mut piece).unwrap();
            assert!(piece == bytes[position as usize..position as usize + 900]);
        }
        assert!(counts.bytes.load(Ordering::SeqCst) <= 4 * BLOCK_BYTES);
    }

    #[test]
    fn two_who_read_in_order_at_once_are_both_followed_and_nothing_comes_twice() {
        let (bytes, counts, source) = file(24_000_000);
        let (mut first, mut second) = (source.at(0), source.at(12_000_000));
        let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
        for _ in 0..120 {
            (&mut first)
                .take(100_000)
                .read_to_end(&mut of_first)
                .unwrap();
            (&mut second)
                .take(100_000)
                .read_to_end(&mut of_second)
                .unwrap();
        }
        assert!(of_first == bytes[..12_000_000] && of_second == bytes[12_000_000..]);
        assert_eq!(counts.bytes.load(Ordering::SeqCst), 24_000_000);
        assert!(counts.calls.load(Ordering::SeqCst) < 60, "requests grow");
    }

    #[test]
    fn no_more_is_fetched_ahead_than_was_read() {
        let (_, counts, source) = file(20_000_000);
        let mut piece = vec![0; 4 * BLOCK_BYTES as usize];
        source.at(5_000_000).read_exact(&mut piece).unwrap();
        drop(source);
        while counts.at_once.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
        assert!(counts.bytes.load(Ordering::SeqCst) <= 10 * BLOCK_BYTES);
    }

    #[test]
    fn what_failed_is_asked_for_again() {
        let (bytes, counts, source) = file(3_000_000);
        counts.broken.store(true, Ordering::SeqCst);
        assert!(source.at(0).read_to_end(&mut Vec::new()).is_err());
        counts.broken.store(false, Ordering::SeqCst);
        let mut read = Vec::new();
        source.at(0).read_to_end(&mut read).unwrap();
        assert!(read == bytes);
    }
}
