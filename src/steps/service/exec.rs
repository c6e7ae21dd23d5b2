//! Driver `exec`: a program of the administrator's that makes a service take a certificate up. It is called once for each certificate, since
//! it is told of one; its exit code says whether it was asked, `verify` says what came of it.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::ready;

use super::not_run;
use crate::config::keys::{Key, Kind, Table};
use crate::config::program;
use crate::config::service::{Answer, Deployed, DriverKind, Reply, Service, ServiceId, ServiceState};
use crate::config::shape::{Errors, Shape};
use crate::config::tree::Node;
use crate::io::process;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::program::Program;

/// `{ exec = { command, timeout } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "exec", table: &TABLE, parse, always: None };

/// What the settings may say of it.
static TABLE: Table = Table {
    title: "reload driver exec",
    about: "A program of yours that makes a service read its files. It is told of the certificate by OMENS_NAME, OMENS_GENERATION, OMENS_DIR, OMENS_SERIAL, OMENS_SHA256, OMENS_NOT_AFTER and OMENS_REASON.",
    keys: &[
        Key::required(
            "command",
            Kind::Texts("a program with its whole path, then its arguments; no shell"),
            "[\"/usr/local/sbin/reload-web\"]",
            "What is run. The program has to belong to root or the caller, and nobody else may write to it.",
        ),
        Key::or("timeout", Kind::Span, "\"30s\"", "\"1m\"", "How long it may take, at most 10m."),
    ],
};

#[derive(Debug)]
struct Exec {
    program: Program,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let program = program::program(&shape);
    shape.finish();
    Some(Arc::new(Exec { program: program? }))
}

impl Exec {
    async fn call(&self, deployed: &Deployed) -> Result<(), Failure> {
        let ended = process::exec(&self.program, &deployed.variables(), b"").await.map_err(|why| not_run(&why))?;
        if ended.code == Some(0) {
            return Ok(());
        }
        let text = format!("{} ended with {}: {}", self.program.path.display(), ended.how(), ended.said());
        Err(Failure::new(Stage::Reload, Code::ReloadFailed, text)
            .hint("what it said is in the log; run it by hand with the same variables"))
    }
}

impl Service for Exec {
    fn id(&self) -> ServiceId {
        let Program { path, arguments, timeout } = &self.program;
        let words = std::iter::once(path.display().to_string()).chain(arguments.clone()).chain([format!("{timeout:?}")]);
        ServiceId::new(KIND.name, words.map(Some))
    }

    fn name(&self) -> String {
        format!("exec ({})", self.program.path.display())
    }

    fn state(&self) -> Answer<'_, ServiceState> {
        ready(Ok(ServiceState::Running)).boxed()
    }

    fn ask<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        async move {
            for one in deployed {
                self.call(one).await?;
            }
            Ok(Reply::done())
        }
        .boxed()
    }

    fn start<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        self.ask(deployed)
    }
}
