//! To whom archives are sealed, and what opens them.

use super::fault::Refusal;
use crate::archive::seal::{Keyring, Recipient};
use crate::sys::redact::MASK;

/// Sealing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EncryptSettings {
    /// Each of these can open what is sealed; empty when nothing is sealed.
    pub to: Vec<Recipient>,
    /// What stays in the backup folder is sealed too.
    pub local: bool,
    /// What opens sealed archives.
    pub keyring: Keyring,
}

/// Recipients with commas between, or one a line as age's own files have them.
pub(super) fn recipients(text: &str) -> Result<Vec<Recipient>, Refusal> {
    let advice = "give age recipients (age1…, which `pantry-keeper keygen` makes) or SSH public keys (ssh-ed25519 …, \
                  ssh-rsa …), with commas between";
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let items = lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let mut recipients = Vec::new();
    for item in items {
        let parsed = Recipient::parse(item).map_err(|problem| {
            // A private key that strayed in here must not be shown.
            let shown = if item.contains("SECRET") || item.contains("PRIVATE") {
                MASK
            } else {
                item
            };
            Refusal::of(shown, problem, advice)
        })?;
        if !recipients.contains(&parsed) {
            recipients.push(parsed);
        }
    }
    if recipients.is_empty() {
        return Err(Refusal::new("names no recipient", advice));
    }
    Ok(recipients)
}
