//! What a reader of nginx carries along, and how a block's certificates, keys and trust lists become pairs and trusts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::lints;
use super::named::{self, Named};
use super::program::NGINX;
use super::scope::Scope;
use super::source::{at, is_left_out};
use super::syntax::Directive;
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::package::Version;
use crate::audit::facts::wiring::{Consumer, DepthLimit, Needs, Opened, Pair, Trust, TrustTerms, Wiring};
use crate::io::look::View;
use crate::judge::lint::Lint;
use crate::model::audit::Target;
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// A configuration that is being read.
#[derive(Debug)]
pub(super) struct NginxReader<'a> {
    pub(super) view: &'a View,
    pub(super) prefix: PathBuf,
    pub(super) findings: &'a mut HostFindings,
    pub(super) wiring: Wiring,
    /// Of the nginx that is here, where it is known.
    pub(super) version: Option<Version>,
    trusts: BTreeMap<Vec<PathBuf>, Vec<usize>>,
}

/// Which directives of a block hold its side of TLS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    /// Empty for a listener; `proxy_`, `grpc_` or `uwsgi_` for a call.
    pub(super) start: &'a str,
    pub(super) purpose: Purpose,
}

impl<'a> NginxReader<'a> {
    pub(super) fn new(view: &'a View, prefix: &Path, version: Option<Version>, findings: &'a mut HostFindings) -> Self {
        Self { view, prefix: prefix.to_path_buf(), findings, wiring: Wiring::default(), version, trusts: BTreeMap::new() }
    }

    /// The file that a value names; relative ones are relative to where the main file lies.
    pub(super) fn named(&self, value: &str) -> Named {
        named::of(&self.prefix, value)
    }

    /// The file a directive names; what else it names is said.
    fn file(&mut self, directive: &Directive) -> Option<PathBuf> {
        let value = directive.arg();
        let (lint, found): (&'static Lint, &str) = match self.named(value) {
            Named::File(path) => return Some(path),
            Named::Variable => (&lints::FROM_VARIABLE, value),
            Named::Elsewhere => (&lints::KEY_ELSEWHERE, value.split(':').next().unwrap_or_default()),
            Named::Inline if value.contains("PRIVATE KEY") => (&lints::KEY_INLINE, "data: with a private key"),
            Named::Inline => return None,
        };
        self.findings.add(at(lint, directive).expected("a file").found(found));
        None
    }

    /// The pairs that a block uses on one side; one of which a half is missing is a finding.
    pub(super) fn pairs(&mut self, scope: &Scope<'_>, side: Side<'_>, label: &str, names: &[String]) -> Vec<usize> {
        let name = |end: &str| format!("{}{end}", side.start);
        let certificates = scope.all(&name("ssl_certificate"));
        let keys = scope.all(&name("ssl_certificate_key"));
        let passphrase = scope.get(&name("ssl_password_file")).is_some();
        let placeholder = side.start.is_empty()
            && ["ssl_certificate_by_lua_block", "ssl_certificate_by_lua_file"].iter().any(|name| scope.get(name).is_some());
        let mut pairs = Vec::new();
        for (index, directive) in certificates.iter().enumerate().filter(|(_, directive)| !directive.arg().is_empty()) {
            let key = keys.get(index);
            if key.is_none() && !scope.lacks_include() {
                let expected = format!("as many {} as {}", name("ssl_certificate_key"), name("ssl_certificate"));
                let found = format!("{} and {} in force for {label}", keys.len(), certificates.len());
                self.findings.add(at(&lints::KEY_ABSENT, directive).expected(expected).found(found));
            }
            let consumer = self.consumer(label, directive);
            let each = named::by_name(&self.prefix, scope, directive.arg(), key.map(|key| key.arg()), names);
            if !each.is_empty() {
                for one in each {
                    let pair = one.pair(consumer.clone(), side.purpose, passphrase);
                    pairs.push(self.wiring.pair(pair));
                }
                continue;
            }
            let key = key.and_then(|key| self.file(key));
            let Some(certificate) = self.file(directive) else { continue };
            let pair = Pair {
                consumer,
                certificate,
                key,
                intermediates: Vec::new(),
                purpose: side.purpose,
                names: if placeholder { Vec::new() } else { names.to_vec() },
                passphrase,
                account: None,
                leaf_only: false,
                placeholder,
            };
            let known = self.known(&pair);
            pairs.push(known.unwrap_or_else(|| self.wiring.pair(pair)));
        }
        pairs
    }

