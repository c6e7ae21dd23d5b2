//! A document as text, SARIF, JUnit and Prometheus metrics, and several documents as one.

/// Text at the end of a text.
macro_rules! put {
    ($out:expr, $($text:tt)*) => { $out.push_str(&format!($($text)*)) };
}

/// A line at the end of a text.
macro_rules! put_line {
    ($out:expr, $($text:tt)*) => {{ put!($out, $($text)*); $out.push('\n'); }};
}

mod fold;
mod forest;
pub mod html;
pub mod junit;
pub mod merge;
pub mod prometheus;
pub mod sarif;
pub mod text;

/// Characters that XML and HTML give a meaning, and what XML 1.0 cannot hold (§2.2), made plain.
#[must_use]
pub fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::audit::facts::findings::{HostFindings, NewFinding};
    use crate::judge::lint;
    use crate::model::audit::{Chain, Document, Link, Location, Object, Peers, Target, Verdict};
    use crate::model::clock::Time;

    /// A document with one of everything, and names that try to break out.
    pub(crate) fn sample() -> Document {
        let at = Time::parse("2026-11-24T12:00:00Z").unwrap();
        let mut findings = HostFindings::new(at, "auth.funlab.casa");
        let cert = Object::Certificate("ab".repeat(32));
        findings.add(
            NewFinding::new(&lint::EKU_ABSENT, Target::new("nginx", "server \"<b>&web\""), cert)
                .file(Location::line("/etc/nginx/sites-enabled/web", 7))
                .file(Location::file("/etc/nginx/tls/web.pem"))
                .expected("serverAuth")
                .found("no extended key usage")
                .evidence("subject CN=<script>alert(1)</script>")
                .breaks("go")
                .since(at.plus(-3600)),
        );
        findings.add(NewFinding::at(&lint::PEM_CRLF, Target::new("file", "/etc/x.pem"), Location::file("/etc/x.pem")).found("CR LF"));
        let link = |subject: &str, days: i64| Link {
            sha256: "cd".repeat(32),
            subject: subject.to_owned(),
            serial: "2b:01".to_owned(),
            key: "ec-p256".to_owned(),
            spki_sha256: String::new(),
            not_before: at.plus(-3600),
            not_after: at.plus(days * 86_400),
        };
        findings.chain(Chain {
            target: Target::new("file", "/etc/nginx/tls/web.pem"),
            leaf_sha256: "ab".repeat(32),
            verdict: Verdict::Reject,
            path: vec!["ab".repeat(32), "cd".repeat(32)],
            peers: Peers { rustls: Verdict::Accept, openssl: Verdict::Accept, python: Verdict::Reject, go: Verdict::Accept },
            links: vec![link("CN=web", 1), link("CN=Book of Omens", 300), link("CN=Eye of Thundera", 9000)],
            elapsed: Some(0.042),
            renewals_left: Some(90),
        });
        findings.into_document()
    }

    #[test]
    fn nothing_breaks_out_of_markup() {
        assert_eq!(super::escape("<a b=\"c\">&'\u{1}"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;\u{fffd}");
    }
}
