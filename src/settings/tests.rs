//! Whole environments in, settings or faults out.

use super::*;
use crate::testing::zone;
use std::ffi::OsString;

mod generated;
mod refusals;
mod server;

const URI: &str = "mongodb://root:hunter22@db:27017/?authSource=admin";

fn vars(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn load(pairs: &[(&str, &str)]) -> Result<Settings, Faults> {
    let mut all = vars(pairs);
    if !pairs
        .iter()
        .any(|(name, _)| name.starts_with("MONGODB_URI"))
    {
        all.push(("MONGODB_URI".into(), URI.into()));
    }
    Settings::load(all, Needs::Server)
}

/// The lines of the faults without the header, or nothing at all.
fn faults(pairs: &[(&str, &str)]) -> Vec<String> {
    load(pairs)
        .map(|_| Vec::new())
        .unwrap_or_else(|faults| faults.0.iter().map(ToString::to_string).collect())
}

#[test]
fn defaults_are_the_documented_ones() -> Result<(), Faults> {
    let settings = load(&[])?;
    assert_eq!(
        settings.mongodb.as_ref().map(MongoUri::hosts),
        Some("db:27017")
    );
    assert_eq!(settings.schedule.text(), "0 2 * * SUN");
    assert_eq!(settings.time_zone, Tz::UTC);
    assert_eq!(settings.oplog, OplogMode::Auto);
    assert_eq!((settings.on_start, settings.catch_up), (false, true));
    assert_eq!(settings.backup_dir, PathBuf::from("backups"));
    assert_eq!(settings.log_dir, PathBuf::from("logs"));
    assert_eq!(settings.prefix, "jorbites");
    assert_eq!(settings.compression_level, 6);
    assert!(settings.threads.get() >= 1);
    assert_eq!(settings.timeout, Duration::from_secs(6 * 3600));
    assert_eq!(settings.stall_timeout, Duration::from_secs(300));
    assert_eq!(settings.retries, 2);
    assert!(!settings.require_mount);
    let retention = settings.retention;
    assert_eq!((retention.days, retention.min_keep), (30, 3));
    assert_eq!(settings.mail, None);
    assert_eq!(settings.notify_on, NotifyOn::Failure);
    assert_eq!(settings.log.level, tracing::Level::INFO);
    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.log.max_size_bytes, 10_000_000);
    assert_eq!(settings.log.keep, 5);
    Ok(())
}

#[test]
fn values_are_read_in_all_their_spellings() -> Result<(), Faults> {
    let settings = load(&[
        ("BACKUP_ON_START", " YES "),
        ("BACKUP_CATCH_UP", "0"),
        ("BACKUP_TIMEOUT", "1h30m"),
        ("BACKUP_STALL_TIMEOUT", "90s"),
        ("LOG_MAX_SIZE", "2MiB"),
        ("LOG_LEVEL", "Debug"),
        ("TZ", ":Europe/Madrid"),
        ("BACKUP_DATABASES", "shop, blog,"),
        ("BACKUP_EXCLUDE", "shop.tmp_*,*.cache"),
        ("BACKUP_THREADS", "3"),
        ("DRILL_SCHEDULE", "@monthly"),
        ("DRILL_URI", "mongodb://scratch/"),
        ("SMTP_HOST", ""),
        ("SMTP_PASSWORD", "   "),
        ("PATH", "/bin"),
    ])?;
    assert_eq!((settings.on_start, settings.catch_up), (true, false));
    assert_eq!(settings.timeout, Duration::from_secs(5_400));
    assert_eq!(settings.stall_timeout, Duration::from_secs(90));
    assert_eq!(settings.log.max_size_bytes, 2 << 20);
    assert_eq!(settings.log.level, tracing::Level::DEBUG);
    assert_eq!(settings.time_zone, zone("Europe/Madrid"));
    assert_eq!(settings.databases, ["shop", "blog"]);
    assert_eq!(settings.threads.get(), 3);
    assert_eq!(
        settings.drill.schedule.map(|s| s.text().to_owned()),
        Some("@monthly".to_owned())
    );
    assert_eq!(settings.exclude[0].to_string(), "shop.tmp_*");
    Ok(())
}

