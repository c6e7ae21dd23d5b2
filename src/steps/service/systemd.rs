//! Driver `systemd`: any unit, reloaded or restarted as the settings say.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::unit;
use crate::config::service::{Answer, Deployed, DriverKind, Reply, Service, ServiceId, ServiceState};
use crate::config::shape::{Errors, Shape, boolean, one_of, parsed};
use crate::config::tree::Node;
use crate::config::value;

/// `{ systemd = { unit, action, start } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "systemd", parse, always: None };

/// A unit and what to ask of it.
#[derive(Debug)]
struct Systemd {
    unit: String,
    /// `reload` or `restart`.
    action: &'static str,
    /// Whether it is started where it is stopped.
    start: bool,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of("reload driver systemd", node, errors)?;
    let unit = shape.required("unit", parsed(value::unit));
    let action = shape.or("action", "reload", one_of(&[("reload", "reload"), ("restart", "restart")]));
    let start = shape.or("start", false, boolean);
    shape.finish();
    Some(Arc::new(Systemd { unit: unit?, action: action?, start: start? }))
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

    fn ask<'a>(&'a self, _deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        unit::ask(&self.unit, self.action).boxed()
    }

    fn start<'a>(&'a self, _deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        unit::ask(&self.unit, "start").boxed()
    }

    fn wants_start(&self) -> bool {
        self.start
    }
}
