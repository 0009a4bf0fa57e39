//! Where copies go: what an `OFFSITE_URL` says.

use super::fault::Refusal;
use crate::retention::policy::RetentionPolicy;
use crate::sys::redact::{Secret, percent_decode};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ACCEPTED: &str = "use s3://BUCKET/PREFIX?region=…&endpoint=…, sftp://USER@HOST:PORT/PATH, webdavs://HOST/PATH, \
                        file:///PATH or rclone:REMOTE:PATH; several of them with commas between";

/// Where nothing else is said.
const DEFAULT_REGION: &str = "us-east-1";

/// Copies elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OffsiteSettings {
    /// Where copies go; empty when nowhere.
    pub places: Vec<OffsitePlace>,
    /// What it takes for a copy to count.
    pub verify: OffsiteVerify,
    /// Bytes per second at most.
    pub bandwidth: Option<u64>,
    /// How far copies may be behind before that is a problem.
    pub max_lag: Duration,
    /// Which copies stay.
    pub retention: RetentionPolicy,
    /// What opens the doors.
    pub credentials: OffsiteCredentials,
}

/// Who we are elsewhere, under the names that users know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OffsiteCredentials {
    pub aws_access_key_id: Option<String>,
    pub aws_secret_access_key: Option<Secret>,
    pub aws_session_token: Option<Secret>,
    pub aws_region: Option<String>,
    pub aws_endpoint_url: Option<String>,
    pub ssh_identity: Option<PathBuf>,
    pub ssh_known_hosts: Option<PathBuf>,
    pub webdav_username: Option<String>,
    pub webdav_password: Option<Secret>,
    pub rclone_config: Option<PathBuf>,
}

impl OffsiteCredentials {
    /// The region of a bucket whose address may name one.
    pub(crate) fn region_of<'c>(&'c self, named: Option<&'c str>) -> &'c str {
        named
            .or(self.aws_region.as_deref())
            .unwrap_or(DEFAULT_REGION)
    }
}

/// What it takes for a copy to count as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsiteVerify {
    /// The service confirmed size and checksum; where it knows no checksums, it is read back.
    Checksum,
    /// It was read back.
    Read,
}

/// One place for copies. Its text holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OffsitePlace {
    S3 {
        bucket: String,
        /// Without a slash at its start, with one at its end; or empty.
        prefix: String,
        region: Option<String>,
        endpoint: Option<String>,
        /// Where the address names no endpoint: region and endpoint that are meant all the same.
        service: Option<String>,
        /// Another place has this bucket's name and prefix, so that region and endpoint are shown as well.
        shown_whole: bool,
    },
    Sftp {
        user: Option<String>,
        host: String,
        port: Option<u16>,
        path: String,
    },
    WebDav {
        /// `HOST` or `HOST:PORT`.
        authority: String,
        /// As it is written in an address, with a slash at both ends.
        path: String,
    },
    Folder(PathBuf),
    Rclone {
        /// `REMOTE:PATH`.
        remote: String,
    },
}

impl fmt::Display for OffsitePlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OffsitePlace::S3 {
                shown_whole: true, ..
            } => write!(out, "{}", self.as_given()),
            OffsitePlace::S3 { .. } => write!(out, "{}", self.short_name()),
            OffsitePlace::Sftp {
                user,
                host,
                port,
                path,
            } => {
                let user = user.as_ref().map(|user| format!("{user}@"));
                let port = port.map(|port| format!(":{port}"));
                let (user, port) = (user.unwrap_or_default(), port.unwrap_or_default());
                write!(out, "sftp://{user}{host}{port}{path}")
            }
            OffsitePlace::WebDav { authority, path } => write!(out, "webdavs://{authority}{path}"),
            OffsitePlace::Folder(path) => write!(out, "file://{}", path.display()),
            OffsitePlace::Rclone { remote } => write!(out, "rclone:{remote}"),
        }
    }
}

impl OffsitePlace {
    /// What tells it from all other places: of two services, each may have a bucket of one name.
    pub(crate) fn identity(&self) -> String {
        match self {
            OffsitePlace::S3 {
                service: Some(service),
                ..
            } => format!("{}?{service}", self.short_name()),
            _ => self.as_given(),
        }
    }

    /// Settles which service is meant where the address does not name it. With AWS, another region is another bucket; others
    /// have regions in name only.
    pub(super) fn settle(&mut self, credentials: &OffsiteCredentials) {
        let OffsitePlace::S3 {
            region,
            endpoint: None,
            service,
            ..
        } = self
        else {
            return;
        };
        *service = Some(match &credentials.aws_endpoint_url {
            Some(endpoint) => {
                let region = region.as_ref().map(|region| format!("region={region}&"));
                format!("{}endpoint={endpoint}", region.unwrap_or_default())
            }
            None => {
                let region = credentials.region_of(region.as_deref());
                format!("region={region}&endpoint=https://s3.{region}.amazonaws.com")
            }
        });
    }

