//! How a child ended, in words.

use super::Ended;
use crate::model::text;

/// What of its words stands in a text of ours.
const SAID: usize = 600;

/// The signals that end a process (signal(7)), by the numbers that they have on every architecture that this runs on.
const NAMES: [(i32, &str); 13] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (24, "SIGXCPU"),
];

impl Ended {
    /// How it ended.
    #[must_use]
    pub fn how(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => {
                let name = NAMES.iter().find(|(number, _)| *number == signal).map_or(String::new(), |(_, name)| format!(" ({name})"));
                format!("signal {signal}{name}")
            }
            (None, None) => "a signal".to_owned(),
        }
    }

    /// What it said, in one line: what went wrong, else its output.
    #[must_use]
    pub fn said(&self) -> String {
        let said = [&self.stderr, &self.stdout].into_iter().map(|text| text.trim()).find(|text| !text.is_empty());
        said.map_or_else(|| "it said nothing".to_owned(), |said| text::one_line(said, SAID))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_code_or_a_signal_by_its_name_and_silence_is_said() {
        let ended = |code, signal, stdout: &str, stderr: &str| Ended { code, signal, stdout: stdout.to_owned(), stderr: stderr.to_owned() };
        for (ended, how, said) in [
            (ended(Some(7), None, "", ""), "exit code 7", "it said nothing"),
            (ended(Some(7), None, "out\n", " \n"), "exit code 7", "out"),
            (ended(None, Some(9), "out", "err"), "signal 9 (SIGKILL)", "err"),
            (ended(None, Some(64), "", ""), "signal 64", "it said nothing"),
        ] {
            assert_eq!((ended.how().as_str(), ended.said().as_str()), (how, said));
        }
    }
}
