//! Connection strings.

use super::{MongoUri, UriError};
use crate::sys::redact::{Secret, percent_encode};
use proptest::prelude::*;

#[test]
fn faulty_ones_are_refused_without_showing_anything() {
    for (text, error) in [
        ("", UriError::Scheme),
        ("postgres://u:hunter22@h", UriError::Scheme),
        ("mongodb://u:hunter@22@h/", UriError::Unescaped),
        ("mongodb://u:hunter/22@h/", UriError::Unescaped),
        ("mongodb://u:12/34@h/", UriError::Unescaped),
        ("mongodb://u:hunter?22@h/", UriError::Unescaped),
        ("mongodb://u:12?a=34@h/", UriError::Unescaped),
        ("mongodb://u:hunter@2?2@h/", UriError::Unescaped),
        ("mongodb://u:hunter:22@h/", UriError::Unescaped),
        ("mongodb://u:hunter 22@h/", UriError::Unescaped),
        ("mongodb://u:hunter#22@h/", UriError::Unescaped),
        ("mongodb://u:hunter%22%@h/", UriError::Percent),
        ("mongodb://u:hunter%zz@h/", UriError::Percent),
        ("mongodb://u:hunter%ff@h/", UriError::Percent),
        ("mongodb://:hunter22@h/", UriError::EmptyUser),
        ("mongodb://@h/", UriError::EmptyUser),
        ("mongodb://", UriError::MissingHost),
        ("mongodb://u:hunter22@/db", UriError::MissingHost),
        ("mongodb://u:hunter22@h,,i/db", UriError::MissingHost),
        ("mongodb://u:hunter22@h o/db", UriError::Host),
        ("mongodb://u:hunter22@[::zz]/db", UriError::Host),
        ("mongodb://u:hunter22@[::1]x/db", UriError::Host),
        ("mongodb://u:hunter22@h%41/db", UriError::Host),
        ("mongodb://u:hunter22", UriError::Port),
        ("mongodb://h:0", UriError::Port),
        ("mongodb://h:", UriError::Port),
        ("mongodb://h:65536", UriError::Port),
        ("mongodb+srv://u:hunter22@h:27017/", UriError::SrvHost),
        ("mongodb+srv://u:hunter22@h,i/", UriError::SrvHost),
        ("mongodb://h/a.b", UriError::Database),
        ("mongodb://h/a/b", UriError::Database),
        ("mongodb://h/?x", UriError::Option),
        ("mongodb://h/?x=%zz", UriError::Percent),
    ] {
        assert_eq!(MongoUri::parse(text), Err(error), "{text}");
    }
}

#[test]
fn each_error_says_what_to_do() {
    let encode = "percent-encode it: @ is %40, / is %2F, : is %3A, % is %25, ? is %3F, # is %23";
    let hosts = "write the server as HOST or HOST:PORT, several of them with commas between";
    for (error, message, advice) in [
        (
            UriError::Scheme,
            "does not start with mongodb:// or mongodb+srv://",
            "write it like mongodb://HOST:27017/, with USER:PASSWORD@ before HOST if it asks for them",
        ),
        (
            UriError::Unescaped,
            "has a special character in its user or password",
            encode,
        ),
        (
            UriError::Percent,
            "has a % that is not followed by two hex digits of an encoded character",
            encode,
        ),
        (
            UriError::EmptyUser,
            "has an empty user name",
            "write USER:PASSWORD@HOST, or HOST alone for a server without users",
        ),
        (
            UriError::MissingHost,
            "has no host, or an empty one in its list of hosts",
            hosts,
        ),
        (UriError::Host, "has a host that is not a host name", hosts),
        (
            UriError::Port,
            "has a port that is not a number from 1 to 65535",
            hosts,
        ),
        (
            UriError::SrvHost,
            "has more than one host, or a port, which mongodb+srv:// does not allow",
            "give one host name without a port, or use mongodb://",
        ),
        (
            UriError::Database,
            "has a path that is not a database name",
            "end it with /?OPTIONS, or /DATABASE?OPTIONS",
        ),
        (
            UriError::Option,
            "has an option that is not NAME=VALUE",
            "write the options as ?NAME=VALUE&NAME=VALUE",
        ),
    ] {
        assert_eq!(
            (error.to_string().as_str(), error.help()),
            (message, advice)
        );
    }
}

