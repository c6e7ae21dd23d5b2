//! Where a run is, as one live line on a terminal's stderr and, with `-v`, as log lines. It must never print a result: that is stdout's.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::screen::Screen;
use crate::model::clock::Clock;
use crate::model::failure::Stage;
use crate::model::name::CertName;
use crate::model::report::{CertReport, Watch};

/// How often the elapsed time is brought up to date.
const TICK: Duration = Duration::from_millis(100);

/// A [`Watch`] on a terminal. The line is gone when this is dropped.
#[derive(Debug)]
pub struct Progress {
    run: Option<(Arc<Run>, Sender<()>)>,
    ticker: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Run {
    screen: Screen,
    clock: Clock,
    started: Instant,
    places: Mutex<Places>,
}

/// Who is where; in a plain struct so that its line can be tested.
#[derive(Debug, Default)]
struct Places {
    now: BTreeMap<CertName, Stage>,
    done: usize,
}

impl Progress {
    /// Progress on a terminal's stderr.
    #[must_use]
    pub fn new(screen: &Screen, clock: Clock) -> Self {
        let run = Arc::new(Run { screen: screen.clone(), clock, started: clock.instant(), places: Mutex::default() });
        let (stop, stopped) = channel();
        let ticking = Arc::clone(&run);
        let tick = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                ticking.draw();
            }
        };
        // Without a thread the line stands still between stages; no reason to fail.
        let ticker = std::thread::Builder::new().name("progress".to_owned()).spawn(tick).ok();
        Self { run: Some((run, stop)), ticker }
    }

    /// Nobody watches.
    #[must_use]
    pub const fn silent() -> Self {
        Self { run: None, ticker: None }
    }

    fn update(&self, change: impl FnOnce(&mut Places)) {
        if let Some((run, _)) = &self.run {
            change(&mut run.places.lock().unwrap_or_else(PoisonError::into_inner));
            run.draw();
        }
    }
}

impl Watch for Progress {
    fn stage(&self, certificate: &CertName, stage: Stage) {
        tracing::info!("{certificate}: {stage}");
        self.update(|places| {
            places.now.insert(certificate.clone(), stage);
        });
    }

    fn finished(&self, report: &CertReport) {
        tracing::info!("{}: {}", report.name, report.outcome.as_str());
        self.update(|places| {
            places.now.remove(&report.name);
            places.done += 1;
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let Some((run, stop)) = self.run.take() else { return };
        drop(stop);
        if let Some(ticker) = self.ticker.take() {
            ticker.join().ok();
        }
        run.screen.live("");
    }
}

impl Run {
    fn draw(&self) {
        let line = self.places.lock().unwrap_or_else(PoisonError::into_inner).line(self.clock.instant() - self.started);
        self.screen.live(&line);
    }
}

impl Places {
    /// `4.2s · 12 done · issue nginx, web and 3 more · verify mail`; empty while nothing happens.
    fn line(&self, elapsed: Duration) -> String {
        const NAMED: usize = 2;
        let mut stages: BTreeMap<Stage, Vec<&str>> = BTreeMap::new();
        for (name, stage) in &self.now {
            stages.entry(*stage).or_default().push(name.as_str());
        }
        let mut parts: Vec<String> = Vec::new();
        for (stage, names) in stages {
            let named = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(NAMED);
            parts.push(if more > 0 { format!("{stage} {named} and {more} more") } else { format!("{stage} {named}") });
        }
        if parts.is_empty() {
            return String::new();
        }
        // What is short comes first: the end of a long line is cut off.
        let done = if self.done > 0 { format!("{} done · ", self.done) } else { String::new() };
        format!("{:.1}s · {done}{}", elapsed.as_secs_f64(), parts.join(" · "))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::model::entry::Outcome;

    #[derive(Clone, Default)]
    struct Tape(Arc<Mutex<Vec<u8>>>);

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn name(text: &str) -> CertName {
        CertName::parse(text).unwrap()
    }

    #[test]
    fn the_line_names_stages_in_their_order_and_never_too_many_names() {
        let mut places = Places::default();
        assert_eq!(places.line(Duration::ZERO), "");
        for (who, stage) in [("mail", Stage::Verify), ("a", Stage::Issue), ("b", Stage::Issue), ("c", Stage::Issue)] {
            places.now.insert(name(who), stage);
        }
        assert_eq!(places.line(Duration::from_millis(4230)), "4.2s · issue a, b and 1 more · verify mail");
        places.done = 12;
        places.now.retain(|_, stage| *stage == Stage::Verify);
        assert_eq!(places.line(Duration::from_secs(5)), "5.0s · 12 done · verify mail");
    }

    #[test]
    fn a_log_line_stands_above_the_live_line_and_the_end_leaves_none() {
        let tape = Tape::default();
        let screen = Screen::new(Box::new(tape.clone()));
        screen.live("issue nginx");
        screen.print("WARN slow\n");
        screen.live("");
        let text = String::from_utf8(tape.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "\r\x1b[Kissue nginx\r\x1b[KWARN slow\nissue nginx\r\x1b[K");
    }

    #[test]
    fn nobody_watching_means_not_a_byte() {
        let progress = Progress::silent();
        progress.stage(&name("a"), Stage::Issue);
        progress.finished(&CertReport::new(name("a"), Outcome::Renewed));
        assert!(progress.run.is_none() && progress.ticker.is_none());
    }
}
