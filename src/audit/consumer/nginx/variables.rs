//! Variables: nginx's own (variables.txt) and those that a configuration makes. One that is neither stops nginx. It must never judge where a
//! module of others may bring them, nor words that nginx does not look into for variables.

use std::collections::BTreeSet;

use super::known;
use super::lints;
use super::module::Module;
use super::shapes::Shapes;
use super::source::at;
use super::syntax::Directive;
use crate::audit::facts::findings::HostFindings;

/// All of nginx's own in `http`.
const OWN: &str = include_str!("variables.txt");
/// Those in `stream`.
const STREAM: &str = include_str!("variables-stream.txt");
/// Directives in whose words variables stand; of the others it differs from word to word.
const TAKERS: &[&str] = &[
    "access_log",
    "add_header",
    "add_trailer",
    "alias",
    "auth_basic",
    "auth_basic_user_file",
    "auth_request_set",
    "error_page",
    "fastcgi_param",
    "grpc_set_header",
    "hash",
    "index",
    "limit_conn_zone",
    "limit_rate",
    "limit_req_zone",
    "log_format",
    "proxy_bind",
    "proxy_cache_bypass",
    "proxy_cache_key",
    "proxy_download_rate",
    "proxy_no_cache",
    "proxy_pass",
    "proxy_set_header",
    "proxy_ssl_name",
    "proxy_upload_rate",
    "return",
    "root",
    "scgi_param",
    "set",
    "ssl_certificate",
    "ssl_certificate_key",
    "try_files",
    "uwsgi_param",
];
/// Directives whose blocks hold no directives.
const RAW: &[&str] = &["map", "geo", "split_clients", "types", "charset_map"];

/// Names that are variables in a block.
struct Known {
    /// The module's, small.
    own: &'static str,
    /// Those that the configuration makes, small.
    made: BTreeSet<String>,
}

/// Judges every variable of an `http` or `stream` block; `mail` has none.
pub(super) fn judge(block: &Directive, shapes: &Shapes, findings: &mut HostFindings) {
    let own = match Module::of(&block.name) {
        Some(Module::Http) => OWN,
        Some(Module::Stream) => STREAM,
        _ => return,
    };
    let mut known = Known { own, made: BTreeSet::new() };
    // What is not there, or what others' modules do, may make variables too.
    if collect(block.inside(), shapes, &mut known.made) {
        each(block.inside(), &known, findings);
    }
}

/// Names that are made in these blocks, in small letters: nginx makes no difference. Whether all of them are seen.
fn collect(list: &[Directive], shapes: &Shapes, made: &mut BTreeSet<String>) -> bool {
    list.iter().all(|directive| {
        let name = directive.name.as_str();
        // Those that make one name it as a word of its own; the first word of those that set one is that.
        let whole = directive.args.iter().filter_map(|arg| arg.strip_prefix('$')).map(str::to_ascii_lowercase);
        match name {
            "set" | "auth_request_set" => made.extend(whole.take(1)),
            _ if !TAKERS.contains(&name) && name != "if" => made.extend(whole),
            _ => {}
        }
        for word in std::iter::once(&directive.name).chain(&directive.args) {
            captures(word, made);
        }
        let raw = RAW.contains(&name);
        name != "include"
            && (shapes.knows(name) || known::is_own(name))
            && directive.inside().iter().all(|inner| {
                captures(&inner.name, made);
                raw || collect(std::slice::from_ref(inner), shapes, made)
            })
    })
}

/// `(?<name>…)` and its other forms in an expression.
fn captures(word: &str, made: &mut BTreeSet<String>) {
    for (at, _) in word.match_indices("(?") {
        let rest = word.get(at + 2..).unwrap_or_default().trim_start_matches('P');
        if let Some(rest) = rest.strip_prefix(['<', '\'']) {
            made.extend(rest.split(['>', '\'']).next().map(str::to_ascii_lowercase));
        }
    }
}

fn each(list: &[Directive], known: &Known, findings: &mut HostFindings) {
    for directive in list {
        for word in words(directive) {
            let Some(name) = fault(word, known) else { continue };
            let expected = if name.is_empty() { "a name behind each $" } else { "a variable that nginx or this configuration makes" };
            findings.add(at(&lints::VALUE_INVALID, directive).expected(expected).found(format!("${name} in {}", directive.name)));
        }
        if !RAW.contains(&directive.name.as_str()) {
            each(directive.inside(), known, findings);
        }
    }
}

/// The words of a directive in which variables stand.
fn words(directive: &Directive) -> Vec<&str> {
    let args = || directive.args.iter().map(String::as_str);
    match directive.name.as_str() {
        "if" => {
            let compared = args().any(|arg| arg.trim_start_matches('!').starts_with('~'));
            args().take(if compared { 1 } else { 3 }).map(|arg| arg.trim_start_matches('(').trim_end_matches(')')).collect()
        }
        "rewrite" => args().skip(1).take(1).collect(),
        "map" => args().take(1).collect(),
        "set" | "auth_request_set" => args().skip(1).collect(),
        // Of a format the first word is its name, and of a code and a text the text.
        name if TAKERS.contains(&name) => args().collect(),
        _ => Vec::new(),
    }
}

/// The first name in a word that is no variable; an empty one where a `$` has none.
fn fault<'a>(word: &'a str, known: &Known) -> Option<&'a str> {
    let mut rest = word;
    while let Some((_, after)) = rest.split_once('$') {
        let (inside, braces) = after.strip_prefix('{').map_or((after, false), |inside| (inside, true));
        let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
        let (name, behind) = inside.split_at_checked(end).unwrap_or_default();
        if name.is_empty() || (braces && !behind.starts_with('}')) {
            return Some("");
        }
        // A capture of an expression is one digit.
        let capture = name.starts_with(|c: char| ('1'..='9').contains(&c));
        if !capture && !known.has(&name.to_ascii_lowercase()) {
            return Some(name);
        }
        rest = behind;
    }
    None
}

impl Known {
    fn has(&self, name: &str) -> bool {
        let own = |known: &str| known.strip_suffix('*').map_or(known == name, |start| name.starts_with(start));
        self.made.contains(name) || known::entries(self.own).any(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_nginxs_own_or_made() {
        let http = Known { own: OWN, made: BTreeSet::from(["back".to_owned()]) };
        let stream = Known { own: STREAM, made: BTreeSet::new() };
        assert_eq!(fault("$ssl_preread_server_name:$server_port", &stream), None);
        assert_eq!(fault("$host", &stream), Some("host"));
        for (word, expected) in [
            ("http://$back/x", None),
            ("${host}x$1", None),
            ("http://$Back", None),
            ("$http_x_y$arg_a$HOST", None),
            ("a$nonesuch-b", Some("nonesuch")),
            ("${nonesuch}", Some("nonesuch")),
            ("5$", Some("")),
            ("${host", Some("")),
            ("plain", None),
        ] {
            assert_eq!(fault(word, &http), expected, "{word}");
        }
    }

    #[test]
    fn expressions_make_variables() {
        let mut made = BTreeSet::new();
        captures("~^(?<One>.+)\\.(?P<two>x)(?'three'y)(?:z)$", &mut made);
        assert_eq!(made, BTreeSet::from(["one", "two", "three"].map(str::to_owned)));
    }
}
