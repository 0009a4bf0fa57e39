//! When it runs, and that no clock makes it lose or repeat a run.

use super::{site, stop};
use crate::support::{Proxy, SOON, Site, Then, Trap, shared, until};
use rustix::process::Signal;

const WEDNESDAY: &str = "2026-05-27T12:00:00Z";

#[test]
fn a_week_passes_and_sunday_at_two_it_backs_up() {
    let site = site().with_clock(WEDNESDAY);
    let running = site.start(&[]);
    running.until_it_says("next backup: Sunday 31 May 2026 at 02:00 CEST, in 3 days");
    site.set_clock("2026-05-30T23:59:55Z");
    running.until_it_says("the clock jumped ahead by 3 days");
    running.until_it_says("starting a backup: scheduled");
    running.until_it_says("backup complete and verified");
    running.until_it_says("next backup: Sunday 7 June 2026 at 02:00 CEST");
    let archives = site.archives();
    assert_eq!(archives.len(), 1, "{archives:?}");
    assert!(
        archives[0].starts_with("jorbites_backup_20260531_02000"),
        "{archives:?}"
    );
    stop(running);
    let log = |name: &str| std::fs::read_to_string(site.path("logs").join(name)).unwrap();
    assert!(
        log("scheduler.log").contains("next backup: Sunday 7 June"),
        "{}",
        log("scheduler.log")
    );
    assert!(
        log("backup.log").contains("backup complete and verified"),
        "{}",
        log("backup.log")
    );
    assert!(
        !log("backup.log").contains("next backup"),
        "{}",
        log("backup.log")
    );
}

/// Starts and stops once on Saturday, so that Sunday's run is promised.
fn promised(site: Site) -> Site {
    let site = site.with_clock("2026-05-30T12:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("next backup: Sunday 31 May 2026 at 02:00 CEST");
    stop(running);
    site
}

#[test]
fn off_at_the_hour_it_makes_up_for_it_once() {
    let site = promised(site());
    site.set_clock("2026-06-01T08:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("making up for the run of Sunday 31 May 2026 at 02:00 CEST");
    running.until_it_says("next backup: Sunday 7 June 2026");
    stop(running);
    assert_eq!(site.archives().len(), 1);

    let running = site.start(&["run"]);
    running.until_it_says("next backup: Sunday 7 June 2026");
    assert!(!running.said().contains("making up"), "{}", running.said());
    stop(running);
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn without_catch_up_a_missed_run_is_said_and_not_made_up_for() {
    let site = promised(site().with("BACKUP_CATCH_UP", "false"));
    site.set_clock("2026-06-01T08:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("1 run missed, the last of Sunday 31 May 2026");
    running.until_it_says("next backup: Sunday 7 June 2026");
    stop(running);
    assert_eq!(site.archives().len(), 0);
}

#[test]
fn at_start_when_asked_for_and_that_does_for_what_was_missed() {
    let site = promised(site()).with("BACKUP_ON_START", "true");
    site.set_clock("2026-06-01T08:00:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("starting a backup: at start");
    running.until_it_says("next backup: Sunday 7 June 2026");
    assert!(!running.said().contains("making up"), "{}", running.said());
    stop(running);
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn killed_in_the_middle_of_a_run_it_makes_up_for_it() {
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let site = promised(
        Site::new()
            .with("MONGODB_URI", shared().backup_uri_by(proxy.port))
            .with("TZ", "Europe/Madrid"),
    );
    site.set_clock("2026-05-30T23:59:58Z");
    let running = site.start(&["run"]);
    proxy.sprung();
    running.signal(Signal::KILL);
    drop(running);
    proxy.release();
    site.set_clock("2026-05-31T00:20:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("was interrupted");
    running.until_it_says("removed 1 leftover file of an interrupted backup");
    running.until_it_says("backup complete and verified");
    stop(running);
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn a_clock_of_1970_at_boot_removes_nothing_and_repeats_nothing() {
    let site = site()
        .with("RETENTION_DAYS", 1)
        .with("RETENTION_MIN_KEEP", 1)
        .with_clock("2026-05-01T00:00:00Z");
    site.run(&["backup"]).done();
    site.set_clock("2026-05-30T10:00:00Z");
    let site = site.with("RETENTION_DAYS", 30);
    site.run(&["backup"]).done();
    let site = promised(site.with("RETENTION_DAYS", 1));
    let before = site.archives();
    assert_eq!(before.len(), 2);

    let site = site.with("BACKUP_ON_START", "true");
    site.set_clock("1970-01-01T00:00:10Z");
    let running = site.start(&["run"]);
    running.until_it_says("old archives are not removed: the clock");
    running.until_it_says("next backup");
    let with_1970 = site.archives();
    assert_eq!(with_1970.len(), 3, "{with_1970:?}");
    assert!(before.iter().all(|archive| with_1970.contains(archive)));

    site.set_clock("2026-05-30T13:00:00Z");
    running.until_it_says("the clock jumped ahead by");
    running.until_it_says("next backup: Sunday 31 May 2026 at 02:00 CEST");
    assert!(!running.said().contains("making up"), "{}", running.said());
    site.set_clock("2026-05-30T23:59:58Z");
    running.until_it_says_times("backup complete and verified", 2);
    // The time is right again: what is old goes, first of all what claims to be of 1970.
    running.until_it_says("2 archives kept");
    stop(running);
}

#[test]
fn a_run_that_takes_longer_than_its_interval_skips_and_says_so() {
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let site = Site::new()
        .with("MONGODB_URI", shared().backup_uri_by(proxy.port))
        .with("BACKUP_SCHEDULE", "0 * * * *")
        .with_clock("2026-05-27T11:59:58Z");
    let running = site.start(&["run"]);
    proxy.sprung();
    site.set_clock("2026-05-27T14:30:00Z");
    proxy.release();
    running.until_it_says("2 runs came due while this one was at work, and are skipped");
    running.until_it_says("next backup: Wednesday 27 May 2026 at 15:00 UTC");
    stop(running);
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn a_schedule_that_changes_over_a_restart_runs_nothing_twice() {
    let site = promised(site());
    site.set_clock("2026-05-30T23:59:58Z");
    let running = site.start(&["run"]);
    running.until_it_says("backup complete and verified");
    stop(running);
    // Two o'clock comes again in London, and in another schedule.
    let site = site.with("TZ", "Europe/London");
    site.set_clock("2026-05-31T00:30:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("next backup: Sunday 7 June 2026 at 02:00 BST");
    stop(running);
    let site = site.with("BACKUP_SCHEDULE", "0 0 * * *");
    site.set_clock("2026-05-31T00:40:00Z");
    let running = site.start(&["run"]);
    running.until_it_says("next backup: Monday 1 June 2026 at 00:00 BST");
    stop(running);
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn it_wakes_up_seldom() {
    let site = site();
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    let switches = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", running.id()))
            .unwrap()
            .flatten();
        let of = |path: std::path::PathBuf| {
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
                .map(str::trim);
            line.and_then(|count| count.parse::<u64>().ok())
                .unwrap_or_default()
        };
        tasks.map(|task| of(task.path())).sum::<u64>()
    };
    // The clock of the test is the program's own: wait until it has slept twice.
    let (before, begun) = (switches(), std::time::Instant::now());
    until("it has slept", SOON, || switches() >= before + 2);
    let woken = switches() - before;
    assert!(
        woken as f64 <= begun.elapsed().as_secs_f64() + 1.0,
        "woken {woken} times in {:?}",
        begun.elapsed()
    );
    stop(running);
}
