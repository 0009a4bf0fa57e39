//! Started by systemd, it tells when it is ready, what it waits for, that it is alive, and when it ends.

use super::{site, stop};
use crate::support::{Proxy, SOON, Site, Then, Trap, shared};
use rustix::process::Signal;
use std::fs;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// In systemd's place: listens all the time, so that nobody is held up, and remembers everything.
struct Systemd {
    address: SocketAddr,
    messages: Receiver<String>,
    heard: Vec<String>,
}

/// What the test itself sends when nothing more comes.
const END: &str = "end of the test";

impl Systemd {
    /// With a watchdog that wants to hear something every 0.6 seconds.
    fn watching(site: Site) -> (Self, Site) {
        let path = site.path("notify");
        let systemd = Systemd::at(SocketAddr::from_pathname(&path).unwrap());
        (
            systemd,
            site.with("NOTIFY_SOCKET", path.display())
                .with("WATCHDOG_USEC", 600_000),
        )
    }

    fn at(address: SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Systemd {
            address,
            messages,
            heard: Vec::new(),
        }
    }

    /// The next message.
    fn hear(&mut self) -> String {
        let message = self.messages.recv_timeout(SOON);
        let message = message.unwrap_or_else(|error| panic!("{error}; heard {:?}", self.heard));
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

    /// Everything it was ever told, by someone who has ended.
    fn all(mut self) -> Vec<String> {
        UnixDatagram::unbound()
            .unwrap()
            .send_to_addr(END.as_bytes(), &self.address)
            .unwrap();
        self.until_told(END);
        self.heard.pop();
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
    assert!(
        status.starts_with("STATUS=next backup: Sunday ") && !status.contains(','),
        "{status}"
    );
    assert_eq!(systemd.hear(), "READY=1");
    assert!(site.backups().join(".pantry-keeper").is_dir());
    for _ in 0..3 {
        assert_eq!(systemd.hear(), "WATCHDOG=1");
    }
    stop(running);
    let mut heard = systemd.all();
    assert_eq!(heard.pop().unwrap(), "STOPPING=1\nSTATUS=stopping");
    assert_eq!(
        heard.iter().filter(|message| *message == "READY=1").count(),
        1,
        "{heard:?}"
    );
}

#[test]
fn it_is_alive_during_a_run_whose_processes_have_no_part_in_this() {
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let (mut systemd, site) =
        Systemd::watching(Site::new().with("MONGODB_URI", shared().backup_uri_by(proxy.port)));
    let running = site.start(&["run"]);
    systemd.until_told("READY=1");
    running.signal(Signal::USR1);
    systemd.until_told("STATUS=making a backup: asked for by SIGUSR1");
    proxy.sprung();
    for _ in 0..3 {
        assert_eq!(systemd.hear(), "WATCHDOG=1");
    }
    assert!(
        environment_of(running.id()).contains("NOTIFY_SOCKET=")
            && environment_of(running.id()).contains("WATCHDOG_")
    );
    for pid in [running.child(), running.mongodump()] {
        let environment = environment_of(pid);
        assert!(environment.contains("PATH="), "{environment}");
        assert!(
            !environment.contains("NOTIFY_SOCKET=") && !environment.contains("WATCHDOG_"),
            "{environment}"
        );
    }
    running.signal(Signal::TERM);
    running.end(Duration::from_secs(60)).done();
    let ends = systemd
        .all()
        .into_iter()
        .filter(|message| message == "STOPPING=1\nSTATUS=stopping");
    assert_eq!(ends.count(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn it_finds_a_socket_that_has_a_name_and_no_file() {
    use std::os::linux::net::SocketAddrExt;
    let site = site();
    let name = site.path("notify").display().to_string();
    let mut systemd = Systemd::at(SocketAddr::from_abstract_name(&name).unwrap());
    let site = site.with("NOTIFY_SOCKET", format!("@{name}"));
    let running = site.start(&["run"]);
    systemd.until_told("READY=1");
    stop(running);
    let heard = systemd.all();
    assert!(
        !heard.contains(&"WATCHDOG=1".to_owned()),
        "nobody asked for it: {heard:?}"
    );
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
    let site = mail
        .into_iter()
        .fold(site, |site, (name, value)| site.with(name, value));
    fs::write(site.backups(), "a file").unwrap();
    let running = site.start(&["run"]);
    let told = systemd.hear();
    let (status, time) = told.split_once('\n').unwrap();
    assert!(
        status.starts_with("STATUS=cannot start: ")
            && status.ends_with("; trying again every 1 min"),
        "{told}"
    );
    assert_eq!(time, "EXTEND_TIMEOUT_USEC=120000000");
    stop(running);
    assert!(!systemd.all().contains(&"READY=1".to_owned()));
}

#[test]
fn a_socket_that_is_not_there_keeps_nobody_from_working() {
    let site = site();
    let nowhere = site.path("nowhere").display().to_string();
    let site = site.with("NOTIFY_SOCKET", nowhere);
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    stop(running);
}
