//! Which commands of a shell script run at all, as far as its own tests say so: a branch that only a variable opens which nobody sets is
//! never taken. It must never call a command dead that may run: what is not understood is taken to run.

use super::shell::{Command, Joined};

/// Blocks in blocks are followed this far.
const DEPTH: usize = 200;

/// The blocks that are open, and how the last commands ended.
#[derive(Debug, Default)]
pub(super) struct Flow {
    blocks: Vec<Block>,
    /// By the depth of substitutions: whether the commands joined so far succeed, where that is known.
    chains: Vec<Option<bool>>,
}

#[derive(Debug)]
enum Block {
    /// `if`, with whether this branch is taken and whether one before it certainly was.
    If { truth: Option<bool>, taken: bool, reading: bool },
    /// `case`, with whether its present branch may be taken.
    Case { subject: Option<String>, live: bool, pattern: bool },
    /// A loop.
    Loop,
}

impl Flow {
    /// Takes in the commands of a line; says of each whether it may run.
    pub(super) fn line(&mut self, commands: &[Command]) -> Vec<bool> {
        (0..commands.len()).map(|at| self.command(commands, at)).collect()
    }

    /// Whether no block is open.
    pub(super) const fn is_top(&self) -> bool {
        self.blocks.is_empty()
    }

    fn command(&mut self, commands: &[Command], at: usize) -> bool {
        let Some(command) = commands.get(at) else { return true };
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        if self.patterns(&words) {
            return true;
        }
        let rest = self.keywords(&words);
        let outer = commands.iter().skip(at + 1).find(|next| next.depth < command.depth);
        let dead = self.skipped(command.depth, command.joined) || outer.is_some_and(|outer| self.skipped(outer.depth, outer.joined));
        self.chain(command, rest);
        self.is_open() && !dead
    }

    fn is_open(&self) -> bool {
        self.blocks.iter().all(|block| match block {
            Block::If { truth, reading, taken } => {
                if *reading {
                    !taken
                } else {
                    *truth != Some(false)
                }
            }
            Block::Case { live, .. } => *live,
            Block::Loop => true,
        })
    }

    /// Whether what is joined like this does not run, by what came before it.
    fn skipped(&self, depth: usize, joined: Joined) -> bool {
        let before = self.chains.get(depth).copied().flatten();
        matches!((joined, before), (Joined::And, Some(false)) | (Joined::Or, Some(true)))
    }

    fn chain(&mut self, command: &Command, words: &[&str]) {
        if self.chains.len() <= command.depth {
            self.chains.resize(command.depth.min(DEPTH) + 1, None);
        }
        let negated = command.words.iter().take_while(|word| *word != words.first().copied().unwrap_or_default()).any(|word| word == "!");
        let truth = holds(words).map(|truth| truth != negated);
        let Some(before) = self.chains.get_mut(command.depth) else { return };
        *before = match (command.joined, *before, truth) {
            (Joined::Then, _, truth) => truth,
            (Joined::And, Some(false), _) | (Joined::And, _, Some(false)) => Some(false),
            (Joined::And, Some(true), truth) => truth,
            (Joined::Or, Some(true), _) | (Joined::Or, _, Some(true)) => Some(true),
            (Joined::Or, Some(false), truth) => truth,
            _ => None,
        };
    }

    /// Patterns of `case` and their ends.
    fn patterns(&mut self, words: &[&str]) -> bool {
        let Some(Block::Case { subject, live, pattern }) = self.blocks.last_mut() else { return false };
        match words {
            [";;"] => {
                (*live, *pattern) = (false, true);
                true
            }
            [")"] if *pattern => {
                *pattern = false;
                true
            }
            ["esac", ..] => false,
            _ if *pattern => {
                *live |= words.iter().any(|word| matches(word, subject.as_deref()));
                true
            }
            _ => false,
        }
    }

    /// Opens and closes blocks; gives the words behind the shell's own.
    fn keywords<'w, 'c>(&mut self, words: &'w [&'c str]) -> &'w [&'c str] {
        let mut rest = words;
        while let Some((first, behind)) = rest.split_first() {
            match *first {
                "if" => self.open(Block::If { truth: None, taken: false, reading: true }),
                "elif" => self.other(true),
                "else" => self.other(false),
                "then" => self.then(),
                "while" | "until" | "for" | "select" => self.open(Block::Loop),
                "fi" | "done" | "esac" => drop(self.blocks.pop()),
                "case" => {
                    self.case(behind);
                    return &[];
                }
                "do" | "!" | "{" | "}" | "time" => {}
                _ => break,
            }
            if matches!(*first, "for" | "select") {
                return &[];
            }
            rest = behind;
        }
        rest
    }

    fn open(&mut self, block: Block) {
        if self.blocks.len() < DEPTH {
            self.blocks.push(block);
        }
    }

    fn then(&mut self) {
        let chain = self.chains.first().copied().flatten();
        if let Some(Block::If { truth, taken, reading }) = self.blocks.last_mut() {
            (*truth, *reading) = (if *taken { Some(false) } else { chain }, false);
        }
    }

    /// `elif` and `else`.
    fn other(&mut self, asks: bool) {
        if let Some(Block::If { truth, taken, reading }) = self.blocks.last_mut() {
            *taken |= *truth == Some(true);
            (*truth, *reading) = (if *taken { Some(false) } else { None }, asks);
        }
    }

    /// `case WORD in`, and a pattern behind it on the same line.
    fn case(&mut self, words: &[&str]) {
        let subject = words.first().map(|word| value(word));
        let subject = subject.unwrap_or(None);
        let first = words.iter().skip_while(|word| **word != "in").skip(1);
        let mut pattern = first.clone().peekable();
        let none = pattern.peek().is_none();
        let live = pattern.any(|word| matches(word, subject.as_deref()));
        self.open(Block::Case { subject, live: live && !none, pattern: true });
    }
}

