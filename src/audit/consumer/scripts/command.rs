//! One command of a shell text: its words, its program past words like `sudo` and `timeout`, and where its output goes.

/// A command with its words, quotes removed; redirections are words of their own (`>`, `2>`, `<`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its words.
    pub words: Vec<String>,
    /// How it follows the one before it.
    pub joined: Joined,
    /// In so many substitutions and subshells.
    pub depth: usize,
}

/// How a command follows the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Joined {
    /// After it.
    #[default]
    Then,
    /// If it succeeds: `&&`.
    And,
    /// If it fails: `||`.
    Or,
}

impl Command {
    /// The program without its directory, past assignments and words like `sudo`.
    #[must_use]
    pub fn program(&self) -> &str {
        self.words.get(self.main()).map_or("", |word| base(word))
    }

    /// Where the program stands among its words.
    #[must_use]
    pub fn main(&self) -> usize {
        let mut at = 0;
        while let Some(word) = self.words.get(at) {
            if assignment(word).is_some() || KEYWORDS.contains(&word.as_str()) {
                at += 1;
            } else if let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == base(word)) {
                at = wrapper.behind(&self.words, at + 1);
            } else {
                break;
            }
        }
        at
    }

    /// A command of these words.
    #[must_use]
    pub fn of(words: Vec<String>) -> Self {
        Self { words, joined: Joined::Then, depth: 0 }
    }

    /// Whether one of its words is this.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|have| have == word)
    }

    /// The files that its output goes to.
    #[must_use]
    pub fn outputs(&self) -> Vec<&str> {
        let pairs = self.words.iter().zip(self.words.iter().skip(1));
        pairs.filter(|(operator, _)| matches!(operator.as_str(), ">" | "1>" | ">|")).map(|(_, file)| file.as_str()).collect()
    }
}

/// Words of the shell itself before a command.
const KEYWORDS: &[&str] = &["if", "then", "else", "elif", "while", "until", "do", "!", "{", "time", "export", "command", "exec", "builtin"];

/// A program that runs the command which is its argument.
struct Wrapper {
    name: &'static str,
    /// Letters of options that take the next word.
    valued: &'static str,
    /// Words before the command that are no options.
    own: usize,
}

const fn wrapper(name: &'static str, valued: &'static str, own: usize) -> Wrapper {
    Wrapper { name, valued, own }
}

const WRAPPERS: &[Wrapper] = &[
    wrapper("sudo", "ugphCrtTR", 0),
    wrapper("doas", "uC", 0),
    wrapper("env", "uCS", 0),
    wrapper("nohup", "", 0),
    wrapper("nice", "n", 0),
    wrapper("ionice", "cnp", 0),
    wrapper("setsid", "", 0),
    wrapper("stdbuf", "ioe", 0),
    wrapper("timeout", "ks", 1),
    wrapper("flock", "wE", 1),
    wrapper("chronic", "", 0),
    wrapper("systemd-cat", "tp", 0),
    wrapper("systemd-inhibit", "", 0),
    wrapper("cronic", "", 0),
];

impl Wrapper {
    /// Where its command begins.
    fn behind(&self, words: &[String], from: usize) -> usize {
        let (mut at, mut own) = (from, self.own);
        while let Some(word) = words.get(at) {
            match word.strip_prefix('-') {
                Some("c") if self.name == "flock" => break,
                Some("-") => return at + 1,
                Some(option) if option.len() == 1 && self.valued.contains(option) => at += 2,
                Some(_) => at += 1,
                None if own > 0 => (at, own) = (at + 1, own - 1),
                None => break,
            }
        }
        at
    }
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

/// `NAME=value`, with the value as it is written.
#[must_use]
pub fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let sound =
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    sound.then_some((name, value))
}
