//! Being asked to end, and being killed.

use crate::support::{Proxy, Running, SOON, Site, Then, Trap, is_alive, shared, until};
use flate2::write::GzEncoder;
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::time::{Duration, Instant};

/// Docker kills what has not ended ten seconds after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

fn behind(trap: Trap) -> (Proxy, Site) {
    let proxy = Proxy::to(shared().port, trap, Then::Stall);
    let site = Site::new().with("MONGODB_URI", shared().backup_uri_by(proxy.port));
    (proxy, site)
}

fn ends_in_time(running: Running, signal: Signal) {
    let asked = Instant::now();
    running.signal(signal);
    running
        .end(Duration::from_secs(60))
        .ended_with(1)
        .saying(&["stopped as asked"]);
    assert!(asked.elapsed() < GRACE, "it took {:?}", asked.elapsed());
}

#[test]
fn asked_to_end_mid_dump_it_leaves_nothing_behind() {
    for signal in [Signal::TERM, Signal::INT] {
        let (proxy, site) = behind(Trap::Bytes(1_000_000));
        let before = site.with_older_files();
        let running = site.start(&["backup"]);
        proxy.sprung();
        let mongodump = running.mongodump();
        ends_in_time(running, signal);
        assert!(!is_alive(mongodump));
        before.still_holds();
    }
}

#[test]
fn asked_to_end_while_it_connects_it_ends() {
    let (proxy, site) = behind(Trap::Bytes(0));
    let before = site.with_older_files();
    let running = site.start(&["backup"]);
    proxy.sprung();
    ends_in_time(running, Signal::TERM);
    before.still_holds();
}

#[test]
fn asked_to_end_while_mongodump_connects_it_ends() {
    let (proxy, site) = behind(Trap::Sent("mongodump"));
    let before = site.with_older_files();
    let running = site.start(&["backup"]);
    proxy.sprung();
    let mongodump = running.mongodump();
    ends_in_time(running, Signal::TERM);
    assert!(!is_alive(mongodump));
    before.still_holds();
}

#[test]
fn asked_to_end_while_it_waits_for_another_attempt_it_ends() {
    let uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100";
    let site = Site::new()
        .with("MONGODB_URI", uri)
        .with("BACKUP_RETRIES", 9);
    let before = site.with_older_files();
    let running = site.start(&["backup"]);
    running.until_it_says("trying again");
    ends_in_time(running, Signal::TERM);
    before.still_holds();
}

#[test]
fn asked_to_end_during_verify_it_ends() {
    let site = Site::new();
    fs::create_dir_all(site.backups()).unwrap();
    let file = File::create(
        site.backups()
            .join("jorbites_backup_20250105_020000.tar.gz"),
    )
    .unwrap();
    pack_much_from_little(file);
    let running = site.start(&["verify"]);
    let reads = || fs::read_to_string(format!("/proc/{}/io", running.id())).unwrap_or_default();
    let far = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("rchar: "))?;
        line.parse::<u64>().ok().filter(|bytes| *bytes > 1_000_000)
    };
    until("it reads", SOON, || far(reads()).is_some());
    ends_in_time(running, Signal::TERM);
}

/// A tar.gz of 64 GB that is quickly made and takes long to read.
fn pack_much_from_little(mut file: File) {
    const PIECE: usize = 64 << 20;
    const PIECES: usize = 1000;
    let gzip = |bytes: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let mut header = tar::Header::new_gnu();
    header.set_path("dump/shop/zeros.bin").unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o600);
    header.set_size((PIECE * PIECES) as u64);
    header.set_cksum();
    file.write_all(&gzip(header.as_bytes())).unwrap();
    let piece = gzip(&vec![0; PIECE]);
    for _ in 0..PIECES {
        file.write_all(&piece).unwrap();
    }
}

#[test]
fn killed_mid_archive_it_takes_mongodump_along_and_the_next_run_tidies_up() {
    let (proxy, site) = behind(Trap::Bytes(1_000_000));
    let before = site.with_older_files();
    let running = site.start(&["backup"]);
    proxy.sprung();
    let mongodump = running.mongodump();
    running.signal(Signal::KILL);
    drop(running);
    until("mongodump is gone", SOON, || !is_alive(mongodump));
    let left = before.added();
    assert!(
        !left.is_empty() && left.iter().all(|name| name.ends_with(".tar.gz.partial")),
        "{left:?}"
    );

    proxy.release();
    site.run(&["list"]).done();
    site.run(&["backup"])
        .done()
        .saying(&["removed 1 leftover file of an interrupted backup"]);
    let added = before.added();
    assert_eq!(added.len(), 2, "{added:?}");
    assert!(
        added[0].ends_with(".tar.gz") && added[1] == format!("{}.sha256", added[0]),
        "{added:?}"
    );
    site.run(&["verify"]).done();
}

#[test]
fn a_second_instance_is_told_apart_by_its_exit_code() {
    let (proxy, site) = behind(Trap::Bytes(1_000_000));
    let first = site.start(&["backup"]);
    proxy.sprung();
    let outcome = site
        .run(&["backup"])
        .ended_with(3)
        .saying(&["another Pantry Keeper is at work in"]);
    outcome.within(Duration::from_secs(10));
    // Readers are not in anyone's way.
    site.run(&["list"]).done();
    proxy.release();
    first.end(Duration::from_secs(60)).done();
    site.run(&["verify"]).done();
}

/// The arguments and the environment of a process are open to every user of the machine, or to anyone in its container.
#[test]
fn the_password_is_in_no_argument_and_no_environment_of_mongodump() {
    let (proxy, site) = behind(Trap::Bytes(1_000_000));
    let site = site
        .with("SMTP_PASSWORD", "s3ntinel mail")
        .with("LOG_LEVEL", "trace");
    let running = site.start(&["backup"]);
    proxy.sprung();
    let mongodump = running.mongodump();
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{mongodump}/{file}")).unwrap();
        assert!(!bytes.is_empty());
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains("s3ntinel") && !text.contains("mongodb://"),
            "{file}: {text}"
        );
    }
    let own = fs::read(format!("/proc/{}/cmdline", running.id())).unwrap();
    assert!(!String::from_utf8_lossy(&own).contains("s3ntinel"));
    proxy.release();
    running.end(Duration::from_secs(60)).done();
}
