//! A table of directives (shapes*.txt): with how many words each comes, of which kind, and how often. It must never judge what it does not
//! name: directives of newer versions and of modules that others make.

use std::collections::BTreeMap;

use super::syntax::Directive;

/// Where the first word is no plain number, size or time, or more than that.
const MIXED: &[&str] = &[
    "listen",
    "return",
    "expires",
    "worker_processes",
    "worker_cpu_affinity",
    "userid_expires",
    "userid_service",
    "gzip_comp_level",
    "worker_priority",
    "worker_aio_requests",
    "epoll_events",
    "map_hash_bucket_size",
];

/// Which of the sizes may be a variable: those of `http` and `stream` take one in 1.22 or since 1.27.0 (nginx.org, CHANGES). No other number,
/// size, time or flag does.
const VARIABLE: &[&str] = &[
    "limit_rate",
    "limit_rate_after",
    "proxy_limit_rate",
    "fastcgi_limit_rate",
    "scgi_limit_rate",
    "uwsgi_limit_rate",
    "proxy_download_rate",
    "proxy_upload_rate",
];

/// Of what kind the words of a directive are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `on` or `off`.
    Flag,
    Number,
    /// `8k`.
    Size,
    /// `1h 30m`.
    Time,
    /// A block follows.
    Block,
    Any,
}

/// How often a directive may stand in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    /// None may stand beside one that says `off`.
    NotBesideOff,
    /// Once with each first word.
    EachFirst,
    Any,
}

/// What is known of one directive.
#[derive(Clone, Copy, Debug)]
struct Shape {
    places: &'static str,
    least: usize,
    most: Option<usize>,
    kind: Kind,
    times: Times,
}

/// What is known of the directives of one module.
#[derive(Debug)]
pub(super) struct Table(BTreeMap<&'static str, Shape>);

impl Table {
    /// Reads its lines.
    pub(super) fn new(lines: &'static str) -> Self {
        Self(lines.lines().filter(|line| !line.starts_with('#')).filter_map(shape).collect())
    }

    /// The letters of the blocks that it may stand in.
    pub(super) fn places(&self, name: &str) -> &'static str {
        self.0.get(name).map_or("", |shape| shape.places)
    }

    /// Whether the table names it.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// How often it may be said in a block.
    pub(super) fn times(&self, name: &str) -> Times {
        self.0.get(name).map_or(Times::Any, |shape| shape.times)
    }

    /// How many words it takes, where there are not as many.
    pub(super) fn count(&self, directive: &Directive) -> Option<String> {
        let shape = self.0.get(directive.name.as_str())?;
        let count = directive.args.len();
        (count < shape.least || shape.most.is_some_and(|most| count > most)).then(|| words(shape.least, shape.most))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What nginx expects of its words, where they are not that.
    pub(super) fn expected(&self, directive: &Directive) -> Option<String> {
        let shape = self.0.get(directive.name.as_str())?;
        let count = directive.args.len();
        if directive.name != "server" && (shape.kind == Kind::Block) != directive.block.is_some() {
            return Some(if directive.block.is_some() { "a ; at its end".to_owned() } else { "a block behind it".to_owned() });
        }
        let value = directive.arg();
        let variable = VARIABLE.contains(&directive.name.as_str()) && value.contains('$');
        let flexible = MIXED.contains(&directive.name.as_str()) || count != 1 || variable;
        let sound = match shape.kind {
            Kind::Flag => value.eq_ignore_ascii_case("on") || value.eq_ignore_ascii_case("off"),
            _ if flexible => true,
            Kind::Size | Kind::Time if value == "off" => true,
            Kind::Number => !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()),
            Kind::Size => is_size(value),
            Kind::Time => is_time(value),
            Kind::Block | Kind::Any => true,
        };
        let words = match shape.kind {
            Kind::Flag => "on or off",
            Kind::Number => "a number",
            Kind::Size => "a size, such as 8k",
            _ => "a time, such as 10m",
        };
        (!sound).then(|| words.to_owned())
    }
}

fn shape(line: &'static str) -> Option<(&'static str, Shape)> {
    let mut words = line.split(' ');
    let (name, places, span, kind, times) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let (least, most) = span.split_once('-')?;
    let kind = match kind {
        "flag" => Kind::Flag,
        "number" => Kind::Number,
        "size" => Kind::Size,
        "time" => Kind::Time,
        "block" => Kind::Block,
        _ => Kind::Any,
    };
    let times = match times {
        "once" => Times::Once,
        "off" => Times::NotBesideOff,
        "first" => Times::EachFirst,
        _ => Times::Any,
    };
    Some((name, Shape { places, least: least.parse().ok()?, most: most.parse().ok(), kind, times }))
}

fn words(least: usize, most: Option<usize>) -> String {
    match (least, most) {
        (0, Some(0)) => "nothing behind it".to_owned(),
        (1, Some(1)) => "one value".to_owned(),
        (least, Some(most)) if least == most => format!("{least} values"),
        (least, Some(most)) => format!("{least} to {most} values"),
        (least, None) => format!("{least} values or more"),
    }
}

/// Digits, and one letter at most.
pub(super) fn is_size(value: &str) -> bool {
    let digits = value.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G']).unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `10m`, `1d12h`, `300`, `500ms`: the larger unit first, each once (`ngx_parse_time`).
pub(super) fn is_time(value: &str) -> bool {
    const UNITS: &[&str] = &["y", "M", "w", "d", "h", "m", "s", "ms"];
    let mut rest = value.trim_matches(' ');
    let mut next = 0;
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).unwrap_or_default();
        let unit = if after.starts_with("ms") { 2 } else { usize::from(after.starts_with(|c: char| c.is_ascii_alphabetic())) };
        let (unit, after) = after.split_at_checked(unit).unwrap_or_default();
        let found = UNITS.iter().skip(next).position(|known| *known == unit);
        if number.is_empty() || (found.is_none() && !(unit.is_empty() && after.is_empty())) {
            return false;
        }
        next += found.map_or(UNITS.len(), |found| found + 1);
        any = true;
        rest = after.trim_start_matches(' ');
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directive(text: &str) -> Directive {
        super::super::syntax::parse(text, &std::rc::Rc::from(std::path::Path::new("/n"))).0.remove(0)
    }

    #[test]
    fn words_and_places_are_those_that_nginx_takes() {
        let table = Table::new(include_str!("shapes.txt"));
        for (text, bad) in [
            ("sendfile on;", false),
            ("sendfile maybe;", true),
            ("keepalive_timeout 65 60;", false),
            ("keepalive_timeout 65 60 55;", true),
            ("client_max_body_size 10mb;", true),
            ("client_max_body_size 1G;", false),
            ("proxy_read_timeout 1h 30m;", true),
            ("proxy_read_timeout '1h 30m';", false),
            ("proxy_read_timeout 30m1h;", true),
            ("types_hash_max_size 2k;", true),
            ("limit_rate $rate;", false),
            ("limit_rate_after $after;", false),
            ("limit_rate_after often;", true),
            ("proxy_limit_rate $rate;", false),
            ("client_max_body_size $rate;", true),
            ("map $a $b;", true),
            ("root { }", true),
            ("no_such_directive x y z;", false),
        ] {
            let directive = directive(text);
            let expected = table.count(&directive).or_else(|| table.expected(&directive));
            assert_eq!(expected.is_some(), bad, "{text}");
        }
        for name in ["limit_conn", "proxy_redirect", "proxy_cookie_flags", "mirror", "http2_push"] {
            assert_ne!(table.times(name), Times::Once, "{name}");
        }
    }
}
