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
const WHOLE: [&str; 12] =
    ["crl", "flow", "enroll", "restore", "reseal", "revoke", "rollback", "unblock", "forget", "install", "metrics", "notify"];

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
    "io/process/call.rs",
    "io/read.rs",
    "io/read/way.rs",
    "io/rotate.rs",
    "io/signal.rs",
    "io/spiffe.rs",
    "io/tpm/open.rs",
    "io/write.rs",
    "io/write/wipe.rs",
];

/// Files that are longer than they should be, with their limit; an entry that is no longer needed is an error too.
const LONG: &[(&str, usize)] = &[];
const MAX_LINES: usize = 300;

/// Commands that only look, by file or directory below src/: they reach nothing of [`CHANGES`] either.
const COMMANDS: &[&str] = &["cli/chain_audit/", "cli/check_config.rs", "cli/look.rs", "cli/probe.rs"];
/// What changes a host.
const CHANGES: &[&str] = &["io::write", "io::process", "steps"];

/// Circles that are still there, as the test names them; an entry that is no longer needed is an error too.
const CIRCLES: &[&str] = &[];

/// How many tuples the type aliases and the parameters of a file still hold; an entry that says too many is an error too.
const TUPLES: &[(&str, usize)] = &[];

/// What is listed above and may be another list in a small house.
#[derive(Clone, Copy, Default)]
struct Lists<'a> {
    doors: &'a [&'a str],
    long: &'a [(&'a str, usize)],
    commands: &'a [&'a str],
    circles: &'a [&'a str],
    tuples: &'a [(&'a str, usize)],
}

/// One source file: its path below src/ and its text.
type Sources = BTreeMap<String, String>;

/// A file as this test sees it: its module path, what it names in other modules, and its non-test length.
struct Seen {
    module: Vec<String>,
    uses: BTreeSet<Vec<String>>,
    lines: usize,
    /// Type aliases of tuples and parameters that are tuples.
    tuples: Vec<String>,
}

