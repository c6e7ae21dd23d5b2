//! The grammar of nginx's configuration: words, quotes, escapes, comments and blocks, as `ngx_conf_read_token` reads them. It must never
//! know what a directive means, nor grow a tree deeper than a stack can drop.

use std::path::Path;
use std::rc::Rc;

use crate::model::audit::Location;

/// Blocks in blocks; nginx's own contexts nest far less.
pub(super) const DEPTH: usize = 64;
/// The longest word: nginx reads through a buffer of this size.
const WORD: usize = 4096;

/// A directive with its arguments, and its block where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) file: Rc<Path>,
    pub(super) line: u32,
    pub(super) block: Option<Vec<Self>>,
}

impl Directive {
    /// Its place.
    pub(super) fn location(&self) -> Location {
        Location::line(&self.file, self.line)
    }

    /// Its first argument.
    pub(super) fn arg(&self) -> &str {
        self.args.first().map_or("", String::as_str)
    }

    /// What is in its block.
    pub(super) fn inside(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Where a file stops making sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: u32,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

/// How a statement ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Semicolon,
    Open,
    Close,
    File,
}

/// Parses one file: as far as it goes, and where it stops.
pub(super) fn parse(text: &str, file: &Rc<Path>) -> (Vec<Directive>, Option<SyntaxError>) {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0, line: 1 };
    let mut open: Vec<(Directive, Vec<Directive>)> = Vec::new();
    let mut list = Vec::new();
    let fault = loop {
        match reader.statement() {
            Err(fault) => break Some(fault),
            Ok(Statement { end: End::File, .. }) => break unclosed(&open, reader.line),
            Ok(Statement { line, end: End::Close, .. }) => match open.pop() {
                None => break Some(SyntaxError { line, expected: "a directive", found: "} without {".to_owned() }),
                Some((mut directive, outer)) => {
                    directive.block = Some(std::mem::replace(&mut list, outer));
                    list.push(directive);
                }
            },
            Ok(Statement { words, line, end }) => {
                let mut words = words.into_iter();
                let name = words.next().unwrap_or_default();
                let raw = name.ends_with("_by_lua_block");
                let directive = Directive { name, args: words.collect(), file: Rc::clone(file), line, block: None };
                if end == End::Semicolon {
                    list.push(directive);
                } else if raw {
                    reader.skip_lua();
                    list.push(Directive { block: Some(Vec::new()), ..directive });
                } else if open.len() < DEPTH {
                    open.push((directive, std::mem::take(&mut list)));
                } else {
                    break Some(SyntaxError {
                        line,
                        expected: "blocks that nest less",
                        found: format!("more than {DEPTH} blocks in each other"),
                    });
                }
            }
        }
    };
    // What was read of an unclosed block is kept: it still says what was meant.
    while let Some((mut directive, outer)) = open.pop() {
        directive.block = Some(std::mem::replace(&mut list, outer));
        list.push(directive);
    }
    (list, fault)
}

fn unclosed(open: &[(Directive, Vec<Directive>)], line: u32) -> Option<SyntaxError> {
    let (directive, _) = open.last()?;
    let found = format!("end of file at line {line} in the block {} opened here", directive.name);
    Some(SyntaxError { line: directive.line, expected: "}", found })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

/// The words of one statement, and what ends it.
struct Statement {
    words: Vec<String>,
    /// The line of the first word.
    line: u32,
    end: End,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn step(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        self.line += u32::from(byte == b'\n');
        Some(byte)
    }

    /// The words up to `;`, `{`, `}` or the end, and the line of the first.
    fn statement(&mut self) -> Result<Statement, SyntaxError> {
        let mut words = Vec::new();
        let mut first = self.line;
        loop {
            let Some(byte) = self.peek() else {
                let found = || format!("end of file after {}", words.last().map_or("", String::as_str));
                return if words.is_empty() {
                    Ok(Statement { words, line: self.line, end: End::File })
                } else {
                    Err(SyntaxError { line: first, expected: "; or {", found: found() })
                };
            };
            let end = match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.step();
                    continue;
                }
                b'#' => {
                    self.comment();
                    continue;
                }
                b';' => End::Semicolon,
                b'{' => End::Open,
                b'}' => End::Close,
                _ => {
                    if words.is_empty() {
                        first = self.line;
                    }
                    words.push(self.word()?);
                    continue;
                }
            };
            let line = if words.is_empty() { self.line } else { first };
            self.step();
            return match (end, words.is_empty()) {
                (End::Close, false) => Err(SyntaxError { line, expected: "; before }", found: format!("{} without ;", words.join(" ")) }),
                (End::Semicolon | End::Open, true) => {
                    Err(SyntaxError { line, expected: "a directive", found: format!("{} alone", char::from(byte)) })
                }
                _ => Ok(Statement { words, line, end }),
            };
        }
    }

    fn comment(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    fn word(&mut self) -> Result<String, SyntaxError> {
        let line = self.line;
        let quote = self.peek().filter(|byte| matches!(byte, b'"' | b'\''));
        if quote.is_some() {
            self.step();
        }
        let start = self.at;
        let mut variable = false;
        let end = loop {
            let Some(byte) = self.peek() else {
                break self.at;
            };
            if self.at - start > WORD {
                return Err(SyntaxError {
                    line,
                    expected: "a shorter parameter",
                    found: format!("one of more than {WORD} bytes: a quote is open"),
                });
            }
            let ends = match quote {
                Some(quote) => byte == quote,
                None => matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';') || (byte == b'{' && !variable),
            };
            if ends {
                break self.at;
            }
            variable = byte == b'$';
            self.step();
            if byte == b'\\' {
                self.step();
            }
        };
        let word = unescaped(self.bytes.get(start..end).unwrap_or_default());
        if let Some(quote) = quote {
            if self.step().is_none() {
                return Err(SyntaxError { line, expected: "a closing quote", found: format!("end of file after {}", char::from(quote)) });
            }
            self.after_quote()?;
        }
        Ok(word)
    }

    /// nginx wants white space, `;`, `{` or `)` after a closing quote.
    fn after_quote(&self) -> Result<(), SyntaxError> {
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b')') => Ok(()),
            Some(byte) => {
                let found = format!("{} after a quote", char::from(byte).escape_default());
                Err(SyntaxError { line: self.line, expected: "white space or ; after a closing quote", found })
            }
        }
    }

    /// Lua has a grammar of its own; its block ends at the brace that closes it.
    fn skip_lua(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.step() {
                None => return,
                Some(b'{') => depth += 1,
                Some(b'}') => depth -= 1,
                Some(b'-') if self.peek() == Some(b'-') => self.comment(),
                Some(quote @ (b'"' | b'\'')) => self.skip_string(quote),
                Some(_) => {}
            }
        }
    }

    fn skip_string(&mut self, quote: u8) {
        while let Some(byte) = self.step() {
            match byte {
                b'\\' => drop(self.step()),
                b'\n' => return,
                _ if byte == quote => return,
                _ => {}
            }
        }
    }
}