#[test]
fn hosts_are_shown_without_credentials() -> Result<(), UriError> {
    for (text, hosts) in [
        ("mongodb://h", "h:27017"),
        ("mongodb://u:p%40ss@h:1,i/db", "h:1,i:27017"),
        (
            "mongodb://u:p@[::1]:27018,[::2]/",
            "[::1]:27018,[::2]:27017",
        ),
        (
            "mongodb://%2Ftmp%2Fmongodb-27017.sock/",
            "/tmp/mongodb-27017.sock",
        ),
        (
            "mongodb+srv://u:p@cluster.example.org/db",
            "cluster.example.org",
        ),
        ("mongodb://a:b==@h:10255/?appName=@a@", "h:10255"),
    ] {
        let uri = MongoUri::parse(text)?;
        assert_eq!(uri.hosts(), hosts);
        assert_eq!(format!("{uri:?}"), format!("MongoUri({hosts})"));
        assert_eq!(uri.expose(), text);
    }
    Ok(())
}

#[test]
fn the_database_moves_from_the_path_into_auth_source() -> Result<(), UriError> {
    for (text, expected) in [
        ("mongodb://u:p@h/shop", "mongodb://u:p@h/?authSource=shop"),
        (
            "mongodb://u:p@h/shop?w=1",
            "mongodb://u:p@h/?w=1&authSource=shop",
        ),
        (
            "mongodb://u:p@h/shop?authsource=admin",
            "mongodb://u:p@h/?authsource=admin",
        ),
        (
            "mongodb://u:p@h/shop%2B?authMechanism=PLAIN",
            "mongodb://u:p@h/?authMechanism=PLAIN&authSource=shop%2B",
        ),
        (
            "mongodb://u@h/x?authMechanism=mongodb-x509",
            "mongodb://u@h/?authMechanism=mongodb-x509",
        ),
        (
            "mongodb://u@h/$external?w=1",
            "mongodb://u@h/?w=1&authSource=%24external",
        ),
        ("mongodb://h/shop", "mongodb://h/"),
        (
            "mongodb://u:p@h?w=1",
            "mongodb://u:p@h/?w=1&authSource=admin",
        ),
        (
            "mongodb://u:p@h/?authMechanism=plain",
            "mongodb://u:p@h/?authMechanism=plain",
        ),
        ("mongodb+srv://u:p@h/shop", "mongodb+srv://u:p@h/"),
        // To the tools a + is a space.
        (
            "mongodb://h/?tlsCAFile=/ca+home.pem",
            "mongodb://h/?tlsCAFile=%2Fca%2Bhome.pem",
        ),
        // To the driver these mean TLS.
        (
            "mongodb://h/?tlsInsecure=true",
            "mongodb://h/?tlsInsecure=true&tls=true",
        ),
        (
            "mongodb://h/?tlsAllowInvalidCertificates=true&tls=false",
            "mongodb://h/?tlsAllowInvalidCertificates=true&tls=false&tlsInsecure=true",
        ),
        (
            "mongodb+srv://h/?tlsInsecure=true",
            "mongodb+srv://h/?tlsInsecure=true",
        ),
    ] {
        let uri = MongoUri::parse(text)?;
        assert_eq!(uri.for_tools().expose(), expected);
        assert_eq!(MongoUri::parse(expected)?.database(), None);
    }
    Ok(())
}

#[test]
fn timeouts_reach_the_tools_as_seconds() -> Result<(), UriError> {
    let uri = MongoUri::parse(
        "mongodb://h/?serverSelectionTimeoutMS=3000&w=1&CONNECTTIMEOUTMS=1&&socketTimeoutMS=later",
    )?;
    assert_eq!(
        uri.tool_timeouts(),
        ["--dialTimeout=1", "--serverSelectionTimeout=3"]
    );
    // What is no number is for the tools to refuse.
    assert_eq!(
        uri.for_tools().expose(),
        "mongodb://h/?w=1&socketTimeoutMS=later"
    );
    let none = MongoUri::parse("mongodb://h/?w=1")?;
    // As long as the driver's own, not the tools' 3 seconds.
    assert_eq!(none.tool_timeouts(), ["--dialTimeout=10"]);
    let faulty = MongoUri::parse("mongodb://h/?connectTimeoutMS=soon")?;
    assert!(faulty.tool_timeouts().is_empty());
    Ok(())
}

