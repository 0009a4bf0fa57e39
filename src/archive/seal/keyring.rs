//! The private keys that open sealed archives: read when the first archive needs them, and once.

use crate::sys::redact::Secret;
use crate::sys::terminal;
use age::secrecy::SecretString;
use age::{Decryptor, scrypt, ssh, x25519};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What every age file begins with.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// No key file is larger, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;
/// A key file's passphrase may ask for this much work: what `age -p` writes, 256 MiB. More does not fit on a Raspberry Pi.
const MOST_WORK: u8 = 18;

/// Why no key can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("it is sealed, and there is no key here")]
    NoKey,
    #[error("the key file {} {problem}", path.display())]
    File { path: PathBuf, problem: String },
    #[error("the key file {} has a passphrase, and there is no terminal to ask for it", .0.display())]
    NoTerminal(PathBuf),
    #[error("this is not the passphrase of the key file {}", .0.display())]
    Passphrase(PathBuf),
}

impl KeyError {
    /// What to do.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            KeyError::NoKey => Some("name the file with its key: AGE_IDENTITY_FILE"),
            KeyError::File { .. } => Some(
                "AGE_IDENTITY_FILE names a file as `pantry-keeper keygen` or `age-keygen` writes it, or an SSH private key",
            ),
            KeyError::NoTerminal(_) => Some(
                "run it on a terminal (docker compose run -it), or use a key file without a passphrase",
            ),
            KeyError::Passphrase(_) => None,
        }
    }
}

/// One private key.
pub(super) enum Key {
    Age(x25519::Identity),
    Ssh(ssh::Identity),
}

impl Key {
    pub(super) fn as_age(&self) -> &dyn age::Identity {
        match self {
            Key::Age(key) => key,
            Key::Ssh(key) => key,
        }
    }
}

/// The key file and, once they were wanted, the keys in it. Clones share them, so that a passphrase is asked for once.
#[derive(Clone, Default)]
pub(crate) struct Keyring(Arc<Inner>);

#[derive(Default)]
struct Inner {
    path: Option<PathBuf>,
    keys: OnceLock<Result<Arc<Vec<Key>>, KeyError>>,
}

impl Keyring {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Keyring(Arc::new(Inner {
            path,
            keys: OnceLock::new(),
        }))
    }

    /// The key file.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Whether the key file can be used as it lies there, without anybody being asked.
    pub(crate) fn is_open(&self) -> bool {
        let content = self.path().map(read);
        content.is_some_and(|content| content.is_ok_and(|content| !is_protected(&content)))
    }

    /// Whether the key file is one, as far as can be told without asking for its passphrase.
    pub(crate) fn check(&self) -> Result<(), KeyError> {
        let path = self.path().ok_or(KeyError::NoKey)?;
        if is_protected(&read(path)?) {
            return Ok(());
        }
        self.keys().map(drop)
    }

    pub(super) fn keys(&self) -> Result<Arc<Vec<Key>>, KeyError> {
        let load = || match &self.0.path {
            Some(path) => load(path).map(Arc::new),
            None => Err(KeyError::NoKey),
        };
        self.0.keys.get_or_init(load).clone()
    }

    /// The public halves of the keys in the file, as far as they are age's own. Asks nobody.
    pub(crate) fn recipients(&self) -> Vec<String> {
        if !self.is_open() {
            return Vec::new();
        }
        let keys = self.keys().unwrap_or_default();
        let public = |key: &Key| match key {
            Key::Age(key) => Some(key.to_public().to_string()),
            Key::Ssh(_) => None,
        };
        keys.iter().filter_map(public).collect()
    }
}

impl PartialEq for Keyring {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.path())
    }
}

fn file_error(path: &Path, problem: impl Into<String>) -> KeyError {
    KeyError::File {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    let unreadable = |error: std::io::Error| file_error(path, format!("cannot be read: {error}"));
    // Opening a named pipe would wait for ever.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(file_error(path, "is not a regular file"));
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LONGEST_FILE + 1)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() as u64 > LONGEST_FILE {
        return Err(file_error(path, "is larger than any key"));
    }
    Ok(content)
}