    /// Its whole address, as it was given: what told it from others in earlier versions.
    pub(crate) fn as_given(&self) -> String {
        let OffsitePlace::S3 {
            bucket,
            prefix,
            region,
            endpoint,
            ..
        } = self
        else {
            return self.to_string();
        };
        let options = [("region", region), ("endpoint", endpoint)];
        let options: Vec<String> = options
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
            .collect();
        let joint = if options.is_empty() { "" } else { "?" };
        format!("s3://{bucket}/{prefix}{joint}{}", options.join("&"))
    }

    /// Its address without region and endpoint, which others may have as well.
    pub(crate) fn short_name(&self) -> String {
        match self {
            OffsitePlace::S3 { bucket, prefix, .. } => format!("s3://{bucket}/{prefix}"),
            other => other.to_string(),
        }
    }
}

/// One place or several, with commas between.
pub(super) fn places(text: &str) -> Result<Vec<OffsitePlace>, Refusal> {
    let mut found: Vec<OffsitePlace> = Vec::new();
    let items = text.split(',').map(str::trim);
    for item in items.filter(|item| !item.is_empty()) {
        let place = place(item)?;
        if found
            .iter()
            .any(|other| other.identity() == place.identity())
        {
            return Err(Refusal::new(
                "names one place twice",
                "name each place once",
            ));
        }
        found.push(place);
    }
    let names: Vec<String> = found.iter().map(OffsitePlace::short_name).collect();
    for place in &mut found {
        let name = place.short_name();
        if let OffsitePlace::S3 { shown_whole, .. } = place {
            *shown_whole = names.iter().filter(|other| **other == name).count() > 1;
        }
    }
    Ok(found)
}

fn place(text: &str) -> Result<OffsitePlace, Refusal> {
    let refuse = |problem: &str| Refusal::new(problem, ACCEPTED);
    if text.contains(char::is_control) {
        return Err(refuse("has a line break or another control character"));
    }
    if let Some(remote) = text.strip_prefix("rclone:") {
        // A name alone: with options in it, secrets of theirs would show in the list of processes.
        let plain = |c: char| c.is_alphanumeric() || "_-.+@ ".contains(c);
        let named = remote.split_once(':').is_some_and(|(name, _)| {
            !name.is_empty() && !name.starts_with('-') && name.chars().all(plain)
        });
        let remote = remote.trim_end_matches('/').to_owned();
        return if named {
            Ok(OffsitePlace::Rclone { remote })
        } else {
            Err(refuse("names no remote of rclone"))
        };
    }
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| refuse("is not an address"))?;
    match scheme {
        "s3" => s3(rest),
        "sftp" => sftp(rest),
        "webdavs" => webdav(rest),
        "file" => match rest.starts_with('/') {
            // However many slashes it is written with, it is one place.
            true => Ok(OffsitePlace::Folder(Path::new(rest).components().collect())),
            false => Err(refuse("has no absolute path")),
        },
        "webdav" | "http" | "https" | "davs" | "dav" => Err(Refusal::new(
            "is not a place for copies",
            "write webdavs://HOST/PATH for WebDAV; without TLS nothing is sent",
        )),
        _ => Err(refuse("is not a place for copies")),
    }
}

fn s3(rest: &str) -> Result<OffsitePlace, Refusal> {
    let refuse = |problem: String| {
        Refusal::new(
            problem,
            "use s3://BUCKET/PREFIX?region=REGION&endpoint=https://HOST",
        )
    };
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    if location.contains('@') {
        return Err(Refusal::new(
            "holds credentials",
            "put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ));
    }
    let (bucket, prefix) = location.split_once('/').unwrap_or((location, ""));
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if bucket.is_empty() || !bucket.chars().all(good) {
        return Err(refuse("names no bucket".to_owned()));
    }
    let (mut region, mut endpoint) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode(value).filter(|value| !value.is_empty());
        match (name, value) {
            ("region", Some(value)) => region = Some(value),
            ("endpoint", Some(value)) => endpoint = Some(self::endpoint(&value)?),
            _ => return Err(refuse(format!("has an option {name} that is not known"))),
        }
    }
    Ok(OffsitePlace::S3 {
        bucket: bucket.to_owned(),
        prefix: folder(prefix),
        region,
        endpoint,
        service: None,
        shown_whole: false,
    })
}

/// The address of an S3 service: `https://HOST`, `http://HOST` when that is really meant, or `HOST`.
pub(super) fn endpoint(text: &str) -> Result<String, Refusal> {
    let text = text.trim_end_matches('/');
    let (scheme, host) = text.split_once("://").unwrap_or(("https", text));
    let odd = |c: char| c.is_whitespace() || "/@?#,".contains(c);
    if !["https", "http"].contains(&scheme) || host.is_empty() || host.contains(odd) {
        return Err(Refusal::new(
            "is not the address of an S3 service",
            "use https://HOST or https://HOST:PORT",
        ));
    }
    Ok(format!("{scheme}://{host}"))
}

fn sftp(rest: &str) -> Result<OffsitePlace, Refusal> {
    let refuse = |problem| Refusal::new(problem, "use sftp://USER@HOST:PORT/PATH");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err(Refusal::new(
            "holds a password",
            "sign in with a key instead: SSH_IDENTITY_FILE",
        ));
    }
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let port = port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| refuse("has no number for a port"))?;
            (host, Some(port))
        }
        _ => (host, None),
    };
    let odd = |c: char| c.is_whitespace() || "/@?#%,".contains(c);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.is_empty() || bare.starts_with('-') || bare.contains(odd) {
        return Err(refuse("names no host"));
    }
    if user.is_some_and(|user| user.is_empty() || user.starts_with('-') || user.contains(odd)) {
        return Err(refuse("names no user"));
    }
    let path = percent_decode(path).ok_or_else(|| refuse("has a % that stands for nothing"))?;
    let path = format!("/{}", path.trim_matches('/'));
    Ok(OffsitePlace::Sftp {
        user: user.map(str::to_owned),
        host: bare.to_owned(),
        port,
        path,
    })
}

