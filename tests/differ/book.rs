//! What two readers may differ in (`explained.toml`), and what they did.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::Course;

/// How two readers differ.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The real one refuses what we take.
    Missed,
    /// We refuse what the real one takes.
    FalseAlarm,
    /// Both take it, each for something else.
    Meaning,
}

/// One difference.
pub struct Difference {
    pub way: Way,
    /// What the real one says.
    pub real: String,
    /// What we say.
    pub ours: String,
    pub input: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Explained {
    reader: String,
    way: Way,
    /// What must be in the words of each, and in the input; `*` stands for anything.
    #[serde(default)]
    real: String,
    #[serde(default)]
    ours: String,
    #[serde(default)]
    input: String,
    /// Why that is right, or can be borne.
    why: String,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// The versions that the entries were made with, by reader: with others one may go unused.
    made_with: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    explained: Vec<Explained>,
}

/// The entries of one reader, and what came up.
pub struct Book {
    reader: &'static str,
    course: Course,
    made_with: String,
    entries: Vec<Explained>,
    needed: BTreeSet<usize>,
    unexplained: Vec<String>,
    inputs: usize,
    refused: usize,
}

impl Book {
    pub fn open(reader: &'static str, course: Course) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differ/explained.toml");
        let list: List = toml::from_str(&std::fs::read_to_string(&path).expect("the list")).expect("a list");
        let entries: Vec<Explained> = list.explained.into_iter().filter(|entry| entry.reader == reader).collect();
        for entry in &entries {
            assert!(!entry.why.is_empty() && !entry.source.is_empty(), "{reader}: an entry without a reason or a source");
        }
        let made_with = list.made_with.get(reader).cloned().unwrap_or_else(|| panic!("made_with.{reader}"));
        Self { reader, course, made_with, entries, needed: BTreeSet::new(), unexplained: Vec::new(), inputs: 0, refused: 0 }
    }

    /// One more input was judged by both.
    pub fn judged(&mut self, refused: bool) {
        self.inputs += 1;
        self.refused += usize::from(refused);
    }

    pub fn differ(&mut self, difference: &Difference) {
        let Difference { way, real, ours, input } = difference;
        let fits =
            |entry: &Explained| entry.way == *way && holds(real, &entry.real) && holds(ours, &entry.ours) && holds(input, &entry.input);
        match self.entries.iter().position(fits) {
            Some(at) => drop(self.needed.insert(at)),
            None => self.unexplained.push(format!("{way:?}\n  the real one: {}\n  ours: {}\n{input}", real.trim(), ours.trim())),
        }
    }

    /// Fails where a difference has no entry, or an entry no difference. `version` is that of the real one.
    pub fn close(self, version: &str) {
        let Self { reader, course, .. } = self;
        println!("{reader}: {} inputs, {} refused by {version}; {} explanations needed", self.inputs, self.refused, self.needed.len());
        assert!(self.inputs > 0, "{reader}: nothing was compared");
        if !self.unexplained.is_empty() {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/differ");
            std::fs::create_dir_all(&directory).expect("target/differ");
            let file = directory.join(format!("{reader}-{}", course.seed));
            std::fs::write(&file, self.unexplained.join("\n\n--------\n")).expect("what differs");
            let first = self.unexplained.iter().take(5).cloned().collect::<Vec<_>>().join("\n\n");
            let all = self.unexplained.len();
            let how = format!("OMENS_DIFFER_SEED={} OMENS_DIFFER_STEPS={}", course.seed, course.steps);
            panic!("{reader}: {all} differences that nothing explains ({how}); all of them: {}\n{first}", file.display());
        }
        let unused = self.entries.iter().enumerate().filter(|(at, _)| !self.needed.contains(at));
        let unused: Vec<String> =
            unused.map(|(_, entry)| format!("{:?} {:?} {:?}: {}", entry.real, entry.ours, entry.input, entry.why)).collect();
        if course.usual && version.contains(&self.made_with) {
            assert!(unused.is_empty(), "{reader}: explanations that nothing needed:\n{}", unused.join("\n"));
        }
    }
}

/// Whether the parts of a pattern stand in a text, in their order.
fn holds(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn a_pattern_is_parts_in_their_order() {
    for (text, pattern, expected) in
        [("unknown \"x\" variable", "unknown*variable", true), ("a b", "b*a", false), ("a", "", true), ("", "a", false)]
    {
        assert_eq!(holds(text, pattern), expected, "{text} {pattern}");
    }
}

#[test]
fn what_nothing_explains_fails_and_so_does_an_explanation_that_nothing_needs() {
    let entry = |real: &str| Explained {
        reader: "none".to_owned(),
        way: Way::Missed,
        real: real.to_owned(),
        ours: String::new(),
        input: String::new(),
        why: "a test".to_owned(),
        source: "a test".to_owned(),
    };
    let book = |entries| Book {
        reader: "none",
        course: Course { seed: 0, steps: 0, usual: true },
        made_with: "1.0".to_owned(),
        entries,
        needed: BTreeSet::new(),
        unexplained: Vec::new(),
        inputs: 1,
        refused: 0,
    };
    let seen = Difference { way: Way::Missed, real: "no such word".to_owned(), ours: String::new(), input: "a test".to_owned() };
    let closes = |entries, version: &'static str| {
        let mut book: Book = book(entries);
        book.differ(&seen);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| book.close(version))).is_ok()
    };
    assert!(closes(vec![entry("no such")], "real 1.0"));
    assert!(!closes(vec![entry("another")], "real 1.0"));
    assert!(!closes(vec![entry("no such"), entry("another")], "real 1.0"));
    assert!(closes(vec![entry("no such"), entry("another")], "real 2.0"), "another version may need fewer");
}
