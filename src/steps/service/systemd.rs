//! Driver `systemd`: any unit, reloaded or restarted as the settings say.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::life::Life;
use super::runs::Runs;
use super::unit;
use crate::config::keys::{Key, Kind, Table};
use crate::config::service::{Answer, Deployed, DriverKind, Question, Reply, Service, ServiceId, ServiceState, Shown};
use crate::config::shape::{Errors, Shape, boolean, one_of, parsed};
use crate::config::tree::Node;
use crate::config::value;

/// `{ systemd = { unit, action, start } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "systemd", table: &TABLE, parse, always: None };

/// What it may be asked for.
const ACTIONS: [&str; 2] = ["reload", "restart"];

/// What the settings may say of it.
static TABLE: Table = Table {
    title: "reload driver systemd",
    about: "Any unit, reloaded or restarted by systemd.",
    keys: &[
        Key::required("unit", Kind::Text("a unit of systemd"), "\"postgresql@15-main.service\"", "The unit."),
        Key::or("action", Kind::Word(|| ACTIONS.to_vec()), "\"reload\"", "\"restart\"", "What is asked of systemd."),
        Key::or("start", Kind::Flag, "false", "true", "Whether it is started where it is stopped."),
    ],
};

/// A unit and what to ask of it.
#[derive(Debug)]
struct Systemd {
    unit: String,
    /// `reload` or `restart`.
    action: &'static str,
    /// Whether it is started where it is stopped.
    start: bool,
    runs: Runs,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let unit = shape.required("unit", parsed(value::unit));
    let action = shape.or("action", "reload", one_of(&ACTIONS.map(|action| (action, action))));
    let start = shape.or("start", false, boolean);
    shape.finish();
    let unit = unit?;
    Some(Arc::new(Systemd { runs: Runs::Unit(unit.clone()), unit, action: action?, start: start? }))
}

impl Service for Systemd {
    fn id(&self) -> ServiceId {
        ServiceId::new(KIND.name, [Some(self.unit.as_str()), Some(self.action), self.start.then_some("start")])
    }

    fn name(&self) -> String {
        self.unit.clone()
    }

    fn state(&self) -> Answer<'_, ServiceState> {
        unit::state(&self.unit).boxed()
    }

    fn ask<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        match self.action {
            "restart" => self.runs.restart(deployed.first().map(|one| &one.eyes)).boxed(),
            _ => unit::ask(&self.unit, self.action).boxed(),
        }
    }

    fn start<'a>(&'a self, _deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        unit::ask(&self.unit, "start").boxed()
    }

    /// A restart that ended well may be followed by the service's own end, which of a oneshot unit says nothing; what it serves is for
    /// `verify` to see.
    fn prove<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown> {
        async move {
            if Life::noted(question.before).is_some() && !unit::is_oneshot(&self.unit).await? {
                self.runs.is_steady(question.before, &self.unit).await?;
            }
            Ok(Shown::default())
        }
        .boxed()
    }

    fn restarts(&self) -> bool {
        self.action == "restart"
    }

    fn unit(&self) -> Option<&str> {
        Some(&self.unit)
    }

    fn wants_start(&self) -> bool {
        self.start
    }

    fn is_oneshot(&self) -> Answer<'_, bool> {
        unit::is_oneshot(&self.unit).boxed()
    }
}
