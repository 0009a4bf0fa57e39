//! CRC-64/XZ: what mongodump writes behind a collection, and what an archive's trailer holds.

pub(crate) use crc64fast::Digest;

/// The polynomial of ECMA-182, the highest power in the lowest bit.
const POLYNOMIAL: u64 = 0xC96C_5795_D787_0F42;
/// The polynomial 1 in that order.
const ONE: u64 = 1 << 63;
/// What one byte more multiplies a checksum by: the polynomial x⁸.
const ONE_BYTE: u64 = ONE >> 8;

/// The checksum of these bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.write(bytes);
    digest.sum64()
}

/// The checksum of two texts, one behind the other, by those of each. No bytes have the checksum 0.
///
/// Source: `crc32_combine` of zlib, whose reasoning holds for any width.
pub(crate) fn combine(first: u64, second: u64, second_bytes: u64) -> u64 {
    product(power(ONE_BYTE, second_bytes), first) ^ second
}

/// Two polynomials over GF(2), multiplied modulo [`POLYNOMIAL`].
fn product(one: u64, mut other: u64) -> u64 {
    let mut product = 0;
    for bit in (0..u64::BITS).rev() {
        if one >> bit & 1 == 1 {
            product ^= other;
        }
        other = match other & 1 {
            0 => other >> 1,
            _ => other >> 1 ^ POLYNOMIAL,
        };
    }
    product
}

fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut power = ONE;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = product(power, base);
        }
        base = product(base, base);
        exponent >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_crc_64_xz() {
        // The check value of the catalogue of CRC algorithms.
        assert_eq!(checksum(b"123456789"), 0x995D_C9BB_DF19_39FA);
        assert_eq!(checksum(b""), 0);
    }

    proptest! {
        #[test]
        fn two_parts_come_to_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            cut in any::<prop::sample::Index>(),
        ) {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let combined = combine(checksum(first), checksum(second), second.len() as u64);
            prop_assert_eq!(combined, checksum(&bytes));
        }
    }
}
