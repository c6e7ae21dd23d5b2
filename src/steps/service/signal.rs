//! Driver `signal`: a unit whose main process gets a signal. What a signal does is the service's own matter; only `verify` sees whether it did.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::unit;
use crate::config::keys::{Key, Kind, Table};
use crate::config::service::{Answer, Deployed, DriverKind, Reply, Service, ServiceId, ServiceState};
use crate::config::shape::{Errors, Shape, one_of, parsed};
use crate::config::tree::Node;
use crate::config::value;
use crate::io::process::Ask;

/// `{ signal = { unit, signal = "HUP" | "USR1" | "USR2" } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "signal", table: &TABLE, parse, always: None };

/// What it may get.
const SIGNALS: [Ask; 3] = [Ask::Hup, Ask::Usr1, Ask::Usr2];

/// What the settings may say of it.
static TABLE: Table = Table {
    title: "reload driver signal",
    about: "A unit whose main process gets a signal. Only `verify` sees what came of it.",
    keys: &[
        Key::required("unit", Kind::Text("a unit of systemd"), "\"haproxy.service\"", "The unit."),
        Key::required("signal", Kind::Word(|| SIGNALS.map(Ask::as_str).to_vec()), "\"USR2\"", "The signal."),
    ],
};

/// A unit and the signal that it takes.
#[derive(Debug)]
struct Signal {
    unit: String,
    signal: Ask,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let unit = shape.required("unit", parsed(value::unit));
    let signal = shape.required("signal", one_of(&SIGNALS.map(|ask| (ask.as_str(), ask))));
    shape.finish();
    Some(Arc::new(Signal { unit: unit?, signal: signal? }))
}

impl Service for Signal {
    fn id(&self) -> ServiceId {
        ServiceId::new(KIND.name, [Some(self.unit.as_str()), Some(self.signal.as_str())])
    }

    fn name(&self) -> String {
        self.unit.clone()
    }

    fn state(&self) -> Answer<'_, ServiceState> {
        unit::state(&self.unit).boxed()
    }

    fn ask<'a>(&'a self, _deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        unit::signal(&self.unit, self.signal).boxed()
    }

    fn start<'a>(&'a self, _deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        unit::ask(&self.unit, "start").boxed()
    }

    fn unit(&self) -> Option<&str> {
        Some(&self.unit)
    }
}
