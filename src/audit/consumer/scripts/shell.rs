//! Shell text as far as a reader must understand it: lines without comments, and commands with their words.
//! It must never be taken for a shell: what it does not understand it leaves as it is.

/// `sh -c` in `sh -c` is followed this far.
const NESTED: usize = 3;

/// A logical line: continued ones are one, comments are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins, counted from 1.
    pub number: u32,
    /// What it says.
    pub text: String,
}

/// A command with its words, quotes removed; redirections are words of their own (`>`, `2>`, `<`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its words.
    pub words: Vec<String>,
}

impl Command {
    /// The program without its directory, past assignments and words like `sudo`.
    #[must_use]
    pub fn program(&self) -> &str {
        const BEFORE: &[&str] = &[
            "sudo", "env", "exec", "command", "nohup", "time", "if", "then", "else", "elif", "while", "until", "do", "!", "{", "nice",
            "flock", "timeout", "chronic", "export",
        ];
        let word = self.words.iter().find(|word| !BEFORE.contains(&word.as_str()) && assignment(word).is_none());
        word.map_or("", |word| word.rsplit('/').next().unwrap_or_default())
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

/// `NAME=value`, with the value as it is written.
#[must_use]
pub fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let sound =
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    sound.then_some((name, value))
}

/// The logical lines of a text.
#[must_use]
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    for (number, line) in (1_u32..).zip(text.lines()) {
        let bare = uncommented(line);
        let continued = bare.strip_suffix('\\');
        let part = continued.unwrap_or(bare);
        let mut logical = open.take().unwrap_or(Line { number, text: String::new() });
        logical.text.push_str(part);
        if continued.is_some() {
            logical.text.push(' ');
            open = Some(logical);
        } else if !logical.text.trim().is_empty() {
            lines.push(logical);
        }
    }
    lines.extend(open);
    lines
}

/// A line up to a `#` that begins a word outside quotes.
fn uncommented(line: &str) -> &str {
    let (mut single, mut double, mut escaped, mut before) = (false, false, false, ' ');
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if !single => escaped = true,
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '#' if !single && !double && (before.is_whitespace() || before == ';') => return line.get(..at).unwrap_or(line).trim_end(),
            _ => {}
        }
        before = c;
    }
    line.trim_end()
}

/// The commands of a line, those in `$(…)` and `sh -c '…'` as well.
#[must_use]
pub fn commands(text: &str) -> Vec<Command> {
    let mut all = Vec::new();
    nested(text, 0, &mut all);
    all
}

fn nested(text: &str, depth: usize, all: &mut Vec<Command>) {
    for command in split(text) {
        let shell = matches!(command.program(), "sh" | "bash" | "dash" | "zsh" | "su" | "flock" | "ssh");
        let inner = command.words.iter().filter(|word| shell && word.contains(' ')).cloned().collect::<Vec<_>>();
        all.push(command);
        if depth < NESTED {
            inner.iter().for_each(|inner| nested(inner, depth + 1, all));
        }
    }
}

/// One pass over the characters: quotes, separators, substitutions, redirections.
#[derive(Default)]
struct Splitter {
    done: Vec<Command>,
    words: Vec<String>,
    word: Option<String>,
    double: bool,
    /// What surrounds each open `$(` or `(`: the words before it, and whether it was in double quotes.
    outer: Vec<(Vec<String>, Option<String>, bool)>,
}

impl Splitter {
    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        if !self.words.is_empty() {
            let words = std::mem::take(&mut self.words);
            self.done.push(Command { words });
        }
    }

    fn enter(&mut self) {
        let word = self.word.take();
        self.outer.push((std::mem::take(&mut self.words), word, self.double));
        self.double = false;
    }

    fn leave(&mut self) {
        let Some((words, word, double)) = self.outer.pop() else { return self.end_command() };
        self.end_command();
        // What a substitution gives is not known; that there is one is.
        let word = word.map(|word| word + "$()");
        (self.words, self.word, self.double) = (words, word, double);
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn redirect(&mut self, operator: &str) {
        let number = self.word.take_if(|word| word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_digit()));
        self.end_word();
        self.words.push(format!("{}{operator}", number.unwrap_or_default()));
    }
}

fn split(text: &str) -> Vec<Command> {
    let mut s = Splitter::default();
    let mut rest = text.chars().peekable();
    let mut back = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                if let Some(next) = rest.next() {
                    s.push(next);
                }
            }
            '\'' if !s.double => {
                s.word.get_or_insert_default();
                rest.by_ref().take_while(|c| *c != '\'').for_each(|c| s.push(c));
            }
            '"' => {
                s.word.get_or_insert_default();
                s.double = !s.double;
            }
            '$' if rest.peek() == Some(&'(') => {
                rest.next();
                s.word.get_or_insert_default();
                s.enter();
            }
            '`' => {
                back = !back;
                if back {
                    s.word.get_or_insert_default();
                    s.enter();
                } else {
                    s.leave();
                }
            }
            ')' if !s.double => s.leave(),
            c if s.double => s.push(c),
            '(' => {
                s.end_word();
                s.enter();
            }
            ';' | '|' | '\n' => s.end_command(),
            '&' if rest.peek() == Some(&'>') => s.end_word(),
            '&' => s.end_command(),
            '>' => {
                let more = rest.next_if(|c| matches!(c, '>' | '|' | '&'));
                s.redirect(&more.map_or_else(|| ">".to_owned(), |more| format!(">{more}")));
            }
            '<' => s.redirect("<"),
            c if c.is_whitespace() => s.end_word(),
            c => s.push(c),
        }
    }
    while !s.outer.is_empty() {
        s.leave();
    }
    s.end_command();
    s.done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        commands(text).iter().map(|command| command.words.join("_")).collect()
    }

    #[test]
    fn comments_go_and_continued_lines_are_one() {
        let text = "#!/bin/sh\na b \\\n  c # d\n\n# e\nf '#' \"# g\" h#i\n";
        let found: Vec<(u32, String)> = lines(text).into_iter().map(|line| (line.number, line.text)).collect();
        assert_eq!(found, [(2, "a b    c".to_owned()), (6, "f '#' \"# g\" h#i".to_owned())]);
    }

    #[test]
    fn commands_are_told_apart_wherever_they_stand() {
        for (text, expected) in [
            ("a b | c; d && e", vec!["a_b", "c", "d", "e"]),
            ("x=\"$(cat /t)\" y", vec!["cat_/t", "x=$()_y"]),
            ("a > /f 2>&1", vec!["a_>_/f_2>&_1"]),
            ("a &> /f", vec!["a_>_/f"]),
            ("sh -c 'a b; c d'", vec!["sh_-c_a b; c d", "a_b", "c_d"]),
            ("kill -HUP `pidof x`", vec!["pidof_x", "kill_-HUP_$()"]),
            ("echo 'a;b' \"c|d\"", vec!["echo_a;b_c|d"]),
            ("(a; b)", vec!["a", "b"]),
            ("a \"b", vec!["a_b"]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert_eq!(commands("sudo A=1 /usr/bin/curl -k x")[0].program(), "curl");
        assert_eq!(commands("a > /x >/y")[0].outputs(), ["/x", "/y"]);
    }

    #[test]
    fn hostile_text_neither_hangs_nor_overflows() {
        for text in [
            "(".repeat(200_000),
            "$(".repeat(200_000),
            "`".repeat(100_001),
            "'".repeat(99),
            "sh -c 'sh -c ".repeat(10_000),
            ")".repeat(1000),
            "\\".to_owned(),
        ] {
            let _unjudged = (commands(&text), lines(&text));
        }
    }
}
