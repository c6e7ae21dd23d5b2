//! stderr: log lines, and on a terminal one live line below them. It must never hold up a run because nobody reads it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::journal;

/// As wide as the narrowest terminal that is used: a live line that wraps cannot be taken back.
const WIDTH: usize = 79;

/// stderr as it is shared by the log and the progress.
#[derive(Clone)]
pub struct Screen(Arc<Mutex<Inner>>);

struct Inner {
    out: Box<dyn Write + Send>,
    live: String,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl Screen {
    /// A screen on this writer.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(Inner { out, live: String::new() })))
    }

    /// Writes there from now on, and gives what it wrote to until now.
    pub(super) fn exchange(&self, out: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).out, out)
    }

    /// Writes whole lines, above the live line if there is one.
    pub fn print(&self, text: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let live = inner.live.clone();
        let (clear, again) = if live.is_empty() { ("", "") } else { ("\r\x1b[K", live.as_str()) };
        // Nobody to tell when stderr is gone.
        inner.out.write_all(format!("{clear}{text}{again}").as_bytes()).and_then(|()| inner.out.flush()).ok();
    }

    /// Puts this text into the live line; nothing takes it away.
    pub fn live(&self, text: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text: String = text.chars().take(WIDTH).collect();
        if inner.live == text {
            return;
        }
        inner.out.write_all(format!("\r\x1b[K{text}").as_bytes()).and_then(|()| inner.out.flush()).ok();
        inner.live = text;
    }

    /// Sends the log here: warnings always, what omens does with `-v`, every step with `-vv`.
    ///
    /// Other crates stay at warnings however often -v is given: their traces may hold request headers, and so tokens.
    /// Where stderr is the journal, it gets each line with its level and fields; what reports say of certificates there is in `cli::journal`.
    pub fn log(&self, verbose: u8, colors: bool, to_journal: bool) {
        let own = match verbose {
            0 => LevelFilter::WARN,
            1 => LevelFilter::INFO,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let targets = Targets::new().with_default(LevelFilter::WARN).with_target("omens", own);
        // Elsewhere stdout says it.
        let of_reports = if to_journal { LevelFilter::INFO } else { LevelFilter::OFF };
        let targets = targets.with_target(journal::TARGET, of_reports);
        if let Some(layer) = to_journal.then(|| tracing_journald::layer().ok()).flatten() {
            let layer = layer.with_field_prefix(None).with_syslog_identifier("omens".to_owned());
            tracing_subscriber::registry().with(layer.with_filter(targets)).try_init().ok();
            return;
        }
        // The journal stamps lines itself, and a second clock would not be the one that is handed around.
        let layer = tracing_subscriber::fmt::layer().without_time().with_target(false).with_ansi(colors).with_writer(self.clone());
        // Set once per process; a second run in one process (tests) keeps the first.
        tracing_subscriber::registry().with(layer.with_filter(targets)).try_init().ok();
    }
}

/// One log line on its way to the screen.
#[derive(Debug)]
pub struct LogLine(Screen);

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.print(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine(self.clone())
    }
}