    /// One that many blocks inherit is one pair; only the latest are compared, so that many pairs do not cost their square.
    fn known(&self, pair: &Pair) -> Option<usize> {
        const LATEST: usize = 200;
        let skipped = self.wiring.pairs.len().saturating_sub(LATEST);
        self.wiring.pairs.iter().skip(skipped).rposition(|known| known == pair).map(|index| index + skipped)
    }

    /// A trust list from the directives that name it, once for the same files.
    pub(super) fn trust(&mut self, directives: &[&Directive], of: Purpose, label: &str, terms: TrustTerms) -> Option<usize> {
        let first = directives.first()?;
        let files: Vec<PathBuf> = directives.iter().filter_map(|directive| self.file(directive)).collect();
        if files.is_empty() {
            return None;
        }
        let same = |index: &&usize| self.wiring.trusts.get(**index).is_some_and(|known| known.of == of && known.terms == terms);
        if let Some(index) = self.trusts.get(&files).and_then(|known| known.iter().find(same)) {
            return Some(*index);
        }
        self.trusts.entry(files.clone()).or_default().push(self.wiring.trusts.len());
        let consumer = self.consumer(label, first);
        Some(self.wiring.trust(Trust { consumer, files, of, needs: Needs::Root, terms }))
    }

    /// What is said beside a list: how long a path may be (one intermediate where nothing is said), and what is revoked.
    pub(super) fn trust_terms(&self, scope: &Scope<'_>, start: &str) -> TrustTerms {
        let option = format!("{start}ssl_verify_depth");
        let set = scope.get(&option).and_then(|line| line.arg().parse().ok());
        let depth = Some(DepthLimit { most: set.unwrap_or(1), is_set: set.is_some(), option });
        let crls = scope.all(&format!("{start}ssl_crl")).iter();
        let crls = crls.filter_map(|line| if let Named::File(path) = self.named(line.arg()) { Some(path) } else { None });
        TrustTerms { depth, crls: crls.collect(), account: None }
    }

    /// nginx, told in this line.
    pub(super) fn consumer(&self, label: &str, directive: &Directive) -> Consumer {
        Consumer { program: &NGINX, target: Target::new("nginx", label).at_line(Some(directive.line)), location: directive.location() }
    }

    /// Files that nginx opens at its start besides certificates and keys.
    pub(super) fn must_exist(&mut self, scope: &Scope<'_>, names: &[&str]) {
        let conf = ["ssl_conf_command", "proxy_ssl_conf_command"]
            .iter()
            .flat_map(|name| scope.own(name))
            .filter(|line| named::is_file(line.arg()));
        let conf = conf.filter_map(|line| Some((*line, line.args.get(1)?.as_str())));
        let plain = names.iter().flat_map(|name| scope.own(name)).map(|line| (*line, line.arg()));
        for (directive, value) in plain.chain(conf) {
            let Named::File(path) = self.named(value) else { continue };
            self.wiring.opened.push(Opened { program: &NGINX, location: directive.location(), path: path.clone() });
            if !self.view.meta(&path).is_err_and(|error| error.is_absent()) {
                continue;
            }
            let draft = at(&lints::FILE_ABSENT, directive).expected(path.display().to_string()).found("no such file");
            let left_out = is_left_out(self.view, &path);
            self.findings.add(if left_out { draft.severity(Severity::Low) } else { draft });
        }
    }
}
