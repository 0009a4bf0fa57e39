//! Documents of one collection, one after another, with the totals that tell at the end whether they were the right ones.

use super::bson_framer::LONGEST_BYTES;
use super::namespace::Totals;
use crate::archive::crc64::Digest;
use std::io::{self, BufReader, Read};

/// Read at a time, in bytes.
const WINDOW_BYTES: usize = 256 * 1024;
const SHORTEST_BYTES: u32 = 5;

/// Reads documents, and counts what it has read.
pub(crate) struct DocumentReader<R> {
    input: BufReader<R>,
    document: Vec<u8>,
    documents: u64,
    bytes: u64,
    crc: Digest,
}

impl<R: Read> DocumentReader<R> {
    pub(crate) fn new(input: R) -> Self {
        DocumentReader {
            input: BufReader::with_capacity(WINDOW_BYTES, input),
            document: Vec::new(),
            documents: 0,
            bytes: 0,
            crc: Digest::new(),
        }
    }

    /// The next document in its BSON bytes; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let mut length = [0; 4];
        if self.input.read(&mut length[..1])? == 0 {
            return Ok(None);
        }
        self.input.read_exact(&mut length[1..])?;
        let document_bytes = u32::from_le_bytes(length);
        if !(SHORTEST_BYTES..=LONGEST_BYTES).contains(&document_bytes) {
            return Err(io::Error::other(format!(
                "document {} claims a length of {document_bytes} bytes, which no document has",
                self.documents + 1
            )));
        }
        self.document.clear();
        self.document.extend_from_slice(&length);
        // As much as there is, and not as much as is claimed, takes memory.
        let rest = u64::from(document_bytes) - 4;
        let read = (&mut self.input)
            .take(rest)
            .read_to_end(&mut self.document)?;
        if read as u64 != rest || self.document.last() != Some(&0) {
            return Err(io::Error::other(format!(
                "document {} does not end where its length says",
                self.documents + 1
            )));
        }
        self.crc.write(&self.document);
        self.documents += 1;
        self.bytes += self.document.len() as u64;
        Ok(Some(&self.document))
    }

    /// Of all documents read so far.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            documents: self.documents,
            bytes: self.bytes,
            crc64: self.crc.sum64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    #[test]
    fn documents_come_one_by_one_and_a_cut_one_is_an_error() {
        let one = doc! { "_id": 1, "text": "x".repeat(300_000) }
            .to_vec()
            .unwrap();
        let bytes = [one.clone(), doc! { "_id": 2 }.to_vec().unwrap()].concat();
        let mut reader = DocumentReader::new(bytes.as_slice());
        assert_eq!(reader.next().unwrap(), Some(one.as_slice()));
        assert!(reader.next().unwrap().is_some() && reader.next().unwrap().is_none());
        let totals = reader.totals();
        assert_eq!((totals.documents, totals.bytes), (2, bytes.len() as u64));
        assert_eq!(totals.crc64, crate::archive::crc64::checksum(&bytes));
        for cut in [1, 3, 4, one.len() - 1, one.len() + 2, bytes.len() - 1] {
            let mut reader = DocumentReader::new(&bytes[..cut]);
            let failed =
                std::iter::from_fn(|| reader.next().map(|next| next.map(drop)).transpose())
                    .any(|next| next.is_err());
            assert!(failed, "{cut}");
        }
        let huge = [0xff; 64];
        assert!(DocumentReader::new(huge.as_slice()).next().is_err());
    }
}
