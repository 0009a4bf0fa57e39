//! MongoDB's own order of values: first by what they are, numbers of all types together, then by what they hold.

use crate::archive::element::{Value, cstrings, elements, kind, text};
use mongodb::bson::Decimal128;
use std::cmp::Ordering;

/// Where a value's type stands among all types.
pub(super) fn rank(kind: u8) -> u8 {
    match kind {
        kind::MIN_KEY => 0,
        kind::UNDEFINED => 1,
        kind::NULL => 2,
        kind::DOUBLE | kind::INT32 | kind::INT64 | kind::DECIMAL128 => 3,
        kind::STRING | kind::SYMBOL => 4,
        kind::DOCUMENT => 5,
        kind::ARRAY => 6,
        kind::BINARY => 7,
        kind::OBJECT_ID => 8,
        kind::BOOLEAN => 9,
        kind::DATE => 10,
        kind::TIMESTAMP => 11,
        kind::REGEX => 12,
        kind::DB_POINTER => 13,
        kind::CODE => 14,
        kind::CODE_WITH_SCOPE => 15,
        _ => 16,
    }
}

/// Compares two values of any types.
pub(super) fn values(one: Value, two: Value) -> Ordering {
    rank(one.kind)
        .cmp(&rank(two.kind))
        .then_with(|| same_rank(one, two))
}

fn same_rank(one: Value, two: Value) -> Ordering {
    let (a, b) = (one.bytes, two.bytes);
    match one.kind {
        kind::DOUBLE | kind::INT32 | kind::INT64 | kind::DECIMAL128 => {
            numbers(Number::of(one), Number::of(two))
        }
        kind::STRING | kind::SYMBOL | kind::CODE => text(a).cmp(text(b)),
        kind::DOCUMENT => documents(a, b, true),
        kind::ARRAY => documents(a, b, false),
        // The length, the subtype, then the bytes.
        kind::BINARY => length(a)
            .cmp(&length(b))
            .then_with(|| a.get(4..).cmp(&b.get(4..))),
        kind::DATE => integer(a).cmp(&integer(b)),
        kind::TIMESTAMP => (integer(a) as u64).cmp(&(integer(b) as u64)),
        kind::REGEX => cstrings(a).cmp(&cstrings(b)),
        kind::CODE_WITH_SCOPE => {
            let (one, two) = (code_and_scope(a), code_and_scope(b));
            one.0.cmp(two.0).then_with(|| documents(one.1, two.1, true))
        }
        _ => a.cmp(b),
    }
}

/// Element by element: type, then key, then value; the shorter one is less.
fn documents(one: &[u8], two: &[u8], by_key: bool) -> Ordering {
    let (mut one, mut two) = (elements(one), elements(two));
    loop {
        let order = match (one.next(), two.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => {
                let keys = || match by_key {
                    true => a.key.cmp(b.key),
                    false => Ordering::Equal,
                };
                rank(a.value.kind)
                    .cmp(&rank(b.value.kind))
                    .then_with(keys)
                    .then_with(|| same_rank(a.value, b.value))
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk::<4>()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn integer(bytes: &[u8]) -> i64 {
    match (bytes.first_chunk::<8>(), bytes.first_chunk::<4>()) {
        (Some(bytes), _) => i64::from_le_bytes(*bytes),
        (None, Some(bytes)) => i64::from(i32::from_le_bytes(*bytes)),
        (None, None) => 0,
    }
}

/// The two parts, behind the length of both together.
fn code_and_scope(bytes: &[u8]) -> (&[u8], &[u8]) {
    let code = bytes.get(4..).unwrap_or_default();
    let end = (length(code) as usize).saturating_add(4);
    match (code.get(..end), code.get(end..)) {
        (Some(code), Some(scope)) => (text(code), scope),
        _ => (code, &[]),
    }
}

/// A number, as exact as it is stored.
#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Double(f64),
    Decimal(Decimal128),
}

impl Number {
    fn of(value: Value) -> Self {
        let bytes = value.bytes;
        match value.kind {
            kind::DOUBLE => Number::Double(f64::from_bits(integer(bytes) as u64)),
            kind::DECIMAL128 => Number::Decimal(Decimal128::from_bytes(
                bytes.first_chunk().copied().unwrap_or_default(),
            )),
            _ => Number::Integer(integer(bytes)),
        }
    }

    fn is_nan(self) -> bool {
        match self {
            Number::Integer(_) => false,
            Number::Double(value) => value.is_nan(),
            Number::Decimal(value) => value.to_string().contains("NaN"),
        }
    }
}

/// Whether a value is a number and yet none.
pub(super) fn is_nan(value: Value) -> bool {
    rank(value.kind) == rank(kind::DOUBLE) && Number::of(value).is_nan()
}

fn numbers(one: Number, two: Number) -> Ordering {
    match (one.is_nan(), two.is_nan()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (false, false) => {}
    }
    match (one, two) {
        (Number::Integer(one), Number::Integer(two)) => one.cmp(&two),
        // Neither is none, and 0 is -0.
        (Number::Double(one), Number::Double(two)) => {
            one.partial_cmp(&two).unwrap_or(Ordering::Equal)
        }
        (Number::Integer(one), Number::Double(two)) => integer_and_double(one, two),
        (Number::Double(one), Number::Integer(two)) => integer_and_double(two, one).reverse(),
        (one, two) => Digits::of(one).compare(&Digits::of(two)),
    }
}

/// Exactly: not every 64-bit number is a double.
fn integer_and_double(integer: i64, double: f64) -> Ordering {
    // 2^63, which a double holds exactly.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if double >= LIMIT {
        return Ordering::Less;
    }
    if double < -LIMIT {
        return Ordering::Greater;
    }
    let whole = double.trunc();
    integer
        .cmp(&(whole as i64))
        .then_with(|| whole.partial_cmp(&double).unwrap_or(Ordering::Equal))
}

/// A number as `0.DIGITS × 10^exponent`, which all types can be brought to.
struct Digits {
    /// -1, 0 or 1.
    sign: i8,
    /// Of infinity, the largest.
    exponent: i64,
    /// Without zeros in front or behind.
    digits: Vec<u8>,
}

impl Digits {
    fn of(number: Number) -> Self {
        let text = match number {
            Number::Integer(value) => value.to_string(),
            // As many digits as a decimal has, like the server.
            Number::Double(value) if value.is_finite() => format!("{value:.33e}"),
            Number::Double(value) => value.to_string(),
            Number::Decimal(value) => value.to_string(),
        };
        Self::parse(&text)
    }

    fn parse(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let sign = if negative { -1 } else { 1 };
        if text.starts_with(['I', 'i']) {
            return Digits {
                sign,
                exponent: i64::MAX,
                digits: vec![b'1'],
            };
        }
        let (mantissa, exponent) = text.split_once(['E', 'e']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.trim_start_matches('+').parse().unwrap_or_default();
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let zeros = all.iter().take_while(|digit| **digit == b'0').count();
        let mut digits = all[zeros..].to_vec();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        match digits.is_empty() {
            true => Digits {
                sign: 0,
                exponent: 0,
                digits,
            },
            false => Digits {
                sign,
                exponent: exponent + whole.len() as i64 - zeros as i64,
                digits,
            },
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let size = || {
            self.exponent
                .cmp(&other.exponent)
                .then_with(|| self.digits.cmp(&other.digits))
        };
        self.sign.cmp(&other.sign).then_with(|| match self.sign {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}
