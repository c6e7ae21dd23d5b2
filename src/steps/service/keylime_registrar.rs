//! Driver `keylime_registrar`: it reads its pair at start only, so it is started anew. A signal would end its main process and leave workers
//! behind that serve the old certificate.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::keys;
use super::running::Running;
use super::runs::{By, Runs};
use super::served::Spot;
use crate::config::keys::{Key, Kind, Table};
use crate::config::service::{Answer, DriverKind, Question, Rank, Seen, Service, Shown};
use crate::config::shape::{Errors, Shape, parsed};
use crate::config::tree::Node;
use crate::config::value;
use crate::model::failure::Failure;

/// `{ keylime_registrar = { unit | start, stop, pid; address } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "keylime_registrar", table: &TABLE, parse, always: None };

/// What the settings may say of it.
static TABLE: Table = Table {
    title: "reload driver keylime_registrar",
    about: "Keylime's registrar, which is started anew: it reads its files at start only.",
    keys: &[
        keys::UNIT,
        keys::START,
        keys::STOP,
        keys::PID,
        Key::optional(
            "address",
            Kind::Text("HOST:PORT"),
            "the first entry of `verify`",
            "\"127.0.0.1:8891\"",
            "Where it listens: it is seen there whether it serves the new certificate.",
        ),
    ],
};

#[derive(Debug)]
struct Registrar {
    runs: Runs,
    address: Option<String>,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let runs = Runs::parse(&shape, node, errors, By::Restart, &["keylime_registrar"]);
    let address = shape.optional("address", parsed(value::address));
    shape.finish();
    Some(Arc::new(Registrar { runs: runs?, address: address? }))
}

impl Registrar {
    async fn look(&self, question: &Question<'_>) -> Result<Shown, Failure> {
        let mut seen = Seen::Nothing;
        if let Some(spot) = Spot::of(self.address.as_deref(), question.deployed) {
            spot.serves(question.deployed, spot.deadline).await?;
            spot.answers("version", &[200], &question.deployed.eyes).await?;
            seen = Seen::Leaf;
        }
        self.runs.is_steady(question.before, &self.name()).await?;
        Ok(Shown::only(seen))
    }
}

impl Running for Registrar {
    const DRIVER: &'static str = KIND.name;
    const RANK: Rank = Rank(1);
    const BY: By = By::Restart;

    fn runs(&self) -> &Runs {
        &self.runs
    }

    fn settings(&self) -> Vec<Option<String>> {
        vec![self.address.clone()]
    }

    fn shown<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown> {
        self.look(question).boxed()
    }
}
