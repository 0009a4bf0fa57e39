//! Folders that cannot be written to, and disks that are full.

use crate::support::{Site, command, path_with_tools, shared, tool};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Makes the program run as someone who owns nothing, which a test that is not run by root does anyway. The folder
/// holds copies of all that is executed: where they lie may be closed to others.
fn as_nobody(site: Site) -> (Site, TempDir) {
    let programs = tempfile::tempdir().unwrap();
    if !rustix::process::geteuid().is_root() {
        return (site, programs);
    }
    fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mongodump = tool("mongodump").display().to_string();
    for program in [env!("CARGO_BIN_EXE_pantry-keeper"), mongodump.as_str()] {
        command(
            "install",
            ["-m", "755", program, programs.path().to_str().unwrap()],
        );
    }
    let folder = programs.path().display().to_string();
    let site = site.with("PATH", format!("{folder}:{}", path_with_tools()));
    let run = format!(
        "shift; exec setpriv --reuid 65534 --regid 65534 --clear-groups {folder}/pantry-keeper \"$@\""
    );
    (site.started_by(&["sh", "-c", &run, "sh"]), programs)
}

fn read_only(path: std::path::PathBuf) {
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
}

#[test]
fn a_folder_of_someone_else_is_named_with_both_owners_and_the_way_out() {
    let (site, _programs) = as_nobody(Site::of(shared()));
    let folder = site.backups();
    read_only(folder.clone());
    let (owner, user) = match rustix::process::geteuid().as_raw() {
        0 => ("0:0".to_owned(), "65534:65534".to_owned()),
        own => (format!("{own}:"), format!("{own}:")),
    };
    let outcome = site.run(&["backup"]).ended_with(1).saying(&[
        &format!("cannot write in {}", folder.display()),
        &format!("it belongs to {owner}"),
        &format!("this runs as {user}"),
        &format!("sudo chown -R {user}"),
    ]);
    assert!(
        outcome.stderr.contains(&format!(" {}", folder.display())),
        "{}",
        outcome.stderr
    );
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn log_files_that_cannot_be_written_do_not_fail_a_backup() {
    let (site, _programs) = as_nobody(Site::of(shared()).with("BACKUP_DATABASES", "shop"));
    read_only(site.path("logs"));
    fs::create_dir(site.backups()).unwrap();
    fs::set_permissions(site.backups(), fs::Permissions::from_mode(0o777)).unwrap();
    site.run(&["backup"])
        .done()
        .saying(&["WARN", "backup.log", "going on without that file"]);
    site.run(&["verify"]).done();
}

#[test]
fn a_backup_folder_that_is_a_file() {
    let site = Site::of(shared());
    fs::write(site.backups(), "a file").unwrap();
    let folder = site.backups().display().to_string();
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["the backup failed", &folder]);
    assert_eq!(fs::read_to_string(site.backups()).unwrap(), "a file");
    site.run(&["list"]).ended_with(1).saying(&[&folder]);
}

/// Runs on a disk of its own that is smaller than the archive; what is then on it is copied to `after`.
fn on_a_small_disk(site: Site, kilobytes: u32) -> Site {
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k tmpfs \"$BACKUP_DIR\" && cp -a ../older/. \"$BACKUP_DIR\" && \
         {{ \"$@\"; code=$?; cp -a \"$BACKUP_DIR/.\" ../after; exit $code; }}"
    );
    let script = script.replace("..", &site.path("").display().to_string());
    fs::create_dir_all(site.backups()).unwrap();
    fs::create_dir_all(site.path("older")).unwrap();
    fs::create_dir_all(site.path("after")).unwrap();
    // Works for root and, where the system lets users have namespaces, for everyone else.
    site.started_by(&["unshare", "-rm", "sh", "-c", &script, "sh"])
}

#[test]
fn a_disk_that_fills_up_mid_archive_is_said_to_be_full() {
    let site = on_a_small_disk(Site::of(shared()), 1500);
    fs::write(
        site.path("older/jorbites_backup_20250105_020000.tar.gz"),
        "older",
    )
    .unwrap();
    fs::write(site.path("older/notes.txt"), "not ours").unwrap();
    let outcome = site.run(&["backup"]).ended_with(1);
    outcome.saying(&[
        "the disk is full",
        "make room",
        &site.backups().display().to_string(),
    ]);
    let names = |folder: &str| {
        let entries = fs::read_dir(site.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name != ".pantry-keeper");
        names.sort();
        names
    };
    assert_eq!(names("after"), names("older"));
    assert_eq!(
        fs::read_to_string(site.path("after/jorbites_backup_20250105_020000.tar.gz")).unwrap(),
        "older"
    );
}

/// As on FAT32, whose files end at 4 GiB: here at 512 KiB.
#[test]
fn a_file_system_that_takes_no_larger_file_is_said_to_be_that() {
    let limited = "trap '' XFSZ; ulimit -f 1024; exec \"$@\"";
    let site = Site::of(shared()).started_by(&["sh", "-c", limited, "sh"]);
    site.run(&["backup"]).ended_with(1).saying(&[
        "takes no file as large as this archive",
        "FAT32",
        "BACKUP_EXCLUDE",
    ]);
    assert_eq!(site.archives(), [""; 0]);
}

/// A network share whose files belong to somebody else, but may be written to by all.
#[test]
fn a_lock_that_belongs_to_somebody_else_gives_signs_of_life_all_the_same() {
    let (site, _programs) = as_nobody(Site::of(shared()).with("BACKUP_DATABASES", "shop"));
    let own = site.backups().join(".pantry-keeper");
    fs::create_dir_all(&own).unwrap();
    let lock = own.join("scheduler.lock");
    let file = fs::File::create(&lock).unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(old).unwrap();
    for (path, mode) in [(&site.backups(), 0o777), (&own, 0o777), (&lock, 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let running = site.start(&["run"]);
    running.until_it_says("next backup");
    assert!(file.metadata().unwrap().modified().unwrap() > old + Duration::from_secs(1800));
    let health = site.run(&["health", "--json"]).done().json();
    assert_eq!(health["problems"].as_array().unwrap().len(), 0);
    running.signal(Signal::TERM);
    running.end(Duration::from_secs(60)).done();
}

#[test]
fn a_disk_without_room_for_a_single_byte_is_a_clear_failure() {
    let site = on_a_small_disk(Site::of(shared()), 64);
    fs::write(site.path("older/filling"), vec![b'x'; 60 * 1024]).unwrap();
    site.run(&["backup"])
        .ended_with(1)
        .saying(&["the backup failed", &site.backups().display().to_string()]);
    assert_eq!(
        fs::read(site.path("after/filling")).unwrap().len(),
        60 * 1024
    );
}