#[test]
fn the_house_is_in_order() {
    let mut sources = Sources::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), "", &mut sources);
    assert!(sources.len() > 15, "found only {} files", sources.len());
    let lists = Lists { doors: DOORS, long: LONG, commands: COMMANDS, circles: CIRCLES, tuples: TUPLES };
    let faults = inspect(&sources, &lists);
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
fn inspect(sources: &Sources, lists: &Lists<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    for (path, text) in sources.iter().filter(|(path, _)| !is_test(path, sources)) {
        form(path, text, lists.doors, &mut faults);
        match look(path, text) {
            Ok(file) => {
                length(path, file.lines, lists.long, &mut faults);
                tuples(path, &file.tuples, lists.tuples, &mut faults);
                seen.insert(path.clone(), file);
            }
            Err(why) => faults.push(format!("{path}: does not parse: {why}")),
        }
    }
    for stale in lists.doors.iter().filter(|d| !sources.contains_key(**d)) {
        faults.push(format!("{stale}: listed as a door, but there is no such file"));
    }
    for stale in lists.commands.iter().filter(|c| !sources.keys().any(|path| path.starts_with(**c))) {
        faults.push(format!("{stale}: listed as a command that only looks, but there is no such file"));
    }
    for (stale, _) in lists.tuples.iter().filter(|(path, _)| !sources.contains_key(*path)) {
        faults.push(format!("{stale}: listed for its tuples, but there is no such file"));
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
    circles(&seen, &graph, lists.circles, &mut faults);
    reach(&seen, &graph, lists.commands, &mut faults);
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
    scan.paths(tokens.clone());
    Ok(Seen { module, uses: scan.uses, lines, tuples: tuples_in(tokens) })
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

/// Rooms and commands that only look reach no door, through any number of files.
fn reach(seen: &BTreeMap<String, Seen>, graph: &BTreeMap<&str, BTreeSet<&str>>, commands: &[&str], faults: &mut Vec<String>) {
    let room = |file: &Seen| LOOKERS.iter().find(|(looker, _)| file.module.first().is_some_and(|room| room == looker));
    let command = |path: &str| commands.iter().any(|command| path.starts_with(command)).then_some(CHANGES);
    for (start, doors) in
        seen.iter().filter_map(|(path, file)| Some((path.as_str(), room(file).map(|(_, doors)| *doors).or_else(|| command(path))?)))
    {
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

/// Who takes something from whom among the parts of one module, with the files by which it is seen.
type Ties<'a> = BTreeMap<&'a str, BTreeMap<&'a str, String>>;

/// Inside a room the parts of a module make no circle. A part is a file with the directory of its name; a module and its own parts aside.
fn circles(seen: &BTreeMap<String, Seen>, graph: &BTreeMap<&str, BTreeSet<&str>>, known: &[&str], faults: &mut Vec<String>) {
    let mut modules: BTreeMap<&[String], Ties<'_>> = BTreeMap::new();
    for (from, to) in graph.iter().flat_map(|(from, all)| all.iter().map(move |to| (*from, *to))) {
        let (a, b) = (&seen[from].module, &seen[to].module);
        let common = a.iter().zip(b).take_while(|(x, y)| x == y).count();
        // Above the rooms there is another rule.
        if let (1.., Some(user), Some(used)) = (common, a.get(common), b.get(common)) {
            let ties = modules.entry(&a[..common]).or_default().entry(user).or_default();
            ties.entry(used).or_insert_with(|| format!("{from} → {to}"));
        }
    }
    let mut found: BTreeSet<String> = BTreeSet::new();
    for (module, ties) in &modules {
        let reached: BTreeMap<&str, BTreeSet<&str>> = ties.keys().map(|part| (*part, everybody_below(part, ties))).collect();
        for part in ties.keys() {
            let both = |other: &&&str| reached[part].contains(**other) && reached.get(**other).is_some_and(|back| back.contains(part));
            let circle: Vec<&str> = ties.keys().filter(both).copied().collect();
            // Each circle once: from the first of its parts.
            if circle.first() != Some(part) {
                continue;
            }
            let name = format!("{}/{{{}}}", module.join("/"), circle.join(", "));
            let inside = ties.iter().filter(|(user, _)| circle.contains(user)).flat_map(|(_, used)| used);
            let files: Vec<&str> = inside.filter(|(used, _)| circle.contains(used)).map(|(_, files)| files.as_str()).collect();
            if !known.contains(&name.as_str()) {
                faults.push(format!("{name}: a circle ({})", files.join("; ")));
            }
            found.insert(name);
        }
    }
    for stale in known.iter().filter(|name| !found.contains(**name)) {
        faults.push(format!("{stale}: is no circle any more: take it off the list"));
    }
}

/// All that a part takes something from, through any number of others.
fn everybody_below<'a>(part: &'a str, ties: &Ties<'a>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut todo = vec![part];
    while let Some(here) = todo.pop() {
        todo.extend(ties.get(here).into_iter().flat_map(BTreeMap::keys).copied().filter(|next| reached.insert(*next)));
    }
    reached
}

/// Nothing is called by its place in a tuple where a name could be given: no type alias and no parameter is one.
fn tuples(path: &str, found: &[String], known: &[(&str, usize)], faults: &mut Vec<String>) {
    let granted = known.iter().find(|(name, _)| *name == path).map_or(0, |(_, count)| *count);
    match found.len() {
        count if count > granted => {
            faults.push(format!("{path}: {}; a struct has names for its fields ({count}, granted {granted})", found.join("; ")))
        }
        count if count < granted => faults.push(format!("{path}: {count} tuples: lower its entry, which says {granted}")),
        _ => {}
    }
}

/// Type aliases that hold a tuple, and parameters that are one.
fn tuples_in(tokens: TokenStream) -> Vec<String> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    for (at, tree) in trees.iter().enumerate() {
        let name = trees.get(at + 1).map(ToString::to_string).unwrap_or_default();
        match tree {
            TokenTree::Ident(word) if word == "type" => {
                let item = trees[at..].split(|tree| is_punct(tree, ';')).next().unwrap_or_default().iter().cloned();
                let semicolon = TokenTree::Punct(proc_macro2::Punct::new(';', proc_macro2::Spacing::Alone));
                let alias = syn::parse2::<syn::ItemType>(item.chain([semicolon]).collect());
                if alias.is_ok_and(|alias| holds_tuple(&alias.ty)) {
                    found.push(format!("type {name} is a tuple"));
                }
            }
            TokenTree::Ident(word) if word == "fn" => {
                if let Some(parameters) = parameters(&trees[at + 1..])
                    && let Ok(parameters) = syn::parse::Parser::parse2(Parameters::parse_terminated, parameters)
                {
                    let are = parameters.iter().filter(|parameter| match parameter {
                        syn::FnArg::Typed(typed) => is_tuple(&typed.ty),
                        syn::FnArg::Receiver(_) => false,
                    });
                    found.extend(are.map(|parameter| format!("{name}: {} is a tuple", parameter.to_token_stream())));
                }
            }
            TokenTree::Group(group) => found.extend(tuples_in(group.stream())),
            _ => {}
        }
    }
    found
}

type Parameters = syn::punctuated::Punctuated<syn::FnArg, syn::Token![,]>;

/// The parameters behind `fn`: the first parentheses that are not inside of `<…>`.
fn parameters(trees: &[TokenTree]) -> Option<TokenStream> {
    let mut depth = 0_usize;
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            tree if is_punct(tree, '<') => depth += 1,
            tree if is_punct(tree, '>') && !is_punct(&trees[at - 1], '-') => depth -= 1,
            TokenTree::Group(group) if depth == 0 => return (group.delimiter() == Delimiter::Parenthesis).then(|| group.stream()),
            tree if is_punct(tree, ';') => return None,
            _ => {}
        }
    }
    None
}

