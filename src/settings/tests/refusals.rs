//! Every refusal, word by word: these texts are what people see on the day something is wrong.

use super::*;

#[test]
fn every_value_that_is_not_accepted_is_named_with_what_is() {
    let duration = "use a number with s, m, h or d, such as 90s, 5m, 6h";
    let size = "use a number with KB, MB or GB, such as 512KB, 10MB";
    let number = |from: u32, to: u32| {
        format!("is not a whole number in range; use a number from {from} to {to}")
    };
    let cron = "use 5 cron fields (minute hour day month weekday), such as 0 2 * * SUN, 6 with seconds first, or \
                @hourly, @daily, @weekly, @monthly, @yearly";
    let prefix = "is not a prefix for file names; use at most 64 letters, digits, and . _ - after the first, \
                  without two dots in a row";
    let pattern = "write DATABASE.COLLECTION, where * stands for any text, such as shop.sessions, shop.tmp_* or \
                   *.cache";
    let database = "is not a database name; use names of at most 63 bytes without / \\ . \" $ or spaces, with \
                    commas between";
    let host = "is not a host name; give the name alone, such as smtp.gmail.com; the port goes into SMTP_PORT";
    let address = "is not a mail address; use me@example.org, Name <me@example.org> or \"Last, First\" \
                   <me@example.org>";
    let choices = |list: &str| format!("is not one of the choices; use {list}");
    let yes_no = "is not yes or no; use true or false";
    let long = "x".repeat(64);
    for (name, value, message) in [
        (
            "BACKUP_TIMEOUT",
            "6 parsecs",
            format!("is not a duration; {duration}"),
        ),
        (
            "BACKUP_TIMEOUT",
            "90",
            format!("is not a duration; {duration}"),
        ),
        (
            "BACKUP_TIMEOUT",
            "-1h",
            format!("is not a duration; {duration}"),
        ),
        (
            "BACKUP_TIMEOUT",
            "30m1h",
            format!("is not a duration; {duration}"),
        ),
        (
            "BACKUP_STALL_TIMEOUT",
            "0s",
            format!("is no time at all; {duration}"),
        ),
        (
            "BACKUP_STALL_TIMEOUT",
            "366d",
            format!("is longer than a year; {duration}"),
        ),
        (
            "BACKUP_STALL_TIMEOUT",
            "99999999999999999d",
            format!("is longer than a year; {duration}"),
        ),
        (
            "BACKUP_EXCLUDE",
            "'shop.sessions'",
            "begins and ends with a quote; leave the quotes out: `docker run --env-file` takes them for a part of the \
             value, Docker Compose does not"
                .to_owned(),
        ),
        (
            "LOG_MAX_SIZE",
            "10",
            "is too small for a log; use at least 10KB, such as 10MB".to_owned(),
        ),
        ("LOG_MAX_SIZE", "ten", format!("is not a size; {size}")),
        (
            "LOG_MAX_SIZE",
            "10 bananas",
            format!("is not a size; {size}"),
        ),
        ("LOG_MAX_SIZE", "0MB", format!("is no size at all; {size}")),
        (
            "LOG_MAX_SIZE",
            "99999999999999GB",
            format!("is too large; {size}"),
        ),
        ("BACKUP_COMPRESSION", "xz", choices("gzip or zstd")),
        (
            "BACKUP_COMPRESSION_LEVEL",
            "0",
            format!("{}, or fast, balanced or small", number(1, 9)),
        ),
        (
            "BACKUP_COMPRESSION_LEVEL",
            "best",
            format!("{}, or fast, balanced or small", number(1, 9)),
        ),
        ("BACKUP_THREADS", "0", number(1, 256)),
        ("BACKUP_THREADS", "257", number(1, 256)),
        ("BACKUP_RETRIES", "many", number(0, 100)),
        ("RETENTION_DAYS", "0", number(1, 36_500)),
        ("RETENTION_MIN_KEEP", "0", number(1, 10_000)),
        ("RETENTION_DAILY", "-1", number(0, 10_000)),
        ("SMTP_PORT", "65536", number(1, 65_535)),
        ("LOG_KEEP", "1.5", number(0, 1_000)),
        ("BACKUP_ON_START", "maybe", yes_no.to_owned()),
        ("BACKUP_REQUIRE_MOUNT", "ja", yes_no.to_owned()),
        ("BACKUP_OPLOG", "true", choices("auto, on or off")),
        ("SMTP_SECURITY", "ssl", choices("starttls, tls or none")),
        ("NOTIFY_ON", "success", choices("failure, always or never")),
        (
            "LOG_LEVEL",
            "verbose",
            choices("error, warn, info, debug or trace"),
        ),
        ("LOG_FORMAT", "xml", choices("text or json")),
        (
            "TZ",
            "Europe/Madird",
            "is not a time zone; did you mean Europe/Madrid?".to_owned(),
        ),
        (
            "TZ",
            "new york",
            "is not a time zone; did you mean America/New_York?".to_owned(),
        ),
        (
            "TZ",
            "Middle-earth",
            "is not a time zone; use a name of the IANA list, such as Europe/Madrid".to_owned(),
        ),
        (
            "BACKUP_SCHEDULE",
            "weekly",
            format!("is not a schedule: it does not have 5 or 6 fields; {cron}"),
        ),
        (
            "BACKUP_SCHEDULE",
            "30 2 31 2 *",
            "names a time that never comes; choose a date that the calendar has".to_owned(),
        ),
        (
            "DRILL_SCHEDULE",
            "@sometimes",
            format!("is not a schedule: it is not one of the known nicknames; {cron}"),
        ),
        ("BACKUP_PREFIX", "../up", prefix.to_owned()),
        ("BACKUP_PREFIX", "a..b", prefix.to_owned()),
        ("BACKUP_PREFIX", &format!("a{long}"), prefix.to_owned()),
        ("BACKUP_PREFIX", ".hidden", prefix.to_owned()),
        ("BACKUP_DATABASES", "a/b", database.to_owned()),
        ("BACKUP_DATABASES", &long, database.to_owned()),
        (
            "BACKUP_DATABASES",
            "local",
            "is the server's own database, which cannot be restored elsewhere; leave it out"
                .to_owned(),
        ),
        (
            "BACKUP_EXCLUDE",
            "sessions",
            format!("is not a namespace pattern; {pattern}"),
        ),
        (
            "BACKUP_EXCLUDE",
            "shop.",
            format!("is not a namespace pattern; {pattern}"),
        ),
        (
            "BACKUP_EXCLUDE",
            "sh op.x",
            format!("has a character that no namespace has; {pattern}"),
        ),
        ("SMTP_HOST", "smtp.gmail.com:587", host.to_owned()),
        ("SMTP_HOST", "smtp://mail", host.to_owned()),
        ("EMAIL_FROM", "nobody", address.to_owned()),
        ("EMAIL_FROM", "a@b@c", address.to_owned()),
        ("EMAIL_TO", "Name <a b@c>", address.to_owned()),
        ("EMAIL_TO", "a..b@example.org", address.to_owned()),
        ("EMAIL_FROM", "Last, First <a@b>", address.to_owned()),
        (
            "EMAIL_TO",
            ",",
            "holds no address; use me@example.org".to_owned(),
        ),
    ] {
        // Enough of the rest of the mail settings for the one under test to be the only fault.
        let mut pairs = vec![(name, value)];
        if name == "SMTP_HOST" {
            pairs.extend([
                ("EMAIL_FROM", "me@example.org"),
                ("EMAIL_TO", "me@example.org"),
            ]);
        }
        assert_eq!(faults(&pairs), [format!("{name}: \"{value}\" {message}")]);
    }
}

