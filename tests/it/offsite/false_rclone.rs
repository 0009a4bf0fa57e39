//! An rclone that is too old, and one that hangs.

use crate::support::{Site, shared};

fn site() -> Site {
    Site::of(shared()).with("BACKUP_DATABASES", "shop")
}

#[test]
fn an_rclone_that_names_files_before_they_are_whole_sends_nothing() {
    let site = site()
        .with_false_rclone(
            "case \"$*\" in *version) echo 'rclone v1.60.1-DEV' ;; *--files-only*) echo '[]' ;; \
             *lsjson*) exit 3 ;; *) echo sent >&2; exit 0 ;; esac",
        )
        .with("OFFSITE_URL", "rclone:far:");
    let words = &["this rclone is 1.60", "install rclone 1.63 or newer"];
    let said = site.run(&["backup"]).done().saying(words);
    assert!(!said.stderr.contains("copied to"), "{}", said.stderr);
    let outcome = site.run(&["doctor"]).ended_with(1);
    outcome.printing(&["✗ offsite", words[0], words[1]]);
}

#[test]
fn an_rclone_that_hangs_is_given_up() {
    let script = "case \"$*\" in *version) echo 'rclone v1.70.0' ;; *--files-only*) echo '[]' ;; *lsjson*) exit 3 ;; \
                  *copyto*) for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
                  echo '{\"level\":\"notice\",\"msg\":\"0 B\",\"stats\":{\"bytes\":7}}' >&2; sleep 1; done; exit 1 ;; esac";
    let site = site()
        .with_false_rclone(script)
        .with("OFFSITE_URL", "rclone:far:")
        .with("BACKUP_STALL_TIMEOUT", "3s");
    let said = site.run(&["backup"]).done();
    said.saying(&["nothing has moved for 3 s"]);
}
