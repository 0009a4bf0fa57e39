//! How things are, for who looks from outside: a page, metrics, JSON, a few lines in a terminal.
//!
//! All of it only reads: the backup folder and what is remembered in it. The page is served by a process of its own, a child
//! of the scheduler that gets no secret but the page's own password: whoever brings it down, or fills its memory, has done
//! nothing to a backup, which neither waits for it nor knows that it is there.

pub(crate) mod calendar;
pub(crate) mod metrics;
pub(crate) mod outlook;
pub(crate) mod page;
pub(crate) mod server;
pub(crate) mod snapshot;
pub(crate) mod terminal;
pub(crate) mod textfile;
