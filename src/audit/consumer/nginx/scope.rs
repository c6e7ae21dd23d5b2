//! A block and the blocks around it: what is set in it, and what it inherits.

use std::collections::BTreeMap;

use super::syntax::Directive;

/// As many `set` lines of a block are looked at.
const SETS: usize = 500;

/// A block inside its surroundings.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    outer: Option<&'a Scope<'a>>,
    own: BTreeMap<&'a str, Vec<&'a Directive>>,
}

impl<'a> Scope<'a> {
    /// The directives of a block within another.
    pub(super) fn new(outer: Option<&'a Scope<'a>>, list: &'a [Directive]) -> Self {
        let mut own: BTreeMap<&str, Vec<&Directive>> = BTreeMap::new();
        for directive in list {
            own.entry(directive.name.as_str()).or_default().push(directive);
        }
        Self { outer, own }
    }

    /// What is set in this very block.
    pub(super) fn own(&self, name: &str) -> &[&'a Directive] {
        self.own.get(name).map_or(&[], Vec::as_slice)
    }

    /// What is in force: a block that sets something itself inherits none of it.
    pub(super) fn all(&self, name: &str) -> &[&'a Directive] {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(found) = here.own.get(name) {
                return found;
            }
            scope = here.outer;
        }
        &[]
    }

    /// The one that is in force.
    pub(super) fn get(&self, name: &str) -> Option<&'a Directive> {
        self.all(name).first().copied()
    }

    /// Whether an include of this block or one around it led nowhere, so that what is not set may have been meant to be.
    pub(super) fn lacks_include(&self) -> bool {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if !here.own("include").is_empty() {
                return true;
            }
            scope = here.outer;
        }
        false
    }

    /// What a `set` line of this block or one around it gives a variable.
    pub(super) fn variable(&self, name: &str) -> Option<&'a str> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            let set = |line: &&&Directive| line.arg().strip_prefix('$').is_some_and(|own| own.eq_ignore_ascii_case(name));
            if let Some(line) = here.own("set").iter().rev().take(SETS).find(set) {
                return line.args.get(1).map(String::as_str);
            }
            scope = here.outer;
        }
        None
    }

    /// The `map` of this block or one around it that sets a variable.
    pub(super) fn map(&self, name: &str) -> Option<&'a Directive> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            let sets = |line: &&&Directive| {
                line.args.get(1).and_then(|arg| arg.strip_prefix('$')).is_some_and(|own| own.eq_ignore_ascii_case(name))
            };
            if let Some(line) = here.own("map").iter().find(sets) {
                return Some(line);
            }
            scope = here.outer;
        }
        None
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|directive| directive.arg().eq_ignore_ascii_case("on"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_inherits_what_it_does_not_set_itself() {
        let (list, _) = super::super::syntax::parse("a 1; a 2; b on; s { a 3; l { c; } }", &std::rc::Rc::from(std::path::Path::new("/n")));
        let http = Scope::new(None, &list);
        let server = Scope::new(Some(&http), list[3].inside());
        let location = Scope::new(Some(&server), list[3].inside()[1].inside());
        let values = |scope: &Scope<'_>, name: &str| scope.all(name).iter().map(|d| d.arg().to_owned()).collect::<Vec<_>>();
        assert_eq!(values(&http, "a"), ["1", "2"]);
        assert_eq!(values(&location, "a"), ["3"]);
        assert!(location.is_on("b") && location.own("b").is_empty() && location.get("x").is_none());
    }
}
