//! What an S3 service answers: a few elements of XML.

use super::super::error::{StoreError, StoreErrorKind};
use super::super::{Entry, http};
use crate::sys::http::Answer;
use roxmltree::{Document, Node};

/// One page of a listing.
pub(super) struct Page {
    pub entries: Vec<Entry>,
    pub next: Option<String>,
}

/// An upload in parts that was begun.
pub(super) struct Begun {
    pub key: String,
    pub upload_id: String,
}

fn value(node: Node, name: &str) -> Option<String> {
    let found = node
        .children()
        .find(|child| child.tag_name().name() == name)?;
    Some(found.text().unwrap_or_default().to_owned())
}

fn parse(body: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(body).map_err(|_| http::malformed("the S3 service"))
}

fn document(body: &str) -> Result<Document<'_>, StoreError> {
    Document::parse(body).map_err(|_| http::malformed("the S3 service"))
}

pub(super) fn page(body: &[u8], prefix: &str) -> Result<Page, StoreError> {
    let document = document(parse(body)?)?;
    let root = document.root_element();
    // What is not listed is taken for gone: a page of something else must not look like an empty list.
    if root.tag_name().name() != "ListBucketResult" {
        return Err(http::malformed("the S3 service"));
    }
    let contents = root
        .children()
        .filter(|child| child.tag_name().name() == "Contents");
    let mut entries = Vec::new();
    for node in contents {
        let key = value(node, "Key");
        let bytes = value(node, "Size").and_then(|bytes| bytes.trim().parse().ok());
        let (Some(key), Some(bytes)) = (key, bytes) else {
            return Err(http::malformed("the S3 service"));
        };
        let name = key.strip_prefix(prefix).map(str::to_owned);
        entries.extend(name.map(|name| Entry { name, bytes }));
    }
    let more = value(root, "IsTruncated").is_some_and(|more| more.trim() == "true");
    let next = value(root, "NextContinuationToken").filter(|token| !token.is_empty());
    match (more, next) {
        (false, _) => Ok(Page {
            entries,
            next: None,
        }),
        (true, Some(token)) => Ok(Page {
            entries,
            next: Some(token),
        }),
        (true, None) => Err(unfinished()),
    }
}

/// A list that goes on nowhere.
pub(super) fn unfinished() -> StoreError {
    StoreError::new(
        StoreErrorKind::Other,
        "the S3 service gave a part of its list, and does not say how it goes on",
        "see whether it knows ListObjectsV2; a newer version of it may",
    )
}

pub(super) fn uploads(body: &[u8]) -> Result<Vec<Begun>, StoreError> {
    let document = document(parse(body)?)?;
    let nodes = document
        .root_element()
        .children()
        .filter(|child| child.tag_name().name() == "Upload");
    let begun = |node: Node| {
        Some(Begun {
            key: value(node, "Key")?,
            upload_id: value(node, "UploadId")?,
        })
    };
    Ok(nodes.filter_map(begun).collect())
}

pub(super) fn upload_id(body: &[u8]) -> Result<String, StoreError> {
    let document = document(parse(body)?)?;
    let id = value(document.root_element(), "UploadId").filter(|id| !id.is_empty());
    id.ok_or_else(|| http::malformed("the S3 service"))
}

/// The code and the message of a failure; an answer of success may be one too.
pub(super) fn failure(body: &[u8]) -> Option<(String, String)> {
    let document = Document::parse(std::str::from_utf8(body).ok()?).ok()?;
    let root = document.root_element();
    let is_error = root.tag_name().name() == "Error";
    is_error.then(|| {
        (
            value(root, "Code").unwrap_or_default(),
            value(root, "Message").unwrap_or_default(),
        )
    })
}

/// Whether an answer is a failure of this code.
pub(super) fn is_code(body: &[u8], code: &str) -> bool {
    failure(body).is_some_and(|(found, _)| found == code)
}