/// A tuple, or a reference to one; `()` is none.
fn is_tuple(ty: &syn::Type) -> bool {
    match ty {
        syn::Type::Tuple(tuple) => !tuple.elems.is_empty(),
        syn::Type::Reference(reference) => is_tuple(&reference.elem),
        syn::Type::Paren(inner) => is_tuple(&inner.elem),
        _ => false,
    }
}

/// A tuple anywhere in a type, or behind what it is generic over.
fn holds_tuple(ty: &syn::Type) -> bool {
    fn below(tokens: TokenStream) -> bool {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        trees.iter().enumerate().any(|(at, tree)| match tree {
            TokenTree::Group(group) => {
                // `Fn(A, B)` and `fn(A, B)` take parameters.
                let called = at > 0 && matches!(&trees[at - 1], TokenTree::Ident(_));
                let comma = group.stream().into_iter().any(|tree| is_punct(&tree, ','));
                (group.delimiter() == Delimiter::Parenthesis && comma && !called) || below(group.stream())
            }
            _ => false,
        })
    }
    below(ty.to_token_stream())
}

/// A small house in which one thing is wrong.
fn faults_of(files: &[(&str, &str)], doors: &[&str], long: &[(&str, usize)]) -> Vec<String> {
    faults_by(files, &Lists { doors, long, ..Lists::default() })
}

fn faults_by(files: &[(&str, &str)], lists: &Lists<'_>) -> Vec<String> {
    let sources = files.iter().map(|(path, text)| ((*path).to_owned(), format!("//! A file.\n{text}"))).collect();
    inspect(&sources, lists)
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
    assert_eq!(inspect(&sources, &Lists::default()), ["io/a.rs: does not open with `//!`"]);
    let sources = BTreeMap::from([("io/door.rs".to_owned(), "//! A door.".to_owned())]);
    let lists = Lists { doors: &["io/gone.rs"], ..Lists::default() };
    assert_eq!(inspect(&sources, &lists), ["io/gone.rs: listed as a door, but there is no such file"]);
}

