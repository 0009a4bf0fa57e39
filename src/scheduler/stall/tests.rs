use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A scheduler that is looked at as often as is asked for.
struct Watched {
    begun: Instant,
    now: Instant,
    last: Instant,
    silence: Silence,
}

impl Watched {
    fn new() -> Self {
        let begun = Instant::now();
        Watched {
            begun,
            now: begun,
            last: begun,
            silence: Silence::since(begun, Patience::under(&Systemd::of(&[]))),
        }
    }

    /// The minutes after the beginning in which it is found to stand still, when it is looked at until then.
    fn found_standing_until(&mut self, minutes: f64) -> Vec<u64> {
        let end = self.begun + MINUTE.mul_f64(minutes);
        let mut found = Vec::new();
        while self.now < end {
            let wait = match self.silence.look(self.last, self.now) {
                Look::Wait(time) => time,
                Look::StandsStill => {
                    found.push((self.now - self.begun).as_secs() / 60);
                    SLICE
                }
            };
            self.now = end.min(self.now + wait);
        }
        found.dedup();
        found
    }

    fn gives_a_sign(&mut self) {
        self.last = self.now;
    }
}

#[test]
fn signs_of_life_at_the_pace_of_a_run_raise_no_alarm() {
    let mut watched = Watched::new();
    for run in 1..50 {
        assert_eq!(watched.found_standing_until(f64::from(run) * 5.0), [0; 0]);
        watched.gives_a_sign();
    }
}

#[test]
fn a_machine_that_was_paused_has_a_minute_to_wake_up() {
    let mut watched = Watched::new();
    watched.now += MINUTE * 600;
    assert_eq!(watched.found_standing_until(600.9), [0; 0]);
    watched.gives_a_sign();
    assert_eq!(watched.found_standing_until(616.8), [0; 0]);
    watched.gives_a_sign();
    assert_eq!(watched.found_standing_until(630.0), [0; 0]);
}

#[test]
fn it_is_found_standing_still_until_it_goes_on_and_each_time_again() {
    let mut watched = Watched::new();
    assert_eq!(watched.found_standing_until(2.0), [0; 0]);
    watched.gives_a_sign();
    assert_eq!(watched.found_standing_until(20.0), [18, 19]);
    watched.gives_a_sign();
    assert_eq!(watched.found_standing_until(37.0), [36]);
}

/// The unit's watchdog is of five minutes.
#[test]
fn systemd_is_given_time_to_be_told_before_it_kills() {
    let watchdog = Duration::from_secs(300);
    let environment = [(
        "WATCHDOG_USEC".into(),
        watchdog.as_micros().to_string().into(),
    )];
    let patience = Patience::under(&Systemd::of(&environment));
    assert!(patience.silence + patience.second_look <= watchdog * 2 / 3);
    // A sign comes at every pulse, a third of it.
    assert!(patience.silence >= watchdog / 2);
    assert!(patience.slice <= watchdog / 6);
    let patience = Patience::under(&Systemd::of(&[]));
    assert_eq!(
        patience,
        Patience {
            silence: LONGEST_SILENCE,
            second_look: SECOND_LOOK,
            slice: SLICE
        }
    );
}

#[test]
fn a_thread_that_waits_for_no_disk_is_not_kept_from_being_killed() {
    assert!(!waits_for_disk());
}