/// What an answer that is no success means.
pub(super) fn refusal(action: &str, bucket: &str, answer: &Answer) -> StoreError {
    let (code, message) = failure(&answer.body).unwrap_or_default();
    let status = answer.status.as_u16();
    let (kind, help) = match (code.as_str(), status) {
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken", _) => (
            StoreErrorKind::Denied,
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the region",
        ),
        ("RequestTimeTooSkewed", _) => (StoreErrorKind::Denied, "set this machine's clock"),
        ("NoSuchBucket", _) => (
            StoreErrorKind::NoPlace,
            "create the bucket, or correct OFFSITE_URL",
        ),
        ("InvalidObjectState", _) => (
            StoreErrorKind::Local,
            "it lies in an archive class such as Glacier: restore it there first; copies need a class that gives them at once",
        ),
        ("NoSuchKey", _) => (StoreErrorKind::Missing, ""),
        ("PreconditionFailed", _) | (_, 412) => (StoreErrorKind::Exists, ""),
        (
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, 301 | 307) => (
            StoreErrorKind::Other,
            "the bucket is in another region: add ?region=… to OFFSITE_URL",
        ),
        ("EntityTooLarge", _) | (_, 413) => (
            // Smaller ones may be taken.
            StoreErrorKind::Local,
            "raise the limit of the service, or of the proxy in front of it",
        ),
        ("QuotaExceeded" | "XMinioStorageFull", _) | (_, 507) => (
            StoreErrorKind::Full,
            "make room there, or keep fewer copies: OFFSITE_RETENTION_DAYS",
        ),
        (_, 401 | 403) => (
            StoreErrorKind::Denied,
            "see what this key may do with the bucket",
        ),
        (_, 404) => (StoreErrorKind::Missing, ""),
        (_, status) if status >= 500 || status == 429 => (StoreErrorKind::Unreachable, ""),
        _ => (StoreErrorKind::Other, ""),
    };
    let said = match (code.as_str(), message.as_str()) {
        ("", _) => format!("status {status}"),
        (code, "") => format!("{code} (status {status})"),
        (code, message) => format!("{code}: {message} (status {status})"),
    };
    let summary = format!("the bucket {bucket} refused to {action}: {said}");
    StoreError::new(kind, summary, help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::{HeaderMap, StatusCode};

    fn listed(inner: &str) -> Result<Page, StoreError> {
        let body = format!("<?xml version='1.0'?><ListBucketResult>{inner}</ListBucketResult>");
        page(body.as_bytes(), "b/")
    }

    const FILE: &str = "<Contents><Key>b/a.tar.gz</Key><Size>7</Size></Contents>";
    const OTHER: &str = "<Contents><Key>c/a.tar.gz</Key><Size>7</Size></Contents>";

    #[test]
    fn a_list_that_breaks_off_is_not_taken_for_all_there_is() {
        let whole = listed(&format!("{FILE}{OTHER}<IsTruncated>false</IsTruncated>")).unwrap();
        assert_eq!((whole.entries.len(), whole.next), (1, None));
        let first = format!(
            "{FILE}<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        );
        assert_eq!(listed(&first).unwrap().next.as_deref(), Some("t"));
        for text in [
            format!("{FILE}<IsTruncated>true</IsTruncated>"),
            format!("{FILE}<IsTruncated>true</IsTruncated><NextContinuationToken/>"),
            format!("{FILE}<Contents><Key>b/c.tar.gz</Key></Contents>"),
        ] {
            assert_eq!(
                listed(&text).err().unwrap().kind,
                StoreErrorKind::Other,
                "{text}"
            );
        }
        let portal = page(b"<html><body>Log in first</body></html>", "b/");
        assert_eq!(portal.err().unwrap().kind, StoreErrorKind::Other);
    }

    #[test]
    fn what_lies_in_an_archive_class_is_not_a_matter_of_the_key() {
        let body = "<Error><Code>InvalidObjectState</Code><Message>no</Message></Error>";
        let answer = Answer {
            status: StatusCode::FORBIDDEN,
            headers: HeaderMap::new(),
            body: body.into(),
        };
        let error = refusal("give a", "pantry", &answer);
        assert_ne!(error.kind, StoreErrorKind::Denied);
        assert!(error.to_string().contains("Glacier"), "{error}");
    }

    #[test]
    fn a_file_that_is_too_large_is_no_full_disk() {
        let answer = Answer {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            headers: HeaderMap::new(),
            body: b"<html>413 Request Entity Too Large</html>".to_vec(),
        };
        let error = refusal("take part 1", "pantry", &answer);
        assert_eq!(error.kind, StoreErrorKind::Local);
        assert!(!error.to_string().contains("make room"), "{error}");
    }
}
