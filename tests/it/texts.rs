//! Texts for users that depend on nothing but the program, under snapshots.

use crate::support::{Site, Smtp, empty_port, shared, snapshot};

const COMMANDS: [&str; 10] = [
    "run",
    "backup",
    "list",
    "verify",
    "restore",
    "drill",
    "prune",
    "doctor",
    "notify-test",
    "health",
];

#[test]
fn help() {
    let site = Site::new();
    snapshot("help", &site, &site.run(&["--help"]).done().stdout);
    for command in COMMANDS {
        let shown = site.run(&[command, "--help"]).done().stdout;
        snapshot(&format!("help-{command}"), &site, &shown);
    }
}

#[test]
fn doctor_where_nothing_is_as_it_should_be() {
    let smtp = Smtp::start(&[]);
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with("BACKUP_SCHEDULE", "30 2 * * *")
        .with("TZ", "Europe/Madrid")
        .with("SMTP_HOST", "127.0.0.1")
        .with("SMTP_PORT", smtp.port)
        .with("SMTP_SECURITY", "none")
        .with("EMAIL_FROM", "pantry@example.org")
        .with("EMAIL_TO", "mira@example.org");
    let away = format!(
        "mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=50",
        empty_port()
    );
    let site = site
        .with("MONGODB_URI", away)
        .with("PATH", "/nowhere")
        // What is advised depends on what the program runs under.
        .with("INVOCATION_ID", "1")
        .with_clock("2026-03-27T12:00:00Z");
    snapshot("doctor", &site, &site.run(&["doctor"]).ended_with(1).stdout);
}
