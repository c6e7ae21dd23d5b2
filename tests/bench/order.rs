//! `./run bench order`: writes `packaging/order.ld`, which keeps the functions together that a run with nothing due uses, and beside them
//! those of a renewal and of an attestation.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::host;
use super::login::attesting_host;
use crate::lab;
use crate::lab::estate::Estate;
use crate::lab::openbao::{OpenBao, Options};
use crate::lab::swtpm::Swtpm;

/// What is traced: what runs every few minutes on a host, or is asked of it by hand, and changes nothing.
const IDLE: [&[&str]; 7] = [
    &["renew", "--all"],
    &["--json", "renew", "--all"],
    &["plan"],
    &["status"],
    &["--json", "status"],
    &["status", "--due"],
    &["check-config"],
];

const HEAD: &str =
    "/* The functions that a run with nothing due uses, side by side, and beside them those of a renewal and of an attestation. Written by
   `./run bench order`; packaging/build.rs gives it to the linker. A name that a newer compiler no longer makes matches nothing, and costs
   memory, no more. */
SECTIONS
{
";
const TAIL: &str = "}\nINSERT BEFORE .text;\n";

/// Traces the binary, which must have its symbols and no such order yet, and writes the order.
pub fn order() {
    let bao = OpenBao::start(Options::REAL);
    let estate = host(&bao, 10);
    assert_eq!(estate.renew().code, 0);
    let mut idle = BTreeSet::new();
    for arguments in IDLE {
        // Nothing is due, and `status --due` says that by 1.
        idle.extend(used(&estate, arguments, i32::from(arguments.contains(&"--due"))));
    }
    let mut busy = used(&estate, &["renew", "c0", "--force"], 0);
    let swtpm = Swtpm::start(&[7]);
    let agent = attesting_host(&bao, &swtpm);
    busy.extend(used(&agent.estate, &["attest", "--once"], 0));
    busy.retain(|pattern| !idle.contains(pattern));
    assert!(idle.len() > 100, "{} functions have names: build with -C strip=debuginfo and OMENS_UNORDERED=1", idle.len());
    let section = |name: &str, patterns: &BTreeSet<String>| {
        let lines: String = patterns.iter().map(|pattern| format!("    *(.text.{pattern})\n")).collect();
        format!("  .text.{name} :\n  {{\n{lines}  }}\n")
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/order.ld");
    let text = format!("{HEAD}{}{}{TAIL}", section("idle", &idle), section("busy", &busy));
    std::fs::write(&file, text).expect("packaging/order.ld");
    println!("{}: {} and {} functions", file.display(), idle.len(), busy.len());
}

/// Patterns of the functions of the binary that a run with these arguments uses, which must end with `code`.
fn used(estate: &Estate, arguments: &[&str], code: i32) -> BTreeSet<String> {
    let trace = estate.dir.join("trace");
    let own = estate.command(arguments);
    let mut traced = Command::new(lab::program("valgrind").expect("valgrind"));
    traced.args(["--quiet", "--tool=callgrind", "--demangle=no"]).arg(format!("--callgrind-out-file={}", trace.display()));
    traced.arg(own.get_program()).args(own.get_args()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = traced.output().expect("valgrind");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&std::fs::read(&trace).expect("the trace")).into_owned();
    functions(&text, Path::new(own.get_program())).map(pattern).collect()
}

/// The functions of this program in callgrind's output: `ob=` names the file, `fn=` the function; each name is spelt out once.
fn functions<'a>(trace: &'a str, program: &Path) -> impl Iterator<Item = &'a str> {
    let name = program.file_name().and_then(|name| name.to_str()).expect("a name");
    let mut own = BTreeSet::new();
    let mut names = std::collections::BTreeMap::new();
    let mut used = BTreeSet::new();
    let mut here = false;
    for line in trace.lines() {
        let Some((key, id, text)) = parts(line) else { continue };
        if key.ends_with("ob") {
            if text.rsplit('/').next() == Some(name) {
                own.insert(id);
            }
            here = if key == "ob" { own.contains(id) } else { here };
        } else if key.ends_with("fn") {
            if !text.is_empty() {
                names.insert(id, text);
            }
            if key == "fn" && here {
                used.insert(id);
            }
        }
    }
    let is_symbol = |name: &&str| name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
    used.into_iter().filter_map(move |id| names.get(id).copied()).filter(is_symbol)
}

/// `fn=(12) name` or `cob=(3)`; in a recursion the name ends with `'2`.
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let (key, rest) = line.split_once("=(")?;
    let (id, text) = rest.split_once(')')?;
    let text = text.trim();
    Some((key, id, text.rsplit_once('\'').map_or(text, |(name, _)| name)))
}

/// A mangled name without what changes from build to build: hashes of crates and instances, and the parts that an optimizer makes.
fn pattern(symbol: &str) -> String {
    let stem = symbol.split(".llvm.").next().unwrap_or(symbol);
    // The legacy mangling ends with 17h, 16 digits and E.
    if let Some(at) = stem.rfind("17h").filter(|_| stem.starts_with("_ZN")) {
        return format!("{}*", &stem[..at + 3]);
    }
    // In the v0 mangling a crate is Cs, a hash, an underscore and its name.
    let mut pattern = String::new();
    let mut rest = stem;
    while let Some((before, after)) = rest.split_once("Cs").filter(|_| stem.starts_with("_R")) {
        let hash = after.find(|c: char| !c.is_ascii_alphanumeric()).filter(|at| after[*at..].starts_with('_') && *at > 8);
        pattern.push_str(before);
        pattern.push_str(if hash.is_some() { "Cs*" } else { "Cs" });
        rest = hash.map_or(after, |at| &after[at..]);
    }
    pattern.push_str(rest);
    // C: the version of AWS-LC is part of its names.
    let version = pattern.strip_prefix("aws_lc_").and_then(|rest| rest.find(|c: char| c.is_ascii_alphabetic()));
    version.map_or_else(|| format!("{pattern}*"), |at| format!("aws_lc_*_{}*", &pattern["aws_lc_".len() + at..]))
}
