//! The map of invariants to tests in `tests/README.md` names tests that exist, for every invariant.

use std::path::Path;

const HEADING: &str = "## What must always be true, and what shows it";

/// One line of the map, as far as it is understood.
struct Shown {
    invariant: usize,
    file: String,
    test: String,
}

/// The page as it was read.
#[derive(Default)]
struct Map {
    invariants: Vec<usize>,
    shown: Vec<Shown>,
    faults: Vec<String>,
}

impl Map {
    fn read(page: &str) -> Self {
        let (mut map, mut file) = (Self::default(), String::new());
        for line in page.split_once(HEADING).map_or("", |(_, rest)| rest).lines() {
            if let Some(number) = line.split_once(". ").and_then(|(start, _)| start.parse().ok()) {
                map.invariants.push(number);
                file.clear();
                continue;
            }
            // What stands in backquotes in the lines below an invariant is a file or a test of it.
            let below = line.trim_start().starts_with("- ") || (!file.is_empty() && line.starts_with(' '));
            for word in line.split('`').skip(1).step_by(2).filter(|_| below) {
                if word.ends_with(".rs") {
                    word.clone_into(&mut file);
                } else if let (Some(invariant), false) = (map.invariants.last(), file.is_empty()) {
                    map.shown.push(Shown { invariant: *invariant, file: file.clone(), test: word.to_owned() });
                } else {
                    map.faults.push(format!("{word} stands before any file"));
                }
            }
        }
        if map.invariants != Vec::from_iter(1..=11) {
            map.faults.push(format!("the invariants are 1 to 11 and not {:?}", map.invariants));
        }
        let bare = map.invariants.iter().filter(|number| map.shown.iter().all(|shown| shown.invariant != **number));
        let bare: Vec<String> = bare.map(|number| format!("nothing shows {number}")).collect();
        map.faults.extend(bare);
        map
    }
}

/// Whether a source has a test of this name.
fn has(source: &str, name: &str) -> bool {
    let squeezed: String = source.split_whitespace().collect();
    squeezed.contains(&format!("#[test]fn{name}()"))
}

#[test]
fn every_invariant_has_tests_and_they_exist() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let Map { shown, mut faults, .. } = Map::read(&std::fs::read_to_string(tests.join("README.md")).unwrap());
    for Shown { file, test, .. } in &shown {
        match std::fs::read_to_string(tests.join(file)) {
            Ok(source) if has(&source, test) => {}
            Ok(_) => faults.push(format!("{file} has no test {test}")),
            Err(why) => faults.push(format!("{file}: {why}")),
        }
    }
    assert!(faults.is_empty(), "tests/README.md:\n{}", faults.join("\n"));
    assert!(shown.len() > 30, "only {}", shown.len());
}

#[test]
fn a_map_with_a_hole_is_seen() {
    let page = format!(
        "{HEADING}\n1. A claim with a `word`.\n   - `a.rs`: `one`,\n     `two`; `b.rs`: `three`\n2. Nothing.\n3. What?\n   - `c`\n"
    );
    let map = Map::read(&page);
    let names: Vec<String> = map.shown.iter().map(|shown| format!("{} {} {}", shown.invariant, shown.file, shown.test)).collect();
    assert_eq!(names, ["1 a.rs one", "1 a.rs two", "1 b.rs three"]);
    let expected = ["c stands before any file", "the invariants are 1 to 11 and not [1, 2, 3]", "nothing shows 2", "nothing shows 3"];
    assert_eq!(map.faults, expected);
    assert!(has("#[test]\nfn one() {", "one") && !has("fn one() {", "one") && !has("#[test]\nfn one_more() {", "one"));
}
