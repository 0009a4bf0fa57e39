//! Other programs that start ours: a terminal with somebody at it, and a measuring tape.

use super::site::Site;
use super::tools::{in_project, python};

impl Site {
    /// Runs the program on a terminal, where somebody gives this answer as soon as it asks. All it says is on stdout.
    pub(crate) fn on_terminal(self, question: &str, answer: &str) -> Self {
        let (python, terminal) = (
            python().display().to_string(),
            in_project("tests/support/terminal.py"),
        );
        self.started_by(&[&python, &terminal.display().to_string(), question, answer])
    }

    /// Says the largest memory it had, in KiB, at the end of stderr.
    pub(crate) fn measured(self) -> Self {
        const MEASURE: &str = "import resource, subprocess, sys\ncode = subprocess.call(sys.argv[1:])\n\
            print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\nsys.exit(code)";
        self.started_by(&[&python().display().to_string(), "-c", MEASURE])
    }
}