/// What a word is with nothing put in for variables that are not known; `None` where a command gives it.
fn value(word: &str) -> Option<String> {
    if word.contains("$(") || word.contains('`') {
        return None;
    }
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        out.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at + 1..).unwrap_or_default();
        let end = match after.strip_prefix('{') {
            Some(inner) => inner.find('}').map_or(after.len(), |end| end + 2),
            None if after.starts_with(['#', '?', '$', '!']) => return None,
            None if after.starts_with(['@', '*']) || after.starts_with(|c: char| c.is_ascii_digit()) => 1,
            None => after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len()),
        };
        if after.starts_with("{#") {
            return None;
        }
        rest = after.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    Some(out)
}

/// Whether a command succeeds, where its words say so.
fn holds(words: &[&str]) -> Option<bool> {
    let (first, rest) = words.split_first()?;
    match *first {
        "true" | ":" => Some(true),
        "false" => Some(false),
        "test" => tested(rest),
        "[" | "[[" => tested(rest.strip_suffix(&["]"]).or_else(|| rest.strip_suffix(&["]]"])).unwrap_or(rest)),
        _ => None,
    }
}

fn tested(words: &[&str]) -> Option<bool> {
    match words {
        [] => Some(false),
        ["!", rest @ ..] if !rest.is_empty() => tested(rest).map(|truth| !truth),
        [word] => value(word).map(|value| !value.is_empty()),
        ["-n", word] => value(word).map(|value| !value.is_empty()),
        ["-z", word] => value(word).map(|value| value.is_empty()),
        [a, "=" | "==", b] => same(a, b),
        [a, "!=", b] => same(a, b).map(|same| !same),
        [a, "-eq", b] => number(a, b).map(|(a, b)| a == b),
        [a, "-ne", b] => number(a, b).map(|(a, b)| a != b),
        _ => None,
    }
}

fn same(a: &str, b: &str) -> Option<bool> {
    let (a, b) = (value(a)?, value(b)?);
    if b.contains(['*', '?', '[']) { None } else { Some(a == b) }
}

fn number(a: &str, b: &str) -> Option<(i64, i64)> {
    let of = |word: &str| value(word).map(|value| if value.is_empty() { "0".to_owned() } else { value });
    Some((of(a)?.parse().ok()?, of(b)?.parse().ok()?))
}

/// Whether a pattern of `case` may fit; `None` is a subject that a command gives.
fn matches(pattern: &str, subject: Option<&str>) -> bool {
    let Some(subject) = subject else { return true };
    let pattern = pattern.trim_start_matches('(');
    match pattern.split_once('*') {
        _ if pattern.contains(['?', '[', '$']) => true,
        None => pattern == subject,
        Some((start, end)) => subject.starts_with(start) && subject.ends_with(end.trim_start_matches('*')),
    }
}

#[cfg(test)]
mod tests {
    use super::super::shell;
    use super::*;

    /// The programs that may run.
    fn runs(script: &str) -> Vec<String> {
        let mut flow = Flow::default();
        let mut all = Vec::new();
        for line in shell::lines(script) {
            let commands = shell::commands(&line.text);
            let live = flow.line(&commands);
            let named = commands.iter().zip(live).filter(|(command, live)| *live && command.words.iter().any(|word| word == "X"));
            all.extend(named.map(|(command, _)| command.program().to_owned()));
        }
        all
    }

    #[test]
    fn branches_that_nobody_opens_are_not_taken() {
        for (script, expected) in [
            ("a X", "a"),
            ("if [ \"$UNSET\" ]; then\n a X\nfi\nb X", "b"),
            ("if [ -z \"$UNSET\" ]; then a X; else b X; fi; c X", "a c"),
            ("if [ -f /x ]; then a X; else b X; fi", "a b"),
            ("[ \"$U\" ] && a X\nb X", "b"),
            ("[ -n \"${U:-}\" ] || a X", "a"),
            ("[ \"$U\" = yes ] && A=$(a X)\nb X", "b"),
            ("case \"$1\" in\n--insecure)\n a X\n ;;\n*)\n b X\n ;;\nesac\nc X", "b c"),
            ("case $1 in -k|--k) a X ;; -z) b X ;; esac; c X", "c"),
            ("case $(uname) in Linux) a X ;; esac", "a"),
            ("if a X && [ \"$U\" ]; then b X; fi", "a"),
            ("if ! [ \"$U\" ]; then a X; fi", "a"),
            ("while [ $# -gt 0 ]; do a X; done; b X", "a b"),
            ("if [ \"$U\" ]; then\nif [ -f /x ]; then a X; fi\nb X\nelif c X; then d X\nfi\ne X", "c d e"),
            ("if true; then a X; elif b X; then c X; else d X; fi", "a"),
            ("if [ \"$(id -u)\" -ne 0 ]; then a X; fi", "a"),
            ("if [ \"$U\" -eq 1 ]; then a X; fi", ""),
        ] {
            assert_eq!(runs(script).join(" "), expected, "{script}");
        }
    }

    #[test]
    fn what_closes_nothing_does_no_harm() {
        for script in ["fi; done; esac; a X", ";; a X", ") a X", "case; a X", "if", "then a X"] {
            let _unjudged = runs(script);
        }
        assert_eq!(runs(&format!("{}a X", "if ".repeat(100_000))), ["a"]);
    }
}
