//! The connection string as the driver takes it.
//!
//! mongodump ignores options that it does not know; the driver refuses them. Where the two differ, the driver is made to
//! do as mongodump does, so that one connection string has one meaning.

use crate::mongo::uri::MongoUri;
use crate::sys::redact::percent_encode;
use mongodb::options::ClientOptions;
use std::fs::File;

/// Options that the driver takes, in lower case, as it is built here: neither compression nor a proxy.
const KNOWN: [&str; 37] = [
    "appname",
    "authmechanism",
    "authmechanismproperties",
    "authsource",
    "connecttimeoutms",
    "directconnection",
    "heartbeatfrequencyms",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxconnecting",
    "maxidletimems",
    "maxpoolsize",
    "maxstalenessseconds",
    "minpoolsize",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "replicaset",
    "retryreads",
    "retrywrites",
    "servermonitoringmode",
    "serverselectiontimeoutms",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "tls",
    "tlsallowinvalidcertificates",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlsinsecure",
    "w",
    "wtimeoutms",
    // It has no way to follow these, and says so: without them it would go another way than it was told.
    "tlscertificatekeyfilepassword",
    "proxyhost",
    "proxyport",
    "proxyusername",
];
/// Older names that mongodump takes for the same.
const ALIASES: [(&str, &str); 3] = [
    ("sslcertificateauthorityfile", "tlsCAFile"),
    ("sslclientcertificatekeyfile", "tlsCertificateKeyFile"),
    ("sslinsecure", "tlsInsecure"),
];

/// The whole text for the driver, password included, and the names of the options it does without.
pub(crate) struct DriverUri {
    pub text: String,
    /// Neither the driver nor anything else here follows them.
    pub dropped: Vec<String>,
}

impl DriverUri {
    pub(crate) fn of(uri: &MongoUri) -> Self {
        let mut dropped = Vec::new();
        let mut kept = Vec::new();
        for (name, value) in uri.options() {
            let lower = name.to_ascii_lowercase();
            let alias = ALIASES.iter().find(|(old, _)| *old == lower);
            let name = match alias {
                Some((_, new)) if uri.option(new).is_none() => *new,
                _ if KNOWN.contains(&lower.as_str()) => name,
                _ => {
                    dropped.push(name.to_owned());
                    continue;
                }
            };
            kept.push(format!("{name}={}", percent_encode(value)));
        }
        let base = uri.expose().split('?').next().unwrap_or_default();
        // The driver wants the slash before options, even where there is no database.
        let (_, rest) = base.split_once("://").unwrap_or_default();
        let slash = if rest.contains('/') { "" } else { "/" };
        DriverUri {
            text: format!("{base}{slash}?{}", kept.join("&")),
            dropped,
        }
    }
}

/// Where the user of a `mongodb+srv` connection string is kept, by all that the driver knows: the DNS record, the path, the
/// default. None where the string says it all, or where nobody answers, which the tools find out as well.
pub(crate) async fn auth_source(uri: &MongoUri) -> Option<String> {
    if !uri.leaves_source_to_dns() {
        return None;
    }
    let options = ClientOptions::parse(DriverUri::of(uri).text).await.ok()?;
    options.credential?.source
}

/// A file for TLS that cannot be read. Of one the driver says no more than that, and as if the server could not be reached.
pub(super) fn missing_tls_file(uri: &MongoUri) -> Option<String> {
    uri.tls_files().find_map(|(name, path)| {
        let error = File::open(path).err()?;
        Some(format!("the file of {name} cannot be read: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::options::ConnectionString;

    #[test]
    fn options_of_other_drivers_are_left_out_and_older_names_are_translated() {
        let uri = "mongodb://u:p%40@h/shop?socketTimeoutMS=1000&keepAlive=true&compressors=zstd,snappy\
                   &uuidRepresentation=standard&autoReconnect=1&replicaSet=rs%30&sslInsecure=true";
        let driver = DriverUri::of(&MongoUri::parse(uri).unwrap());
        assert_eq!(
            driver.text,
            "mongodb://u:p%40@h/shop?replicaSet=rs0&tlsInsecure=true"
        );
        assert_eq!(
            driver.dropped,
            [
                "socketTimeoutMS",
                "keepAlive",
                "compressors",
                "uuidRepresentation",
                "autoReconnect"
            ]
        );
        assert!(ConnectionString::parse(&driver.text).is_ok());
    }

    #[test]
    fn the_default_mechanism_is_left_out() {
        let uri = MongoUri::parse("mongodb://u:p@h/?authMechanism=DEFAULT&tls=true").unwrap();
        assert_eq!(DriverUri::of(&uri).text, "mongodb://u:p@h/?tls=true");
    }

    #[test]
    fn a_text_without_options_stays() {
        for (text, expected) in [
            ("mongodb://h", "mongodb://h/?"),
            ("mongodb+srv://u:p@h/db", "mongodb+srv://u:p@h/db?"),
        ] {
            let driver = DriverUri::of(&MongoUri::parse(text).unwrap());
            assert_eq!(driver.text, expected);
            assert!(ConnectionString::parse(&driver.text).is_ok(), "{text}");
        }
    }
}
