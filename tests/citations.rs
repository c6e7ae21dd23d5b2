//! Reads the repository and checks what comments and pages cite: each page, and each section that is named, is there.
//! It must never be satisfied by a rule that it cannot see broken: every rule is shown a wrong snippet below.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads files and panics when it finds something"
)]

use std::collections::BTreeMap;
use std::path::{Component, Path};

/// Kinds of files in which something may be cited; `run` and `.clippy.toml` by their names.
const KINDS: &[&str] = &[".rs", ".md", ".toml", ".sh", ".py", ".service", ".timer", ".conf"];
/// What lies in a working copy and is not the repository's.
const FOREIGN: &[&str] = &[".git", "target"];
/// This file: it shows citations that are wrong.
const SELF: &str = "tests/citations.rs";
/// Pages that were never in the repository: nobody who has only that can look them up.
const ELSEWHERE: &[&str] = &["ONDISK", "CONTRACT", "DESIGN", "CONSUMERS", "TRUSTROOT", "facts/", "../shared/"];
/// What of these is no page but an optional file that a test says it looks for, or a page of our own.
const ALLOWED: &[&str] = &["../shared/vectors", "facts/facts"];

/// Addresses that rustdoc keeps on every page for itself: a heading of this name gets another one.
const RESERVED: &[&str] = &["fields", "help", "implementations", "layout", "search", "settings", "variants"];

/// Paths from the repository's root, and texts.
type Files = BTreeMap<String, String>;

#[test]
fn what_is_cited_is_there() {
    let mut files = Files::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files);
    assert!(files.len() > 200, "found only {} files", files.len());
    let cited: usize = files.values().map(|text| pages(&flat(text)).len()).sum();
    assert!(cited > 50, "found only {cited} citations");
    let faults = inspect(&files);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn collect(dir: &Path, prefix: &str, into: &mut Files) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let entry = entry.expect("entry");
        let Ok(name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type().expect("kind");
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            if !FOREIGN.contains(&path.as_str()) {
                collect(&entry.path(), &format!("{path}/"), into);
            }
        } else if kind.is_file() && (path == "run" || KINDS.iter().any(|kind| name.ends_with(kind))) {
            into.insert(path, std::fs::read_to_string(entry.path()).expect("UTF-8"));
        }
    }
}

/// Every citation of these files that leads nowhere, one line each.
fn inspect(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| *path != SELF) {
        let text = flat(text);
        for (page, sections) in pages(&text) {
            match find(path, &page, files) {
                Err(why) => faults.push(format!("{path}: cites {page}: {why}")),
                Ok(found) => {
                    let there = headings(&files[&found]);
                    let missing = sections.iter().filter(|section| !there.contains(section));
                    faults.extend(missing.map(|section| format!("{path}: cites {page}, \"{section}\": there is no such section")));
                }
            }
        }
        faults.extend(fragments(path, &text, files));
        let allowed = ALLOWED.iter().fold(text, |text, allowed| text.replace(allowed, ""));
        let elsewhere = ELSEWHERE.iter().filter(|word| names(&allowed, word));
        faults.extend(elsewhere.map(|word| format!("{path}: cites {word}, which is no page of the repository")));
    }
    faults
}

/// A text without line ends and comment signs: a citation may be broken over two lines.
fn flat(text: &str) -> String {
    let bare = |line: &str| {
        let line = line.trim();
        let start = ["//!", "///", "//", "#"].iter().find_map(|sign| line.strip_prefix(sign));
        start.unwrap_or(line).trim().to_owned()
    };
    text.lines().map(bare).collect::<Vec<_>>().join(" ")
}

/// Whether `text` has `word` as a word.
fn names(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        !before.is_some_and(|c| part(c) || c == '/') && (word.ends_with('/') || !after.is_some_and(|c| part(c) || c == '.'))
    })
}

/// The Markdown pages that a text names, each with the sections in quotes behind it: `a/b.md, "One" and "Two"`; `README, "One"` too.
fn pages(text: &str) -> Vec<(String, Vec<String>)> {
    let part = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let mut found = Vec::new();
    for (at, _) in text.match_indices(".md") {
        let end = at + 3;
        if text[end..].chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let start = text[..at].rfind(|c| !part(c)).map_or(0, |before| before + text[before..].chars().next().map_or(1, char::len_utf8));
        let page = &text[start..end];
        // An extension by itself, a glob, and an address are no pages of ours.
        let by_itself = page.rsplit('/').next() == Some(".md");
        if !by_itself && !page.contains("//") && !text[..start].ends_with(['*', '{', ':']) {
            found.push((page.to_owned(), sections(&text[end..])));
        }
    }
    for (at, word) in text.match_indices("README") {
        let behind = &text[at + word.len()..];
        if behind.starts_with(", \"") {
            found.push(("README.md".to_owned(), sections(behind)));
        }
    }
    found
}

/// `, "One" and "Two"` at the beginning of a text, behind the sign that may close the page's name.
fn sections(text: &str) -> Vec<String> {
    let mut rest = text.strip_prefix('`').unwrap_or(text);
    let mut found = Vec::new();
    while let Some(quoted) = [", \"", " and \""].iter().find_map(|between| rest.strip_prefix(between)) {
        let Some((section, behind)) = quoted.split_once('"') else { break };
        found.push(section.to_owned());
        rest = behind;
    }
    found
}

