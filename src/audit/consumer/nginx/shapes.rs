//! Where each directive may stand, by module and version, as nginx's modules declare them (shapes*.txt). It must never judge what no table
//! names: directives of newer versions and of modules that others make.

use super::module::Module;
use super::table::Table;
use crate::audit::facts::package::Version;

/// One line for each directive.
const HTTP: &str = include_str!("shapes.txt");
const STREAM: &str = include_str!("shapes-stream.txt");
const MAIL: &str = include_str!("shapes-mail.txt");
/// The oldest and the newest version that answered: what both say holds between them.
pub(super) const MEASURED: [Version; 2] = [[1, 22, 1], [1, 28, 3]];
/// Since when one may stand somewhere, where older versions do not take it there (nginx.org, CHANGES); no place is all of them.
const LATER: &[Later] = &[
    Later { name: "resolver", module: Module::Http, place: Some('u'), since: [1, 27, 3] },
    Later { name: "resolver_timeout", module: Module::Http, place: Some('u'), since: [1, 27, 3] },
    Later { name: "resolver", module: Module::Stream, place: Some('u'), since: [1, 27, 3] },
    Later { name: "resolver_timeout", module: Module::Stream, place: Some('u'), since: [1, 27, 3] },
    in_stream("server_name", [1, 25, 5]),
    in_stream("server_names_hash_bucket_size", [1, 25, 5]),
    in_stream("server_names_hash_max_size", [1, 25, 5]),
    in_stream("ssl_reject_handshake", [1, 25, 5]),
    in_stream("ssl_ocsp", [1, 27, 2]),
    in_stream("ssl_ocsp_cache", [1, 27, 2]),
    in_stream("ssl_ocsp_responder", [1, 27, 2]),
    in_stream("ssl_stapling", [1, 27, 2]),
    in_stream("ssl_stapling_file", [1, 27, 2]),
    in_stream("ssl_stapling_responder", [1, 27, 2]),
    in_stream("ssl_stapling_verify", [1, 27, 2]),
];
const PLACES: &[(char, &str)] = &[
    ('m', "the main file outside of any block"),
    ('e', "events"),
    ('h', "http"),
    ('s', "server"),
    ('l', "location"),
    ('u', "upstream"),
    ('i', "an if of a server"),
    ('j', "an if of a location"),
    ('x', "limit_except"),
];

/// A directive that came to a module or a block of it with a version.
struct Later {
    name: &'static str,
    module: Module,
    place: Option<char>,
    since: Version,
}

const fn in_stream(name: &'static str, since: Version) -> Later {
    Later { name, module: Module::Stream, place: None, since }
}

/// What is known of the directives of each module.
#[derive(Debug)]
pub(super) struct Shapes {
    http: Table,
    stream: Table,
    mail: Table,
}

impl Shapes {
    /// Reads the tables.
    pub(super) fn new() -> Self {
        Self { http: Table::new(HTTP), stream: Table::new(STREAM), mail: Table::new(MAIL) }
    }

    /// Those of a module; what stands outside of any is in that of http.
    pub(super) const fn of(&self, module: Module) -> &Table {
        match module {
            Module::Http => &self.http,
            Module::Stream => &self.stream,
            Module::Mail => &self.mail,
        }
    }

    /// Whether any of the tables names it.
    pub(super) fn knows(&self, name: &str) -> bool {
        Module::ALL.iter().any(|module| self.of(*module).knows(name))
    }

    /// Whether a directive may not stand in a block, as far as the version is known. One that is known to other modules alone may not either.
    pub(super) fn is_misplaced(&self, name: &str, place: &Place<'_>, version: Option<Version>) -> bool {
        let (Some(letter), true) = (place.letter(), self.knows(name)) else { return false };
        let fits = |later: &&Later| later.name == name && later.module == place.module && later.place.is_none_or(|at| at == letter);
        let before = LATER.iter().find(fits).is_some_and(|later| version.is_some_and(|version| version < later.since));
        before || !self.of(place.module).places(name).contains(letter)
    }

    /// In which blocks it may stand, in words.
    pub(super) fn places(&self, name: &str, module: Module) -> String {
        let of = |module: Module| {
            let places = self.of(module).places(name);
            let words = PLACES.iter().filter(move |(letter, _)| places.contains(*letter));
            words.map(move |(letter, words)| match (letter, module) {
                ('h', module) => module.block().to_owned(),
                (_, Module::Http) => (*words).to_owned(),
                (_, module) => format!("{words} of {}", module.block()),
            })
        };
        let mut words: Vec<String> = of(module).collect();
        if words.is_empty() {
            words = Module::ALL.into_iter().flat_map(of).collect();
        }
        format!("{name} in {}", words.join(", "))
    }
}

/// A block that directives stand in, and what that is in.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) context: &'a str,
    pub(super) outer: &'a str,
    pub(super) module: Module,
}

impl<'a> Place<'a> {
    pub(super) const fn outermost(context: &'a str) -> Self {
        Self { context, outer: "", module: Module::Http }
    }

    pub(super) fn inside(self, block: &'a str) -> Self {
        Self { context: block, outer: self.context, module: Module::of(block).unwrap_or(self.module) }
    }

    /// Its letter in the tables.
    fn letter(&self) -> Option<char> {
        Some(match (self.context, self.outer) {
            ("main", _) => 'm',
            ("events", _) => 'e',
            ("server", outer) if outer == self.module.block() => 's',
            ("upstream", outer) if outer == self.module.block() => 'u',
            ("location", _) => 'l',
            ("if", "server") => 'i',
            ("if", "location") => 'j',
            ("limit_except", _) => 'x',
            (context, _) if context == self.module.block() => 'h',
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let shapes = Shapes::new();
        for (table, text) in [(&shapes.http, HTTP), (&shapes.stream, STREAM), (&shapes.mail, MAIL)] {
            assert_eq!(table.len(), text.lines().filter(|line| !line.starts_with('#')).count());
        }
    }

    #[test]
    fn a_directive_stands_in_blocks_of_its_module_since_some_version() {
        let shapes = Shapes::new();
        let place = |path: &'static str| path.split('/').fold(Place::outermost("main"), Place::inside);
        let (old, new) = (Some(MEASURED[0]), Some(MEASURED[1]));
        for (name, path, version, bad) in [
            ("root", "http/server/location", None, false),
            ("root", "http/upstream", None, true),
            ("worker_connections", "http", None, true),
            ("server", "http/upstream", None, false),
            ("rewrite", "http/server/if", None, false),
            ("proxy_pass", "http/server/if", None, true),
            ("proxy_pass", "stream/server", None, false),
            ("proxy_pass", "stream", None, true),
            ("add_header", "stream/server", None, true),
            ("starttls", "http/server", None, true),
            ("starttls", "mail/server", None, false),
            ("no_such_directive", "mail/server", None, false),
            ("resolver", "http/upstream", old, true),
            ("resolver", "http/upstream", new, false),
            ("resolver", "http/upstream", None, false),
            ("server_name", "stream/server", old, true),
            ("server_name", "stream/server", new, false),
            ("server_name", "stream/upstream", new, true),
        ] {
            assert_eq!(shapes.is_misplaced(name, &place(path), version), bad, "{name} in {path}, {version:?}");
        }
        assert_eq!(shapes.places("starttls", Module::Http), "starttls in mail, server of mail");
    }
}
