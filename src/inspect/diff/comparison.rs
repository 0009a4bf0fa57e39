//! Compares the documents of two sides as they arrive, in one pass where both have them in about the same order.
//!
//! What one side has and the other has not shown yet is remembered by its `_id` and a checksum of its content. Two dumps of
//! one collection mostly have the same order, so that next to nothing is remembered for long, but for what was added or
//! removed. Where that becomes too much for the memory it may take, only a part of the `_id`s is followed to the end, and the
//! other parts in passes of their own. What a pass has told of before it narrowed is not told again: that is what the
//! positions are for.

use super::key::{Key, checksum, id};
use super::side::Documents;
use crate::inspect::{InspectError, JsonStyle};
use crate::report::{DocumentChange, DocumentDifference, fields};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// Documents remembered of one side.
const MOST_PENDING: usize = 200_000;
/// Content kept of one side, in bytes, so that fields can be compared of documents that do not arrive together.
const KEPT_CONTENT_BYTES: usize = 4 * 1024 * 1024;

/// Is told each document that differs.
pub(crate) type Tell = Box<dyn FnMut(DocumentDifference) + Send>;

/// How many documents differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub equal: u64,
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    /// Documents whose `_id` another one of the same side has too.
    pub twins: u64,
}

/// What is known of two sides so far. Goes from pass to pass.
pub(super) struct Comparison {
    pub counts: Counts,
    /// None when only counts are wanted.
    pub tell: Option<Tell>,
    parts: Parts,
    /// About how many documents the larger side has.
    expected: u64,
    one: Pending,
    two: Pending,
    most_pending: usize,
    /// Documents that differ and whose `_id` was too long to keep; they are named by reading once more.
    unnamed: HashMap<Key, DocumentChange>,
}

/// Which `_id`s are followed in a pass.
struct Parts {
    count: u64,
    pass: u64,
    hasher: RandomState,
    /// How far both sides were when the first pass narrowed.
    narrowed_at: (u64, u64),
}

impl Parts {
    fn follow(&self, key: &Key) -> bool {
        self.count == 1 || self.hasher.hash_one(key) % self.count == self.pass
    }
}

/// A document that the other side has not shown yet.
struct Waiting {
    checksum: [u8; 16],
    /// It came before the first pass narrowed.
    early: bool,
}

#[derive(Default)]
struct Pending {
    waiting: HashMap<Key, Waiting>,
    content: HashMap<Key, Vec<u8>>,
    order: VecDeque<Key>,
    content_bytes: usize,
}

impl Pending {
    /// Remembers a document; false when one of this `_id` is remembered already.
    fn insert(&mut self, key: Key, document: &[u8], early: bool, keep: bool) -> bool {
        let waiting = Waiting {
            checksum: checksum(document),
            early,
        };
        let fresh = self.waiting.insert(key, waiting).is_none();
        if keep && fresh && document.len() <= KEPT_CONTENT_BYTES {
            self.content_bytes += document.len();
            self.content.insert(key, document.to_vec());
            self.order.push_back(key);
            while self.content_bytes > KEPT_CONTENT_BYTES || self.order.len() > MOST_PENDING {
                let Some(oldest) = self.order.pop_front() else {
                    break;
                };
                self.forget_content(&oldest);
            }
        }
        fresh
    }

    fn forget_content(&mut self, key: &Key) -> Option<Vec<u8>> {
        let content = self.content.remove(key)?;
        self.content_bytes -= content.len();
        Some(content)
    }

    fn remove(&mut self, key: &Key) -> Option<(Waiting, Option<Vec<u8>>)> {
        let waiting = self.waiting.remove(key)?;
        Some((waiting, self.forget_content(key)))
    }

    fn clear(&mut self) {
        *self = Pending::default();
    }
}

impl Comparison {
    pub(super) fn new(expected: u64, tell: Option<Tell>) -> Self {
        Comparison {
            counts: Counts::default(),
            tell,
            parts: Parts {
                count: 1,
                pass: 0,
                hasher: RandomState::new(),
                narrowed_at: (u64::MAX, u64::MAX),
            },
            expected,
            one: Pending::default(),
            two: Pending::default(),
            most_pending: MOST_PENDING,
            unnamed: HashMap::new(),
        }
    }

    /// Whether another pass is needed.
    pub(super) fn has_more(&self) -> bool {
        self.parts.pass < self.parts.count
    }

    /// Reads both sides once. Blocks.
    pub(super) fn pass(
        &mut self,
        mut one: Documents,
        mut two: Documents,
    ) -> Result<(), InspectError> {
        self.advance(&mut one)?;
        self.advance(&mut two)?;
        loop {
            let (go_one, go_two) = match (one.current(), two.current()) {
                (None, None) => break,
                (Some(a), Some(b)) if id(a) == id(b) => {
                    let early = self.early(&one, &two);
                    self.pair(early.0 && early.1, a == b, Some((a, b)));
                    (true, true)
                }
                (a, b) => self.apart(a, b, self.early(&one, &two)),
            };
            if self.one.waiting.len().max(self.two.waiting.len()) > self.most_pending {
                self.narrow((one.position, two.position), (go_one, go_two))?;
            }
            if go_one {
                self.advance(&mut one)?;
            }
            if go_two {
                self.advance(&mut two)?;
            }
        }
        self.settle();
        self.parts.pass += 1;
        Ok(())
    }

