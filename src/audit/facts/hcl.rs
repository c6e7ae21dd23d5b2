//! HCL as SPIRE, OpenBao and Vault read it (HCL 1 and its JSON form), with the line of every key. It must never know what a key means, and
//! what it makes of a hostile file is bounded: depth and number of values.

mod scan;

use scan::Scanner;

/// A body may lie this deep within others; real configurations need six.
const DEPTH: usize = 40;
/// As many values are read of one file.
const VALUES: usize = 100_000;

/// One `key = value` or `key "label" { … }`. Labels are bodies within bodies, as HCL's own decoder has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its name, without quotes.
    pub key: String,
    /// Where it begins, from 1.
    pub line: u32,
    /// What it is set to.
    pub value: Value,
}

/// What a key is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string or heredoc.
    Text(String),
    /// A number, as it is written.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`, in JSON only.
    Null,
    /// `[ … ]`.
    List(Vec<Value>),
    /// `{ … }`.
    Body(Body),
}

impl Value {
    /// A string, number or boolean as HCL's weak decoding makes a string of it.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text.clone()),
            Self::Bool(flag) => Some(flag.to_string()),
            Self::Null | Self::List(_) | Self::Body(_) => None,
        }
    }

    /// Every string of a list, or the one string that stands for a list.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::List(list) => list.iter().filter_map(Self::text).collect(),
            one => one.text().into_iter().collect(),
        }
    }

    /// The bodies that it is, or that its list holds: JSON writes repeated blocks as a list.
    #[must_use]
    pub fn bodies(&self) -> Vec<&Body> {
        match self {
            Self::Body(body) => vec![body],
            Self::List(list) => list.iter().filter_map(|value| if let Self::Body(body) = value { Some(body) } else { None }).collect(),
            _ => Vec::new(),
        }
    }
}

/// The items between two braces, or of a whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// In the order of the file.
    pub items: Vec<Item>,
}

impl Body {
    /// The item that counts: HCL's decoder lets the last one win.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.key.eq_ignore_ascii_case(key))
    }

    /// The text of a key, and where it is.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<(String, u32)> {
        self.get(key).and_then(|item| Some((item.value.text()?, item.line)))
    }

    /// Every body of this name, with its line.
    pub fn bodies<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a Body, u32)> {
        self.items
            .iter()
            .filter(move |item| item.key.eq_ignore_ascii_case(key))
            .flat_map(|item| item.value.bodies().into_iter().map(move |body| (body, item.line)))
    }

    /// Every body of this name that carries a label: `key "label" { … }`.
    pub fn labelled<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a Item, &'a Body)> {
        self.bodies(key).flat_map(|(body, _)| &body.items).flat_map(|item| item.value.bodies().into_iter().map(move |body| (item, body)))
    }
}

/// Where a file stops being HCL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HclError {
    /// From 1.
    pub line: u32,
    /// What should have been there.
    pub expected: &'static str,
    /// What is there.
    pub found: String,
}

