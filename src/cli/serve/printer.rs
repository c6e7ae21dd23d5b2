//! What a process that serves prints, on a thread of its own: a reader that has stopped reading must hold up neither a run nor its end.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::Duration;

use crate::cli::output::Output;
use crate::cli::screen::Screen;

/// What may wait to be read; what comes on top of it is dropped, and said.
const WAITING: usize = 256;
/// How often, and after what time, the end looks whether somebody reads.
const LOOKS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

type Writer = Box<dyn Write + Send>;

enum Said {
    /// Where to print: stdout and stderr.
    Writers(Writer, Writer),
    /// For stdout.
    Result(Vec<u8>),
    /// For stderr.
    Log(Vec<u8>),
    /// Everything before this is printed when it is dropped.
    Mark(#[expect(dead_code, reason = "only its end is waited for")] mpsc::Sender<()>),
}

/// The thread that prints.
#[derive(Debug)]
pub(super) struct Printer(SyncSender<Said>);

impl Printer {
    /// Takes stdout and stderr over. Without a thread nothing changes.
    pub(super) fn start(output: &mut Output, screen: &Screen) -> Option<Self> {
        let (say, said) = mpsc::sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        std::thread::Builder::new().name("print".to_owned()).spawn(move || print(&said, &dropped)).ok()?;
        let line = |to| Line { to, say: say.clone(), dropped: Arc::clone(&counted) };
        let out = output.exchange(Box::new(line(Said::Result)));
        let err = screen.exchange(Box::new(line(Said::Log)));
        say.send(Said::Writers(out, err)).ok()?;
        Some(Self(say))
    }

    /// Waits until everything is printed, unless nobody reads it.
    pub(super) fn finish(self) {
        let (mark, printed) = mpsc::channel();
        let mut mark = Said::Mark(mark);
        for look in 0..LOOKS {
            match self.0.try_send(mark) {
                Ok(()) => {
                    printed.recv_timeout(LOOK_AGAIN * (LOOKS - look)).ok();
                    return;
                }
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => mark = back,
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// A writer that never waits.
struct Line {
    to: fn(Vec<u8>) -> Said,
    say: SyncSender<Said>,
    dropped: Arc<AtomicU64>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.say.try_send((self.to)(bytes.to_vec())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn print(said: &Receiver<Said>, dropped: &AtomicU64) {
    let (mut out, mut err): (Writer, Writer) = (Box::new(io::sink()), Box::new(io::sink()));
    let mut failing = false;
    for one in said {
        let log = match one {
            Said::Writers(stdout, stderr) => {
                (out, err) = (stdout, stderr);
                continue;
            }
            Said::Mark(_) => continue,
            Said::Log(bytes) => bytes,
            Said::Result(bytes) => match out.write_all(&bytes).and_then(|()| out.flush()) {
                // Said once: the next result is tried all the same.
                Err(why) if !failing => {
                    failing = true;
                    format!("error: cannot write the result: {why}\n").into_bytes()
                }
                result => {
                    failing = result.is_err();
                    Vec::new()
                }
            },
        };
        // Nobody to tell when stderr is gone.
        err.write_all(&log).and_then(|()| err.flush()).ok();
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            err.write_all(format!("warning: {lost} messages were dropped: nobody read them\n").as_bytes()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// A reader that begins to read when it is told to.
    #[derive(Clone, Default)]
    struct Late(Arc<(Mutex<(bool, String)>, Condvar)>);

    impl Write for Late {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (state, begun) = &*self.0;
            let mut state = begun.wait_while(state.lock().unwrap(), |state| !state.0).unwrap();
            state.1.push_str(&String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_nobody_reads_is_kept_up_to_a_bound_and_the_rest_counted() {
        let (out, err) = (Late::default(), Late::default());
        let mut output = Output::new(Box::new(out.clone()));
        let screen = Screen::new(Box::new(err.clone()));
        let printer = Printer::start(&mut output, &screen).unwrap();
        // One more than may wait is in the hand of the thread.
        output.text("0\n");
        std::thread::sleep(Duration::from_millis(100));
        (1..WAITING + 11).for_each(|number| output.text(&format!("{number}\n")));
        for late in [&out, &err] {
            late.0.0.lock().unwrap().0 = true;
            late.0.1.notify_all();
        }
        printer.finish();
        let lines: Vec<String> = (0..=WAITING).map(|number| number.to_string()).collect();
        assert_eq!(out.0.0.lock().unwrap().1, format!("{}\n", lines.join("\n")));
        assert_eq!(err.0.0.lock().unwrap().1, "warning: 10 messages were dropped: nobody read them\n");
    }
}
