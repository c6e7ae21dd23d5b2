//! Directives that nginx would not start with: unknown, misspelled, misplaced, twice, or with values it does not take. It must never judge
//! what works.

use std::collections::BTreeMap;

use super::module::Module;
use super::shapes::{MEASURED, Place, Shapes};
use super::source::at;
use super::syntax::Directive;
use super::table::Times;
use super::{known, lints, values, versions};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::package::{Version, words};
use crate::model::finding::Severity;

/// Blocks whose lines are directives; those of others (`map`, `types`, `geo`) are not.
const BLOCKS: &[&str] = &["http", "events", "server", "location", "if", "limit_except", "stream", "mail", "upstream"];

/// What is known of the nginx that reads a configuration.
pub(super) struct Build {
    /// Modules that are loaded may bring directives of their own, or this is a part of a whole.
    pub(super) extended: bool,
    pub(super) version: Option<Version>,
    pub(super) shapes: Shapes,
}

impl Build {
    /// What the tables of some versions say counts less where another one may read the configuration.
    fn by_table(&self, draft: NewFinding) -> NewFinding {
        let [oldest, newest] = MEASURED;
        if self.version.is_some_and(|version| (oldest..=newest).contains(&version)) {
            return draft;
        }
        let here =
            self.version.map_or_else(|| "which version there is here is not known".to_owned(), |here| format!("here is {}", words(here)));
        draft.severity(Severity::Low).evidence(format!("nginx {} to {} do not take it; {here}", words(oldest), words(newest)))
    }
}

/// Checks a block and what is in it.
pub(super) fn block(list: &[Directive], place: Place<'_>, build: &Build, findings: &mut HostFindings) {
    let mut once: BTreeMap<[&str; 2], &Directive> = BTreeMap::new();
    let mut places: BTreeMap<String, u32> = BTreeMap::new();
    for (index, directive) in list.iter().enumerate() {
        name(directive, place, build, findings);
        value(directive, list.get(..index).unwrap_or_default(), place, build, findings);
        if let Some((line, expected)) = values::entry(directive) {
            let draft = at(&lints::VALUE_INVALID, line).expected(format!("{}: {expected}", directive.name));
            findings.add(draft.found(format!("{} {}", line.name, line.args.join(" "))));
        }
        repeated(directive, &mut places, findings);
        again(directive, &mut once, place, build, findings);
        if let Some(inside) = &directive.block
            && BLOCKS.contains(&directive.name.as_str())
        {
            block(inside, place.inside(&directive.name), build, findings);
        }
    }
}

/// A directive that is there once more than nginx takes it; `first` has the first of each.
fn again<'a>(
    directive: &'a Directive,
    first: &mut BTreeMap<[&'a str; 2], &'a Directive>,
    place: Place<'_>,
    build: &Build,
    findings: &mut HostFindings,
) {
    let times = match known::is_once(&directive.name) {
        true => Times::Once,
        false => build.shapes.of(place.module).times(&directive.name),
    };
    let key = [directive.name.as_str(), if times == Times::EachFirst { directive.arg() } else { "" }];
    if times == Times::Any {
        return;
    }
    let Some(first) = first.get(&key) else {
        first.insert(key, directive);
        return;
    };
    let is_off = |line: &Directive| line.arg() == "off";
    if times == Times::NotBesideOff && !is_off(first) && !is_off(directive) {
        return;
    }
    let draft = at(&lints::DIRECTIVE_TWICE, directive).file(first.location());
    findings.add(draft.expected(format!("one {}", key.join(" ").trim_end())).found(format!("again in line {}", directive.line)));
}

/// Words that a directive does not take; `before` is what stands before it in its block.
fn value(directive: &Directive, before: &[Directive], place: Place<'_>, build: &Build, findings: &mut HostFindings) {
    let draft = |expected: String| {
        let draft = at(&lints::VALUE_INVALID, directive).expected(format!("{}: {expected}", directive.name));
        draft.found(directive.args.join(" "))
    };
    if let Some(expected) = known::expected(&directive.name, &directive.args) {
        findings.add(draft(expected));
        return;
    }
    let shapes = build.shapes.of(place.module);
    if let Some(expected) = shapes.count(directive) {
        findings.add(build.by_table(draft(expected)));
    } else if let Some(expected) = shapes.expected(directive).or_else(|| values::expected(directive, &place, before)) {
        findings.add(draft(expected));
    }
}

/// A location or a group of servers that is there twice; of expressions the first that fits counts.
fn repeated(directive: &Directive, places: &mut BTreeMap<String, u32>, findings: &mut HostFindings) {
    let expected = match directive.name.as_str() {
        "location" if !directive.arg().starts_with('~') => "one location of this path",
        "upstream" => "one group of this name",
        _ => return,
    };
    let name = format!("{} {}", directive.name, directive.args.join(" "));
    if let Some(first) = places.insert(name.clone(), directive.line) {
        let draft = at(&lints::DIRECTIVE_TWICE, directive).expected(expected);
        findings.add(draft.found(format!("{name} also in line {first}")));
    }
}

fn name(directive: &Directive, place: Place<'_>, build: &Build, findings: &mut HostFindings) {
    let Place { context, outer, module } = place;
    let name = directive.name.as_str();
    if let Some((version, other)) = build.version.and_then(|version| Some((version, versions::of_another(name, version)?))) {
        let draft = at(&lints::DIRECTIVE_UNKNOWN, directive).expected(format!("a directive of nginx {}", words(version)));
        let remedy = format!("remove {name}, or install a version of nginx that has it");
        findings.add(draft.found(format!("{name}, which there is {other}")).remedy(remedy));
    }
    // Most are in the table, and found there at once.
    let unknown = if build.shapes.knows(name) { None } else { known::unknown(name) };
    match unknown {
        Some(Some(meant)) => {
            let draft = at(&lints::DIRECTIVE_UNKNOWN, directive).expected(meant.clone()).found(name);
            findings.add(draft.remedy(format!("write {meant} for {name}")));
        }
        Some(None) => {
            let draft = at(&lints::DIRECTIVE_UNKNOWN, directive).expected("a directive of nginx").found(name);
            let may = "neither nginx nor a module that is known here has it; a module that is loaded may bring it";
            findings.add(if build.extended { draft.severity(Severity::Low).evidence(may) } else { draft });
        }
        None => {}
    }
    let inner = matches!(context, "location" | "if" | "limit_except" | "upstream");
    let called = known::is_of_call(name) && matches!(context, "if" | "limit_except" | "upstream");
    let passed = module == Module::Http && name == "proxy_pass" && (context == "http" || (context == "server" && outer == "http"));
    let misplaced =
        (inner && known::is_of_server(name)) || (name == "listen" && context != "server" && !context.is_empty()) || called || passed;
    let by_table = !misplaced && build.shapes.is_misplaced(name, &place, build.version);
    if misplaced || by_table {
        let expected = match () {
            () if called || passed => format!("{name} in a location"),
            () if known::is_of_server(name) || name == "listen" => format!("{name} in a server block"),
            () => build.shapes.places(name, module),
        };
        let found = if context == "main" { "outside of any block".to_owned() } else { format!("in a block {context}") };
        let draft = at(&lints::DIRECTIVE_MISPLACED, directive).expected(expected).found(found);
        findings.add(if by_table { build.by_table(draft) } else { draft });
    }
}