#[test]
fn of_a_list_only_the_refused_item_is_shown() {
    assert_eq!(
        faults(&[
            ("BACKUP_DATABASES", "shop, blog, Shop"),
            ("EMAIL_TO", "a@b, c")
        ]),
        [
            "BACKUP_DATABASES: \"Shop\" is listed twice; list it once",
            "EMAIL_TO: \"c\" is not a mail address; use me@example.org, Name <me@example.org> or \"Last, First\" \
             <me@example.org>",
        ]
    );
}

#[test]
fn all_faults_come_at_once_in_the_documented_order() {
    let faults = load(&[
        ("LOG_KEEP", "x"),
        ("BACKUP_SHEDULE", "@daily"),
        ("TZ", "Nowhere/Atall"),
        ("MONGODB_URI", ""),
    ]);
    assert_eq!(
        faults.map_err(|faults| faults.to_string()),
        Err("4 settings need attention:\n  \
             MONGODB_URI: is not set; write it like mongodb://HOST:27017/, with USER:PASSWORD@ before \
             HOST if it asks for them; or set MONGODB_HOST, MONGODB_USERNAME and MONGODB_PASSWORD\n  \
             TZ: \"Nowhere/Atall\" is not a time zone; use a name of the IANA list, such as Europe/Madrid\n  \
             LOG_KEEP: \"x\" is not a whole number in range; use a number from 0 to 1000\n  \
             BACKUP_SHEDULE: is not a setting; did you mean BACKUP_SCHEDULE?"
            .to_owned())
    );
}

