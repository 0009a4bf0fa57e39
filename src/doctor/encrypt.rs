//! Whether sealed archives can be opened by those who should, and by nobody else.

use super::findings::Findings;
use crate::settings::Settings;
use crate::store::repository::Repository;

const TRY_IT: &str =
    "try the key once, from where it is kept: pantry-keeper verify latest, with AGE_IDENTITY_FILE";

/// Looks at who can open what is sealed here.
pub(super) fn encrypt(findings: &mut Findings, settings: &Settings) {
    let encrypt = &settings.encrypt;
    if encrypt.to.is_empty() {
        return;
    }
    let keyring = &encrypt.keyring;
    if let (Some(_), Err(problem)) = (keyring.path(), keyring.check()) {
        let fix = problem.help().unwrap_or_default();
        return findings.wrong("encryption", problem.to_string(), fix);
    }
    only_key_here(findings, settings);
    let names: Vec<String> = encrypt.to.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    if !encrypt.local {
        if settings.offsite.places.is_empty() {
            let text = format!("nothing is sealed for {names}: there are no copies elsewhere");
            let fix = "set OFFSITE_URL, for which archives are sealed, or ENCRYPT_LOCAL=true";
            return findings.advice("encryption", text, fix);
        }
        let text = format!("copies elsewhere are sealed for {names}; what stays here is not");
        return findings.fine("encryption", text);
    }
    let repository = Repository::of(settings);
    let stems = repository.stems().unwrap_or_default();
    let newest = stems
        .iter()
        .rev()
        .find(|stem| repository.sealed_record(stem).is_some());
    if let (Some(stem), true) = (newest, keyring.is_open())
        && let Err(error) = repository.open(stem)
    {
        return findings.wrong("encryption", error.to_string(), TRY_IT);
    }
    let opened = repository.opened_for();
    let tried = encrypt.to.iter().any(|to| opened.contains(&to.short()));
    let text = format!("archives are sealed for {names}");
    if tried || newest.is_none() {
        findings.fine("encryption", text);
    } else {
        findings.advice(
            "encryption",
            format!("{text}; no key was ever tried here"),
            TRY_IT,
        );
    }
}

/// Warns when each key that opens the archives lies on the machine that they are to be kept from.
fn only_key_here(findings: &mut Findings, settings: &Settings) {
    let encrypt = &settings.encrypt;
    let here = encrypt.keyring.recipients();
    if let (Some(path), true) = (
        encrypt.keyring.path(),
        encrypt.to.iter().all(|to| here.contains(&to.short())),
    ) {
        let text = format!(
            "the only key that opens the archives lies on this machine, in {}: whoever breaks in can read them, and when \
             the machine is lost so is the key",
            path.display()
        );
        let fix = "keep the key elsewhere, and bring it here only to restore";
        findings.advice("encryption", text, fix);
    }
}
