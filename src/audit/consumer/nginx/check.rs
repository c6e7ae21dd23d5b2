//! Directives that nginx would not start with: unknown, misspelled, misplaced, twice, or with values it does not take. It must never judge
//! what works.

use std::collections::BTreeMap;

use super::source::at;
use super::syntax::Directive;
use super::{known, lints};
use crate::audit::facts::findings::HostFindings;
use crate::model::finding::Severity;

/// Blocks whose lines are directives; those of others (`map`, `types`, `geo`) are not.
const BLOCKS: &[&str] = &["http", "server", "location", "if", "limit_except", "stream", "mail", "upstream"];

/// Checks a block and what is in it; `outer` is what the block itself is in.
pub(super) fn block(list: &[Directive], context: &str, outer: &str, findings: &mut HostFindings) {
    let mut once: BTreeMap<&str, &Directive> = BTreeMap::new();
    for directive in list {
        name(directive, context, outer, findings);
        if let Some(expected) = known::expected(&directive.name, &directive.args) {
            let draft = at(&lints::VALUE_INVALID, directive).expected(format!("{}: {expected}", directive.name));
            findings.add(draft.found(directive.args.join(" ")));
        }
        if known::is_once(&directive.name) {
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
            block(inside, &directive.name, context, findings);
        }
    }
}

fn name(directive: &Directive, context: &str, outer: &str, findings: &mut HostFindings) {
    let name = directive.name.as_str();
    match known::unknown(name) {
        Some(Some(meant)) => {
            let draft = at(&lints::DIRECTIVE_UNKNOWN, directive).expected(meant.clone()).found(name);
            findings.add(draft.remedy(format!("write {meant} for {name}")));
        }
        Some(None) => {
            let draft = at(&lints::DIRECTIVE_UNKNOWN, directive).severity(Severity::Low).expected("a directive of nginx").found(name);
            findings.add(draft.evidence("nothing near it is known here; a module of another maker may bring it"));
        }
        None => {}
    }
    let inner = matches!(context, "location" | "if" | "limit_except" | "upstream");
    let called = known::is_of_call(name) && matches!(context, "if" | "limit_except" | "upstream");
    let passed = name == "proxy_pass" && (context == "http" || (context == "server" && outer == "http"));
    let misplaced = (inner && known::is_of_server(name)) || (name == "listen" && context != "server") || called || passed;
    if misplaced {
        let expected = if called || passed { "in a location" } else { "in a server block" };
        findings
            .add(at(&lints::DIRECTIVE_MISPLACED, directive).expected(format!("{name} {expected}")).found(format!("in a block {context}")));
    }
}