#[test]
fn a_circle_is_seen_through_any_number_of_files_and_modules() {
    let files = [
        ("audit/mod.rs", "pub mod a; pub mod b; pub mod c; pub mod sheet; use a::A;"),
        ("audit/a/mod.rs", "mod x; mod y; use super::Host; use y::Y; pub struct A;"),
        ("audit/a/x.rs", "use super::A; use crate::audit::b::deep;"),
        ("audit/a/y.rs", "use super::A; use super::x::X;"),
        ("audit/b.rs", "pub mod deep;"),
        ("audit/b/deep.rs", "use crate::audit::c;"),
        ("audit/c.rs", "fn f() { super::a::y::Y }"),
        ("audit/sheet.rs", "use super::a::A;\n#[cfg(test)]\nmod tests { use super::super::c; }"),
    ];
    let circle = "audit/{a, b, c}";
    let words = "audit/{a, b, c}: a circle (audit/a/x.rs → audit/b/deep.rs; audit/b/deep.rs → audit/c.rs; audit/c.rs → audit/a/y.rs)";
    assert_eq!(faults_of(&files, &[], &[]), [words]);
    assert_eq!(faults_by(&files, &Lists { circles: &[circle], ..Lists::default() }), Vec::<String>::new());
    let inside = [("judge/a.rs", "mod b; mod c;"), ("judge/a/b.rs", "use super::c::C;"), ("judge/a/c.rs", "use crate::judge::a::b::B;")];
    assert_eq!(faults_of(&inside, &[], &[]), ["judge/a/{b, c}: a circle (judge/a/b.rs → judge/a/c.rs; judge/a/c.rs → judge/a/b.rs)"]);
    let none = [("judge/a.rs", "mod b; use b::B;"), ("judge/a/b.rs", "use super::A;")];
    let stale = faults_by(&none, &Lists { circles: &["judge/{a, b}"], ..Lists::default() });
    assert_eq!(stale, ["judge/{a, b}: is no circle any more: take it off the list"]);
}

#[test]
fn commands_that_only_look_reach_no_door() {
    let lists = Lists { commands: &["cli/audit/", "cli/plan.rs"], ..Lists::default() };
    let house = [
        ("cli/audit/mod.rs", "mod network; use super::exit::OK;"),
        ("cli/audit/network.rs", "use crate::io::http::ask;"),
        ("cli/exit.rs", ""),
        ("cli/plan.rs", "use super::exit::OK; use crate::io::read;"),
        ("cli/renew.rs", "use crate::steps::flow;"),
        ("cli/mod.rs", "mod renew; use renew::run;"),
        ("io/http.rs", ""),
        ("io/process.rs", ""),
        ("io/write.rs", ""),
        ("io/read.rs", ""),
        ("steps/flow.rs", ""),
    ];
    assert_eq!(faults_by(&house, &lists), Vec::<String>::new());
    for (path, text, fault) in [
        ("cli/audit/network.rs", "use crate::steps::flow;", "cli/audit/network.rs: reaches steps/flow.rs"),
        ("cli/plan.rs", "use crate::io::write::file;", "cli/plan.rs: reaches io/write.rs"),
        ("cli/plan.rs", "use super::FAILED;", "(cli/plan.rs → cli/mod.rs → cli/renew.rs → steps/flow.rs)"),
        ("io/http.rs", "use super::process;", "(cli/audit/network.rs → io/http.rs → io/process.rs)"),
    ] {
        let files: Vec<(&str, &str)> = house.iter().copied().filter(|(p, _)| *p != path).chain([(path, text)]).collect();
        let faults = faults_by(&files, &lists);
        assert!(faults.iter().any(|found| found.contains(fault)), "{path}: {text}\nexpected: {fault}\nfound: {faults:#?}");
    }
    let gone = faults_by(&house[..6], &Lists { commands: &["cli/gone.rs"], ..lists });
    assert!(gone.contains(&"cli/gone.rs: listed as a command that only looks, but there is no such file".to_owned()), "{gone:#?}");
}

