//! The joint between a certificate and the services that read it: what a driver of `reload` can do, and the table that names the drivers.
//! There is no driver here; they are in `steps::service`.

mod files;
mod id;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

pub use self::files::{ANCHORS, Rendered, Rendering};
pub use self::id::ServiceId;
use super::endpoint::Endpoint;
use super::keys::Table;
use super::shape::Errors;
use super::tree::Node;
use crate::judge::cert::Facts;
use crate::model::clock::Clock;
use crate::model::failure::{Failure, Warning};
use crate::model::name::{CertName, Generation};
use crate::model::program::Variable;
use crate::model::reason::Reason;

/// What a service answers in its own time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// A service that reads certificates and can be made to read them again.
pub trait Service: fmt::Debug + Send + Sync {
    /// Which service this is. What is equal is one service: it is asked once in a run, whatever number of certificates name it.
    fn id(&self) -> ServiceId;

    /// Its name, for people and for `state.json`.
    fn name(&self) -> String;

    /// Its place in the order in which the services of a host are asked.
    fn rank(&self) -> Rank {
        Rank::default()
    }

    /// The drivers whose services must not have failed in this run before this one is asked: it would not come back without them.
    fn waits_for(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it can be given another certificate at all; asked before one is signed for it.
    ///
    /// # Errors
    /// Stage `reload`, when a new certificate would break it.
    fn accepts(&self) -> Answer<'_, ()> {
        ready(Ok(())).boxed()
    }

    /// Whether it is started anew to read its files. Then it is started again with the previous ones, whatever became of it, and a
    /// certificate is not back before it runs.
    fn restarts(&self) -> bool {
        false
    }

    /// For how long the first look at a new generation is put off, since it would probably still show the old one. That saves handshakes and
    /// proves nothing: what is seen from then on decides, as where there is nothing to wait for.
    fn lingers(&self) -> Duration {
        Duration::ZERO
    }

    /// What of it one certificate alone can be for, in words; no two certificates may name the same.
    fn takes_one(&self) -> Option<String> {
        None
    }

    /// The unit of systemd that it is, where the settings name one.
    fn unit(&self) -> Option<&str> {
        None
    }

    /// What `check-config` should know of it beyond its settings. It changes nothing, and starts nothing but a program to say its version.
    fn examine(&self) -> BoxFuture<'_, Vec<Examined>> {
        ready(Vec::new()).boxed()
    }

    /// Whether it runs, without asking anything of it.
    ///
    /// # Errors
    /// Stage `reload`, when that cannot be found out.
    fn state(&self) -> Answer<'_, ServiceState>;

    /// The least disruptive action after which it has read its files, which are those of `deployed`.
    ///
    /// # Errors
    /// Stage `reload`, when it refuses; it goes on with what it had.
    fn ask<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply>;

    /// Starts it, so that it reads those files.
    ///
    /// # Errors
    /// Stage `reload`, when it does not start.
    fn start<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply>;

    /// Whether the settings want it started when it is stopped.
    fn wants_start(&self) -> bool {
        false
    }

    /// Whether it is started to do its work and end, as a unit of `Type=oneshot` is: after a start it need not stay.
    ///
    /// # Errors
    /// Stage `reload`, when that cannot be found out.
    fn is_oneshot(&self) -> Answer<'_, bool> {
        ready(Ok(false)).boxed()
    }

    /// Whether "stopped" is the word of somebody who knows, such as systemd. A pid file is only a file: where that alone says it, the
    /// endpoints of `verify` are asked as well, since with a wrong one a service would never be proven again and nobody would know.
    fn stopped_is_certain(&self) -> bool {
        true
    }

    /// The driver's own proof that the service has read a generation, beside the entries of `verify`. It waits as long as it may take.
    ///
    /// # Errors
    /// Stage `verify`, when the service has not read it.
    fn prove<'a>(&'a self, _question: &'a Question<'a>) -> Answer<'a, Shown> {
        ready(Ok(Shown::default())).boxed()
    }

    /// The files that it wants in a generation. Always the same for the same surroundings.
    fn files(&self, _rendering: &Rendering<'_>) -> Vec<Rendered> {
        Vec::new()
    }

    /// The main file of its own configuration, where the settings name it.
    fn configuration(&self) -> Option<&Path> {
        None
    }
}

