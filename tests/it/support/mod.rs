//! What the tests are made of: servers, runs of the program, folders, a bad network, and a false mongodump.

mod archive;
mod clock;
mod craft;
mod elsewhere;
mod fake;
mod folder;
mod logins;
mod places;
mod proxy;
mod secret;
mod server;
mod site;
mod smtp;
mod snapshot;
mod starters;
mod stream;
mod strict;
mod tools;
mod web;

pub(crate) use archive::{data_range, member_names, pack, rewrite, stored_files, unpack};
pub(crate) use clock::Hang;
pub(crate) use craft::{Craft, crc64, forge, forge_sparse, gzip};
pub(crate) use elsewhere::{Elsewhere, nowhere_in_arguments};
pub(crate) use fake::{ANSWER_VERSION, recorded_stream};
pub(crate) use folder::{Before, OLDER};
pub(crate) use logins::{LoginFault, bad_logins};
pub(crate) use places::{Place, Sshd, Versity};
pub(crate) use proxy::{Proxy, Then, Trap};
pub(crate) use secret::{PASSWORD, PASSWORD_ENCODED, password_in_shell};
pub(crate) use server::{Server, empty_port, shared};
pub(crate) use site::{Outcome, Running, Site, is_alive};
pub(crate) use smtp::{Mail, Smtp};
pub(crate) use snapshot::snapshot;
pub(crate) use stream::{Sent, sent, sent_in};
pub(crate) use strict::{Manner, Strict, Version};
pub(crate) use tools::{command, in_project, needed, path_with_tools, python, succeed, tool};

pub(crate) use web::{Reply, Request, Web};

use std::time::{Duration, Instant};

/// Waits until something is so, and fails the test when it never is.
pub(crate) fn until(what: &str, limit: Duration, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) const SOON: Duration = Duration::from_secs(20);
