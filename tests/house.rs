//! Reads src/ and enforces the house: which room imports which, who may open a door to the outside, and the form of a file.
//! It must never be satisfied by a rule that it cannot see broken: every rule is shown a wrong snippet below.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads files and panics when it finds something"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;

/// The rooms from top to bottom; a room imports only itself and rooms above it.
const ROOMS: [&str; 8] = ["model", "judge", "io", "config", "plan", "steps", "audit", "cli"];

/// The steps in the order of a renewal; each imports only earlier ones.
const STEPS: [&str; 11] = ["attest", "key", "issue", "validate", "keep", "swap", "service", "prove", "commit", "record", "run"];

/// What stands above the steps and may use all of them.
const WHOLE: [&str; 5] = ["flow", "restore", "reseal", "rollback", "install"];

/// Rooms that only look, and what they must not reach, not even through somebody else. The audit asks the network, but changes nothing.
const LOOKERS: [(&str, &[&str]); 2] = [
    ("plan", &["io::write", "io::process", "io::tls", "io::http", "io::handshake", "io::openbao", "io::tpm"]),
    ("audit", &["io::write", "io::process", "io::tpm", "steps"]),
];

/// The files that may open a door (`clippy::disallowed_methods`), each for its own kind.
const DOORS: &[&str] = &[
    "main.rs",
    "io/account.rs",
    "io/dir.rs",
    "io/handshake.rs",
    "io/http.rs",
    "io/lock.rs",
    "io/look.rs",
    "io/process.rs",
    "io/read.rs",
    "io/signal.rs",
    "io/tpm/open.rs",
    "io/write.rs",
];

/// Files that are longer than they should be, with their limit; an entry that is no longer needed is an error too.
const LONG: &[(&str, usize)] = &[("plan/generation.rs", 310)];
const MAX_LINES: usize = 300;

/// One source file: its path below src/ and its text.
type Sources = BTreeMap<String, String>;

/// A file as this test sees it: its module path, what it names in other modules, and its non-test length.
struct Seen {
    module: Vec<String>,
    uses: BTreeSet<Vec<String>>,
    lines: usize,
}

#[test]
fn the_house_is_in_order() {
    let mut sources = Sources::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), "", &mut sources);
    assert!(sources.len() > 15, "found only {} files", sources.len());
    let faults = inspect(&sources, DOORS, LONG);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn collect(dir: &Path, prefix: &str, into: &mut Sources) {
    for entry in std::fs::read_dir(dir).expect("src is readable") {
        let entry = entry.expect("entry");
        let name = entry.file_name().into_string().expect("UTF-8 name");
        let path = entry.path();
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), into);
        } else if name.ends_with(".rs") {
            into.insert(format!("{prefix}{name}"), std::fs::read_to_string(&path).expect("source"));
        }
    }
}

/// Every fault of these sources, one line each.
fn inspect(sources: &Sources, doors: &[&str], long: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    for (path, text) in sources.iter().filter(|(path, _)| !is_test(path, sources)) {
        form(path, text, doors, &mut faults);
        match look(path, text) {
            Ok(file) => {
                length(path, file.lines, long, &mut faults);
                seen.insert(path.clone(), file);
            }
            Err(why) => faults.push(format!("{path}: does not parse: {why}")),
        }
    }
    for stale in doors.iter().filter(|d| !sources.contains_key(**d)) {
        faults.push(format!("{stale}: listed as a door, but there is no such file"));
    }
    let modules: BTreeMap<Vec<String>, &str> = seen.iter().map(|(path, file)| (file.module.clone(), path.as_str())).collect();
    let graph: BTreeMap<&str, BTreeSet<&str>> = seen
        .iter()
        .map(|(path, file)| (path.as_str(), file.uses.iter().filter_map(|u| target(u, &modules)).filter(|t| t != path).collect()))
        .collect();
    for (path, file) in &seen {
        rooms(path, file, &mut faults);
        steps(path, file, &mut faults);
    }
    reach(&seen, &graph, &mut faults);
    faults.sort();
    faults
}

