//! AWS Signature Version 4: every request is signed with the checksum of its body, which the service checks.

use crate::sys::redact::Secret;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Who signs.
pub(super) struct Signer {
    pub key_id: String,
    pub secret: Secret,
    pub session_token: Option<Secret>,
    pub region: String,
}

/// What is signed. All of it is as it stands in the request.
pub(super) struct Signed<'r> {
    pub method: &'r str,
    pub host: &'r str,
    /// Encoded, with a slash in front.
    pub path: &'r str,
    /// Encoded, sorted by name.
    pub query: &'r str,
    pub body_sha256: [u8; 32],
    /// Those beside the ones that are added here: names in small letters, sorted.
    pub headers: &'r [(&'r str, String)],
}

impl Signer {
    /// The headers to add.
    pub(super) fn headers(&self, signed: &Signed, now: DateTime<Utc>) -> Vec<(String, String)> {
        let (time, date) = (
            now.format("%Y%m%dT%H%M%SZ").to_string(),
            now.format("%Y%m%d").to_string(),
        );
        let body_sha256 = hex::encode(signed.body_sha256);
        let mut headers: Vec<(String, String)> = vec![
            ("host".into(), signed.host.into()),
            ("x-amz-content-sha256".into(), body_sha256.clone()),
            ("x-amz-date".into(), time.clone()),
        ];
        let token = self.session_token.as_ref();
        headers.extend(token.map(|token| ("x-amz-security-token".into(), token.expose().into())));
        let others = signed.headers.iter();
        headers.extend(others.map(|(name, value)| ((*name).to_owned(), value.clone())));
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{}\n", value.trim()))
            .collect();
        let canonical = format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{body_sha256}",
            signed.method, signed.path, signed.query
        );
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let hashed = hex::encode(Sha256::digest(canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
        let mut key = mac(
            format!("AWS4{}", self.secret.expose()).as_bytes(),
            date.as_bytes(),
        );
        for part in [self.region.as_str(), "s3", "aws4_request"] {
            key = mac(&key, part.as_bytes());
        }
        let signature = hex::encode(mac(&key, to_sign.as_bytes()));
        let key_id = &self.key_id;
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        headers.push(("authorization".into(), authorization));
        headers
    }
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // A key of any length is one for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// As AWS wants it: everything but letters, digits and `-._~`, and the slash where it parts a path.
pub(super) fn encode(text: &str, in_path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain =
            byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (in_path && byte == b'/');
        if plain {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    /// The example of AWS's documentation: GET an object with a range.
    #[test]
    fn the_documented_example_is_signed_as_documented() {
        let signer = Signer {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: None,
            region: "us-east-1".into(),
        };
        let signed = Signed {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: "",
            body_sha256: Sha256::digest(b"").into(),
            headers: &[("range", "bytes=0-9".to_owned())],
        };
        let now = Utc.with_ymd_and_hms(2013, 5, 24, 0, 0, 0).unwrap();
        let headers = signer.headers(&signed, now);
        let authorization = &headers.last().unwrap().1;
        assert!(
            authorization.ends_with(
                "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            ),
            "{authorization}"
        );
    }
}
