//! Work for all cores whose results come back in the order it was given.
//!
//! The queue is bounded, so that memory is too: whoever submits waits while the workers are behind.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::io;
use std::num::NonZeroUsize;
use std::thread;

/// A fixed set of threads that turn `I` into `O`.
pub(super) struct Pool<I, O> {
    work: Sender<(I, Sender<O>)>,
}

/// The promise of one result.
pub(super) struct Ticket<O>(Receiver<O>);

impl<O> Ticket<O> {
    /// Waits for the result; none when the worker that had it is gone (it panicked).
    pub(super) fn wait(self) -> Option<O> {
        self.0.recv().ok()
    }
}

impl<I: Send + 'static, O: Send + 'static> Pool<I, O> {
    /// Starts `threads` workers, each with its own function made by `worker`. They end when the pool is dropped.
    ///
    /// At most `waiting` pieces of work wait; a worker is told how many do when it takes one.
    pub(super) fn start<F: FnMut(I, usize) -> O + Send + 'static>(
        threads: NonZeroUsize,
        waiting: usize,
        name: &str,
        mut worker: impl FnMut() -> F,
    ) -> io::Result<Self> {
        let (work, jobs) = bounded::<(I, Sender<O>)>(waiting);
        for _ in 0..threads.get() {
            let (jobs, mut function) = (jobs.clone(), worker());
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || {
                    lower_priority();
                    for (input, result) in &jobs {
                        let output = function(input, jobs.len());
                        // A receiver that has gone has given up; there is nobody left to tell.
                        let _ = result.send(output);
                    }
                })?;
        }
        Ok(Pool { work })
    }

    /// Queues one piece of work; none when no worker is left.
    pub(super) fn submit(&self, input: I) -> Option<Ticket<O>> {
        let (result, ticket) = bounded(1);
        self.work.send((input, result)).ok()?;
        Some(Ticket(ticket))
    }
}

/// How far behind others a worker stands in line for a processor, as `nice` counts it.
const NICENESS: i32 = 10;

/// Lets the server and mongodump go first where processors are few: they are one chain, in which each waits for the other,
/// while this work can be done at any time. It also keeps a backup from slowing down the owner's application.
fn lower_priority() {
    // Linux counts threads where POSIX counts processes. A system that refuses has only lost a courtesy.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}
