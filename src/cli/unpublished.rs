//! Files of `trust` that services of this host are told to open and that the settings do not publish: a revocation list that was taken out of
//! `[trust]`, or that never stood there. The next run removes one that is there, and who
//! names it does not begin without it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::audit::consumer::own;
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::given::Given;
use crate::audit::facts::program::Program;
use crate::audit::facts::wiring::Wiring;
use crate::audit::run;
use crate::config::settings::Settings;
use crate::io::look::View;
use crate::model::audit::Location;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::layout;
use crate::plan::trust;

/// One warning for each of them, with every line that names it.
pub(super) fn warnings(settings: &Settings, view: &View, now: Time) -> Vec<Warning> {
    let given = Given { files: own::named_files(settings), ..Given::default() };
    let wiring = run::wiring(view, &given, &mut HostFindings::new(now, &settings.host));
    let dir = settings.paths.run.join(layout::TRUST);
    named(&wiring, &dir, view)
        .into_iter()
        .filter(|(name, _)| !trust::publishes(settings, name))
        .map(|(name, lines)| warning(&dir.join(&name), &name, &lines, view))
        .collect()
}

/// The files of a directory that services name, each with the program and the lines.
fn named(wiring: &Wiring, dir: &Path, view: &View) -> BTreeMap<String, BTreeSet<String>> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let dir = view.real(dir).unwrap_or_else(|_| dir.to_path_buf());
    let lists =
        wiring.trusts.iter().flat_map(|trust| trust.files.iter().map(|path| (trust.consumer.program, &trust.consumer.location, path)));
    let others = wiring.opened.iter().map(|opened| (opened.program, &opened.location, &opened.path));
    for (program, location, path) in lists.chain(others) {
        let link = || view.link(path).and_then(|target| path.parent().map(|parent| parent.join(target)));
        if let Some(name) = name_in(&dir, path, view).or_else(|| name_in(&dir, &link()?, view)) {
            named.entry(name).or_default().insert(line(program, location));
        }
    }
    named
}

fn line(program: &Program, location: &Location) -> String {
    format!("{} ({location})", program.name)
}

/// The name of a path that lies in this directory, whether or not something lies there.
fn name_in(dir: &Path, path: &Path, view: &View) -> Option<String> {
    let parent = path.parent()?;
    let parent: PathBuf = view.real(parent).unwrap_or_else(|_| parent.to_path_buf());
    (parent == dir).then(|| path.file_name()?.to_str().map(ToOwned::to_owned)).flatten()
}

fn warning(path: &Path, name: &str, lines: &BTreeSet<String>, view: &View) -> Warning {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (what_is_there, hint) = if view.meta(path).is_ok() {
        (
            "the next run removes what is there",
            "name the list in trust.crl again, or take it out of that configuration first: without it the service fails at its next reload or start",
        )
    } else {
        (
            "nothing is there",
            "correct the name in that configuration, or name a list so in trust.crl: without it the service fails at its next reload or start",
        )
    };
    let text = format!(
        "{} is told to open {}, and the settings publish no such file: no trust.crl has file = \"{name}\", and {what_is_there}",
        lines.join(", "),
        path.display()
    );
    Warning::new(Code::TrustUnpublished, text).hint(hint)
}
