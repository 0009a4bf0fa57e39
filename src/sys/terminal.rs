//! Asks a person for something that nobody else should see.

use super::redact::Secret;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

/// Ctrl-C.
const INTERRUPT: u8 = 3;
/// No passphrase is longer, in bytes.
const LONGEST_ANSWER: u64 = 4096;

/// Asks on the terminal, and shows nothing of what is typed. None when there is no terminal, or no answer.
pub(crate) fn ask_secret(question: &str) -> Option<Secret> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()?;
    let silent = Silent::new(&terminal).ok()?;
    let _ = write!(&terminal, "{question}: ");
    let mut answer = String::new();
    let read = BufReader::new(io::Read::take(&terminal, LONGEST_ANSWER)).read_line(&mut answer);
    drop(silent);
    let _ = writeln!(&terminal);
    read.ok()?;
    // Without a newline it was broken off.
    let answer = answer.strip_suffix('\n')?;
    (!answer.is_empty()).then(|| Secret::new(answer.trim_end_matches('\r')))
}

/// The terminal while it shows nothing. Ctrl-C ends the answer: a signal would leave it silent.
struct Silent<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Silent<'t> {
    fn new(terminal: &'t File) -> io::Result<Self> {
        let before = termios::tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VEOF] = INTERRUPT;
        termios::tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Silent { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