/// Whether a file is built for tests only: its parent says so.
fn is_test(path: &str, sources: &Sources) -> bool {
    let Some((dir, file)) = path.strip_suffix(".rs").and_then(|p| p.rsplit_once('/')) else { return false };
    let parents = [format!("{dir}.rs"), format!("{dir}/mod.rs")];
    let mut texts = parents.iter().filter_map(|p| sources.get(p)).map(|text| text.split_whitespace().collect::<String>());
    texts.any(|text| ["mod", "pub(crate)mod"].iter().any(|word| text.contains(&format!("#[cfg(test)]{word}{file};"))))
}

/// Rules about a file's text alone.
fn form(path: &str, text: &str, doors: &[&str], faults: &mut Vec<String>) {
    if !text.starts_with("//!") {
        faults.push(format!("{path}: does not open with `//!`"));
    }
    let squeezed: String =
        text.lines().filter(|l| !l.trim_start().starts_with("//")).flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    if squeezed.contains("#[allow(") || squeezed.contains("#![allow(") {
        faults.push(format!("{path}: `allow` is not used here; take `expect` with a reason"));
    }
    let opens = ["#![expect(", "#[expect("]
        .iter()
        .flat_map(|start| squeezed.split(start).skip(1))
        .any(|rest| rest.split(")]").next().is_some_and(|inside| inside.contains("clippy::disallowed_methods")));
    let listed = doors.contains(&path);
    if opens && !listed {
        faults.push(format!("{path}: opens a door (clippy::disallowed_methods) and is not in the list of doors"));
    }
    if listed && !opens {
        faults.push(format!("{path}: is in the list of doors and opens none: take it off the list"));
    }
    if listed && !(path == "main.rs" || path.starts_with("io/")) {
        faults.push(format!("{path}: a door can only be main.rs or in io/"));
    }
}

fn length(path: &str, lines: usize, long: &[(&str, usize)], faults: &mut Vec<String>) {
    match long.iter().find(|(name, _)| *name == path) {
        Some((_, limit)) if lines > *limit => faults.push(format!("{path}: {lines} lines without tests, {limit} were granted")),
        Some(_) if lines <= MAX_LINES => faults.push(format!("{path}: {lines} lines: no longer needs its entry in LONG")),
        None if lines > MAX_LINES => faults.push(format!("{path}: {lines} lines without tests, at most {MAX_LINES}")),
        _ => {}
    }
}

/// Parses a file, leaves out what is only built for tests, and collects every path into this crate.
fn look(path: &str, text: &str) -> Result<Seen, String> {
    let mut file = syn::parse_file(text).map_err(|e| e.to_string())?;
    let mut lines = text.lines().count();
    drop_tests(&mut file.items, &mut lines);
    let module = module_of(path);
    let mut scan = Scan { module: module.clone(), bound: BTreeMap::new(), uses: BTreeSet::new() };
    // What `use` and `mod` bind in this file, first: a path may begin with such a name.
    let tokens = file.into_token_stream();
    scan.bind(tokens.clone());
    scan.paths(tokens);
    Ok(Seen { module, uses: scan.uses, lines })
}

/// `steps/swap/stage.rs` is `steps::swap::stage`; lib.rs and main.rs are the crate itself.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|l| l == "mod" || l == "lib" || l == "main") {
        parts.pop();
    }
    parts
}

