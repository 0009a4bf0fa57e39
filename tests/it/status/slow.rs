//! Clients that hold connections open, and say or hear nothing.

use super::{pantry, serve, site};
use crate::service::stop;
use crate::support::{Running, SOON, until};
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The most memory that a process has had, in bytes.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

fn files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Half of them begin a request and never end it; the others ask and never read.
fn slow(page: super::client::Page, number: usize) -> TcpStream {
    let mut stream = page.connect();
    let request: &[u8] = match number % 2 {
        0 => b"GET / HTTP/1.1\r\nHost: local",
        _ => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    };
    // It may have had to give way already.
    let _ = stream.write_all(request);
    stream
}

/// `PANTRY_SLOW_SECONDS=60` holds them open for a minute.
#[test]
fn a_thousand_of_them_hurt_no_backup_nor_other_clients() {
    let hold = std::env::var("PANTRY_SLOW_SECONDS").map_or(3, |text| text.parse().unwrap());
    let site = site();
    pantry::fill(&site, 50, 24);
    let (running, page) = serve(&site);
    let child = running.child();
    page.get("/").with_status(200);
    let quiet = peak(child);
    let mut held: Vec<TcpStream> = (0..1000).map(|number| slow(page, number)).collect();
    let (begun, mut number) = (Instant::now(), held.len());
    running.signal(Signal::USR1);
    while begun.elapsed() < Duration::from_secs(hold) {
        let during = page.get("/").with_status(200);
        assert!(during.took < Duration::from_secs(5), "{:?}", during.took);
        // The whole page; the backup that runs adds an archive to it, and lets old ones go.
        assert!(during.body.ends_with("</html>"), "{}", during.body);
        assert_eq!(page.get("/health").status, 200);
        // Those that were thrown out come again.
        for stream in held.iter_mut().take(50) {
            number += 1;
            *stream = slow(page, number);
        }
        held.rotate_left(50);
    }
    made_a_backup(&running);
    let grown = peak(child).saturating_sub(quiet);
    println!(
        "{number} slow clients: the page's process grew by {} kB to {} kB",
        grown / 1000,
        peak(child) / 1000
    );
    assert!(grown < 16_000_000, "it grew by {grown} bytes");
    // Those that had to give way are closed a moment later.
    until("few files are open", SOON, || files(child) < 100);
    site.run(&["health"]).done();
    assert_eq!(page.get("/health").with_status(200).json()["healthy"], true);
    running.signal(Signal::TERM);
    running.end(Duration::from_secs(60 + hold)).done();
}

fn made_a_backup(running: &Running) {
    running.until_it_says("backup complete and verified");
}

/// Who says nothing at all is not waited for.
#[test]
fn a_client_that_says_nothing_is_sent_away() {
    let site = site();
    let (running, page) = serve(&site);
    let mut silent = page.connect();
    let begun = Instant::now();
    let mut heard = Vec::new();
    let _ = silent.read_to_end(&mut heard);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    until("its file is closed", SOON, || files(running.child()) < 20);
    stop(running);
}
