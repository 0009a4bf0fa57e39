//! The mail settings, which need one another.

use super::{Checker, Faulty};
use crate::settings::{MailSecurity, MailSettings, parse, table};

/// The port of SMTP over TLS; the default of `SMTP_PORT` is that of STARTTLS.
const SMTPS_PORT: u16 = 465;

/// None for mail that is off.
pub(super) fn mail(checker: &mut Checker) -> Result<Option<MailSettings>, Faulty> {
    let host = checker.optional(&table::SMTP_HOST);
    let port = checker.value(&table::SMTP_PORT);
    let security = checker.value(&table::SMTP_SECURITY);
    let username = checker.optional(&table::SMTP_USERNAME);
    let password = checker.optional(&table::SMTP_PASSWORD);
    let from = checker.optional(&table::EMAIL_FROM);
    let to = checker.optional(&table::EMAIL_TO);
    if !checker.is_given(&table::SMTP_HOST.setting) {
        // Mail is off; what else was given is still checked, so that turning it on brings no surprise.
        let _ = (host?, port?, security?, username?, password?, from?, to?);
        return Ok(None);
    }
    checker.together(&table::SMTP_USERNAME.setting, &table::SMTP_PASSWORD.setting);
    let user = username.as_ref().ok().and_then(Option::as_ref);
    let from_user = || parse::address(user?).ok();
    let from = from.ok().flatten().or_else(from_user);
    let but_host_is = format!("is not set, but {} is", table::SMTP_HOST.name());
    let from = from.ok_or_else(|| {
        let help = "set the sender's address, or SMTP_USERNAME to one";
        checker.missing(&table::EMAIL_FROM.setting, but_host_is.clone(), help)
    });
    if !checker.is_given(&table::EMAIL_TO.setting) {
        let help = "set the address that gets the mail";
        checker.missing(&table::EMAIL_TO.setting, but_host_is, help);
    }
    let security = security?;
    let port = match security {
        MailSecurity::Tls if !checker.is_given(&table::SMTP_PORT.setting) => SMTPS_PORT,
        _ => port?,
    };
    Ok(Some(MailSettings {
        host: host?.ok_or(Faulty)?,
        port,
        security,
        username: username?,
        password: password?,
        from: from?,
        to: to?.ok_or(Faulty)?,
    }))
}
