//! Units of systemd, through `systemctl` as a child (facts/host §4): its exit code tells done from failed, not what is served.

use std::ffi::OsStr;

use super::{Reloader, ServiceState, TakenUp, not_run};
use crate::config::settings::UnitAction;
use crate::io::process;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// A unit and what to ask of it.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    unit: String,
    action: UnitAction,
    start: bool,
}

impl Unit {
    pub(super) fn new(unit: &str, action: UnitAction, start: bool) -> Self {
        Self { unit: unit.to_owned(), action, start }
    }

    async fn systemctl(&self, verb: &str) -> Result<TakenUp, Failure> {
        let arguments = ["--no-ask-password", verb, "--", &self.unit].map(OsStr::new);
        let ended = process::run("systemctl", &arguments).await.map_err(|why| not_run(&why))?;
        if ended.code == Some(0) {
            return Ok(TakenUp::Asked(Vec::new()));
        }
        let said = if ended.stderr.is_empty() { "it said nothing" } else { ended.stderr.as_str() };
        let code = ended.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        Err(Failure::new(Stage::Reload, Code::ReloadFailed, format!("systemctl {verb} {} ended with {code}: {said}", self.unit))
            .hint(format!("`systemctl status {0}` and `journalctl -u {0}` say why; the service goes on with what it had", self.unit)))
    }
}

impl Reloader for Unit {
    async fn state(&self) -> Result<ServiceState, Failure> {
        let arguments = ["show", "--property=LoadState,ActiveState", "--", &self.unit].map(OsStr::new);
        let ended = process::run("systemctl", &arguments).await.map_err(|why| not_run(&why))?;
        let has = |word: &str| ended.stdout.split_whitespace().any(|w| w == word);
        if ended.code != Some(0) || has("LoadState=not-found") {
            let said = if ended.stderr.is_empty() { "there is no such unit" } else { ended.stderr.as_str() };
            let text = format!("systemd does not know {}: {said}", self.unit);
            return Err(Failure::new(Stage::Reload, Code::ReloadFailed, text).hint("check the unit's name in `reload`"));
        }
        Ok(if has("ActiveState=failed") {
            ServiceState::Failed
        } else if has("ActiveState=inactive") || has("ActiveState=deactivating") {
            ServiceState::Stopped
        } else {
            ServiceState::Running
        })
    }

    async fn reload(&self) -> Result<TakenUp, Failure> {
        match self.action {
            UnitAction::Reload => self.systemctl("reload").await,
            UnitAction::Restart => self.systemctl("restart").await,
        }
    }

    async fn start(&self) -> Result<TakenUp, Failure> {
        self.systemctl("start").await
    }

    fn wants_start(&self) -> bool {
        self.start
    }
}
