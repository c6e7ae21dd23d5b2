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

    pub(super) fn number(&mut self) -> String {
        self.take(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '+' | '_'))
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
                '\\' if braces == 0 => text.push(self.escaped()),
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

    fn escaped(&mut self) -> char {
        match self.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('u') => self.coded(4),
            Some('U') => self.coded(8),
            Some('x') => self.coded(2),
            Some(other) => other,
            None => '\\',
        }
    }

    fn coded(&mut self, digits: usize) -> char {
        let mut code = 0_u32;
        for _ in 0..digits {
            let Some(digit) = self.peek().and_then(|letter| letter.to_digit(16)) else { break };
            code = code.wrapping_mul(16).wrapping_add(digit);
            self.next();
        }
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// `<<WORD` or `<<-WORD` up to a line that holds the word alone.
    pub(super) fn heredoc(&mut self) -> Option<String> {
        let line = self.line;
        self.next();
        if self.peek() != Some('<') {
            self.fail(line, "a value", "\"<\"");
            return None;
        }
        self.next();
        if self.peek() == Some('-') {
            self.next();
        }
        let word = self.take(|letter| letter != '\n');
        let word = word.trim();
        if word.is_empty() || self.next().is_none() {
            self.fail(line, "a heredoc with a word at its end", "none");
            return None;
        }
        let mut text = String::new();
        while self.peek().is_some() {
            let one = self.take(|letter| letter != '\n');
            if one.trim() == word {
                return Some(text);
            }
            self.next();
            text.push_str(&one);
            text.push('\n');
        }
        self.fail(line, "the line that ends a heredoc", "the end of the file");
        None
    }
}
