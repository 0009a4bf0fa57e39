//! Several of them on one folder, and being asked to run now.

use super::{site, stop};
use crate::support::{Proxy, Site, Then, Trap, shared};
use rustix::process::Signal;
use std::time::Duration;

#[test]
fn a_second_scheduler_on_the_same_folder_is_turned_away() {
    let site = site();
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    let outcome = site
        .run(&["run"])
        .ended_with(3)
        .saying(&["another Pantry Keeper is at work in"]);
    outcome.within(Duration::from_secs(10));
    stop(running);
}

#[test]
fn asked_by_a_signal_it_backs_up_at_once() {
    let site = site();
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    running.until_it_says("starting a backup: asked for by SIGUSR1");
    running.until_it_says_times("next backup", 2);
    stop(running);
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn asked_while_it_is_at_work_it_says_so() {
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let site = Site::new().with("MONGODB_URI", shared().backup_uri_by(proxy.port));
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    proxy.sprung();
    running.signal(Signal::USR1);
    running.until_it_says("a backup is being made already");
    proxy.release();
    running.until_it_says_times("next backup", 2);
    stop(running);
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn commands_by_hand_work_beside_an_idle_scheduler() {
    let site = site();
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    site.run(&["backup"]).done();
    site.run(&["prune"]).done();
    site.run(&["verify"]).done();
    stop(running);
    assert_eq!(site.archives().len(), 1);
}

#[test]
fn a_backup_by_hand_and_a_scheduled_one_take_turns() {
    let proxy = Proxy::to(shared().port, Trap::Bytes(300_000), Then::Stall);
    let site = Site::new().with("MONGODB_URI", shared().backup_uri_by(proxy.port));
    let by_hand = site.start(&["backup"]);
    proxy.sprung();
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    running.signal(Signal::USR1);
    running.until_it_says("another Pantry Keeper is at work in");
    proxy.release();
    by_hand.end(Duration::from_secs(60)).done();
    stop(running);
    assert_eq!(site.archives().len(), 1);
}
