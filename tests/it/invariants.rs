//! The map of invariants to tests in `tests/README.md` names tests that exist, for every invariant.

use std::collections::BTreeMap;
use std::path::Path;

const HEADING: &str = "## What must always be true, and what shows it";

/// The tests of each invariant, as file and name, and what is wrong with the map itself.
fn read(page: &str) -> (BTreeMap<usize, Vec<(String, String)>>, Vec<String>) {
    let (mut map, mut faults) = (BTreeMap::<usize, Vec<(String, String)>>::new(), Vec::new());
    let (mut number, mut file) = (0, String::new());
    for line in page.split_once(HEADING).map_or("", |(_, rest)| rest).lines() {
        if let Some(next) = line.split_once(". ").and_then(|(start, _)| start.parse().ok()) {
            number = next;
            file.clear();
            map.entry(number).or_default();
            continue;
        }
        // What stands in backquotes in the lines below an invariant is a file or a test of it.
        let below = line.trim_start().starts_with("- ") || (!file.is_empty() && line.starts_with(' '));
        for word in line.split('`').skip(1).step_by(2).filter(|_| below) {
            match word.strip_suffix(".rs") {
                Some(_) => word.clone_into(&mut file),
                None if file.is_empty() => faults.push(format!("{word} stands before any file")),
                None => map.entry(number).or_default().push((file.clone(), word.to_owned())),
            }
        }
    }
    faults.extend((1..=11).filter(|number| map.get(number).is_none_or(Vec::is_empty)).map(|number| format!("nothing shows {number}")));
    faults.extend(map.keys().filter(|number| !(1..=11).contains(*number)).map(|number| format!("there is no invariant {number}")));
    (map, faults)
}

/// Whether a source has a test of this name.
fn has(source: &str, name: &str) -> bool {
    let squeezed: String = source.split_whitespace().collect();
    squeezed.contains(&format!("#[test]fn{name}()"))
}

#[test]
fn every_invariant_has_tests_and_they_exist() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (map, mut faults) = read(&std::fs::read_to_string(tests.join("README.md")).unwrap());
    for (file, name) in map.values().flatten() {
        match std::fs::read_to_string(tests.join(file)) {
            Ok(source) if has(&source, name) => {}
            Ok(_) => faults.push(format!("{file} has no test {name}")),
            Err(why) => faults.push(format!("{file}: {why}")),
        }
    }
    assert!(faults.is_empty(), "tests/README.md:\n{}", faults.join("\n"));
    assert!(map.values().map(Vec::len).sum::<usize>() > 30, "{map:?}");
}

#[test]
fn a_map_with_a_hole_is_seen() {
    let page = format!(
        "{HEADING}\n1. A claim with a `word`.\n   - `a.rs`: `one`,\n     `two`; `b.rs`: `three`\n2. Nothing.\n12. What?\n   - `c`\n"
    );
    let (map, faults) = read(&page);
    let names: Vec<String> = map[&1].iter().map(|(file, name)| format!("{file} {name}")).collect();
    assert_eq!(names, ["a.rs one", "a.rs two", "b.rs three"]);
    assert_eq!(faults.len(), 12, "{faults:?}");
    assert!(has("#[test]\nfn one() {", "one") && !has("fn one() {", "one") && !has("#[test]\nfn one_more() {", "one"));
}
