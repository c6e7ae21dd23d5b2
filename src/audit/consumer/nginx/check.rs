//! Directives that nginx would not start with: unknown, misspelled, misplaced, twice, or with values it does not take. It must never judge
//! what works.

use std::collections::BTreeMap;

use super::shapes::Shapes;
use super::source::at;
use super::syntax::Directive;
use super::{known, lints, values, versions};
use crate::audit::facts::findings::HostFindings;
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

/// Checks a block and what is in it; `outer` is what the block itself is in.
pub(super) fn block(list: &[Directive], context: &str, outer: &str, build: &Build, findings: &mut HostFindings) {
    let mut once: BTreeMap<&str, &Directive> = BTreeMap::new();
    let mut places: BTreeMap<String, u32> = BTreeMap::new();
    for (index, directive) in list.iter().enumerate() {
        name(directive, context, outer, build, findings);
        let expected = known::expected(&directive.name, &directive.args)
            .or_else(|| build.shapes.expected(directive))
            .or_else(|| values::expected(directive, context, list.get(..index).unwrap_or_default()));
        if let Some(expected) = expected {
            let draft = at(&lints::VALUE_INVALID, directive).expected(format!("{}: {expected}", directive.name));
            findings.add(draft.found(directive.args.join(" ")));
        }
        if let Some((line, expected)) = values::entry(directive) {
            let draft = at(&lints::VALUE_INVALID, line).expected(format!("{}: {expected}", directive.name));
            findings.add(draft.found(format!("{} {}", line.name, line.args.join(" "))));
        }
        repeated(directive, &mut places, findings);
        if known::is_once(&directive.name) || build.shapes.is_once(&directive.name) {
            if let Some(first) = once.get(directive.name.as_str()) {
                let draft = at(&lints::DIRECTIVE_TWICE, directive).file(first.location());
                findings.add(draft.expected(format!("one {}", directive.name)).found(format!("again in line {}", directive.line)));
            } else {
                once.insert(&directive.name, directive);
            }
        }
        if let Some(inside) = &directive.block
            && BLOCKS.contains(&directive.name.as_str())
        {
            block(inside, &directive.name, context, build, findings);
        }
    }
}

/// A location that is there twice; of expressions the first that fits counts.
fn repeated(directive: &Directive, places: &mut BTreeMap<String, u32>, findings: &mut HostFindings) {
    if directive.name != "location" || directive.arg().starts_with('~') {
        return;
    }
    if let Some(first) = places.insert(directive.args.join(" "), directive.line) {
        let draft = at(&lints::DIRECTIVE_TWICE, directive).expected("one location of this path");
        findings.add(draft.found(format!("location {} also in line {first}", directive.args.join(" "))));
    }
}

fn name(directive: &Directive, context: &str, outer: &str, build: &Build, findings: &mut HostFindings) {
    let name = directive.name.as_str();
    if let Some((version, other)) = build.version.and_then(|version| Some((version, versions::of_another(name, version)?))) {
        let draft = at(&lints::DIRECTIVE_UNKNOWN, directive).expected(format!("a directive of nginx {}", words(version)));
        let remedy = format!("remove {name}, or install a version of nginx that has it");
        findings.add(draft.found(format!("{name}, which there is {other}")).remedy(remedy));
    }
    match known::unknown(name) {
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
    let passed = name == "proxy_pass" && (context == "http" || (context == "server" && outer == "http"));
    let misplaced =
        (inner && known::is_of_server(name)) || (name == "listen" && context != "server" && !context.is_empty()) || called || passed;
    let misplaced = misplaced || build.shapes.is_misplaced(name, context, outer);
    if misplaced {
        let expected = match () {
            () if called || passed => format!("{name} in a location"),
            () if known::is_of_server(name) || name == "listen" => format!("{name} in a server block"),
            () => build.shapes.places(name),
        };
        let found = if context == "main" { "outside of any block".to_owned() } else { format!("in a block {context}") };
        findings.add(at(&lints::DIRECTIVE_MISPLACED, directive).expected(expected).found(found));
    }
}
