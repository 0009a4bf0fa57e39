//! Parts of a file elsewhere that must be the same file from the first part to the last: for reading an archive where it
//! lies. No byte is handed on before the answer has said that it is the part that was asked for.

use super::error::{StoreError, StoreErrorKind};
use super::http::LONGEST_ANSWER;
use super::{Sink, Store};
use crate::sys::http::{Answer, Body, Client, HeaderMap, Request};
use http_body_util::BodyExt;
use std::ops::Range;

/// What is wanted of a file.
pub(crate) struct Part<'p> {
    pub name: &'p str,
    pub range: Range<u64>,
    /// Of the whole file.
    pub bytes: u64,
    /// What told this file from others when its first part was read: its ETag, or when it was written.
    pub tag: Option<&'p str>,
}

impl Part<'_> {
    /// Refuses a file that is another one by now.
    fn is_of(&self, bytes: u64, tag: Option<&str>) -> Result<(), StoreError> {
        let same_tag = match (self.tag, tag) {
            (Some(before), Some(now)) => before == now,
            _ => true,
        };
        match bytes == self.bytes && same_tag {
            true => Ok(()),
            false => Err(self.changed()),
        }
    }

    fn changed(&self) -> StoreError {
        StoreError::new(
            StoreErrorKind::Differs,
            format!("{} became another file while it was read", self.name),
            "see who changes files there; `pantry-keeper verify --offsite --all` reads the copies through",
        )
    }
}

impl Store {
    /// Reads a part of a file, and says what tells this file from others, where something does.
    pub(crate) async fn read_part(
        &self,
        part: &Part<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<String>, StoreError> {
        let (name, range) = (part.name, part.range.clone());
        match self {
            Store::S3(store) => store.read_part(part, sink).await,
            Store::WebDav(store) => store.read_part(part, sink).await,
            Store::Folder(store) => {
                let (bytes, tag) = store.stamp(name).await?;
                part.is_of(bytes, Some(&tag))?;
                store.read(name, range, sink).await?;
                Ok(Some(tag))
            }
            Store::Sftp(store) => {
                let reading = async {
                    let (bytes, tag) = store.stamp(name).await?;
                    part.is_of(bytes, Some(&tag))?;
                    store.read(name, range, sink).await?;
                    Ok(Some(tag))
                };
                store.while_open(reading).await
            }
            // A look is a process of its own there; what comes is held against the archive's checksums anyway.
            Store::Rclone(store) => store.read(name, range, sink).await.map(|_| None),
        }
    }
}

/// Asks for a part over HTTP; `refuse` explains an answer that is no part.
pub(super) async fn over_http(
    client: &Client,
    request: Request<Body>,
    part: &Part<'_>,
    sink: &mut Sink<'_>,
    refuse: impl Fn(&Answer) -> StoreError,
) -> Result<Option<String>, StoreError> {
    let (head, mut body) = client.send(request).await?.into_parts();
    let text = |name: &str| text(&head.headers, name);
    match head.status.as_u16() {
        206 => is_that_part(part, text("content-range"))?,
        // All of it is what was asked for only when that was all of it.
        200 if part.range == (0..part.bytes) => {}
        200 => return Err(whole_files_only()),
        404 => return Err(StoreError::missing(part.name)),
        412 | 416 => return Err(part.changed()),
        _ => {
            let (status, headers, mut body) = (head.status, head.headers.clone(), body);
            let mut said = Vec::new();
            while let (Some(Ok(frame)), true) = (body.frame().await, said.len() < LONGEST_ANSWER) {
                said.extend(frame.into_data().unwrap_or_default());
            }
            let answer = Answer {
                status,
                headers,
                body: said,
            };
            return Err(refuse(&answer));
        }
    }
    let tag = text("etag");
    part.is_of(part.bytes, tag)?;
    while let Some(frame) = body.frame().await {
        let broken = |error: hyper::Error| {
            let summary = format!("the connection broke while reading: {error}");
            StoreError::new(StoreErrorKind::Unreachable, summary, "")
        };
        let data = frame.map_err(broken)?.into_data().unwrap_or_default();
        sink(&data).map_err(|error| StoreError::of_io("keep", "what was read", &error))?;
    }
    Ok(tag.map(str::to_owned))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// `bytes FIRST-LAST/TOTAL`.
fn is_that_part(part: &Part<'_>, content_range: Option<&str>) -> Result<(), StoreError> {
    let parsed = content_range.and_then(|text| {
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total: Option<u64> = match total {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let last: u64 = last.parse().ok()?;
        Some((first.parse::<u64>().ok()?, last.checked_add(1)?, total))
    });
    let (start, end, total) = parsed.ok_or_else(whole_files_only)?;
    if total.is_some_and(|total| total != part.bytes) {
        return Err(part.changed());
    }
    // Less than was asked for is asked for again from there.
    match start == part.range.start && end <= part.range.end {
        true => Ok(()),
        false => Err(whole_files_only()),
    }
}

fn whole_files_only() -> StoreError {
    StoreError::new(
        StoreErrorKind::Other,
        "the server does not give parts of files",
        "bring the archive home whole: pantry-keeper fetch NAME",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(tag: Option<&'static str>) -> Part<'static> {
        Part {
            name: "a.tar.gz",
            range: 100..200,
            bytes: 1000,
            tag,
        }
    }

    #[test]
    fn only_the_part_that_was_asked_for_is_taken() {
        let check = |text| is_that_part(&asked(None), text).map_err(|error| error.kind);
        for good in [
            "bytes 100-199/1000",
            "bytes 100-149/1000",
            "bytes 100-199/*",
        ] {
            assert_eq!(check(Some(good)), Ok(()), "{good}");
        }
        for other in [
            None,
            Some(""),
            Some("bytes 0-99/1000"),
            Some("bytes 100-200/1000"),
            Some("items 100-199/1000"),
            Some("bytes 100-18446744073709551615/1000"),
        ] {
            assert_eq!(check(other), Err(StoreErrorKind::Other), "{other:?}");
        }
        let shorter = check(Some("bytes 100-199/999"));
        assert_eq!(shorter, Err(StoreErrorKind::Differs));
    }

    #[test]
    fn another_file_is_noticed_by_its_length_and_by_its_tag() {
        let part = asked(Some("one"));
        assert!(part.is_of(1000, Some("one")).is_ok());
        assert!(part.is_of(1000, None).is_ok());
        assert!(part.is_of(1000, Some("two")).is_err());
        assert!(part.is_of(1001, Some("one")).is_err());
        assert!(asked(None).is_of(1000, Some("two")).is_ok());
    }
}