#[test]
fn a_tuple_is_no_type_alias_and_no_parameter() {
    for (text, count) in [
        ("type Row = (u8, u8);", 1),
        ("pub type Rows<'a> = Vec<(&'a str, u8)>;", 1),
        ("type Ask = fn(u8, u8) -> u8; type Nothing = Result<(), u8>; type Call = Box<dyn Fn(u8, u8)>;", 0),
        ("fn f((a, b): (u8, u8), c: &(u8,)) {}", 2),
        ("impl X { fn f<F: Fn(u8) -> u8>(&self, f: F, rows: &[(u8, u8)]) -> (u8, u8) { f } }", 0),
        ("trait X { fn f(&self, pair: (u8, u8)); }", 1),
        ("fn f() { fn g(pair: &(u8, u8)) {} }", 1),
        ("#[cfg(test)]\nmod tests { fn f(pair: (u8, u8)) {} }", 0),
    ] {
        let faults = faults_of(&[("io/a.rs", text)], &[], &[]);
        assert_eq!(faults.len(), usize::from(count > 0), "{text}: {faults:#?}");
        assert!(faults.iter().all(|fault| fault.contains(&format!("({count}, granted 0)"))), "{text}: {faults:#?}");
        let granted = faults_by(&[("io/a.rs", text)], &Lists { tuples: &[("io/a.rs", 2)], ..Lists::default() });
        assert_eq!(granted.is_empty(), count == 2, "{text}: {granted:#?}");
    }
    let gone = faults_by(&[("io/a.rs", "")], &Lists { tuples: &[("io/gone.rs", 1)], ..Lists::default() });
    assert_eq!(gone, ["io/gone.rs: listed for its tuples, but there is no such file"]);
}

/// The string literals that follow one of these calls, whatever stands between them.
fn literals<'a>(text: &'a str, calls: &[&str]) -> BTreeSet<&'a str> {
    let after =
        |call: &str| text.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next()).collect::<Vec<_>>();
    calls.iter().flat_map(|call| after(call)).collect()
}

/// Keys of the settings that a parser asks for and that no table describes: nobody could set them, and no reference would tell of them.
fn undescribed(sources: &Sources) -> Vec<String> {
    let own = || sources.iter().filter(|(file, _)| file.starts_with("config/") || file.starts_with("steps/service/"));
    let described: BTreeSet<&str> = own().flat_map(|(_, text)| literals(text, &["Key::required(", "Key::optional(", "Key::or("])).collect();
    let calls = [
        "shape.required(",
        "shape.optional(",
        "shape.or(",
        "shape.get(",
        "root.required(",
        "root.optional(",
        "root.or(",
        "root.get(",
        "self.secret(",
    ];
    let asked = own().flat_map(|(file, text)| literals(text, &calls).into_iter().map(move |key| (file, key)));
    asked
        .filter(|(_, key)| !described.contains(key))
        .map(|(file, key)| format!("{file}: the key {key} is in no table of the settings"))
        .collect()
}

#[test]
fn every_key_that_is_asked_for_is_described() {
    let mut sources = Sources::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), "", &mut sources);
    assert_eq!(undescribed(&sources), Vec::<String>::new(), "describe them in src/config/tables, or in the table of the driver");
    let described = sources.values().map(|text| literals(text, &["Key::required(", "Key::optional(", "Key::or("]).len()).sum::<usize>();
    assert!(described > 80, "{described}");

    let wrong = "Key::required(\n    \"name\", …); shape.required(\"name\", …); shape.or(\n        \"nmae\", …)";
    let small = BTreeMap::from([("config/host.rs".to_owned(), wrong.to_owned())]);
    assert_eq!(undescribed(&small), ["config/host.rs: the key nmae is in no table of the settings"]);
}