#[test]
fn a_name_that_is_nearly_ours_stops_the_start() {
    for (name, advice) in [
        ("BACKUP_SHEDULE", "did you mean BACKUP_SCHEDULE?"),
        ("BACKUP_SHEDULE_FILE", "did you mean BACKUP_SCHEDULE_FILE?"),
        ("SMTP_USER", "did you mean SMTP_USERNAME?"),
        ("SMTP_PASS", "did you mean SMTP_PASSWORD?"),
        ("SMTP_FROM", "did you mean EMAIL_FROM?"),
        ("MONGODB_URL", "did you mean MONGODB_URI?"),
        ("RETENTION_DAY", "did you mean RETENTION_DAYS?"),
        (
            "DRILL_SERVER_PORTS",
            "remove it; .env.example lists every setting",
        ),
        ("BACKUP_DB", "remove it; .env.example lists every setting"),
        ("NOTIFY_", "remove it; .env.example lists every setting"),
        (
            "MONGODB_NAME",
            "remove it; .env.example lists every setting",
        ),
        (
            "SMTP_PORT_x_TCP",
            "remove it; .env.example lists every setting",
        ),
    ] {
        // The value of an unknown name may be a secret, so it is never shown.
        let found = faults(&[(name, "hunter22")]);
        assert_eq!(found.len(), 1, "{name}");
        assert!(!found[0].contains("hunter22"), "{found:?}");
        assert_eq!(found, [format!("{name}: is not a setting; {advice}")]);
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let oplog = |name: &str| {
        format!(
            "BACKUP_OPLOG: \"on\" cannot be combined with {name}: a point-in-time dump covers the whole server; use \
             auto, or leave {name} empty"
        )
    };
    for (name, value) in [("BACKUP_DATABASES", "shop"), ("BACKUP_EXCLUDE", "shop.tmp")] {
        assert_eq!(
            faults(&[("BACKUP_OPLOG", "on"), (name, value)]),
            [oplog(name)]
        );
    }
    assert_eq!(
        faults(&[("DATABASE_URL", "mongodb://other")]),
        ["DATABASE_URL: \"***\" differs from MONGODB_URI; keep one of the two"]
    );
    let mail = ("SMTP_HOST", "mail");
    let to = ("EMAIL_TO", "me@example.org");
    let from = ("EMAIL_FROM", "me@example.org");
    assert_eq!(
        faults(&[mail]),
        [
            "EMAIL_FROM: is not set, but SMTP_HOST is; set the sender's address, or SMTP_USERNAME to one",
            "EMAIL_TO: is not set, but SMTP_HOST is; set the address that gets the mail",
        ]
    );
    assert_eq!(
        faults(&[mail, to, from, ("SMTP_USERNAME", "me")]),
        ["SMTP_PASSWORD: is not set, but SMTP_USERNAME is; set both, or neither"]
    );
    assert_eq!(
        faults(&[mail, to, from, ("SMTP_PASSWORD", "me")]),
        ["SMTP_USERNAME: is not set, but SMTP_PASSWORD is; set both, or neither"]
    );
}

#[test]
fn files_that_cannot_be_used_are_refused() -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("huge"), vec![b'x'; 64 * 1024 + 1])?;
    std::fs::write(path("binary"), [b'x', 0xff])?;
    std::fs::write(path("empty"), "\n")?;
    std::fs::write(path("wrong"), "hunter22\n")?;
    let advice = "give the path of a readable file that holds the value alone";
    for (file, message) in [
        (
            "missing",
            format!("cannot be read: No such file or directory (os error 2); {advice}"),
        ),
        (".", format!("is not a regular file; {advice}")),
        ("huge", format!("is larger than 64 KiB; {advice}")),
        ("binary", format!("is not valid UTF-8; {advice}")),
        (
            "empty",
            "is empty; put the value into it, or drop the setting".to_owned(),
        ),
        (
            "wrong",
            "holds a value that does not start with mongodb:// or mongodb+srv://; write it like \
             mongodb://HOST:27017/, with USER:PASSWORD@ before HOST if it asks for them"
                .to_owned(),
        ),
    ] {
        let found = faults(&[("MONGODB_URI_FILE", &path(file))]);
        assert_eq!(
            found,
            [format!("MONGODB_URI_FILE: \"{}\" {message}", path(file))]
        );
    }
    // Someone else's secret in the wrong file stays one.
    let found = faults(&[("BACKUP_TIMEOUT_FILE", &path("wrong"))]);
    assert!(found[0].contains("holds a value that is not a duration"));
    assert!(!found[0].contains("hunter22"));
    assert_eq!(
        faults(&[("TZ", "UTC"), ("TZ_FILE", &path("wrong"))]),
        ["TZ_FILE: is set together with TZ; keep one of the two"]
    );
    Ok(())
}

