//! What Prometheus is told, over HTTP and in a file.

use super::{pantry, serve, site};
use crate::service::stop;
use crate::support::{Proxy, SOON, Site, Then, Trap, shared, until};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The samples by name and labels. Each must be of a metric that was described before it.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let mut samples = BTreeMap::new();
    let mut described = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            described = rest.split(' ').next().unwrap();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest, format!("{described} gauge"));
        } else {
            let (name, figure) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next().unwrap(), described);
            assert!(
                samples.insert(name, figure.parse().unwrap()).is_none(),
                "{name} twice"
            );
        }
    }
    samples
}

#[test]
fn they_say_what_list_and_health_say() {
    let site = site();
    let names = pantry::fill(&site, 3, 24);
    pantry::remember(&site, &names, &[pantry::failed(30)]);
    let (running, page) = serve(&site);
    let answer = page.get("/metrics").with_status(200);
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    let found = samples(&answer.body);
    let list = site.run(&["list", "--json"]).done().json();
    let is = |name: &str, figure: f64| {
        assert_eq!(
            found[format!("pantry_keeper_{name}").as_str()],
            figure,
            "{name}"
        );
    };
    is("healthy", 1.0);
    is("scheduler_up", 1.0);
    is("archives{state=\"verified\"}", 3.0);
    is("archives_bytes", list["archives_bytes"].as_f64().unwrap());
    is(
        "last_backup_documents",
        list["archives"][2]["documents"].as_f64().unwrap(),
    );
    is("last_backup_step_duration_seconds{step=\"dump\"}", 8.4);
    is("last_backup_duration_seconds", 14.0);
    is("recent_runs{outcome=\"failed\"}", 1.0);
    is("outbox_notifications", 0.0);
    is(
        &format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")),
        1.0,
    );
    assert!(found["pantry_keeper_last_failure_timestamp_seconds"] > 1.7e9);
    assert!(
        !answer.body.contains("last_drill_proven"),
        "what is unknown is left out"
    );
    stop(running);
}

#[test]
fn a_run_without_a_page_leaves_them_in_a_file_that_another_user_can_read() {
    let site = Site::of(shared()).with("BACKUP_DATABASES", "shop");
    let file = site.path("pantry_keeper.prom");
    let site = site.with("METRICS_FILE", file.display());
    site.run(&["backup"]).done();
    let text = fs::read_to_string(&file).unwrap();
    let found = samples(&text);
    assert_eq!(found["pantry_keeper_archives{state=\"verified\"}"], 1.0);
    // Something else starts the runs: no scheduler is missed.
    assert_eq!(found["pantry_keeper_healthy"], 1.0);
    assert_eq!(found["pantry_keeper_scheduler_up"], 0.0);
    assert!(found["pantry_keeper_last_backup_step_duration_seconds{step=\"verify\"}"] > 0.0);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o644
    );
    // The backup counts, whatever becomes of the file.
    let nowhere = site.with("METRICS_FILE", "nowhere/at/all.prom");
    nowhere
        .run(&["backup"])
        .done()
        .saying(&["METRICS_FILE is not written: cannot create"]);
}

#[test]
fn a_run_of_the_scheduler_is_over_in_the_file_when_it_is() {
    let site = Site::of(shared())
        .with("BACKUP_DATABASES", "shop")
        .with_clock("2026-05-31T01:59:55Z");
    let file = site.path("pantry_keeper.prom");
    let site = site.with("METRICS_FILE", file.display());
    let running = site.start(&["run"]);
    running.until_it_says("backup complete and verified");
    running.until_it_says("next backup: Sunday 7 June 2026");
    let text = || fs::read_to_string(&file).unwrap_or_default();
    let has = |line: &str| text().lines().any(|other| other == line);
    until("the file tells of the run", SOON, || {
        has("pantry_keeper_archives{state=\"verified\"} 1") && has("pantry_keeper_backup_running 0")
    });
    assert!(has("pantry_keeper_healthy 1") && has("pantry_keeper_scheduler_up 1"));
    stop(running);
}

#[test]
fn a_backup_beside_the_schedule_is_running_until_it_or_its_scheduler_ends() {
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let site = Site::new()
        .with("MONGODB_URI", shared().backup_uri_by(proxy.port))
        .with("STATUS_LISTEN", "127.0.0.1:0");
    let (running, page) = serve(&site);
    let is_running = || {
        let answer = page.get("/metrics").with_status(200);
        samples(&answer.body)["pantry_keeper_backup_running"]
    };
    let since = || site.run(&["status", "--json"]).json()["running_since"].clone();
    assert_eq!((is_running(), since().is_null()), (0.0, true));
    running.signal(Signal::USR1);
    proxy.sprung();
    assert!(since().is_string());
    until("it is on the page", SOON, || is_running() == 1.0);
    page.get("/").showing(&["A backup is being made"]);
    running.signal(Signal::KILL);
    drop(running);
    proxy.release();
    until("nothing is running", SOON, || since().is_null());
    // The next one notes that it was cut off.
    let (running, _) = serve(&site);
    running.until_it_says("was interrupted: the power went, or it was killed");
    assert!(since().is_null());
    stop(running);
    let runs = fs::read_to_string(site.backups().join(".pantry-keeper/history.json")).unwrap();
    assert!(runs.contains("asked for by SIGUSR1"), "{runs}");
}
