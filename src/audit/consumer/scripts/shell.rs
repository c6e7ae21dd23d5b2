//! Shell text as far as a reader must understand it: lines without comments, and commands with their words.
//! It must never be taken for a shell: what it does not understand it leaves as it is.

pub use super::command::{Command, Joined, assignment};

/// `sh -c` in `sh -c` is followed this far.
const NESTED: usize = 3;

/// A logical line: continued ones are one, comments are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins, counted from 1.
    pub number: u32,
    /// What it says.
    pub text: String,
    /// It is text that a command is given (a here-document), not commands.
    pub literal: bool,
}

impl Line {
    /// A line of commands.
    #[must_use]
    pub fn new(number: u32, text: impl Into<String>) -> Self {
        Self { number, text: text.into(), literal: false }
    }
}

/// The logical lines of a text.
#[must_use]
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    let mut here: Vec<Here> = Vec::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        if let Some(document) = here.first() {
            let end = if document.tabs { line.trim_start_matches('\t') } else { line };
            if end == document.end {
                here.remove(0);
            } else {
                lines.push(Line { number, text: line.to_owned(), literal: !document.fed });
            }
            continue;
        }
        let bare = uncommented(line);
        here.extend(documents(bare));
        let continued = bare.strip_suffix('\\');
        let part = continued.unwrap_or(bare);
        let mut logical = open.take().unwrap_or_else(|| Line::new(number, ""));
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

/// A here-document: how it ends, whether tabs before that are taken away, and whether it is fed to a shell.
struct Here {
    end: String,
    tabs: bool,
    fed: bool,
}

/// The here-documents that a line begins.
fn documents(line: &str) -> Vec<Here> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("<<") {
        let after = rest.get(at + 2..).unwrap_or_default();
        let before = rest.get(..at).unwrap_or_default();
        let quotes = |quote: char| before.matches(quote).count() % 2 == 1;
        if after.starts_with('<') || quotes('"') || quotes('\'') {
            rest = after.trim_start_matches('<');
            continue;
        }
        let tabs = after.starts_with('-');
        let word = after.trim_start_matches('-').trim_start();
        let end: String = word.chars().take_while(|c| !c.is_whitespace() && !matches!(c, ';' | '|' | '&' | ')' | '>')).collect();
        let end = end.replace(['"', '\'', '\\'], "");
        let shells = ["sh", "bash", "dash", "ssh", "zsh"];
        let fed = split(before).last().is_some_and(|command| shells.contains(&command.program()));
        if end.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            found.push(Here { end, tabs, fed });
        }
        rest = word;
    }
    found
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
        let shell = matches!(command.program(), "sh" | "bash" | "dash" | "zsh" | "ash" | "su" | "ssh" | "runuser" | "-c");
        let given = command.words.iter().skip(command.main());
        let is_command = |option: &str| option == "-c" || (option.starts_with('-') && !option.starts_with("--") && option.ends_with('c'));
        let behind = given.clone().zip(given.clone().skip(1)).find(|(option, _)| is_command(option)).map(|(_, text)| text.clone());
        let inner: Vec<String> = match behind.filter(|_| shell) {
            Some(text) => vec![text],
            None => given.filter(|word| shell && word.contains(' ')).cloned().collect(),
        };
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
    /// What surrounds each open `$(` or `(`.
    outer: Vec<Outer>,
    joined: Joined,
}

struct Outer {
    words: Vec<String>,
    word: Option<String>,
    double: bool,
    joined: Joined,
}

impl Splitter {
    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        if !self.words.is_empty() {
            let words = std::mem::take(&mut self.words);
            self.done.push(Command { words, joined: std::mem::take(&mut self.joined), depth: self.outer.len() });
        }
    }

    fn enter(&mut self) {
        let word = self.word.take();
        let (words, joined) = (std::mem::take(&mut self.words), std::mem::take(&mut self.joined));
        self.outer.push(Outer { words, word, double: self.double, joined });
        self.double = false;
    }

    fn leave(&mut self) {
        self.end_command();
        let Some(Outer { words, word, double, joined }) = self.outer.pop() else {
            // The end of a pattern of `case`.
            self.mark(")");
            return;
        };
        // What a substitution gives is not known; that there is one is.
        let word = word.map(|word| word + "$()");
        (self.words, self.word, self.double, self.joined) = (words, word, double, joined);
    }

    /// A word of the grammar, as a command of its own.
    fn mark(&mut self, word: &str) {
        self.end_command();
        self.done.push(Command { words: vec![word.to_owned()], joined: Joined::Then, depth: self.outer.len() });
    }

    fn join(&mut self, joined: Joined) {
        self.end_command();
        self.joined = joined;
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
            ';' if rest.next_if_eq(&';').is_some() => s.mark(";;"),
            '|' if rest.next_if_eq(&'|').is_some() => s.join(Joined::Or),
            '&' if rest.next_if_eq(&'&').is_some() => s.join(Joined::And),
            ';' | '|' | '\n' => s.join(Joined::Then),
            '&' if rest.peek() == Some(&'>') => s.end_word(),
            '&' => s.join(Joined::Then),
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
        for (text, program) in [
            ("/usr/bin/env -i A=1 /opt/x -y", "x"),
            ("timeout -k 5 60 /opt/x", "x"),
            ("flock -n /run/lock /opt/x", "x"),
            ("nice -n 10 ionice -c 3 x", "x"),
            ("sudo -u web x", "x"),
            ("sudo -- x", "x"),
        ] {
            assert_eq!(commands(text)[0].program(), program, "{text}");
        }
        assert_eq!(shown("/bin/bash -lc /opt/x"), ["/bin/bash_-lc_/opt/x", "/opt/x"]);
        assert_eq!(shown("flock /l -c 'a; b'"), ["flock_/l_-c_a; b", "a", "b"]);
        assert_eq!(commands("a > /x >/y")[0].outputs(), ["/x", "/y"]);
    }

    #[test]
    fn here_documents_are_text_unless_a_shell_reads_them() {
        let text = "cat <<EOF > /f\ncurl -k x\nEOF\na\nbash <<-'X'\n\tb\n\tX\nc <<< d\n";
        let found: Vec<(String, bool)> = lines(text).into_iter().map(|line| (line.text, line.literal)).collect();
        let expected =
            [("cat <<EOF > /f", false), ("curl -k x", true), ("a", false), ("bash <<-'X'", false), ("\tb", false), ("c <<< d", false)];
        assert_eq!(found, expected.map(|(text, literal)| (text.to_owned(), literal)));
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