#[test]
fn sizes_and_durations_have_exact_meanings() {
    for (text, bytes) in [
        ("1", 1),
        ("512KB", 512_000),
        ("1gb", 1_000_000_000),
        ("1 KiB", 1024),
    ] {
        assert_eq!(parse::size_bytes(text), Ok(bytes));
    }
    for (text, seconds) in [("2d", 172_800), ("1d1h1m1s", 90_061), ("365d", 31_536_000)] {
        assert_eq!(parse::duration(text), Ok(Duration::from_secs(seconds)));
    }
}

#[test]
fn mail_fills_in_the_sender_and_the_port() -> Result<(), Faults> {
    let mail = |security: &str| {
        load(&[
            ("SMTP_HOST", "smtp.example.org"),
            ("SMTP_SECURITY", security),
            ("SMTP_USERNAME", "me@example.org"),
            ("SMTP_PASSWORD", " abcd efgh "),
            ("EMAIL_TO", "you@example.org, Them <them@example.org>"),
        ])
        .map(|settings| settings.mail)
    };
    for (security, port) in [("", 587), ("tls", 465), ("none", 587)] {
        let Some(mail) = mail(security)? else {
            panic!("mail is off");
        };
        assert_eq!((mail.port, mail.from.as_str()), (port, "me@example.org"));
        assert_eq!(mail.password, Some(Secret::new(" abcd efgh ")));
        assert_eq!(mail.to, ["you@example.org", "Them <them@example.org>"]);
    }
    Ok(())
}

#[test]
fn recipients_are_parted_by_commas_and_semicolons_but_not_within_quotes() -> Result<(), Faults> {
    let to = |text: &str| {
        let pairs = [
            ("SMTP_HOST", "mail"),
            ("EMAIL_FROM", "\"Keeper, Pantry\" <me@example.org>"),
            ("EMAIL_TO", text),
        ];
        let mail = load(&pairs)?.mail.unwrap();
        assert_eq!(mail.from, "\"Keeper, Pantry\" <me@example.org>");
        Ok::<_, Faults>(mail.to)
    };
    assert_eq!(to("a@b; c@d;e@f,")?, ["a@b", "c@d", "e@f"]);
    assert_eq!(
        to(r#""Last, First" <a@b>; "Say \"x; y\"" <c@d>, J. R. <e@f>"#)?,
        [
            r#""Last, First" <a@b>"#,
            r#""Say \"x; y\"" <c@d>"#,
            "J. R. <e@f>"
        ]
    );
    Ok(())
}

#[test]
fn files_hold_settings() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("uri"), format!("{URI}\r\n"))?;
    std::fs::write(path("password"), " abc def\n\n")?;
    let settings = load(&[
        ("MONGODB_URI_FILE", &path("uri")),
        ("SMTP_HOST", "mail"),
        ("SMTP_USERNAME", "me@example.org"),
        ("SMTP_PASSWORD_FILE", &path("password")),
        ("EMAIL_TO", "me@example.org"),
        ("BACKUP_DIR_FILE", ""),
    ]);
    // Only one newline is dropped: the other one is part of the value, and not acceptable in a password.
    assert_eq!(
        settings.map_err(|faults| faults.to_string()),
        Err(format!(
            "1 setting needs attention:\n  SMTP_PASSWORD_FILE: \"{}\" holds a value that has a line break or another \
             control character; give the password alone, on one line",
            path("password")
        ))
    );
    std::fs::write(path("password"), " abc def\n")?;
    let settings = load(&[
        ("MONGODB_URI_FILE", &path("uri")),
        ("SMTP_HOST", "mail"),
        ("SMTP_USERNAME", "me@example.org"),
        ("SMTP_PASSWORD_FILE", &path("password")),
        ("EMAIL_TO", "me@example.org"),
    ])?;
    assert_eq!(settings.mongodb.as_ref().map(MongoUri::expose), Some(URI));
    assert!(settings.mail.unwrap().password == Some(Secret::new(" abc def")));
    Ok(())
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_value() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("uri").display().to_string();
    std::fs::write(&file, format!("\u{feff}{URI}\r\n"))?;
    let settings = load(&[("MONGODB_URI_FILE", &file)])?;
    assert_eq!(settings.mongodb.as_ref().map(MongoUri::expose), Some(URI));
    // An env file that begins with one gives it to its first name.
    let vars = vars(&[
        ("\u{feff}MONGODB_URI", URI),
        ("BACKUP_PREFIX", "\u{feff}shop"),
    ]);
    let settings = Settings::load(vars, Needs::Server)?;
    assert_eq!(settings.mongodb.as_ref().map(MongoUri::expose), Some(URI));
    assert_eq!(settings.prefix, "shop");
    std::fs::write(&file, [0xff, 0xfe, b'm', 0])?;
    let found = faults(&[("MONGODB_URI_FILE", &file)]);
    assert!(found[0].contains("is UTF-16, not UTF-8"), "{found:?}");
    Ok(())
}

