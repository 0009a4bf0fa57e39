//! Which process holds a lock, as far as the kernel tells: one in another container, or on another machine, stays unknown.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process that holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HolderProcess {
    pub id: u32,
    pub condition: Condition,
}

/// How a process is, as far as that explains why it does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// By a signal or a debugger.
    Stopped,
    /// In a system call that cannot be interrupted.
    WaitsForDisk,
    /// At work, or asleep.
    Alive,
}

/// The process that holds the lock in `path`.
pub(crate) fn of(path: &Path) -> Option<HolderProcess> {
    let metadata = fs::metadata(path).ok()?;
    let (major, minor) = (
        rustix::fs::major(metadata.dev()),
        rustix::fs::minor(metadata.dev()),
    );
    let file = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let id = locks.lines().find_map(|line| holder_in(line, &file))?;
    Some(HolderProcess {
        id,
        condition: condition_of(id)?,
    })
}

/// How the first thread of a process is.
pub(crate) fn condition_of(id: u32) -> Option<Condition> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(condition(&stat))
}

/// The holder in a line of `/proc/locks`, where that is about `file`. Those that wait for a lock have `->` in front.
fn holder_in(line: &str, file: &str) -> Option<u32> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    match fields.as_slice() {
        [_, "FLOCK", _, _, id, of, ..] if *of == file => id.parse().ok().filter(|id| *id > 0),
        _ => None,
    }
}

/// From `/proc/ID/stat`: its second field is a name in parentheses, which may hold anything.
fn condition(stat: &str) -> Condition {
    let letter = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    match letter {
        Some('T' | 't') => Condition::Stopped,
        Some('D') => Condition::WaitsForDisk,
        _ => Condition::Alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::lock::Lock;

    #[test]
    fn who_holds_a_lock_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(of(&path), None);
        let lock = Lock::take(&path, folder.path()).unwrap();
        // Where /proc/locks names another device than stat does, as on btrfs, nobody is named rather than somebody else.
        if let Some(holder) = of(&path) {
            assert_eq!(holder.id, std::process::id());
        }
        drop(lock);
        assert_eq!(of(&path), None);
    }

    #[test]
    fn lines_of_the_kernel_are_read() {
        let line = "7: FLOCK  ADVISORY  WRITE 4242 08:02:131 0 EOF";
        assert_eq!(holder_in(line, "08:02:131"), Some(4242));
        assert_eq!(holder_in(line, "08:02:13"), None);
        let waiting = "7: -> FLOCK  ADVISORY  WRITE 4243 08:02:131 0 EOF";
        assert_eq!(holder_in(waiting, "08:02:131"), None);
        let elsewhere = "7: FLOCK  ADVISORY  WRITE 0 08:02:131 0 EOF";
        assert_eq!(holder_in(elsewhere, "08:02:131"), None);
        assert_eq!(condition("42 (a) R) T 1 42"), Condition::Stopped);
        assert_eq!(condition("42 (pantry-keeper) D 1"), Condition::WaitsForDisk);
        assert_eq!(condition(""), Condition::Alive);
        assert_eq!(condition_of(std::process::id()), Some(Condition::Alive));
    }
}
