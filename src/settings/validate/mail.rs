//! The mail settings, which need one another.

use super::Checker;
use crate::settings::{MailSecurity, MailSettings, parse, table};

/// The port of SMTP over TLS; the default of `SMTP_PORT` is that of STARTTLS.
const SMTPS_PORT: u16 = 465;

/// The outer `None` stands for a fault, the inner one for mail that is off.
pub(super) fn mail(checker: &mut Checker) -> Option<Option<MailSettings>> {
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
        return Some(None);
    }
    checker.together(&table::SMTP_USERNAME.setting, &table::SMTP_PASSWORD.setting);
    let from_user = || parse::address(username.as_ref()?.as_ref()?).ok();
    let from = from.and_then(|from| from.or_else(from_user));
    let but_host_is = format!("is not set, but {} is", table::SMTP_HOST.name());
    if from.is_none() {
        let help = "set the sender's address, or SMTP_USERNAME to one";
        checker.missing(&table::EMAIL_FROM.setting, but_host_is.clone(), help);
    }
    if !checker.is_given(&table::EMAIL_TO.setting) {
        let help = "set the address that gets the mail";
        checker.missing(&table::EMAIL_TO.setting, but_host_is, help);
    }
    let security = security?;
    let port = match security {
        MailSecurity::Tls if !checker.is_given(&table::SMTP_PORT.setting) => SMTPS_PORT,
        _ => port?,
    };
    Some(Some(MailSettings {
        host: host??,
        port,
        security,
        username: username?,
        password: password?,
        from: from?,
        to: to??,
    }))
}
