//! Sealing: what stays can only be sealed to somebody.

use super::{Checker, Faulty};
use crate::archive::seal::Keyring;
use crate::settings::encrypt::EncryptSettings;
use crate::settings::table;

pub(super) fn encrypt(checker: &mut Checker) -> Result<EncryptSettings, Faulty> {
    let to = checker.optional(&table::ENCRYPT_TO);
    let local = checker.value(&table::ENCRYPT_LOCAL);
    let identity = checker.optional(&table::AGE_IDENTITY_FILE);
    if matches!(local, Ok(true)) && matches!(to, Ok(None)) {
        checker.missing(
            &table::ENCRYPT_TO.setting,
            format!("is not set, but {} is", table::ENCRYPT_LOCAL.name()),
            "say who can open the archives; `pantry-keeper keygen` makes a key",
        );
    }
    Ok(EncryptSettings {
        to: to?.unwrap_or_default(),
        local: local?,
        keyring: Keyring::new(identity?),
    })
}
