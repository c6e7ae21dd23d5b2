//! One configuration while it is read: where its names lead, and how findings name it.

use std::path::{Path, PathBuf};

use super::programs;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::program::Program;
use crate::audit::facts::started::Started;
use crate::audit::facts::wiring::{Consumer, Wiring};
use crate::io::look::View;
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Object, Target};

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Agent,
}

impl Side {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
        }
    }

    /// Which program uses what a plugin of this name is told.
    fn program(self, plugin: &str) -> &'static Program {
        match self {
            Self::Server => &programs::SERVER,
            Self::Agent if plugin.ends_with("x509pop") => &programs::X509POP,
            Self::Agent => &programs::AGENT,
        }
    }
}

/// A key of a configuration, as findings name it.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// `server`, `agent` or a plugin.
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) line: u32,
}

impl Spot {
    pub(super) fn location(&self) -> Location {
        Location::line(&self.file, self.line)
    }
}

pub(super) struct SpireReader<'a> {
    pub(super) view: &'a View,
    pub(super) findings: &'a mut HostFindings,
    pub(super) wiring: Wiring,
    pub(super) file: PathBuf,
    pub(super) side: Side,
    /// What units start SPIRE with.
    pub(super) started: &'a [Started],
    /// Where it logs to, if to a file.
    pub(super) log: Option<PathBuf>,
    /// Where relative names begin, most likely first: the working directory is known to the unit only.
    bases: Vec<PathBuf>,
}

impl<'a> SpireReader<'a> {
    pub(super) fn new(view: &'a View, file: &Path, side: Side, findings: &'a mut HostFindings) -> Self {
        let wiring = Wiring { files: vec![file.to_path_buf()], ..Wiring::default() };
        Self { view, findings, wiring, file: file.to_path_buf(), side, started: &[], log: None, bases: bases(file) }
    }

    /// A key of the section itself.
    pub(super) fn spot(&self, line: u32) -> Spot {
        Spot { name: self.side.name().to_owned(), file: self.file.clone(), line }
    }

    /// A finding at a key; two keys of one file are two things.
    pub(super) fn draft(&self, lint: &'static Lint, spot: &Spot, key: &str) -> NewFinding {
        let object = Object::File(format!("{}#{}.{key}", spot.file.display(), spot.name));
        NewFinding::new(lint, Target::new("spire", spot.name.clone()).at_line(Some(spot.line)), object).file(spot.location())
    }

    pub(super) fn add(&mut self, draft: NewFinding) {
        self.findings.add(draft);
    }

    pub(super) fn consumer(&self, spot: &Spot) -> Consumer {
        let target = Target::new("spire", spot.name.clone()).at_line(Some(spot.line));
        Consumer { program: self.side.program(&spot.name), target, location: spot.location() }
    }

    /// Where a name leads.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let path = Path::new(name.trim());
        if path.is_absolute() {
            return path.to_path_buf();
        }
        let path = path.strip_prefix(".").unwrap_or(path);
        let there = self.bases.iter().map(|base| base.join(path)).find(|path| self.view.meta(path).is_ok());
        there.unwrap_or_else(|| self.bases.first().map_or_else(|| path.to_path_buf(), |base| base.join(path)))
    }

    /// Whether a file is missing that the copy of a host would hold if it were there: its directory is, or something else of the one above.
    pub(super) fn is_missing(&self, path: &Path) -> bool {
        let absent = self.view.meta(path).is_err_and(|error| error.is_absent());
        let directory = path.parent().is_some_and(|parent| self.view.is_directory(parent));
        let above = path.ancestors().nth(2).is_some_and(|above| above.parent().is_some() && self.view.is_directory(above));
        absent && (directory || above || !self.view.is_elsewhere())
    }
}

/// SPIRE's own default is `conf/server/server.conf`, relative to where it is started.
fn bases(file: &Path) -> Vec<PathBuf> {
    let parent = file.parent().unwrap_or(Path::new("/"));
    let above = file.ancestors().skip(1).find(|directory| directory.file_name().is_some_and(|name| name == "conf"));
    let started = above.and_then(Path::parent).map(Path::to_path_buf);
    started.into_iter().chain([PathBuf::from("/opt/spire"), parent.to_path_buf(), PathBuf::from("/")]).collect()
}
