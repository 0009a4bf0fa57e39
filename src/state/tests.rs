//! State and history against restarts, damage, and disks that take or give nothing.

use super::history::{DAYS_KEPT, RUNS_KEPT};
use super::*;
use chrono::TimeDelta;

fn run(day: i64) -> Run {
    let at = DateTime::UNIX_EPOCH + TimeDelta::days(day);
    Run {
        began_at: at,
        ended_at: at,
        trigger: "scheduled".into(),
        ended: Ended::Interrupted,
    }
}

#[test]
fn state_and_history_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut status = StateStore::new(folder.path().into());
    let (_, saved) = status.change(|state| state.alerts.failed(DateTime::UNIX_EPOCH));
    saved.unwrap();
    status.record(run(1)).unwrap();
    let again = StateStore::new(folder.path().into());
    assert_eq!(
        again.state().alerts.failing().map(|failing| failing.runs),
        Some(1)
    );
    assert_eq!(again.runs(), [run(1)]);
}

#[test]
fn a_state_of_an_earlier_version_says_who_was_told_what() {
    let folder = tempfile::tempdir().unwrap();
    let old = include_str!("../../tests/fixtures/state-0.1/state.json");
    fs::write(folder.path().join(STATE_FILE), old).unwrap();
    let state = StateStore::new(folder.path().into()).state();
    let mut alerts = state.alerts;
    assert!(alerts.failing().unwrap().was_notified() && !state.unreadable);
    // Told on that day already, and due on the next.
    let at = |time: &str| time.parse().unwrap();
    let due = alerts.failure_due(at("2025-05-31T20:00:00Z"), chrono_tz::Tz::UTC);
    assert_eq!(due, None);
    let due = alerts.failure_due(at("2025-06-01T02:00:00Z"), chrono_tz::Tz::UTC);
    assert_eq!(due, Some(4));
}

#[test]
fn history_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut status = StateStore::new(folder.path().into());
    for day in 0..(RUNS_KEPT + DAYS_KEPT) as i64 + 5 {
        status.record(run(day)).unwrap();
    }
    let runs = status.runs();
    assert_eq!((runs.len(), &runs[0]), (RUNS_KEPT + DAYS_KEPT, &run(5)));
}

#[test]
fn of_a_day_long_ago_the_worst_run_is_remembered() {
    let failed = Ended::Failed {
        stage: "dumping".into(),
        error: "it broke".into(),
    };
    let mut runs = vec![
        run(1),
        Run {
            ended: failed,
            ..run(1)
        },
        run(1),
    ];
    runs.extend((0..RUNS_KEPT as i64).map(|_| run(2)));
    let thinned = thinned(runs.clone());
    assert_eq!(thinned.len(), RUNS_KEPT + 1);
    assert_eq!(thinned[0], runs[1]);
}

#[test]
fn who_only_looks_changes_nothing_and_sees_a_history_of_an_earlier_version() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(STATE_FILE), "{").unwrap();
    let earlier = r#"[{"began_at":"2026-05-03T00:00:00Z","ended_at":"2026-05-03T00:01:00Z","trigger":"scheduled",
        "ended":{"outcome":"done","archive":"a","archive_bytes":1,"documents":2,"bytes":3,"removed":[],"warnings":[]}}]"#;
    fs::write(folder.path().join(HISTORY_FILE), earlier).unwrap();
    let (state, runs) = look(folder.path());
    assert!(state.unreadable && runs.len() == 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_the_disk_does_not_take_is_kept_and_written_later_and_no_folder_is_made_up() {
    let site = tempfile::tempdir().unwrap();
    let folder = site.path().join("unmounted");
    let mut status = StateStore::new(folder.clone());
    assert!(
        status
            .change(|state| state.alerts.failed(DateTime::UNIX_EPOCH))
            .1
            .is_err()
    );
    assert!(status.record(run(1)).is_err());
    assert!(!folder.exists());
    assert!(status.state().alerts.failing().is_some());
    assert!(status.save().is_err());
    fs::create_dir(&folder).unwrap();
    status.save().unwrap();
    let again = StateStore::new(folder);
    assert!(again.state().alerts.failing().is_some());
    assert_eq!(again.runs(), [run(1)]);
}

#[test]
fn a_damaged_state_is_known_to_be_once_and_then_a_fresh_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(STATE_FILE);
    for content in ["", "{", "7", "{\"alarm\": 7}"] {
        fs::write(&file, content).unwrap();
        let status = StateStore::new(folder.path().into());
        assert!(status.state().unreadable, "{content}");
        assert_eq!(status.state(), State::default(), "{content}");
        assert_eq!(
            fs::read_to_string(folder.path().join("state.json.damaged")).unwrap(),
            content
        );
    }
    fs::write(&file, "{\"of a later version\": {}}").unwrap();
    assert_eq!(
        StateStore::new(folder.path().into()).state(),
        State::default()
    );
}

#[test]
fn a_state_that_cannot_be_read_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    // Reading a folder fails as reading from a dying disk does.
    fs::create_dir(folder.path().join(STATE_FILE)).unwrap();
    let mut status = StateStore::new(folder.path().into());
    assert!(status.state().unreadable);
    assert!(
        status
            .change(|state| state.alerts.failed(DateTime::UNIX_EPOCH))
            .1
            .is_err()
    );
    assert!(status.unsaved() == Unsaved::default() && folder.path().join(STATE_FILE).is_dir());
}
