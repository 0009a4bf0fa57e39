//! Texts for users that depend on nothing but the program, under snapshots.

use crate::support::{Site, Smtp, empty_port, shared, snapshot};

/// That of the program, and of each command which it names.
#[test]
fn help() {
    let site = Site::new();
    let mut shown = site.run(&["--help"]).done().stdout;
    let commands = shown.split("Commands:\n").nth(1).unwrap().to_owned();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        let text = site.run(&[command, "--help"]).done().stdout;
        shown.push_str(&format!("\n$ pantry-keeper {command} --help\n{text}"));
    }
    snapshot("help", &site, &shown);
}

#[test]
fn doctor_where_nothing_is_as_it_should_be() {
    let smtp = Smtp::start(&[]);
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with("BACKUP_SCHEDULE", "30 2 * * *")
        .with("TZ", "Europe/Madrid")
        .mailing_through(&smtp);
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