fn drop_tests(items: &mut Vec<syn::Item>, lines: &mut usize) {
    items.retain(|item| {
        let for_tests = attributes(item).iter().any(|a| a.path().is_ident("cfg") && a.to_token_stream().to_string().contains("test"));
        if for_tests {
            use syn::spanned::Spanned as _;
            let span = item.span();
            *lines -= span.end().line + 1 - span.start().line;
        }
        !for_tests
    });
    for item in items {
        if let syn::Item::Mod(syn::ItemMod { content: Some((_, inner)), .. }) = item {
            drop_tests(inner, lines);
        }
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(i) => &i.attrs,
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Mod(i) => &i.attrs,
        syn::Item::Static(i) => &i.attrs,
        syn::Item::Struct(i) => &i.attrs,
        syn::Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// Walks tokens, so that paths inside macros are seen as well.
struct Scan {
    module: Vec<String>,
    /// Names that `use` or `mod` bring into this file.
    bound: BTreeMap<String, Vec<String>>,
    uses: BTreeSet<Vec<String>>,
}

impl Scan {
    fn bind(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            match &trees[at] {
                TokenTree::Ident(word) if word == "use" => {
                    let end = (at..trees.len()).find(|i| is_punct(&trees[*i], ';')).unwrap_or(trees.len());
                    self.use_tree(&trees[at + 1..end], &[]);
                    at = end;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    if let (Some(TokenTree::Ident(name)), Some(next)) = (trees.get(at + 1), trees.get(at + 2))
                        && is_punct(next, ';')
                    {
                        let mut full = self.module.clone();
                        full.push(name.to_string());
                        self.bound.insert(name.to_string(), full);
                    }
                    at += 1;
                }
                TokenTree::Group(group) => {
                    self.bind(group.stream());
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// One tree of a `use`: a path that may end in `{…}`, `*` or `as NAME`.
    fn use_tree(&mut self, trees: &[TokenTree], prefix: &[String]) {
        let mut path: Vec<String> = prefix.to_vec();
        let mut name = None;
        let mut renamed = false;
        for tree in trees {
            match tree {
                TokenTree::Ident(word) if word == "as" => renamed = true,
                TokenTree::Ident(word) if renamed => name = Some(word.to_string()),
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for part in inner.split(|t| is_punct(t, ',')).filter(|p| !p.is_empty()) {
                        self.use_tree(part, &path);
                    }
                    return;
                }
                _ => {}
            }
        }
        if path.last().is_some_and(|l| l == "self") && path.len() > 1 {
            path.pop();
        }
        if let Some(full) = self.resolve(&path) {
            if let Some(bound) = name.or_else(|| full.last().cloned()).filter(|_| full != self.module) {
                self.bound.insert(bound, full.clone());
            }
            self.uses.insert(full);
        }
    }

    /// Every `a::b::c` in the tokens that leads into this crate.
    fn paths(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            match &trees[at] {
                TokenTree::Ident(first) => {
                    let mut path = vec![first.to_string()];
                    at += 1;
                    while at + 2 < trees.len() && is_punct(&trees[at], ':') && is_punct(&trees[at + 1], ':') {
                        let TokenTree::Ident(next) = &trees[at + 2] else { break };
                        path.push(next.to_string());
                        at += 3;
                    }
                    if path.len() > 1
                        && let Some(full) = self.resolve(&path)
                    {
                        self.uses.insert(full);
                    }
                }
                TokenTree::Group(group) => {
                    self.paths(group.stream());
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// The path from the crate's root, if it leads into this crate.
    fn resolve(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut full = match first.as_str() {
            "crate" | "omens" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module.split_last()?.1.to_vec(),
            name => self.bound.get(name)?.clone(),
        };
        for part in rest {
            if part == "super" {
                full.pop();
            } else {
                full.push(part.clone());
            }
        }
        Some(full)
    }
}

fn is_punct(tree: &TokenTree, c: char) -> bool {
    matches!(tree, TokenTree::Punct(p) if p.as_char() == c)
}

/// The file that a path leads to: the longest module it begins with.
fn target<'a>(path: &[String], modules: &BTreeMap<Vec<String>, &'a str>) -> Option<&'a str> {
    (1..=path.len()).rev().find_map(|n| modules.get(&path[..n])).copied()
}

/// A room imports only rooms above it.
fn rooms(path: &str, file: &Seen, faults: &mut Vec<String>) {
    let Some(own) = file.module.first() else { return };
    let Some(place) = ROOMS.iter().position(|r| r == own) else {
        faults.push(format!("{path}: '{own}' is not a room ({})", ROOMS.join(", ")));
        return;
    };
    for used in &file.uses {
        let Some(room) = used.first() else { continue };
        if ROOMS.iter().position(|r| r == room).is_some_and(|p| p > place) {
            faults.push(format!("{path}: '{own}' imports '{}', which is below it", used.join("::")));
        }
    }
}

/// Inside `steps` each file imports only earlier steps.
fn steps(path: &str, file: &Seen, faults: &mut Vec<String>) {
    let [room, own, ..] = file.module.as_slice() else { return };
    if room != "steps" || WHOLE.contains(&own.as_str()) {
        return;
    }
    let Some(place) = STEPS.iter().position(|s| s == own) else {
        faults.push(format!("{path}: '{own}' is not a step ({}) nor one of {}", STEPS.join(", "), WHOLE.join(", ")));
        return;
    };
    for used in file.uses.iter().filter(|u| u.first().is_some_and(|r| r == "steps")) {
        let Some(step) = used.get(1) else { continue };
        if STEPS.iter().position(|s| s == step).is_none_or(|p| p > place) {
            faults.push(format!("{path}: '{own}' imports '{}', which is not an earlier step", used.join("::")));
        }
    }
}

/// Rooms that only look reach no door, through any number of files.
fn reach(seen: &BTreeMap<String, Seen>, graph: &BTreeMap<&str, BTreeSet<&str>>, faults: &mut Vec<String>) {
    for (start, doors) in seen.iter().filter_map(|(path, file)| {
        let room = file.module.first()?;
        LOOKERS.iter().find(|(looker, _)| looker == room).map(|(_, doors)| (path.as_str(), *doors))
    }) {
        let forbidden = |path: &str| seen.get(path).is_some_and(|f| doors.iter().any(|d| f.module.join("::").starts_with(d)));
        let mut from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut todo = vec![start];
        while let Some(here) = todo.pop() {
            if forbidden(here) {
                let mut way = vec![here];
                while let Some(before) = from.get(way[way.len() - 1]) {
                    way.push(before);
                }
                way.reverse();
                faults.push(format!("{start}: reaches {here}, a door it must not reach ({})", way.join(" → ")));
                continue;
            }
            for next in graph.get(here).into_iter().flatten() {
                if *next != start && !from.contains_key(next) {
                    from.insert(next, here);
                    todo.push(next);
                }
            }
        }
    }
}

/// A small house in which one thing is wrong.
fn faults_of(files: &[(&str, &str)], doors: &[&str], long: &[(&str, usize)]) -> Vec<String> {
    let sources = files.iter().map(|(path, text)| ((*path).to_owned(), format!("//! A file.\n{text}"))).collect();
    inspect(&sources, doors, long)
}

#[test]
fn a_house_in_order_has_no_faults() {
    let files = [
        ("lib.rs", "pub mod model; pub mod io; pub mod steps; pub mod cli;"),
        ("main.rs", "#![expect(clippy::disallowed_methods, reason = \"x\")]\nfn main() { omens::cli::run() }"),
        ("model/mod.rs", "pub mod name;"),
        ("model/name.rs", "pub struct Name;"),
        ("io/mod.rs", "pub mod read; pub mod write;"),
        ("io/read.rs", "#![expect(\n    clippy::disallowed_methods,\n    reason = \"files\"\n)]\nuse crate::model::name::Name;"),
        ("io/write.rs", "use super::read::Dir;"),
        ("plan/mod.rs", "use crate::io::read; fn f() { read::x() }\n#[cfg(test)]\nmod tests { use crate::cli::x; }"),
        ("steps/mod.rs", "pub mod issue; pub mod swap; pub mod flow;"),
        ("steps/issue.rs", "use crate::model::name::Name;"),
        ("steps/swap/mod.rs", "mod stage; use super::issue::Issued; fn f() { stage::f() }"),
        ("steps/swap/stage.rs", "use super::Swap;"),
        ("steps/flow.rs", "use super::{issue, swap::Swap};"),
    ];
    assert_eq!(faults_of(&files, &["main.rs", "io/read.rs"], &[]), Vec::<String>::new());
}

#[test]
fn every_rule_is_seen_broken() {
    let wrong: &[(&str, &str, &str)] = &[
        ("model/a.rs", "use crate::io::read::Dir;", "model/a.rs: 'model' imports 'io::read::Dir', which is below it"),
        ("model/a.rs", "fn f() { crate::cli::run() }", "'model' imports 'cli::run'"),
        ("model/a.rs", "fn f() { println!(\"{}\", crate::cli::run()) }", "'model' imports 'cli::run'"),
        ("model/a.rs", "use crate::{name::X, plan::{self, Step as S}};", "'model' imports 'plan::Step'"),
        ("model/a.rs", "use crate as house; fn f() { house::steps::flow::run() }", "'model' imports 'steps::flow::run'"),
        ("model/a/b.rs", "use super::super::super::judge::Path;", "'model' imports 'judge::Path'"),
        ("steps/issue.rs", "use super::swap::Swap;", "'issue' imports 'steps::swap::Swap', which is not an earlier step"),
        ("steps/issue.rs", "use crate::steps; fn f() { steps::flow::run() }", "'issue' imports 'steps::flow::run'"),
        ("steps/extra.rs", "", "'extra' is not a step"),
        ("helpers/mod.rs", "", "'helpers' is not a room"),
        ("plan/mod.rs", "use crate::io::write::Dir;", "reaches io/write.rs, a door it must not reach (plan/mod.rs → io/write.rs)"),
        ("plan/mod.rs", "use crate::io::openbao::Client;", "reaches io/openbao/mod.rs"),
        ("plan/mod.rs", "use crate::config::load;", "(plan/mod.rs → config/load.rs → io/process.rs)"),
        ("audit/mod.rs", "use crate::steps::flow;", "reaches steps/"),
        ("audit/mod.rs", "use crate::io::process;", "reaches io/process.rs"),
        ("plan/mod.rs", "use crate::io; fn f() { io::write::x() }", "(plan/mod.rs → io/write.rs)"),
        ("plan/mod.rs", "#[allow(dead_code, reason = \"x\")] fn f() {}", "`allow` is not used here"),
        ("io/read.rs", "#![expect(clippy::disallowed_methods, reason = \"x\")]", "io/read.rs: opens a door"),
        ("cli/mod.rs", "#[expect(clippy::panic, clippy::disallowed_methods, reason = \"x\")] fn f() {}", "cli/mod.rs: opens a door"),
        ("io/listed.rs", "", "io/listed.rs: is in the list of doors and opens none"),
        ("io/wrong.rs", "fn f( {", "io/wrong.rs: does not parse"),
    ];
    let around = [
        ("io/write.rs", ""),
        ("io/process.rs", ""),
        ("steps/flow.rs", ""),
        ("io/openbao/mod.rs", ""),
        ("config/load.rs", "use crate::io::process::run;"),
        ("io/listed.rs", "#![expect(clippy::disallowed_methods, reason = \"x\")]"),
    ];
    for (path, text, fault) in wrong {
        let mut files: Vec<(&str, &str)> = around.iter().copied().filter(|(p, _)| p != path).collect();
        files.push((path, text));
        let faults = faults_of(&files, &["io/listed.rs"], &[]);
        assert!(faults.iter().any(|f| f.contains(fault)), "{path}: {text}\nexpected: {fault}\nfound: {faults:#?}");
        assert!(faults.iter().all(|f| f.starts_with(path)), "faults elsewhere: {faults:#?}");
    }
}

#[test]
fn length_counts_what_is_not_a_test() {
    let long = "fn f() {}\n".repeat(300);
    let with_tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(200), "fn f() {}\n".repeat(400));
    assert_eq!(faults_of(&[("io/a.rs", &long)], &[], &[]), ["io/a.rs: 301 lines without tests, at most 300"]);
    assert!(faults_of(&[("io/a.rs", &with_tests)], &[], &[]).is_empty());
    assert!(faults_of(&[("io/a/mod.rs", "#[cfg(test)]\nmod tests;"), ("io/a/tests.rs", &long)], &[], &[]).is_empty());
    assert_eq!(faults_of(&[("io/a.rs", "mod tests;"), ("io/a/tests.rs", &long)], &[], &[]).len(), 1);
    assert!(faults_of(&[("io/a.rs", &long)], &[], &[("io/a.rs", 310)]).is_empty());
    assert_eq!(faults_of(&[("io/a.rs", "")], &[], &[("io/a.rs", 310)]).len(), 1);
}

#[test]
fn a_file_says_what_it_is_for() {
    let sources = BTreeMap::from([("io/a.rs".to_owned(), "use std::fmt;".to_owned())]);
    assert_eq!(inspect(&sources, &[], &[]), ["io/a.rs: does not open with `//!`"]);
    let sources = BTreeMap::from([("io/door.rs".to_owned(), "//! A door.".to_owned())]);
    assert_eq!(inspect(&sources, &["io/gone.rs"], &[]), ["io/gone.rs: listed as a door, but there is no such file"]);
}