#[test]
fn options_are_found_in_any_case_and_their_secrets_are_known() -> Result<(), UriError> {
    let uri = MongoUri::parse(
        "mongodb://u:a%20b@h/?ReplicaSet=rs%30&tlsCertificateKeyFilePassword=key%21\
         &authMechanismProperties=X:1,AWS_SESSION_TOKEN:token,Y:2&replicaset=second",
    )?;
    assert_eq!(uri.option("replicaSet"), Some("rs0"));
    assert_eq!(uri.option("missing"), None);
    let secrets = uri.secrets();
    for secret in ["a b", "a%20b", "key!", "token"] {
        assert!(secrets.contains(&Secret::new(secret)), "{secret}");
    }
    Ok(())
}

/// Compass writes it into the strings that people copy.
#[test]
fn the_default_mechanism_is_none() -> Result<(), UriError> {
    let uri = MongoUri::parse("mongodb://u:p@h/?authMechanism=DEFAULT&tls=true")?;
    assert_eq!(uri.option("authMechanism"), None);
    assert_eq!(
        uri.for_tools().expose(),
        "mongodb://u:p@h/?tls=true&authSource=admin"
    );
    Ok(())
}

proptest! {
    #[test]
    fn any_user_and_password_come_back(user in "\\PC{1,20}", password in "\\PC{0,20}") {
        let text = format!("mongodb://{}:{}@db:27017/", percent_encode(&user), percent_encode(&password));
        let uri = MongoUri::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(uri.user(), Some(user.as_str()));
        prop_assert_eq!(uri.password(), Some(&Secret::new(password)));
        prop_assert_eq!(uri.hosts(), "db:27017");
        prop_assert_eq!(uri.for_tools(), Secret::new(format!("{text}?authSource=admin")));
    }

    #[test]
    fn no_text_panics(text in "(mongodb(\\+srv)?://)?[a%2@:/?&=,\\[\\].$ é]{0,24}") {
        if let Ok(uri) = MongoUri::parse(&text) {
            prop_assert!(MongoUri::parse(uri.for_tools().expose()).is_ok());
        }
    }

    /// What this parser and the driver's both take means the same to both.
    #[test]
    fn the_driver_reads_the_same(
        user in proptest::option::of(("[a-z%40:]{1,4}", proptest::option::of("\\PC{0,6}"))),
        hosts in "(h|db\\.example|127\\.0\\.0\\.1|\\[::1\\])(:[0-9]{1,5})?(,(i|H2)(:[1-9][0-9]{0,3})?)?",
        path in "(/[a-z$%2B.]{0,5})?",
        options in "(\\?((authSource|AUTHSOURCE|replicaSet|tls|ssl|appName|w)=(true|false|admin|rs%300|1)&?){0,3})?",
    ) {
        let userinfo = user.map(|(user, password)| match password {
            Some(password) => format!("{user}:{}@", percent_encode(&password)),
            None => format!("{user}@"),
        });
        let text = format!("mongodb://{}{hosts}{path}{options}", userinfo.unwrap_or_default());
        let theirs = mongodb::options::ConnectionString::parse(&text);
        if let (Ok(ours), Ok(theirs)) = (MongoUri::parse(&text), theirs) {
            let mongodb::options::HostInfo::HostIdentifiers(hosts) = &theirs.host_info else {
                return Err(TestCaseError::fail("a list of hosts"));
            };
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            // The driver shows an IPv6 address without its brackets.
            prop_assert_eq!(ours.hosts().to_lowercase().replace(['[', ']'], ""), hosts.join(","));
            let credential = theirs.credential.clone().unwrap_or_default();
            prop_assert_eq!(ours.user(), credential.username.as_deref());
            prop_assert_eq!(ours.password().map(Secret::expose), credential.password.as_deref());
            prop_assert_eq!(ours.database(), theirs.default_database.as_deref());
            if ours.user().is_some() {
                prop_assert_eq!(ours.option("authSource"), credential.source.as_deref());
            }
            prop_assert_eq!(ours.option("replicaSet"), theirs.replica_set.as_deref());
            let tls = ours.option("tls").or(ours.option("ssl"));
            prop_assert_eq!(tls == Some("true"), matches!(theirs.tls, Some(mongodb::options::Tls::Enabled(_))));
        }
    }
}