#[test]
fn a_folder_command_needs_no_server() {
    let settings = Settings::load(vars(&[]), Needs::Folder);
    assert_eq!(settings.map(|settings| settings.mongodb), Ok(None));
    let settings = Settings::load(vars(&[("DATABASE_URL", URI)]), Needs::Server);
    assert!(settings.is_ok_and(|settings| settings.mongodb.is_some()));
    assert_eq!(
        faults(&[("DATABASE_URL", URI), ("MONGODB_URI", URI)]),
        [""; 0]
    );
}

#[test]
fn what_systemd_docker_and_kubernetes_inject_is_no_setting() -> Result<(), Faults> {
    let settings = load(&[
        ("NOTIFY_SOCKET", "/run/systemd/notify"),
        ("SMTP_PORT", "tcp://10.0.0.7:25"),
        ("SMTP_SERVICE_HOST", "10.0.0.7"),
        ("SMTP_SERVICE_PORT", "25"),
        ("SMTP_SERVICE_PORT_SMTP", "25"),
        ("SMTP_PORT_25_TCP", "tcp://10.0.0.7:25"),
        ("SMTP_PORT_25_TCP_PROTO", "tcp"),
        ("MONGODB_PORT_27017_TCP_PORT", "27017"),
        ("MONGODB_PORT_27017_TCP_ADDR", "10.0.0.8"),
        ("MONGODB_PORT", "tcp://10.0.0.8:27017"),
        ("MONGODB_NAME", "/app/mongodb"),
        ("MONGODB_ENV_GOSU_VERSION", "1"),
        ("BACKUP_STORE_PORT", "udp://10.0.0.9:1"),
    ]);
    assert_eq!(settings?.mail, None);
    Ok(())
}

#[test]
fn patterns_match_whole_names() -> Result<(), Refusal> {
    for (pattern, database, collection, matches) in [
        ("shop.sessions", "shop", "sessions", true),
        ("shop.sessions", "shop", "sessions2", false),
        ("shop.a.b", "shop", "a.b", true),
        ("*.cache", "any", "cache", true),
        ("*.cache", "any", "my.cache", false),
        ("s*p.*_tmp_*", "shop", "x_tmp_", true),
        ("s*p.*_tmp_*", "shop", "tmp_", false),
        ("*.a*a", "x", "a", false),
        ("*.ab*ba", "x", "aba", false),
        ("*.*x*", "x", "", false),
    ] {
        let found = NamespacePattern::parse(pattern)?.matches(database, collection);
        assert_eq!(found, matches, "{pattern} {database}.{collection}");
    }
    Ok(())
}
