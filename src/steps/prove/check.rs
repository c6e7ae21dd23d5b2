//! Programs whose exit code 0 says that a generation is in use.

use std::time::Duration;

use super::{Claim, Deployment};
use crate::config::service::{Deployed, Seen};
use crate::config::settings::Check;
use crate::io::process::{self, Ended, NotRun};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::program::Program;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// A try is given as much, however near the deadline is.
const ONE_TRY: Duration = Duration::from_secs(1);

/// Runs all of them, one after the other, each until it says yes. They are not asked while a service is stopped: what they would say is not
/// about the files.
pub(super) async fn all(claim: &Claim<'_>, deployment: &Deployment<'_>) -> Result<Seen, Failure> {
    if deployment.some_stopped || claim.certificate.checks.is_empty() {
        return Ok(Seen::Nothing);
    }
    each(claim, deployment.deployed).await.map(|()| Seen::Leaf)
}

/// Runs all of them for a generation.
pub(super) async fn each(claim: &Claim<'_>, deployed: &Deployed) -> Result<(), Failure> {
    for check in &claim.certificate.checks {
        until_passed(check, deployed, claim.clock).await?;
    }
    Ok(())
}

async fn until_passed(check: &Check, deployed: &Deployed, clock: Clock) -> Result<(), Failure> {
    let end = clock.instant() + check.deadline;
    let variables = deployed.variables();
    loop {
        let left = end.saturating_duration_since(clock.instant()).max(ONE_TRY);
        let program = Program { timeout: check.program.timeout.min(left), ..check.program.clone() };
        let failure = match process::exec(&program, &variables, b"").await {
            Ok(Ended { code: Some(0), .. }) => return Ok(()),
            ended => failed(&program, ended),
        };
        if clock.instant() >= end {
            return Err(failure);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn failed(program: &Program, ended: Result<Ended, NotRun>) -> Failure {
    let text = match ended {
        Ok(ended) => format!("{} ended with {}: {}", program.path.display(), ended.how(), ended.said()),
        Err(why) => why.to_string(),
    };
    Failure::new(Stage::Verify, Code::CheckFailed, text).hint("run it by hand with OMENS_DIR set to the new generation's directory")
}
