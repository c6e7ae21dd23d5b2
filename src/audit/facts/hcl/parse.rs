//! The grammar: bodies, items and values out of characters, up to the first fault.

use super::scan::{self, Scanner};
use super::{Body, HclError, Item, Value};

/// A body may lie this deep within others; real configurations need six.
const DEPTH: usize = 40;
/// As many values are read of one file.
pub(super) const VALUES: usize = 100_000;

/// Reads a file. What comes before a fault is given as well.
#[must_use]
pub fn parse(text: &str) -> (Body, Option<HclError>) {
    let mut parser = Parser { scanner: Scanner::new(text), fault: None, values: 0, json: false };
    parser.scanner.blank();
    let json = parser.scanner.peek() == Some('{');
    parser.json = json;
    if json {
        parser.scanner.next();
    }
    let body = parser.body(json, 0);
    if json && parser.fault.is_none() {
        parser.end();
    }
    let fault = parser.fault.or_else(|| parser.scanner.fault.take());
    (body, fault)
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    fault: Option<HclError>,
    values: usize,
    /// Begins with a brace: HCL's form in JSON.
    json: bool,
}

impl Parser<'_> {
    /// The items up to `}`, or up to the end of the file.
    fn body(&mut self, closed: bool, depth: usize) -> Body {
        let mut body = Body::default();
        loop {
            self.scanner.blank();
            if self.stopped() {
                return body;
            }
            match self.scanner.peek() {
                None => {
                    if closed {
                        self.fail("a closing brace", "the end of the file");
                    }
                    return body;
                }
                Some('}') if closed => {
                    self.scanner.next();
                    return body;
                }
                Some(',') => {
                    self.scanner.next();
                }
                Some(_) => {
                    let Some(item) = self.item(depth) else { return body };
                    body.items.push(item);
                }
            }
        }
    }

    fn item(&mut self, depth: usize) -> Option<Item> {
        let mut keys: Vec<(String, u32)> = Vec::new();
        loop {
            self.scanner.blank();
            let line = self.scanner.line;
            match self.scanner.peek() {
                // Blocks alone have labels.
                Some(sign @ ('=' | ':')) if keys.len() > 1 => {
                    self.fail("\"{\" after a name and labels", &shown(Some(sign)));
                    return None;
                }
                Some('=') if !self.json && !keys.is_empty() => {
                    self.scanner.next();
                    let value = self.value(depth)?;
                    return nest(keys, value);
                }
                Some(':') if self.json && !keys.is_empty() => {
                    self.scanner.next();
                    let value = self.value(depth)?;
                    return nest(keys, value);
                }
                Some('{') if !keys.is_empty() => {
                    let value = self.value(depth)?;
                    return nest(keys, value);
                }
                Some('"') => keys.push((self.scanner.string()?, line)),
                Some(first) if scan::is_name(first) && !self.json => {
                    let name = self.scanner.name();
                    if matches!(name.as_str(), "true" | "false") {
                        self.fail("the name of an option or block", &name);
                        return None;
                    }
                    keys.push((name, line));
                }
                other => {
                    let expected = if keys.is_empty() { "the name of an option or block" } else { "\"=\" or \"{\" after a name" };
                    self.fail(expected, &shown(other));
                    return None;
                }
            }
            if keys.len() > DEPTH {
                self.fail("a value", "one name after the other");
                return None;
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.scanner.blank();
        self.values += 1;
        if depth >= DEPTH || self.values > VALUES {
            self.fail("a configuration of ordinary depth and size", "one that is nested too deeply or too large");
            return None;
        }
        match self.scanner.peek() {
            Some('{') => {
                self.scanner.next();
                let body = self.body(true, depth + 1);
                Some(Value::Body(body))
            }
            Some('[') => {
                self.scanner.next();
                Some(Value::List(self.list(depth + 1)))
            }
            Some('"') => self.scanner.string().map(Value::Text),
            Some('<') => self.scanner.heredoc().map(Value::Text),
            Some(first) if first.is_ascii_digit() || matches!(first, '-' | '.') => self.scanner.number().map(Value::Number),
            Some(first) if scan::is_name(first) => self.word(),
            other => {
                self.fail("a value", &shown(other));
                None
            }
        }
    }

    fn word(&mut self) -> Option<Value> {
        match self.scanner.name().as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" if self.json => Some(Value::Null),
            other => {
                self.fail("a value: strings stand in quotes", other);
                None
            }
        }
    }

    fn list(&mut self, depth: usize) -> Vec<Value> {
        let mut list = Vec::new();
        let mut open = true;
        loop {
            self.scanner.blank();
            if self.stopped() {
                return list;
            }
            match self.scanner.peek() {
                None => {
                    self.fail("a closing bracket", "the end of the file");
                    return list;
                }
                Some(']') => {
                    self.scanner.next();
                    return list;
                }
                Some(',') => {
                    self.scanner.next();
                    open = true;
                }
                Some(_) if open => {
                    let Some(value) = self.value(depth) else { return list };
                    if value == Value::Null {
                        self.fail("a value that is one", "null");
                    }
                    list.push(value);
                    open = false;
                }
                other => {
                    self.fail("a comma or the end of the list", &shown(other));
                    return list;
                }
            }
        }
    }

    fn end(&mut self) {
        self.scanner.blank();
        if let Some(rest) = self.scanner.peek() {
            self.fail("the end of the file", &shown(Some(rest)));
        }
    }

    fn stopped(&self) -> bool {
        self.fault.is_some() || self.scanner.fault.is_some()
    }

    /// Only the first fault counts: what comes after it follows from it.
    fn fail(&mut self, expected: &'static str, found: &str) {
        if !self.stopped() {
            self.fault = Some(HclError { line: self.scanner.line, expected, found: found.to_owned() });
        }
    }
}

/// `a "b" { … }` is `a { b { … } }`.
fn nest(keys: Vec<(String, u32)>, value: Value) -> Option<Item> {
    let mut keys = keys.into_iter().rev();
    let (key, line) = keys.next()?;
    let inner = Item { key, line, value };
    Some(keys.fold(inner, |item, (key, line)| Item { key, line, value: Value::Body(Body { items: vec![item] }) }))
}

fn shown(found: Option<char>) -> String {
    found.map_or_else(|| "the end of the file".to_owned(), |found| format!("{found:?}"))
}
