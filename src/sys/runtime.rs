//! What the program runs under, so that advice names commands that exist there.

use std::ffi::OsString;
use std::path::Path;

/// Files that container engines put at the root.
const CONTAINER_MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// Docker, or an engine like it.
    Container,
    Kubernetes,
    Systemd,
    /// On its own.
    Plain,
}

impl Runtime {
    /// From the environment, and from what a container engine leaves at the root.
    pub(crate) fn of(environment: &[(OsString, OsString)]) -> Self {
        let has = |wanted: &str| environment.iter().any(|(name, _)| name == wanted);
        // A unit may be in a container that runs systemd; the unit is nearer. Terminals of a desktop are in units as well, of
        // their user's.
        if has("NOTIFY_SOCKET") || has("INVOCATION_ID") && !has("XDG_RUNTIME_DIR") {
            Self::Systemd
        } else if has("KUBERNETES_SERVICE_HOST") {
            Self::Kubernetes
        } else if has("container") || CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists()) {
            Self::Container
        } else {
            Self::Plain
        }
    }

    /// How to see whether MongoDB runs.
    pub(crate) fn see_mongodb(self) -> &'static str {
        match self {
            Self::Container => "docker compose ps, docker compose logs mongodb",
            Self::Kubernetes => "kubectl get pods, kubectl logs of MongoDB's",
            Self::Systemd => "systemctl status mongod, journalctl -u mongod",
            Self::Plain => "its log says why it ended, if it did",
        }
    }

    /// How to run a command of ours there, such as `doctor`.
    pub(crate) fn run(self, command: &str) -> String {
        format!("{} {command}", self.program())
    }

    /// What our commands begin with there.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Container => "docker compose exec pantry-keeper pantry-keeper",
            // Its settings are root's to read.
            Self::Systemd => "sudo pantry-keeper-as-service",
            Self::Kubernetes | Self::Plain => "pantry-keeper",
        }
    }

    /// How to start the scheduler again.
    pub(crate) fn restart(self) -> &'static str {
        match self {
            // `docker compose restart` does not take over a changed .env.
            Self::Container => "docker compose up -d --force-recreate pantry-keeper",
            Self::Kubernetes => "delete its pod; another one is started",
            Self::Systemd => "sudo systemctl restart pantry-keeper",
            Self::Plain => "start it again: pantry-keeper run",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_told_from_the_environment() {
        let unit = [(OsString::from("INVOCATION_ID"), OsString::from("1"))];
        assert_eq!(Runtime::of(&unit), Runtime::Systemd);
        let [unit] = unit;
        let terminal = [unit, ("XDG_RUNTIME_DIR".into(), "/run/user/1000".into())];
        assert_ne!(Runtime::of(&terminal), Runtime::Systemd);
        let container = [(OsString::from("container"), OsString::from("podman"))];
        assert_eq!(Runtime::of(&container), Runtime::Container);
        let pod = [("KUBERNETES_SERVICE_HOST".into(), "10.0.0.1".into())];
        assert_eq!(Runtime::of(&pod), Runtime::Kubernetes);
    }
}
