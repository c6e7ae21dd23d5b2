//! The characters of an HCL file: blanks and comments, names, numbers, strings and heredocs.

use std::iter::Peekable;
use std::str::Chars;

use super::HclError;

/// Whether a name may begin with it (HCL 1: letters, digits after the first, `_`, `-`, `.`).
pub(super) fn is_name(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_'
}

fn continues_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.')
}

pub(super) struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    pub(super) line: u32,
    pub(super) fault: Option<HclError>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // HCL skips a byte order mark.
        Self { rest: text.trim_start_matches('\u{feff}').chars().peekable(), line: 1, fault: None }
    }

    pub(super) fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line = self.line.saturating_add(1);
        }
        if next == Some('\0') {
            self.fail(self.line, "text", "a null character");
        }
        next
    }

    fn fail(&mut self, line: u32, expected: &'static str, found: &str) {
        self.fault.get_or_insert_with(|| HclError { line, expected, found: found.to_owned() });
    }

    /// Skips blanks and comments.
    pub(super) fn blank(&mut self) {
        while let Some(letter) = self.peek() {
            match letter {
                ' ' | '\t' | '\r' | '\n' => {
                    self.next();
                }
                '#' => self.rest_of_line(),
                '/' => {
                    let line = self.line;
                    self.next();
                    match self.peek() {
                        Some('/') => self.rest_of_line(),
                        Some('*') => self.block(line),
                        _ => return self.fail(line, "a comment: \"//\" or \"/*\"", "\"/\""),
                    }
                }
                _ => return,
            }
        }
    }

    fn rest_of_line(&mut self) {
        while self.peek().is_some_and(|letter| letter != '\n') {
            self.next();
        }
    }

    fn block(&mut self, line: u32) {
        self.next();
        let mut before = ' ';
        while let Some(letter) = self.next() {
            if before == '*' && letter == '/' {
                return;
            }
            before = letter;
        }
        self.fail(line, "the end of a comment", "the end of the file");
    }

    fn take(&mut self, wanted: fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(letter) = self.peek().filter(|letter| wanted(*letter)) {
            taken.push(letter);
            self.next();
        }
        taken
    }

    pub(super) fn name(&mut self) -> String {
        self.take(continues_name)
    }

    /// A number as it is written: with a sign, in hexadecimal, with a fraction, with an exponent. It ends where its digits do.
    pub(super) fn number(&mut self) -> Option<String> {
        let line = self.line;
        let mut text = String::new();
        if self.peek() == Some('-') {
            text.extend(self.next());
        }
        let digits = self.take(|letter| letter.is_ascii_digit());
        let whole = digits.clone();
        text.push_str(&digits);
        if digits == "0" && matches!(self.peek(), Some('x' | 'X')) {
            text.extend(self.next());
            let digits = self.take(|letter| letter.is_ascii_hexdigit());
            if digits.is_empty() {
                self.fail(line, "a hexadecimal number", &text);
                return None;
            }
            return Some(text + &digits);
        }
        let fraction = self.peek() == Some('.');
        if fraction {
            text.extend(self.next());
            text.push_str(&self.take(|letter| letter.is_ascii_digit()));
        }
        let exponent = matches!(self.peek(), Some('e' | 'E'));
        if exponent {
            text.extend(self.next());
            if matches!(self.peek(), Some('-' | '+')) {
                text.extend(self.next());
            }
            text.push_str(&self.take(|letter| letter.is_ascii_digit()));
        }
        let octal = whole.len() > 1 && whole.starts_with('0') && !fraction && !exponent;
        // The first digit behind the zero is not looked at.
        let no_octal = octal && whole.get(2..).unwrap_or_default().contains(['8', '9']);
        let unfinished = text.ends_with(['e', 'E', '+', '-']) || !text.contains(|c: char| c.is_ascii_digit());
        if no_octal || unfinished {
            self.fail(line, "a number", &text);
            return None;
        }
        Some(text)
    }

    /// A string in quotes. What is within `${ }` is kept as it is, quotes and all.
    pub(super) fn string(&mut self) -> Option<String> {
        let line = self.line;
        self.next();
        let mut text = String::new();
        let mut braces = 0_usize;
        while let Some(letter) = self.next() {
            match letter {
                '"' if braces == 0 => return Some(text),
                '\n' if braces == 0 => break,
                '\\' if braces == 0 => text.push(self.escaped()?),
                // What is within ${ } stays as it is written.
                '\\' => {
                    text.push('\\');
                    text.extend(self.next());
                }
                '$' if braces == 0 && self.peek() == Some('{') => {
                    self.next();
                    braces = 1;
                    text.push_str("${");
                }
                '{' if braces > 0 => {
                    braces += 1;
                    text.push('{');
                }
                '}' if braces > 0 => {
                    braces -= 1;
                    text.push('}');
                }
                other => text.push(other),
            }
        }
        self.fail(line, "a closing quote", "the end of the line");
        None
    }

    fn escaped(&mut self) -> Option<char> {
        let line = self.line;
        let meant = match self.next() {
            Some('a') => Some('\u{7}'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('v') => Some('\u{b}'),
            Some(same @ ('\\' | '"')) => Some(same),
            Some('x') => self.coded(2, 16, 0),
            Some('u') => self.coded(4, 16, 0),
            Some('U') => self.coded(8, 16, 0),
            Some(digit @ '0'..='7') => self.coded(2, 8, digit.to_digit(8).unwrap_or_default()),
            _ => None,
        };
        if meant.is_none() {
            self.fail(line, "an escape that there is (\\\\ for a backslash)", "a backslash before something else");
        }
        meant
    }

    fn coded(&mut self, digits: usize, base: u32, first: u32) -> Option<char> {
        let mut code = first;
        for _ in 0..digits {
            let digit = self.peek().and_then(|letter| letter.to_digit(base))?;
            code = code.wrapping_mul(base).wrapping_add(digit);
            self.next();
        }
        Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// `<<WORD` or `<<-WORD` up to a line that holds the word alone, behind white space or not. Behind `<<-` HCL 1 wants such white space: it
    /// compares the length of the line with that of the word and the dash.
    pub(super) fn heredoc(&mut self) -> Option<String> {
        let line = self.line;
        self.next();
        if self.peek() != Some('<') {
            self.fail(line, "a value", "\"<\"");
            return None;
        }
        self.next();
        let indented = self.peek() == Some('-');
        if indented {
            self.next();
        }
        let word = self.take(|letter| letter.is_alphanumeric() || letter == '_');
        if self.peek() == Some('\r') {
            self.next();
        }
        if word.is_empty() || self.next() != Some('\n') {
            self.fail(line, "a heredoc with a word at its end", "none");
            return None;
        }
        let mut lines: Vec<String> = Vec::new();
        while self.peek().is_some() {
            let one = self.take(|letter| letter != '\n');
            let bare = one.trim_end_matches('\r').trim_start_matches(|c: char| c.is_ascii_whitespace());
            if bare == word && one.len() >= word.len() + usize::from(indented) && self.peek().is_some() {
                let margin = one.strip_suffix(&*word).unwrap_or_default();
                return Some(if indented { unindented(&lines, margin) } else { joined(&lines) + margin });
            }
            self.next();
            lines.push(one);
        }
        self.fail(line, "the line that ends a heredoc", "the end of the file");
        None
    }
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Without the white space that stands before the last word, where it stands before every line.
fn unindented(lines: &[String], margin: &str) -> String {
    let all: Option<Vec<String>> = lines.iter().map(|line| line.strip_prefix(margin).map(str::to_owned)).collect();
    joined(all.as_deref().unwrap_or(lines))
}
