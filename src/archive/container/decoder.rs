//! Decompresses what anyone may have compressed, gzip or zstd by its first bytes, as a stream.

use crate::archive::compression::Compression;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, Read};
use zstd::stream::read::Decoder as ZstdDecoder;

/// The largest window that zstd's own command uses and takes without being told to: 128 MiB. So much memory may a file
/// ask for; ours ask for 1 MiB.
const LARGEST_WINDOW_LOG: u32 = 27;

/// A stream of either kind; one member after the other, to the end of the input.
pub(crate) enum Decoder<R: BufRead> {
    Gzip(Box<MultiGzDecoder<R>>),
    Zstd(Box<ZstdDecoder<'static, R>>),
}

/// Looks at the first bytes of `input`, and decompresses it accordingly.
pub(crate) fn decoder<R: BufRead>(mut input: R) -> io::Result<Decoder<R>> {
    Ok(match Compression::of_content(input.fill_buf()?) {
        Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(input))),
        Compression::Zstd => {
            let mut decoder = ZstdDecoder::with_buffer(input)?;
            decoder.window_log_max(LARGEST_WINDOW_LOG)?;
            Decoder::Zstd(Box::new(decoder))
        }
    })
}

impl<R: BufRead> Decoder<R> {
    pub(crate) fn into_inner(self) -> R {
        match self {
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.into_inner(),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
