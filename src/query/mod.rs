//! `--match`: a part of MongoDB's query language over documents as they lie in an archive.
//!
//! ```text
//! Extended JSON → parse → Predicate      a document's bytes → path → compare → fits or not
//! ```
//!
//! What is not understood is refused by its name: a query that is silently read in another way would bring back the wrong
//! documents.

mod compare;
mod parse;
mod path;
mod pattern;
#[cfg(test)]
mod tests;

use crate::archive::element::{Value, kind};
use compare::{is_nan, rank};
use path::Path;
use pattern::Pattern;
use std::cmp::Ordering;

/// What documents have to be like.
#[derive(Debug)]
pub(crate) struct Query {
    predicate: Predicate,
}

/// Why a text is not a query that is understood here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct QueryError(pub String);

#[derive(Debug)]
enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    Field(Path, Test),
}

/// What is asked of the values at the end of a path.
#[derive(Debug)]
enum Test {
    Compare(Comparison, Operand),
    /// One of these, or a text that one of these fits.
    In(OneOf, Vec<Pattern>),
    Exists,
    Pattern(Pattern),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Operand {
    kind: u8,
    bytes: Vec<u8>,
}

impl Operand {
    fn value(&self) -> Value<'_> {
        Value {
            kind: self.kind,
            bytes: &self.bytes,
        }
    }
}

/// Values of which one has to be equal. Lists may be long, and collections longer.
#[derive(Debug)]
struct OneOf {
    /// In MongoDB's order.
    sorted: Vec<Operand>,
    has_null: bool,
}

impl OneOf {
    fn new(mut operands: Vec<Operand>) -> Self {
        operands.sort_by(|one, two| compare::values(one.value(), two.value()));
        OneOf {
            has_null: operands.iter().any(|one| one.kind == kind::NULL),
            sorted: operands,
        }
    }

    fn holds(&self, found: Option<Value>) -> bool {
        // What is missing is null.
        let Some(found) = found else {
            return self.has_null;
        };
        let order = |one: &Operand| compare::values(one.value(), found);
        self.sorted.binary_search_by(order).is_ok()
    }
}

impl Query {
    /// Reads a query document in MongoDB's Extended JSON.
    pub(crate) fn parse(text: &str) -> Result<Self, QueryError> {
        parse::query(text).map(|predicate| Query { predicate })
    }

    /// Whether a document, in its BSON bytes, is one of those that are meant.
    pub(crate) fn fits(&self, document: &[u8]) -> bool {
        self.predicate.fits(document)
    }
}

impl Predicate {
    fn fits(&self, document: &[u8]) -> bool {
        match self {
            Predicate::All(all) => all.iter().all(|one| one.fits(document)),
            Predicate::Any(any) => any.iter().any(|one| one.fits(document)),
            Predicate::Not(one) => !one.fits(document),
            Predicate::Field(path, test) => path.any(document, &|value| test.passes(value)),
        }
    }
}

impl Test {
    /// None is a field that is missing.
    fn passes(&self, found: Option<Value>) -> bool {
        match self {
            Test::Exists => found.is_some(),
            Test::Pattern(pattern) => found.is_some_and(|value| pattern.fits(value)),
            Test::Compare(comparison, operand) => comparison.holds(found, operand.value()),
            Test::In(operands, patterns) => {
                operands.holds(found)
                    || found.is_some_and(|value| patterns.iter().any(|one| one.fits(value)))
            }
        }
    }
}

impl Comparison {
    /// Values of other types never fit, except that all numbers are of one type, that what is missing is null, and that
    /// everything lies between MinKey and MaxKey.
    fn holds(self, found: Option<Value>, operand: Value) -> bool {
        let Some(value) = found.filter(|value| rank(value.kind) == rank(operand.kind)) else {
            return match operand.kind {
                kind::NULL => found.is_none() && self.includes_equal(),
                kind::MAX_KEY => matches!(self, Comparison::Less | Comparison::LessOrEqual),
                kind::MIN_KEY => matches!(self, Comparison::Greater | Comparison::GreaterOrEqual),
                _ => false,
            };
        };
        // What is not a number equals itself, and is neither more nor less than any.
        if is_nan(value) || is_nan(operand) {
            return is_nan(value) && is_nan(operand) && self.includes_equal();
        }
        match (self, compare::values(value, operand)) {
            (_, Ordering::Equal) => self.includes_equal(),
            (Comparison::Less | Comparison::LessOrEqual, order) => order == Ordering::Less,
            (Comparison::Greater | Comparison::GreaterOrEqual, order) => order == Ordering::Greater,
            (Comparison::Equal, _) => false,
        }
    }

    fn includes_equal(self) -> bool {
        !matches!(self, Comparison::Less | Comparison::Greater)
    }
}

/// Whether two values are equal as MongoDB compares them: numbers whatever their type.
pub(crate) fn same(one: Value, two: Value) -> bool {
    compare::values(one, two) == Ordering::Equal
}
