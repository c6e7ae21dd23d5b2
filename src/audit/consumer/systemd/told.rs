//! What units tell services beside their configuration files: variables of the environment, and files named on the command line.

use std::path::{Path, PathBuf};

use super::unit::{self, Unit};
use crate::audit::consumer::scripts::shell::{self, assignment};
use crate::audit::facts::started::Started;
use crate::audit::facts::variable::Variable;
use crate::io::look::View;
use crate::model::audit::Location;

/// Options that name a configuration file.
const OPTIONS: [&str; 4] = ["-c", "-config", "--config", "-config-dir"];

/// The variables of every unit that has this word in its name or its commands, in the order in which systemd applies them: files of
/// variables come after `Environment=` (systemd.exec(5)).
#[must_use]
pub fn environment(view: &View, units: &[Unit], word: &str) -> Vec<Variable> {
    let concerns = |unit: &&Unit| !unit.masked && (unit.name.contains(word) || unit.commands().any(|command| command.value.contains(word)));
    units.iter().filter(concerns).flat_map(|unit| variables(view, unit)).collect()
}

/// The variables of one unit.
pub(super) fn variables(view: &View, unit: &Unit) -> Vec<Variable> {
    let of = |word: &str, location: Location| {
        assignment(word).map(|(name, value)| Variable { name: name.to_owned(), value: value.to_owned(), location })
    };
    let mut all = Vec::new();
    for setting in unit.all("Service", "Environment") {
        all.extend(unit::words(&setting.value).iter().filter_map(|word| of(word, setting.location())));
    }
    for setting in unit.all("Service", "EnvironmentFile") {
        let path = PathBuf::from(setting.value.trim_start_matches('-'));
        let Ok(text) = view.text(&path) else { continue };
        for line in shell::lines(&text).into_iter().filter(|line| !line.text.trim_start().starts_with([';', '#'])) {
            let words = unit::words(&line.text);
            all.extend(words.first().and_then(|word| of(word, Location::line(&path, line.number))));
        }
    }
    all
}

/// How units start programs of these names.
#[must_use]
pub fn started(view: &View, units: &[Unit], programs: &[&str]) -> Vec<Started> {
    let mut all = Vec::new();
    for unit in units.iter().filter(|unit| !unit.masked) {
        for setting in unit.all("Service", "ExecStart") {
            let line = setting.value.trim_start_matches(['-', '@', ':', '+', '!']);
            for command in shell::commands(line).iter().filter(|command| programs.contains(&command.program())) {
                let mut words = command.words.iter().skip_while(|word| word.rsplit('/').next() != Some(command.program()));
                let program = words.next().map_or_else(String::new, |_| command.program().to_owned());
                all.push(Started { program, arguments: words.cloned().collect(), variables: variables(view, unit) });
            }
        }
    }
    all
}

/// The file behind a path below `/run/credentials/UNIT`, where `LoadCredential=` of that unit names it (systemd.exec(5)).
#[must_use]
pub fn credential(units: &[Unit], path: &Path) -> Option<PathBuf> {
    let mut parts = path.strip_prefix("/run/credentials").ok()?.components();
    let (unit, name) = (parts.next()?.as_os_str().to_str()?, parts.next()?.as_os_str().to_str()?);
    let unit = units.iter().find(|one| one.name == unit && !one.masked)?;
    let loaded = ["LoadCredential", "LoadCredentialEncrypted"].into_iter().flat_map(|key| unit.all("Service", key));
    let source = loaded.filter_map(|setting| setting.value.split_once(':')).find(|(id, _)| *id == name)?.1;
    source.starts_with('/').then(|| PathBuf::from(source))
}

/// The configuration files that a program of this name is started with.
#[must_use]
pub fn configurations(units: &[Unit], programs: &[&str]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for setting in units.iter().filter(|unit| !unit.masked).flat_map(|unit| unit.all("Service", "ExecStart")) {
        let line = setting.value.trim_start_matches(['-', '@', ':', '+', '!']);
        for command in shell::commands(line).iter().filter(|command| programs.contains(&command.program())) {
            let named = named(&command.words).filter(|path| path.is_absolute() && !files.contains(path)).collect::<Vec<_>>();
            files.extend(named);
        }
    }
    files
}

/// `-config FILE` and `-config=FILE`.
fn named(words: &[String]) -> impl Iterator<Item = PathBuf> {
    let apart = words.windows(2).filter_map(|two| match two {
        [option, file] if OPTIONS.contains(&option.as_str()) => Some(Path::new(file).to_path_buf()),
        _ => None,
    });
    let joined = words.iter().filter_map(|word| word.split_once('=')).filter(|(option, _)| OPTIONS.contains(option));
    apart.chain(joined.map(|(_, file)| PathBuf::from(file)))
}

/// The unit that starts a program.
#[must_use]
pub fn unit_of(units: &[Unit], programs: &[&str]) -> Option<String> {
    starting(units, programs).map(|unit| unit.name.clone())
}

fn starting<'a>(units: &'a [Unit], programs: &[&str]) -> Option<&'a Unit> {
    let runs = |unit: &&Unit| {
        let mut starts = unit.all("Service", "ExecStart").into_iter();
        starts.any(|start| {
            let line = start.value.trim_start_matches(['-', '@', ':', '+', '!']);
            shell::commands(line).iter().any(|command| programs.contains(&command.program()))
        })
    };
    units.iter().filter(|unit| !unit.masked).find(runs)
}

/// The account that a program runs as, where its unit says so and it is not root.
#[must_use]
pub fn account(units: &[Unit], programs: &[&str]) -> Option<String> {
    let unit = starting(units, programs)?;
    let user = unit.get("Service", "User")?.value.clone();
    (user != "root" && user != "0" && !user.contains('%')).then_some(user)
}