/// Whether a file that begins so is sealed.
pub(super) fn is_sealed(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Whether the content is itself sealed with a passphrase.
fn is_protected(content: &[u8]) -> bool {
    is_sealed(content) || content.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
}

fn load(path: &Path) -> Result<Vec<Key>, KeyError> {
    let content = read(path)?;
    if is_protected(&content) {
        return parse(path, &unlock(path, &content)?);
    }
    match std::str::from_utf8(&content) {
        Ok(text) if text.trim_start().starts_with("-----BEGIN") => Ok(vec![ssh_key(path, text)?]),
        Ok(text) => parse(path, text),
        Err(_) => Err(file_error(path, "holds no key")),
    }
}

/// Asks for the passphrase.
fn passphrase(path: &Path) -> Result<SecretString, KeyError> {
    let question = format!("Passphrase of {}", path.display());
    let answer = terminal::ask_secret(&question);
    let answer = answer.ok_or_else(|| KeyError::NoTerminal(path.to_owned()))?;
    Ok(SecretString::from(answer.expose().to_owned()))
}

/// Opens a key file that `age -p` sealed.
fn unlock(path: &Path, content: &[u8]) -> Result<String, KeyError> {
    let damaged = |_| file_error(path, "is damaged");
    let decryptor = Decryptor::new(age::armor::ArmoredReader::new(content)).map_err(damaged)?;
    if !decryptor.is_scrypt() {
        return Err(file_error(
            path,
            "is sealed itself, and not with a passphrase",
        ));
    }
    let mut identity = scrypt::Identity::new(passphrase(path)?);
    identity.set_max_work_factor(MOST_WORK);
    let opened = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity));
    let mut opened = opened.map_err(|error| match error {
        age::DecryptError::ExcessiveWork { .. } => file_error(
            path,
            "has a passphrase that takes more than 256 MiB of memory to check",
        ),
        age::DecryptError::DecryptionFailed | age::DecryptError::NoMatchingKeys => {
            KeyError::Passphrase(path.to_owned())
        }
        _ => file_error(path, "is damaged"),
    })?;
    let mut text = String::new();
    opened
        .read_to_string(&mut text)
        .map_err(|_| file_error(path, "is damaged"))?;
    Ok(text)
}

/// Reads age's own keys, one a line. What is wrong is told by its line: the line itself may be a key.
fn parse(path: &Path, text: &str) -> Result<Vec<Key>, KeyError> {
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let problem = match line.parse::<x25519::Identity>() {
            Ok(key) => {
                keys.push(Key::Age(key));
                continue;
            }
            Err(_) if line.starts_with("age1") || line.starts_with("ssh-") => {
                "is a public key, which opens nothing"
            }
            Err(_) if line.starts_with("AGE-PLUGIN-") => {
                "needs a plugin of age, which is not supported"
            }
            Err(_) => "is not a key",
        };
        return Err(file_error(
            path,
            format!("cannot be used: line {number} {problem}"),
        ));
    }
    if keys.is_empty() {
        return Err(file_error(path, "holds no key"));
    }
    Ok(keys)
}

fn ssh_key(path: &Path, text: &str) -> Result<Key, KeyError> {
    let parsed = ssh::Identity::from_buffer(text.trim_start().as_bytes(), None);
    match parsed {
        Ok(key @ ssh::Identity::Unencrypted(_)) => Ok(Key::Ssh(key)),
        Ok(ssh::Identity::Encrypted(key)) => {
            let opened = key.decrypt(passphrase(path)?);
            let opened = opened.map_err(|_| KeyError::Passphrase(path.to_owned()))?;
            Ok(Key::Ssh(opened.into()))
        }
        Ok(ssh::Identity::Unsupported(_)) => Err(file_error(
            path,
            "is an SSH key of a kind that age does not take: ed25519 and RSA are",
        )),
        Err(_) => Err(file_error(path, "holds no key")),
    }
}

/// Each key in a text, to be kept out of everything that is shown.
pub(crate) fn secrets_in(text: &str) -> Vec<Secret> {
    let lines = text.lines().map(str::trim);
    let is_secret =
        |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.starts_with("-----");
    lines.filter(is_secret).map(Secret::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::seal::generate;

    fn refusal(content: impl AsRef<[u8]>) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let error = load(file.path()).err().unwrap();
        assert!(error.help().is_some());
        error.to_string()
    }

    #[test]
    fn what_is_no_key_file_is_refused_and_not_shown() {
        let (public, secret) = generate();
        let secret = secret.expose();
        assert!(refusal("").ends_with("holds no key"));
        assert!(refusal("# a comment\n").ends_with("holds no key"));
        assert!(refusal([0xff, 0xfe]).ends_with("holds no key"));
        assert!(refusal(&public).contains("line 1 is a public key"));
        let cut = refusal(format!("{secret}\n{}\n", &secret[..secret.len() - 1]));
        assert!(cut.contains("line 2 is not a key"), "{cut}");
        assert!(!cut.contains(&secret[..secret.len() - 1]));
        assert!(refusal(vec![b'x'; 70_000]).contains("larger than any key"));
        assert!(refusal("-----BEGIN OPENSSH PRIVATE KEY-----\nno\n").ends_with("holds no key"));
        assert_eq!(Keyring::default().keys().err(), Some(KeyError::NoKey));
    }

    #[test]
    fn a_key_file_gives_its_public_half() {
        let (public, secret) = generate();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            format!("# {public}\r\n{}\r\n", secret.expose()),
        )
        .unwrap();
        let keyring = Keyring::new(Some(file.path().to_owned()));
        assert!(keyring.is_open());
        assert_eq!(keyring.recipients(), [public]);
    }
}
