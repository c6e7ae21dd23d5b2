//! A configuration as directives, and its text.

use crate::choice::{Random, once};

/// A directive; its words are written as they are, with their quotes.
#[derive(Clone)]
pub struct Node {
    pub name: String,
    pub words: Vec<String>,
    pub block: Option<Vec<Self>>,
    /// Whether what is in its block are no directives, as in `map`.
    pub raw: bool,
}

impl Node {
    /// `line` is its name and its words; quoted words have no blanks in this grammar's own lines but for single quotes.
    pub fn line(line: &str) -> Self {
        let mut words = split(line).into_iter();
        Self { name: words.next().unwrap_or_default(), words: words.collect(), block: None, raw: false }
    }

    pub fn block(line: &str, list: Vec<Self>) -> Self {
        Self { block: Some(list), ..Self::line(line) }
    }

    pub fn raw(line: &str, list: Vec<Self>) -> Self {
        Self { raw: true, ..Self::block(line, list) }
    }
}

fn split(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quoted) = (String::new(), false);
    for letter in line.chars() {
        quoted ^= letter == '\'';
        if letter == ' ' && !quoted {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else {
            word.push(letter);
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

pub fn write(list: &[Node], random: &mut Random) -> String {
    let mut text = String::new();
    each(list, 0, random, &mut text);
    text
}

fn each(list: &[Node], depth: usize, random: &mut Random, text: &mut String) {
    for node in list {
        text.push_str(&"    ".repeat(depth));
        text.push_str(&node.name);
        for word in &node.words {
            let blank = if once(random, 40) { ["\n", "\t", "  ", " # note\n", "\r\n"][random.below(5)] } else { " " };
            text.push_str(blank);
            let bare = !word.contains(['\'', '"', ' ', ';', '{', '}', '\\', '#']) && !word.is_empty();
            match random.below(30) {
                0 if bare => text.push_str(&format!("\"{word}\"")),
                1 if bare => text.push_str(&format!("'{word}'")),
                _ => text.push_str(word),
            }
        }
        match &node.block {
            None => text.push_str(if once(random, 30) { " ;" } else { ";" }),
            Some(inside) => {
                text.push_str(if once(random, 20) { "{\n" } else { " {\n" });
                each(inside, depth + 1, random, text);
                text.push_str(&"    ".repeat(depth));
                text.push('}');
            }
        }
        text.push_str(if once(random, 25) { " # a comment; with } and '\n" } else { "\n" });
    }
}
