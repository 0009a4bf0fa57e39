//! Whether sealed archives can be opened by those who should, and by nobody else.

use super::findings::Findings;
use crate::archive::seal::Recipient;
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
    let Some(path) = keyring.path() else {
        return findings.fine(
            "encryption",
            format!(
                "sealed for {}; no key that opens it is named here",
                named(&encrypt.to)
            ),
        );
    };
    if let Err(problem) = keyring.check() {
        let fix = problem.help().unwrap_or_default();
        return findings.wrong("encryption", problem.to_string(), fix);
    }
    let here = keyring.recipients();
    let elsewhere = encrypt.to.iter().any(|to| !here.contains(&to.short()));
    if keyring.is_open() && !elsewhere {
        let text = format!(
            "the only key that opens the archives lies on this machine, in {}: whoever breaks in can read them, and when the \
             machine is lost so is the key",
            path.display()
        );
        let fix = "keep the key elsewhere, and take it here only to restore";
        return findings.advice("encryption", text, fix);
    }
    let repository = Repository::of(settings);
    let stems = repository.stems().unwrap_or_default();
    let newest = stems
        .iter()
        .rev()
        .find(|stem| repository.sealed_record(stem).is_some());
    match newest {
        Some(stem) if keyring.is_open() => match repository.open(stem) {
            Ok(_) => findings.fine(
                "encryption",
                format!(
                    "sealed for {}; the key in {} opens {stem}",
                    named(&encrypt.to),
                    path.display()
                ),
            ),
            Err(error) => findings.wrong("encryption", error.to_string(), TRY_IT),
        },
        _ => findings.fine("encryption", format!("sealed for {}", named(&encrypt.to))),
    }
}

fn named(to: &[Recipient]) -> String {
    let names: Vec<String> = to.iter().map(ToString::to_string).collect();
    names.join(", ")
}
