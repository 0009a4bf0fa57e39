//! State and history against restarts, damage, and disks that take or give nothing.

use super::alerts::{Concern, Topic};
use super::history::{DAYS_KEPT, RUNS_KEPT};
use super::*;
use chrono::{DateTime, TimeDelta, Utc};

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
    let (_, saved) = status.change(|state| state.alerts.failed(DateTime::UNIX_EPOCH, false));
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
    assert!(alerts.failing().unwrap().was_notified() && state.problem.is_none());
    // Told on that day already, and due on the next.
    let at = |time: &str| time.parse().unwrap();
    let due = alerts.failure_due(at("2025-05-31T20:00:00Z"), crate::sys::time_zone::Tz::UTC);
    assert_eq!(due, None);
    let due = alerts.failure_due(at("2025-06-01T02:00:00Z"), crate::sys::time_zone::Tz::UTC);
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
    assert!(state.problem.is_some() && runs.len() == 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_the_disk_does_not_take_is_kept_and_written_later_and_no_folder_is_made_up() {
    let site = tempfile::tempdir().unwrap();
    let folder = site.path().join("unmounted");
    let mut status = StateStore::new(folder.clone());
    assert!(
        status
            .change(|state| state.alerts.failed(DateTime::UNIX_EPOCH, false))
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
fn a_damaged_state_stays_where_it_is_for_who_looks_and_is_set_aside_by_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (file, aside) = (
        folder.path().join(STATE_FILE),
        folder.path().join("state.json.damaged"),
    );
    let problem = || StateStore::new(folder.path().into()).state().problem;
    for content in ["", "{", "7", "{\"alarm\": 7}"] {
        fs::write(&file, content).unwrap();
        for _ in 0..2 {
            assert_eq!(problem(), Some(StateProblem::Damaged(file.clone())));
        }
        let mut store = StateStore::new(folder.path().into());
        let (_, saved) = store.change(|state| state.alerts.failed(DateTime::UNIX_EPOCH, false));
        saved.unwrap();
        assert_eq!(fs::read_to_string(&aside).unwrap(), content);
        let state = store.state();
        assert_eq!(state.problem, Some(StateProblem::SetAside(aside.clone())));
        assert_eq!(state.alerts.failing().map(|failing| failing.runs), Some(1));
    }
    // Until its owner knows, or has moved it away.
    let mut store = StateStore::new(folder.path().into());
    assert!(store.let_damaged_go().unwrap().is_some() && problem().is_none());
    assert_eq!(store.let_damaged_go().unwrap(), None);
    fs::write(&file, "{").unwrap();
    assert!(store.let_damaged_go().unwrap().is_some() && problem().is_none());
    assert_eq!(store.state(), State::default());
}

#[test]
fn what_a_later_version_knows_beside_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let later = r#"{"of a later version": {}, "alarm": {"concerns": {"later": "2026-05-31T02:00:00Z"},
        "told": {"later x": "2026-05-31T02:00:00Z"}}}"#;
    fs::write(folder.path().join(STATE_FILE), later).unwrap();
    assert_eq!(
        StateStore::new(folder.path().into()).state(),
        State::default()
    );
}

#[test]
fn an_earlier_version_can_read_what_this_one_writes() {
    let mut state = State::default();
    for (concern, about) in [
        (Concern::Shrunk, "shop.users"),
        (Concern::Shrunk, "shop.a b"),
        (Concern::Held, "state"),
    ] {
        let topic = Topic::new(concern, about);
        state
            .alerts
            .concerns
            .insert(topic, DateTime::<Utc>::UNIX_EPOCH);
    }
    let json = serde_json::to_value(&state).unwrap();
    let known: Vec<&String> = json["alarm"]["concerns"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(known, ["shrunk"]);
    assert_eq!(serde_json::from_value::<State>(json).unwrap(), state);
}

#[test]
fn a_state_that_cannot_be_read_is_not_written_over_and_what_is_noted_meanwhile_joins_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STATE_FILE);
    // Reading a folder fails as reading from a dying disk does.
    fs::create_dir(&path).unwrap();
    let mut status = StateStore::new(folder.path().into());
    let unreadable =
        |status: &StateStore| matches!(status.state().problem, Some(StateProblem::Unreadable(_)));
    assert!(unreadable(&status));
    for runs in 1..3 {
        let (_, saved) = status.change(|state| state.alerts.failed(DateTime::UNIX_EPOCH, false));
        assert!(saved.is_err() && path.is_dir());
        let failing = status.state().alerts.failing;
        assert_eq!(failing.map(|failing| failing.runs), Some(runs));
    }
    // The next process takes it over.
    let unsaved = serde_json::to_string(&status.unsaved()).unwrap();
    let unsaved = serde_json::from_str(&unsaved).unwrap();
    let mut status = StateStore::new(folder.path().into()).with_unsaved(unsaved);
    assert!(status.save().is_err() && unreadable(&status));
    fs::remove_dir(&path).unwrap();
    let shrunk = Shrunk {
        since: DateTime::UNIX_EPOCH,
        archive: "a".into(),
        losses: Vec::new(),
    };
    let known = State {
        shrunk: Some(shrunk),
        ..State::default()
    };
    fs::write(&path, serde_json::to_vec(&known).unwrap()).unwrap();
    status.save().unwrap();
    assert!(status.unsaved() == Unsaved::default());
    let state = StateStore::new(folder.path().into()).state();
    assert_eq!((&state.shrunk, &state.problem), (&known.shrunk, &None));
    assert_eq!(state.alerts.failing().map(|failing| failing.runs), Some(2));
}

#[test]
fn what_was_noted_before_the_disk_came_does_not_hide_what_is_on_it() {
    let site = tempfile::tempdir().unwrap();
    let folder = site.path().join("late");
    let mut early = StateStore::new(folder.clone());
    let (_, saved) = early.change(|state| state.starting.failed(DateTime::UNIX_EPOCH, false));
    assert!(saved.is_err());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(STATE_FILE), r#"{"compared": "a.tar.gz"}"#).unwrap();
    early.save().unwrap();
    let state = StateStore::new(folder).state();
    assert_eq!(state.compared.as_deref(), Some("a.tar.gz"));
    assert!(state.starting.failing().is_some());
}

#[test]
fn a_history_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(HISTORY_FILE);
    fs::create_dir(&path).unwrap();
    let mut status = StateStore::new(folder.path().into());
    assert!(status.record(run(2)).is_err() && path.is_dir());
    fs::remove_dir(&path).unwrap();
    fs::write(&path, serde_json::to_vec(&[run(1)]).unwrap()).unwrap();
    status.save().unwrap();
    assert_eq!(
        StateStore::new(folder.path().into()).runs(),
        [run(1), run(2)]
    );
}