    /// To the next document that is followed in this pass.
    fn advance(&self, documents: &mut Documents) -> Result<(), InspectError> {
        loop {
            documents.advance()?;
            match documents.current() {
                Some(document)
                    if self.parts.count > 1 && !self.parts.follow(&Key::of(document)) => {}
                _ => return Ok(()),
            }
        }
    }

    fn early(&self, one: &Documents, two: &Documents) -> (bool, bool) {
        let (at_one, at_two) = self.parts.narrowed_at;
        (one.position < at_one, two.position < at_two)
    }

    /// Two documents that are not the same one. Which side may go on.
    fn apart(&mut self, a: Option<&[u8]>, b: Option<&[u8]>, early: (bool, bool)) -> (bool, bool) {
        let (key_a, key_b) = (a.map(Key::of), b.map(Key::of));
        let met_a = key_a.and_then(|key| self.two.remove(&key));
        if let (Some(a), Some((waiting, content))) = (a, &met_a) {
            let same = waiting.checksum == checksum(a);
            let both = content.as_deref().map(|b| (a, b));
            self.pair_of(a, early.0 && waiting.early, same, both);
        }
        let met_b = key_b.and_then(|key| self.one.remove(&key));
        if let (Some(b), Some((waiting, content))) = (b, &met_b) {
            let same = waiting.checksum == checksum(b);
            let both = content.as_deref().map(|a| (a, b));
            self.pair_of(b, early.1 && waiting.early, same, both);
        }
        if met_a.is_some() || met_b.is_some() {
            return (met_a.is_some(), met_b.is_some());
        }
        let keep = self.tell.is_some();
        if let (Some(a), Some(key)) = (a, key_a) {
            let fresh = self.one.insert(key, a, early.0, keep);
            self.counts.twins += u64::from(!fresh);
        }
        if let (Some(b), Some(key)) = (b, key_b) {
            let fresh = self.two.insert(key, b, early.1, keep);
            self.counts.twins += u64::from(!fresh);
        }
        (true, true)
    }

    fn pair(&mut self, told: bool, same: bool, both: Option<(&[u8], &[u8])>) {
        if let Some((a, _)) = both {
            self.pair_of(a, told, same, both);
        }
    }

    /// A document that both sides have; `told` of in an earlier pass.
    fn pair_of(&mut self, one: &[u8], told: bool, same: bool, both: Option<(&[u8], &[u8])>) {
        if told && self.parts.pass > 0 {
            return;
        }
        if same {
            self.counts.equal += 1;
            return;
        }
        self.counts.changed += 1;
        if let Some(tell) = &mut self.tell {
            tell(DocumentDifference {
                id: fields::shown(id(one), JsonStyle::Relaxed),
                change: DocumentChange::Changed,
                fields: both.map(|(a, b)| fields::differences(a, b)),
            });
        }
    }

    /// From here on, follows a part of the `_id`s only.
    fn narrow(&mut self, at: (u64, u64), going: (bool, bool)) -> Result<(), InspectError> {
        if self.parts.count > 1 {
            return Err(InspectError::TooDifferent);
        }
        // With room to spare: no part may turn out larger.
        let most = self.most_pending as u64;
        self.parts.count = (self.expected.max(2 * most) * 5 / 4).div_ceil(most) + 1;
        // What is at hand counts as seen, where it was taken.
        self.parts.narrowed_at = (at.0 + u64::from(going.0), at.1 + u64::from(going.1));
        for pending in [&mut self.one, &mut self.two] {
            pending.waiting.retain(|key, _| self.parts.follow(key));
            pending.waiting.shrink_to_fit();
        }
        Ok(())
    }

    /// What is left over after a pass, only one side has.
    fn settle(&mut self) {
        let sides = [
            (&self.one, DocumentChange::Removed),
            (&self.two, DocumentChange::Added),
        ];
        for (pending, change) in sides {
            let count = pending.waiting.len() as u64;
            match change {
                DocumentChange::Removed => self.counts.removed += count,
                _ => self.counts.added += count,
            }
            let Some(tell) = &mut self.tell else { continue };
            for key in pending.waiting.keys() {
                match key.id() {
                    Some(id) => tell(difference(fields::shown(id, JsonStyle::Relaxed), change)),
                    None => drop(self.unnamed.insert(*key, change)),
                }
            }
        }
        self.one.clear();
        self.two.clear();
    }

    /// Whether documents are to be named that one side alone has, and whose `_id` was too long to keep.
    pub(super) fn has_unnamed(&self) -> bool {
        !self.unnamed.is_empty()
    }

    /// Reads one side once more to name them.
    pub(super) fn name(&mut self, mut side: Documents) -> Result<(), InspectError> {
        side.advance()?;
        while let Some(document) = side.current() {
            let named = match self.unnamed.is_empty() {
                true => None,
                false => self.unnamed.remove(&Key::of(document)),
            };
            if let (Some(change), Some(tell)) = (named, &mut self.tell) {
                tell(difference(
                    fields::shown(id(document), JsonStyle::Relaxed),
                    change,
                ));
            }
            side.advance()?;
        }
        Ok(())
    }
}

fn difference(id: String, change: DocumentChange) -> DocumentDifference {
    DocumentDifference {
        id,
        change,
        fields: None,
    }
}

#[cfg(test)]
mod tests;