/// `\"`, `\'`, `\\`, `\t`, `\r`, `\n`; any other backslash stays, as in nginx.
fn unescaped(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let escaped = if byte == b'\\' { rest.peek().copied() } else { None };
        let meant = match escaped {
            Some(quoted @ (b'"' | b'\'' | b'\\')) => Some(quoted),
            Some(b't') => Some(b'\t'),
            Some(b'r') => Some(b'\r'),
            Some(b'n') => Some(b'\n'),
            _ => None,
        };
        if meant.is_some() {
            rest.next();
        }
        out.push(meant.unwrap_or(byte));
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Rc<Path> {
        Rc::from(Path::new("/n"))
    }

    fn shown(list: &[Directive]) -> String {
        let one = |d: &Directive| match &d.block {
            None => format!("{}[{}]", d.name, d.args.join("|")),
            Some(block) => format!("{}[{}]{{{}}}", d.name, d.args.join("|"), shown(block)),
        };
        list.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_quotes_escapes_and_blocks_are_nginxs() {
        for (text, expected) in [
            ("a b  c;", "a[b|c]"),
            ("# x\na 'b c' \"d;}\";", "a[b c|d;}]"),
            ("a b#c;", "a[b#c]"),
            ("a \"x\\\"y\" 'q\\n' \\d;", "a[x\"y|q\n|\\d]"),
            ("server { listen 443 ssl; location / { b; } }", "server[]{listen[443|ssl] location[/]{b[]}}"),
            ("a ${b}c;d;", "a[${b}c] d[]"),
            ("if ($a = \"b\") { return 1; }", "if[($a|=|b|)]{return[1]}"),
            ("content_by_lua_block { if x then y = '}' end -- }\n{} } a;", "content_by_lua_block[]{} a[]"),
            ("a b}c;", "a[b}c]"),
            ("location ~ \\.php$ { x; }", "location[~|\\.php$]{x[]}"),
        ] {
            let (list, fault) = parse(text, &file());
            assert_eq!((shown(&list).as_str(), fault), (expected, None), "{text}");
        }
    }

    #[test]
    fn a_fault_has_its_line_and_what_was_read_before_it_is_kept() {
        for (text, line, kept) in [
            ("a;\n}\nb;", 2, "a[]"),
            ("a;\nb {\n c;\n", 2, "a[] b[]{c[]}"),
            ("a;\nb c\n", 2, "a[]"),
            ("a;\nb c }\n", 2, "a[]"),
            ("a;\n;", 2, "a[]"),
            ("a;\n{ b; }", 2, "a[]"),
            ("a;\n\nb \"c\"d;", 3, "a[]"),
            ("a;\nb \"c;\n", 2, "a[]"),
        ] {
            let (list, fault) = parse(text, &file());
            assert_eq!((shown(&list).as_str(), fault.map(|fault| fault.line)), (kept, Some(line)), "{text}");
        }
    }

    #[test]
    fn hostile_input_neither_hangs_nor_overflows() {
        let long = "x".repeat(1 << 20);
        for text in ["a {".repeat(100_000), "}".repeat(100_000), format!("a {long};"), format!("a \"{long}"), format!("a '{long}' b;")] {
            assert!(parse(&text, &file()).1.is_some(), "{}", &text[..10]);
        }
        let many = "a b c; ".repeat(100_000);
        assert_eq!(parse(&many, &file()).0.len(), 100_000);
        for text in ["\\", "a \\", "a $", "'", "\"\\", "x_by_lua_block { '", "\u{0}{\u{0};"] {
            let _unjudged = parse(text, &file());
        }
    }
}
