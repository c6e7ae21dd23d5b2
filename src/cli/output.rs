//! stdout: one result, text or one JSON document.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::exit::{FAILED, OK};
use super::screen::Screen;

/// Where the result goes; remembers the first failure and keeps quiet after it.
pub(super) struct Output {
    out: Box<dyn Write + Send>,
    failure: Option<io::Error>,
    /// The exit code of a command whose result is lost, where 1 means something else.
    when_lost: Option<u8>,
}

impl Output {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, failure: None, when_lost: None }
    }

    /// Says with which exit code the command ends when its result cannot be written.
    pub(super) const fn when_lost(&mut self, code: u8) {
        self.when_lost = Some(code);
    }

    /// Writes there from now on, and gives what it wrote to until now.
    pub(super) fn exchange(&mut self, out: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        std::mem::replace(&mut self.out, out)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(bytes).err();
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// One JSON document on one line.
    pub(super) fn document(&mut self, document: &impl Serialize) {
        match serde_json::to_vec(document) {
            Ok(mut bytes) => {
                bytes.push(b'\n');
                self.bytes(&bytes);
            }
            Err(error) => self.failure = self.failure.take().or(Some(error.into())),
        }
    }

    /// Flushes. A reader that left early (`| head`) is its own business; a result that is lost is an error.
    pub(super) fn close(mut self, code: u8, screen: &Screen) -> u8 {
        if self.failure.is_none() {
            self.failure = self.out.flush().err();
        }
        match self.failure {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                let hint = "make room where stdout leads, or send it elsewhere";
                screen.print(&format!("error: cannot write the result: {error}\n  hint: {hint}\n"));
                self.when_lost.unwrap_or(if code == OK { FAILED } else { code })
            }
            _ => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_leaves_is_no_error_and_a_full_disk_is_one() {
        let screen = Screen::new(Box::new(io::sink()));
        for (kind, given, expected) in
            [(ErrorKind::BrokenPipe, 0, 0), (ErrorKind::BrokenPipe, 2, 2), (ErrorKind::StorageFull, 0, 1), (ErrorKind::StorageFull, 2, 2)]
        {
            let mut output = Output::new(Box::new(Broken(kind)));
            output.document(&1);
            output.text("more");
            assert_eq!(output.close(given, &screen), expected, "{kind:?} {given}");
        }
    }
}
