//! `attest` until a signal: one attestation after the other, as the verifier wants them, each verdict left for the runs that need one.

use std::time::Duration;

use super::super::arguments::Command;
use super::super::exit::OK;
use super::super::session::Session;
use super::refuse;
use crate::config::settings::Settings;
use crate::io::notify::Notify;
use crate::io::runtime::runtime;
use crate::io::signal::{Asked, Signals};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::verdict::Conclusion;
use crate::steps::attest::LIMIT;
use crate::steps::attest::keylime::{Attestatum, KeylimeAttester};

/// Until the next attestation, where the verifier does not say.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest pause after attestations that failed: each doubles it.
const LONGEST: Duration = Duration::from_secs(300);

pub(super) fn run(session: &mut Session<'_>, command: &Command, settings: &Settings, attester: &KeylimeAttester) -> u8 {
    let served = runtime().and_then(|runtime| {
        let served = runtime.block_on(serve(session, settings, attester));
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => OK,
        Err(failure) => refuse(session, command, failure),
    }
}

async fn serve(session: &mut Session<'_>, settings: &Settings, attester: &KeylimeAttester) -> Result<(), Failure> {
    let no_signals = |why| Failure::new(Stage::Attest, Code::NotServed, format!("the system gives no signals: {why}"));
    let mut signals = Signals::listen().map_err(no_signals)?;
    let notify = Notify::to(session.environment.notify.as_ref());
    let (mut said, mut pause) = (None, PAUSE);
    notify.ready();
    loop {
        let until = session.clock.instant() + LIMIT;
        let ended = tokio::select! {
            ended = attending(&notify, attester.attest_anew(until)) => ended,
            () = end(&mut signals) => break,
        };
        attester.rest().await;
        let word = ended.result.as_ref().map_or_else(|failure| failure.code.as_str(), |verdict| verdict.conclusion.word());
        notify.status(word);
        // A word that lasts is said once.
        if said.replace(word) != Some(word) {
            super::show(session, settings, &ended);
        }
        pause = next(&ended, pause);
        tokio::select! {
            () = attending(&notify, tokio::time::sleep(pause)) => {}
            asked = signals.next() => if matches!(asked, Asked::End(_)) { break },
        }
    }
    notify.stopping();
    Ok(())
}

/// Waits for SIGTERM or SIGINT: an attestation under way is not disturbed by a SIGHUP.
async fn end(signals: &mut Signals) {
    while signals.next().await == Asked::Now {}
}

/// Does something and tells the watchdog meanwhile.
async fn attending<T>(notify: &Notify, something: impl Future<Output = T>) -> T {
    tokio::pin!(something);
    let Some(every) = notify.watchdog() else { return something.await };
    loop {
        tokio::select! {
            done = &mut something => return done,
            () = tokio::time::sleep(every) => notify.alive(),
        }
    }
}

/// How long to wait: as the verifier says, or longer each time that there was no answer to go by.
fn next(ended: &Attestatum, before: Duration) -> Duration {
    let passed = ended.result.as_ref().is_ok_and(|verdict| verdict.conclusion == Conclusion::Pass);
    match ended.next {
        Some(seconds) => Duration::from_secs(seconds),
        None if passed => PAUSE,
        None => (before * 2).clamp(PAUSE, LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Time;
    use crate::model::verdict::Verdict;

    #[test]
    fn the_verifier_says_when_and_failures_are_asked_more_seldom() {
        let ended = |conclusion, next| Attestatum { identity: None, result: Ok(Verdict::new(conclusion, Time::from_unix(0), "")), next };
        let mut pause = PAUSE;
        for expected in [20, 40, 80, 160, 300, 300] {
            pause = next(&ended(Conclusion::Unreachable, None), pause);
            assert_eq!(pause.as_secs(), expected);
        }
        assert_eq!(next(&ended(Conclusion::Failed, Some(2)), pause).as_secs(), 2);
        assert_eq!(next(&ended(Conclusion::Pass, None), pause), PAUSE);
    }
}
