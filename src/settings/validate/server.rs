//! The server to back up: a connection string, or a host with a user and a password in plain text.

use super::{Checker, Faulty};
use crate::mongo::uri::MongoUri;
use crate::settings::descriptor::Setting;
use crate::settings::fault::Refusal;
use crate::settings::{Needs, parse, table};
use crate::sys::redact::{Secret, percent_encode};

/// None for a server that was not given, and is not needed.
pub(super) fn server(checker: &mut Checker, needs: Needs) -> Result<Option<MongoUri>, Faulty> {
    let by_uri = by_uri(checker);
    let by_host = by_host(checker);
    let found = by_uri?.or(by_host?);
    if found.is_none() && needs == Needs::Server {
        return Err(checker.missing(
            &table::MONGODB_URI.setting,
            "is not set",
            "write it like mongodb://HOST:27017/, with USER:PASSWORD@ before HOST if it asks for them; or set \
             MONGODB_HOST, MONGODB_USERNAME and MONGODB_PASSWORD",
        ));
    }
    Ok(found)
}

fn by_uri(checker: &mut Checker) -> Result<Option<MongoUri>, Faulty> {
    let uri = checker.optional(&table::MONGODB_URI);
    let url = checker.optional(&table::DATABASE_URL);
    let (uri, url) = (uri?, url?);
    if let (Some(one), Some(other)) = (&uri, &url)
        && one != other
    {
        let problem = format!("differs from {}", table::MONGODB_URI.name());
        let refusal = Refusal::new(problem, "keep one of the two");
        return Err(checker.refuse(&table::DATABASE_URL.setting, Some(""), refusal));
    }
    let url = url.map(|url| url.given_as(table::DATABASE_URL.name()));
    Ok(uri.or(url))
}

fn by_host(checker: &mut Checker) -> Result<Option<MongoUri>, Faulty> {
    let hosts = checker.optional(&table::MONGODB_HOST);
    let username = checker.optional(&table::MONGODB_USERNAME);
    let password = checker.optional(&table::MONGODB_PASSWORD);
    refuse_beside_uri(checker)?;
    let user_settings = [
        &table::MONGODB_USERNAME.setting,
        &table::MONGODB_PASSWORD.setting,
    ];
    checker.together(user_settings[0], user_settings[1]);
    let user_given = user_settings.into_iter().find(|s| checker.is_given(s));
    if let Some(Setting { name, .. }) = user_given
        && !checker.is_given(&table::MONGODB_HOST.setting)
    {
        let problem = format!("is not set, but {name} is");
        let help = "set the name of the server, or put user and password into MONGODB_URI";
        return Err(checker.missing(&table::MONGODB_HOST.setting, problem, help));
    }
    let (username, password) = (username?, password?);
    let Some(hosts) = hosts? else {
        return Ok(None);
    };
    let text = match (&username, &password) {
        (Some(username), Some(password)) => with_user(&hosts, username, password),
        (None, None) => format!("mongodb://{hosts}/"),
        // Said above.
        _ => return Err(Faulty),
    };
    match parse::mongo_uri(&text) {
        Ok(uri) => {
            let uri = uri.given_as(table::MONGODB_HOST.name());
            Ok(Some(uri.with_password_of(table::MONGODB_PASSWORD.name())))
        }
        Err(refusal) => Err(checker.refuse(&table::MONGODB_HOST.setting, Some(&hosts), refusal)),
    }
}

/// What docker-compose.yml sets up, and what most people do: the user lives in the database admin.
fn with_user(hosts: &str, username: &str, password: &Secret) -> String {
    let (user, password) = (percent_encode(username), percent_encode(password.expose()));
    format!("mongodb://{user}:{password}@{hosts}/?authSource=admin")
}

/// Two ways to name the server are not compared: whichever were taken, somebody would look at the other.
fn refuse_beside_uri(checker: &mut Checker) -> Result<(), Faulty> {
    let uris = [&table::MONGODB_URI.setting, &table::DATABASE_URL.setting];
    let parts = [
        &table::MONGODB_HOST.setting,
        &table::MONGODB_USERNAME.setting,
        &table::MONGODB_PASSWORD.setting,
    ];
    let uri = uris.into_iter().find(|setting| checker.is_given(setting));
    let part = parts.into_iter().find(|setting| checker.is_given(setting));
    let (Some(uri), Some(part)) = (uri, part) else {
        return Ok(());
    };
    let refusal = Refusal::new(
        format!("cannot be combined with {}", uri.name),
        format!(
            "keep one of the two: {}, or MONGODB_HOST with MONGODB_USERNAME and MONGODB_PASSWORD, which \
             docker-compose.yml sets under environment",
            uri.name
        ),
    );
    let text = checker.gathered.raw.typed(part).map(str::to_owned);
    Err(checker.refuse(part, text.as_deref(), refusal))
}