/// Which file is meant: beside the one that cites it, below the root, or the only one whose path ends like that.
fn find(citing: &str, page: &str, files: &Files) -> Result<String, String> {
    let beside = citing.rsplit_once('/').map_or(String::new(), |(dir, _)| format!("{dir}/"));
    for path in [format!("{beside}{page}"), page.to_owned()] {
        let mut parts: Vec<&str> = Vec::new();
        for component in Path::new(&path).components() {
            match component {
                Component::ParentDir => drop(parts.pop()),
                Component::Normal(part) => parts.extend(part.to_str()),
                _ => {}
            }
        }
        let path = parts.join("/");
        if files.contains_key(&path) {
            return Ok(path);
        }
    }
    let ending = format!("/{page}");
    let all: Vec<&String> = files.keys().filter(|path| path.ends_with(&ending)).collect();
    match all.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err("there is no such page".to_owned()),
        several => Err(format!("{} pages are called so", several.len())),
    }
}

/// The headings of a page, without the marks of code.
fn headings(page: &str) -> Vec<String> {
    let mut code = false;
    let mut found = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        let title = line.trim_start_matches('#');
        if !code && title.len() < line.len() && title.starts_with(' ') {
            found.push(title.trim().replace('`', ""));
        }
    }
    found
}

/// A heading as rustdoc and others write it into an address.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// Links to a section of a module's page (`crate::steps::swap#budget`) or of the page itself (`#budget`), which rustdoc does not check.
fn fragments(path: &str, text: &str, files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, open) in text.match_indices("](") {
        let Some((target, _)) = text[at + open.len()..].split_once(')') else { continue };
        let Some((module, fragment)) = target.split_once('#') else { continue };
        let there = if module.is_empty() && path.ends_with(".md") {
            headings(&files[path])
        } else if module == "crate" || module.starts_with("crate::") {
            headings_of_module(module, files)
        } else {
            continue;
        };
        if RESERVED.contains(&fragment) {
            faults.push(format!("{path}: links to {target}: rustdoc keeps this address for itself, give the section another name"));
        } else if !there.iter().any(|heading| slug(heading) == fragment) {
            faults.push(format!("{path}: links to {target}: there is no such section"));
        }
    }
    faults
}

/// The headings of a module's documentation: its own, and those of the pages that it includes.
fn headings_of_module(module: &str, files: &Files) -> Vec<String> {
    let inner = module.trim_start_matches("crate").trim_start_matches("::").replace("::", "/");
    let candidates =
        if inner.is_empty() { vec!["src/lib.rs".to_owned()] } else { vec![format!("src/{inner}.rs"), format!("src/{inner}/mod.rs")] };
    let Some((path, text)) = candidates.iter().find_map(|path| files.get_key_value(path)) else { return Vec::new() };
    let own: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    let mut found = headings(&own.join("\n"));
    for (at, include) in text.match_indices("#![doc = include_str!(\"") {
        let page = text[at + include.len()..].split('"').next().unwrap_or_default();
        found.extend(find(path, page, files).map(|page| headings(&files[&page])).unwrap_or_default());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let page = "# On disk\n## Budget\n## Layout\n```text\n# Not a heading\n```\n## Owners and modes\n";
        let files = [
            ("src/lib.rs", "//! A crate.\n//! # Glossary\n"),
            ("src/steps/swap/mod.rs", "//! The swap.\n#![doc = include_str!(\"ondisk.md\")]\n"),
            ("src/steps/swap/ondisk.md", page),
            ("src/io/tpm/facts.md", "# TPM\n"),
            ("src/judge/facts.md", "# X.509\n"),
            ("README.md", "# omens\n## On disk\n"),
            ("src/audit/own.rs", text),
        ];
        inspect(&files.map(|(path, text)| (path.to_owned(), text.to_owned())).into())
    }

    #[test]
    fn what_leads_somewhere_is_no_fault() {
        for text in [
            "// As it must be (swap/ondisk.md, \"Budget\" and \"Owners and modes\").",
            "/// The budget ([Budget](crate::steps::swap#budget)).",
            "/// A word ([Glossary](crate#glossary)).",
            "// Broken over lines (`swap/ondisk.md`,\n    // \"Budget\").",
            "// README, \"On disk\" and judge/facts.md; all of https://example.net/x/other.md and *.md and \".md\"",
            "#![doc = include_str!(\"../judge/facts.md\")]",
        ] {
            assert_eq!(faults(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_said() {
        for (text, wanted) in [
            ("// (swap/disk.md)", "no such page"),
            ("// (swap/ondisk.md, \"No way back\")", "no such section"),
            ("// (swap/ondisk.md, \"Not a heading\")", "no such section"),
            ("// (swap/ondisk.md,\n// \"Budgets\")", "no such section"),
            ("// (facts.md)", "2 pages are called so"),
            ("// (README, \"Sealing\")", "no such section"),
            ("/// ([Budget](crate::steps::swap#budgets))", "no such section"),
            ("/// ([Budget](crate::steps::swop#budget))", "no such section"),
            ("/// ([words](crate#words))", "no such section"),
            ("/// ([Layout](crate::steps::swap#layout))", "for itself"),
            ("// modes of ONDISK", "no page of the repository"),
            ("# (facts/host §3)", "no page of the repository"),
            ("// see ../shared/lab/crash.py", "no page of the repository"),
        ] {
            let found = faults(text);
            assert!(found.len() == 1 && found[0].contains(wanted), "{text}: {found:?}");
        }
    }
}