#[cfg(unix)]
#[test]
fn values_that_are_not_text_are_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut vars = vars(&[("MONGODB_URI", URI)]);
    vars.push(("BACKUP_DIR".into(), OsString::from_vec(vec![b'/', 0xff])));
    vars.push((OsString::from_vec(vec![0xff]), "ignored".into()));
    let found = Settings::load(vars, Needs::Server).map_err(|faults| faults.to_string());
    let message = "1 setting needs attention:\n  BACKUP_DIR: is not valid UTF-8; write it in UTF-8";
    assert_eq!(found.map(|_| ()), Err(message.to_owned()));
}

#[test]
fn no_message_holds_a_secret() {
    let password = "hunter22:with@odd/parts";
    let uri = format!("mongodb://root:{password}@db/");
    let pairs = [
        ("MONGODB_URI", uri.as_str()),
        ("BACKUP_DATABASES", uri.as_str()),
        ("TZ", password),
        ("BACKUP_PREFIX", "abcdefgh ijkl"),
        ("SMTP_HOST", uri.as_str()),
        ("SMTP_PASSWORD", "abcdefgh ijkl"),
    ];
    let Err(faults) = load(&pairs) else {
        panic!("accepted");
    };
    for text in [faults.to_string(), format!("{faults:?}")] {
        for part in ["hunter22", "odd/parts", "abcdefgh"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
    let redactor = redactor(vars(&pairs));
    let line = format!("failed: {uri} {password} abcdefghijkl");
    assert_eq!(
        redactor.redact(&line),
        "failed: mongodb://root:***@db/ *** ***"
    );
    let settings = load(&[("MONGODB_URI", URI)]);
    assert!(!format!("{settings:?}").contains("hunter22"));
}

#[test]
fn a_value_cannot_forge_a_line_of_its_own() {
    let found = faults(&[("BACKUP_PREFIX", "a\nb\u{1b}")]);
    assert!(
        found[0].starts_with(r#"BACKUP_PREFIX: "a\nb\u{1b}" is not"#),
        "{found:?}"
    );
    let found = faults(&[("BACKUP_PREFIX", &"x".repeat(200))]);
    assert!(found[0].contains(&format!("\"{}…\"", "x".repeat(100))));
}
