//! Work for all cores whose results come back in the order it was given.
//!
//! The queue is bounded, so that memory is too: submitting waits while the workers are behind.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

/// A fixed set of threads that turn `I` into `O`.
pub(super) struct Pool<I, O> {
    work: Sender<Job<I, O>>,
}

struct Job<I, O> {
    input: I,
    result: Sender<thread::Result<O>>,
}

/// The promise of one result.
pub(super) struct Ticket<O>(Receiver<thread::Result<O>>);

impl<O> Ticket<O> {
    /// Waits for the result. A panic of the worker that had it goes on here.
    pub(super) fn wait(self) -> O {
        match self.0.recv() {
            Ok(Ok(output)) => output,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => unreachable!("a worker answers every piece of work"),
        }
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
        let (work, jobs) = bounded::<Job<I, O>>(waiting);
        for _ in 0..threads.get() {
            let (jobs, mut function) = (jobs.clone(), worker());
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || {
                    lower_priority();
                    for Job { input, result } in &jobs {
                        // Whoever waits for this result gives everything up, so that what a panic left half done is
                        // used for nothing.
                        let work = AssertUnwindSafe(|| function(input, jobs.len()));
                        let output = catch_unwind(work);
                        // A receiver that has gone has given up.
                        let _ = result.send(output);
                    }
                })?;
        }
        Ok(Pool { work })
    }

    /// Queues one piece of work, as soon as there is room for it.
    pub(super) fn submit(&self, input: I) -> Ticket<O> {
        let (result, ticket) = bounded(1);
        if self.work.send(Job { input, result }).is_err() {
            unreachable!("workers live as long as their pool");
        }
        Ticket(ticket)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_a_panic_reaches_whoever_waits() {
        let threads = NonZeroUsize::new(2).unwrap();
        let pool = Pool::start(threads, 4, "test", || {
            |n: u32, _| {
                assert_ne!(n, 2, "two is too many");
                n * 10
            }
        })
        .unwrap();
        let mut tickets: Vec<_> = (0..4).map(|n| pool.submit(n)).collect();
        assert_eq!(tickets.remove(0).wait(), 0);
        assert_eq!(tickets.remove(0).wait(), 10);
        let second = tickets.remove(0);
        let panic = catch_unwind(AssertUnwindSafe(|| second.wait())).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("two is too many"), "{text}");
        assert_eq!(tickets.remove(0).wait(), 30, "the others go on");
    }
}
