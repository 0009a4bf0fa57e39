//! The documents that are mongodump's own: the stream's header, what it announces, and where pieces of collections begin.

use super::StreamError;
use crate::archive::namespace::{Announced, Kind, Namespace, StreamHeader};
use mongodb::bson::RawDocument;

pub(super) fn parse_header<E>(document: &[u8]) -> Result<StreamHeader, StreamError<E>> {
    let raw = parse(document)?;
    if text(raw, "version")? != "0.1" {
        return Err(StreamError::Format(
            "its version is not 0.1; this Pantry Keeper is too old for this mongodump".into(),
        ));
    }
    Ok(StreamHeader {
        server_version: text(raw, "server_version")?,
        tool_version: text(raw, "tool_version")?,
    })
}

pub(super) fn parse_announced<E>(document: &[u8]) -> Result<Announced, StreamError<E>> {
    let raw = parse(document)?;
    let namespace = Namespace::new(text(raw, "db")?, text(raw, "collection")?);
    let kind = match text(raw, "type")?.as_str() {
        "timeseries" => Kind::TimeSeries,
        "view" => Kind::View,
        _ if namespace.database.is_empty() => Kind::Oplog,
        _ => Kind::Collection,
    };
    Ok(Announced {
        namespace,
        kind,
        metadata: text(raw, "metadata")?,
    })
}

/// The header of a piece of a collection.
pub(super) struct Segment {
    pub namespace: Namespace,
    /// Its documents are all there, and this is their checksum.
    pub eof: bool,
    pub crc64: u64,
}

pub(super) fn parse_segment<E>(document: &[u8]) -> Result<Segment, StreamError<E>> {
    let raw = parse(document)?;
    let namespace = Namespace::new(text(raw, "db")?, text(raw, "collection")?);
    let eof = raw
        .get_bool("EOF")
        .map_err(|error| StreamError::Format(error.to_string()))?;
    let crc = raw
        .get_i64("CRC")
        .map_err(|error| StreamError::Format(error.to_string()))?;
    Ok(Segment {
        namespace,
        eof,
        crc64: crc as u64,
    })
}

fn parse<E>(document: &[u8]) -> Result<&RawDocument, StreamError<E>> {
    RawDocument::from_bytes(document).map_err(|error| StreamError::Format(error.to_string()))
}

fn text<E>(document: &RawDocument, field: &str) -> Result<String, StreamError<E>> {
    document
        .get_str(field)
        .map(str::to_owned)
        .map_err(|error| StreamError::Format(error.to_string()))
}