/// Reads a file. What comes before a fault is given as well.
#[must_use]
pub fn parse(text: &str) -> (Body, Option<HclError>) {
    let mut parser = Parser { scanner: Scanner::new(text), fault: None, values: 0 };
    parser.scanner.blank();
    let json = parser.scanner.peek() == Some('{');
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
                Some('=' | ':') if !keys.is_empty() => {
                    self.scanner.next();
                    let value = self.value(depth)?;
                    return nest(keys, value);
                }
                Some('{') if !keys.is_empty() => {
                    let value = self.value(depth)?;
                    return nest(keys, value);
                }
                Some('"') => keys.push((self.scanner.string()?, line)),
                Some(first) if scan::is_name(first) => keys.push((self.scanner.name(), line)),
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
            Some(first) if first.is_ascii_digit() || matches!(first, '-' | '+' | '.') => Some(Value::Number(self.scanner.number())),
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
            "null" => Some(Value::Null),
            other => {
                self.fail("a value: strings stand in quotes", other);
                None
            }
        }
    }

    fn list(&mut self, depth: usize) -> Vec<Value> {
        let mut list = Vec::new();
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
                }
                Some(_) => {
                    let Some(value) = self.value(depth) else { return list };
                    list.push(value);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str) -> Body {
        let (body, fault) = parse(text);
        assert_eq!(fault, None, "{text}");
        body
    }

    #[test]
    fn both_forms_say_the_same() {
        let hcl = good(
            "plugins {\n  NodeAttestor \"x509pop\" {\n    plugin_data {\n      ca = \"/a\"\n    }\n  }\n  NodeAttestor \"join_token\" {}\n}\n",
        );
        let json = good("{\"plugins\": {\"NodeAttestor\": [{\"x509pop\": {\"plugin_data\": {\"ca\": \"/a\"}}}, {\"join_token\": {}}]}}");
        for body in [&hcl, &json] {
            let (plugins, _) = body.bodies("plugins").next().unwrap();
            let names: Vec<&str> = plugins.labelled("NodeAttestor").map(|(item, _)| item.key.as_str()).collect();
            assert_eq!(names, ["x509pop", "join_token"]);
            let (_, block) = plugins.labelled("NodeAttestor").next().unwrap();
            assert_eq!(block.bodies("plugin_data").next().unwrap().0.text("ca").unwrap().0, "/a");
        }
        let (plugins, _) = hcl.bodies("plugins").next().unwrap();
        assert_eq!(plugins.labelled("NodeAttestor").map(|(item, _)| item.line).collect::<Vec<_>>(), [2, 7]);
    }

    #[test]
    fn values_are_what_hcl_takes_them_for() {
        let body = good(
            "a = \"x\\ty\\\"z\" // no\nb = 0x1F # no\nc = true\nd = [\"1\", 2,\n 3,]\n/* no\n e = 1 */ f = <<EOT\none\ntwo\nEOT\n\"g\" = -1.5e3\nh = <<-X\n  in\n  X\ni = \"${file(\"a b\")}\" j = 8200\nk { l = 1 m = 2 }\nc = false\n",
        );
        let text = |key: &str| body.text(key).unwrap();
        assert_eq!(text("a"), ("x\ty\"z".to_owned(), 1));
        assert_eq!(text("b"), ("0x1F".to_owned(), 2));
        assert_eq!(text("c"), ("false".to_owned(), 17), "the last one wins");
        assert_eq!(body.get("d").unwrap().value.texts(), ["1", "2", "3"]);
        assert!(body.get("e").is_none(), "a commented option is not set");
        assert_eq!(text("f").0, "one\ntwo\n");
        assert_eq!(text("g").0, "-1.5e3");
        assert_eq!(text("h").0.trim(), "in");
        assert_eq!((text("i").0.as_str(), text("j").0.as_str()), ("${file(\"a b\")}", "8200"));
        assert_eq!(body.bodies("k").next().unwrap().0.text("m").unwrap().0, "2");
    }

    #[test]
    fn a_fault_has_its_line_and_what_came_before_it() {
        let deep = format!("a = {}", "[".repeat(5000));
        let bodies = "a {".repeat(5000);
        let labels = "a ".repeat(5000);
        let cases: &[(&str, u32, &str)] = &[
            ("a = 1\nb = yes\n", 2, "quotes"),
            ("a = 1\nb = \"x\nc = 2\n", 2, "quote"),
            ("a = 1\nl {\n b = 2\n", 4, "closing brace"),
            ("a = 1\nb\n}", 3, "after a name"),
            ("a = 1\n}\n", 2, "name"),
            ("a = 1\nb = <<EOF\nx\n", 2, "heredoc"),
            ("a = 1\nb = [1, 2\n", 3, "bracket"),
            ("a = 1\n/* x\n", 2, "comment"),
            ("a = 1\nb = ", 2, "value"),
            ("{\"a\": 1\n} x", 2, "end"),
            (&deep, 1, "depth"),
            (&bodies, 1, "depth"),
            (&labels, 1, "value"),
        ];
        for (text, line, words) in cases {
            let (body, fault) = parse(text);
            let fault = fault.unwrap_or_else(|| panic!("{text:.40}"));
            assert!(fault.line == *line && fault.expected.contains(words), "{text:.40}: {fault:?}");
            if text.starts_with("a = 1") {
                assert_eq!(body.text("a").unwrap().0, "1", "{text}");
            }
        }
    }

    #[test]
    fn hostile_files_end() {
        for text in [
            "\u{feff}a = 1",
            "\0\0\0",
            "\"",
            "<<",
            "<<\n",
            "a = <<-\n",
            "a = \"${",
            "a = \"\\",
            "/",
            "{",
            "{{",
            "[",
            "=",
            "a = -",
            "é = 1",
            "{,}",
        ] {
            let (_, _) = parse(text);
        }
        let (body, _) = parse("\u{feff}a = 1");
        assert_eq!(body.text("a").unwrap().0, "1");
        let many = "a = 1\n".repeat(VALUES + 10);
        let (body, fault) = parse(&many);
        assert!(body.items.len() <= VALUES && fault.is_some());
        let quotes = "a = \"${\"".repeat(50_000);
        assert!(parse(&quotes).1.is_some());
    }
}
