//! A run that is asked to end early: nothing more is begun, what the CA owes is waited for a little, what is published is finished. It must
//! never leave anything that a killed run would not leave as well.

use std::time::Duration;

use tokio::sync::watch;

use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// How long an answer of the CA is still waited for. One takes well under a second where nothing is wrong.
pub const GRACE: Duration = Duration::from_secs(5);

/// Asks runs to end.
#[derive(Debug)]
pub struct Ender(watch::Sender<bool>);

/// Whether a run is asked to end; by default nobody ever asks.
#[derive(Clone, Debug, Default)]
pub struct Ending(Option<watch::Receiver<bool>>);

impl Ender {
    /// Somebody who can ask, once.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// What a run is given to know about it.
    #[must_use]
    pub fn ending(&self) -> Ending {
        Ending(Some(self.0.subscribe()))
    }

    /// Asks every run that was given an [`Ending`], now and from now on.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }
}

impl Default for Ender {
    fn default() -> Self {
        Self::new()
    }
}

impl Ending {
    /// Whether the run is asked to end.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| *asked.borrow())
    }

    /// Returns when the run was asked to end and [`GRACE`] is over.
    pub(super) async fn grace_is_over(&self) {
        if let Some(asked) = &self.0
            && asked.clone().wait_for(|asked| *asked).await.is_ok()
        {
            return tokio::time::sleep(GRACE).await;
        }
        // Nobody asks, or nobody is left who could.
        std::future::pending().await
    }
}

/// A certificate whose turn had not come.
pub(super) fn not_begun() -> Failure {
    Failure::new(Stage::Plan, Code::Interrupted, "the run was asked to end before this certificate's turn")
        .hint("the next run takes its turn")
}

/// A certificate that the CA had not answered for in time.
pub(super) fn not_answered() -> Failure {
    let text = format!("the run was asked to end, and OpenBao did not answer within {} s", GRACE.as_secs());
    Failure::new(Stage::Issue, Code::Interrupted, text).hint("the next run asks again")
}