/// When a service is asked: the lowest first, equal ones at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(pub u8);

impl Default for Rank {
    /// After all that have an order among themselves.
    fn default() -> Self {
        Self(u8::MAX)
    }
}

/// Whether a service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It failed, or ends again and again; it gets one start.
    Failed,
    /// It runs.
    Running,
    /// Nobody started it, and nor do we.
    Stopped,
}

/// How a service replied to being asked or started.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It did what was asked; whether it serves the new files is for the proof to see.
    Done(Done),
    /// It does not run.
    Stopped,
}

impl Reply {
    /// It did what was asked, and there is nothing to say about that.
    #[must_use]
    pub fn done() -> Self {
        Self::Done(Done::default())
    }
}

/// What is known after a service did what was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// What is worth saying.
    pub warnings: Vec<Warning>,
    /// What the driver noted about the service before it asked, for its own proof; null where it needs no note.
    pub before: serde_json::Value,
}

/// A generation that was published and that a service is to read.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The certificate.
    pub certificate: CertName,
    /// The generation.
    pub generation: Generation,
    /// Where it lies in the run directory.
    pub directory: PathBuf,
    /// Its leaf.
    pub leaf: Facts,
    /// Why it was made or published.
    pub reasons: Vec<Reason>,
    /// Where the certificate can be seen, by the settings.
    pub endpoints: Vec<Endpoint>,
    /// What a driver needs to look at a service.
    pub eyes: Eyes,
}

/// What a driver needs to look at a service by itself.
#[derive(Clone, Debug)]
pub struct Eyes {
    /// DER of the pinned roots.
    pub roots: Vec<Vec<u8>>,
    /// The time.
    pub clock: Clock,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
}

impl Deployed {
    /// What a program that is called for this generation is told of it ([Programs](crate::config#programs)).
    #[must_use]
    pub fn variables(&self) -> Vec<Variable> {
        let reasons: Vec<&str> = self.reasons.iter().map(|reason| reason.code.as_str()).collect();
        vec![
            Variable::new("OMENS_NAME", self.certificate.as_str()),
            Variable::new("OMENS_GENERATION", self.generation.0.to_string()),
            Variable::new("OMENS_DIR", self.directory.as_os_str()),
            Variable::new("OMENS_SERIAL", self.leaf.serial.as_str()),
            Variable::new("OMENS_SHA256", self.leaf.sha256.as_str()),
            Variable::new("OMENS_NOT_AFTER", self.leaf.not_after.to_string()),
            Variable::new("OMENS_REASON", reasons.join(",")),
        ]
    }
}

/// What a driver's own proof is asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// What the service should have read.
    pub deployed: &'a Deployed,
    /// What the driver noted before it asked ([`Done::before`]).
    pub before: &'a serde_json::Value,
}

/// What a driver's own proof came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// What it saw.
    pub seen: Seen,
    /// What is worth saying, and is no reason to go back.
    pub warnings: Vec<Warning>,
}

impl Shown {
    /// This was seen, and there is nothing to say about it.
    #[must_use]
    pub const fn only(seen: Seen) -> Self {
        Self { seen, warnings: Vec::new() }
    }
}

/// What a driver's own proof saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// The driver has no proof of its own.
    #[default]
    Nothing,
    /// The service says that it read the generation.
    Read,
    /// The service serves the leaf.
    Leaf,
}

/// What `check-config` is told of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Examined {
    /// A renewal would break it: exit 2.
    Refused(Failure),
    /// Works, as far as can be seen.
    Warned(Warning),
}

/// A kind of service, as `reload` names it.
#[derive(Debug)]
pub struct DriverKind {
    /// The key in the settings: `{ NAME = { … } }`.
    pub name: &'static str,
    /// What that value may say.
    pub table: &'static Table,
    /// Reads the value of that key.
    pub parse: fn(&Node, &Errors) -> Option<Arc<dyn Service>>,
    /// Files of every generation, of certificates too that do not name this driver; the argument is the generation's path.
    pub always: Option<fn(&Path) -> Vec<Rendered>>,
}

/// The kinds of service that the settings may name.
pub type Drivers = &'static [&'static DriverKind];
