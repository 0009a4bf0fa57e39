//! Started by systemd, it tells when it is ready, what it waits for, that it is alive, and when it ends.

use super::{site, stop};
use crate::support::{Proxy, SOON, Site, Then, Trap, shared};
use rustix::process::Signal;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// In systemd's place: listens, and remembers everything.
struct Systemd {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Systemd {
    /// With a watchdog that wants to hear something every 0.6 seconds.
    fn watching(site: Site) -> (Self, Site) {
        let path = site.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        (Systemd::of(socket), site.with("NOTIFY_SOCKET", path.display()).with("WATCHDOG_USEC", 600_000))
    }

    fn of(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(SOON)).unwrap();
        Systemd { socket, heard: Vec::new() }
    }

    /// The next message.
    fn hear(&mut self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}; heard {:?}", self.heard));
        let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
        self.heard.push(message.clone());
        message
    }

    /// Waits for a message with these words in it.
    fn until_told(&mut self, words: &str) -> String {
        loop {
            let message = self.hear();
            if message.contains(words) {
                return message;
            }
        }
    }

    /// What has arrived when nothing more comes.
    fn all(mut self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            self.heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        self.heard
    }
}

fn environment_of(pid: u32) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/environ")).unwrap()).replace('\0', "\n")
}

#[test]
fn it_is_ready_when_it_waits_and_alive_until_it_ends() {
    let (mut systemd, site) = Systemd::watching(site());
    let running = site.start(&["run"]);
    // It is read for a week: no "in 3 days".
    let status = systemd.hear();
    assert!(status.starts_with("STATUS=next backup: Sunday ") && !status.contains(','), "{status}");
    assert_eq!(systemd.hear(), "READY=1");
    assert!(site.backups().join(".pantry-keeper").is_dir());
    for _ in 0..3 {
        assert_eq!(systemd.hear(), "WATCHDOG=1");
    }
    stop(running);
    let mut heard = systemd.all();
    assert_eq!(heard.pop().unwrap(), "STOPPING=1\nSTATUS=stopping");
    assert_eq!(heard.iter().filter(|message| *message == "READY=1").count(), 1, "{heard:?}");
}

#[test]
fn it_is_alive_during_a_run_whose_processes_have_no_part_in_this() {
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let (mut systemd, site) = Systemd::watching(Site::new().with("MONGODB_URI", shared().backup_uri_by(proxy.port)));
    let running = site.start(&["run"]);
    systemd.until_told("READY=1");
    running.signal(Signal::USR1);
    systemd.until_told("STATUS=making a backup: asked for by SIGUSR1");
    proxy.sprung();
    for _ in 0..3 {
        assert_eq!(systemd.hear(), "WATCHDOG=1");
    }
    assert!(
        environment_of(running.id()).contains("NOTIFY_SOCKET=") && environment_of(running.id()).contains("WATCHDOG_")
    );
    for pid in [running.child(), running.mongodump()] {
        let environment = environment_of(pid);
        assert!(environment.contains("PATH="), "{environment}");
        assert!(!environment.contains("NOTIFY_SOCKET=") && !environment.contains("WATCHDOG_"), "{environment}");
    }
    // It says that it ends when it is asked to, not when the run has ended.
    running.signal(Signal::TERM);
    assert_eq!(systemd.until_told("STOPPING=1"), "STOPPING=1\nSTATUS=stopping");
    running.end(Duration::from_secs(60)).done();
    assert!(!systemd.all().concat().contains("READY=1STATUS=next"));
}

#[test]
#[cfg(target_os = "linux")]
fn it_finds_a_socket_that_has_a_name_and_no_file() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    let site = site();
    let name = site.path("notify").display().to_string();
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let mut systemd = Systemd::of(UnixDatagram::bind_addr(&address).unwrap());
    let running = site.with("NOTIFY_SOCKET", format!("@{name}")).start(&["run"]);
    systemd.until_told("READY=1");
    stop(running);
    let heard = systemd.all();
    assert!(!heard.contains(&"WATCHDOG=1".to_owned()), "nobody asked for it: {heard:?}");
}

#[test]
fn what_cannot_start_is_not_ready() {
    let (systemd, site) = Systemd::watching(site());
    fs::write(site.backups(), "a file").unwrap();
    site.run(&["run"]).ended_with(1);
    assert_eq!(systemd.all(), [""; 0]);
}

/// With mail set up it waits for what is missing, which takes longer than systemd waits for a start by itself.
#[test]
fn while_it_cannot_start_it_asks_for_more_time() {
    let (mut systemd, site) = Systemd::watching(site());
    let mail = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", "1"),
        ("EMAIL_FROM", "a@example.org"),
        ("EMAIL_TO", "b@example.org"),
    ];
    let site = mail.into_iter().fold(site, |site, (name, value)| site.with(name, value));
    fs::write(site.backups(), "a file").unwrap();
    let running = site.start(&["run"]);
    let told = systemd.hear();
    let (status, time) = told.split_once('\n').unwrap();
    assert!(status.starts_with("STATUS=cannot start: ") && status.ends_with("; trying again every 1 min"), "{told}");
    assert_eq!(time, "EXTEND_TIMEOUT_USEC=120000000");
    stop(running);
    assert!(!systemd.all().contains(&"READY=1".to_owned()));
}

#[test]
fn a_socket_that_is_not_there_keeps_nobody_from_working() {
    let site = site();
    let path = site.path("nowhere").display().to_string();
    let running = site.with("NOTIFY_SOCKET", path).start(&["run"]);
    running.until_it_says("next backup");
    stop(running);
}