fn webdav(rest: &str) -> Result<OffsitePlace, Refusal> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(Refusal::new(
            "holds credentials",
            "put them into WEBDAV_USERNAME and WEBDAV_PASSWORD",
        ));
    }
    let odd = |c: char| c.is_whitespace() || "?#,".contains(c);
    if authority.is_empty() || authority.contains(odd) || path.contains(odd) {
        return Err(Refusal::new(
            "is not an address",
            "use webdavs://HOST/PATH, a space in it as %20",
        ));
    }
    Ok(OffsitePlace::WebDav {
        authority: authority.to_owned(),
        path: format!("/{}", folder(&encoded(path))),
    })
}

/// As it stands in a request: what is no ASCII is written in the URL as it reads. All else is left as it is.
fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte.is_ascii() {
            true => encoded.push(byte.into()),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Without slashes at its start, with one at its end; or empty.
fn folder(path: &str) -> String {
    match path.trim_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_place_is_read_and_shown_without_what_is_not_needed() {
        for (text, shown) in [
            ("s3://b", "s3://b/"),
            ("s3://b/a/c?region=x&endpoint=https://h:1", "s3://b/a/c/"),
            ("sftp://me@host:23/backups/", "sftp://me@host:23/backups"),
            ("sftp://host", "sftp://host/"),
            (
                "webdavs://cloud.example.org/remote.php/dav/files/me/my%20dumps",
                "webdavs://cloud.example.org/remote.php/dav/files/me/my%20dumps/",
            ),
            ("webdavs://h/jörg/%C3%B6", "webdavs://h/j%C3%B6rg/%C3%B6/"),
            ("file:///mnt/disk2", "file:///mnt/disk2"),
            ("rclone:box:a/b", "rclone:box:a/b"),
        ] {
            let found = places(text).map(|places| places[0].to_string());
            assert_eq!(found.as_deref(), Ok(shown), "{text}");
        }
        assert_eq!(places("file:///a, s3://b,").map(|found| found.len()), Ok(2));
    }

    #[test]
    fn one_bucket_name_at_two_services_is_two_places() {
        let shown = |text| {
            let found = places(text).map_err(|refusal| refusal.problem);
            found.map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let two = "s3://b/a?endpoint=https://one,s3://b/a?region=x&endpoint=https://two,s3://c";
        let whole = [
            "s3://b/a/?endpoint=https://one",
            "s3://b/a/?region=x&endpoint=https://two",
            "s3://c/",
        ];
        assert_eq!(shown(two), Ok(whole.map(str::to_owned).into()));
        let two = "s3://b,s3://b?endpoint=https://two";
        let whole = ["s3://b/", "s3://b/?endpoint=https://two"];
        assert_eq!(shown(two), Ok(whole.map(str::to_owned).into()));
        for same in [
            "s3://b/a?endpoint=https://one,s3://b/a/?endpoint=one/",
            "s3://b?region=x,s3://b/?region=x",
            "s3://b?region=x&endpoint=one,s3://b?endpoint=one&region=x",
        ] {
            assert_eq!(
                shown(same),
                Err("names one place twice".to_owned()),
                "{same}"
            );
        }
    }

    #[test]
    fn what_is_no_place_is_refused_with_what_is_one() {
        for text in [
            "/mnt/disk2",
            "file://disk2",
            "ftp://host/path",
            "http://host/",
            "webdav://host/",
            "s3://",
            "s3:///a",
            "s3://key:secret@bucket/a",
            "s3://b?regoin=x",
            "s3://b?endpoint=ftp://x",
            "sftp://",
            "sftp://me:secret@host/",
            "sftp://host:port/",
            "sftp://-oProxyCommand=x/",
            "sftp://-l@host/",
            "webdavs://me:secret@host/",
            "webdavs://",
            "rclone:box",
            "rclone:--config=x:a",
            "file:///a,file:///a",
        ] {
            let refusal = places(text).unwrap_err();
            assert!(!refusal.problem.contains("secret"), "{text}");
        }
    }
}
