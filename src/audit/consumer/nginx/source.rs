//! Where the text of a configuration comes from, a host's files or the output of `nginx -T`, and its includes put in place as nginx does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::syntax::{self, DEPTH, Directive};
use super::{glob, lints};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::unread;
use crate::io::look::{Kind, View};
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;

/// As many files are parsed, one that is included twice counted twice.
const FILES: usize = 5_000;
/// As many bytes are parsed.
const BYTES: usize = 64 << 20;
/// What every package of nginx brings along: a copy of a host may have been made without it.
const STOCK: &[&str] = &[
    "mime.types",
    "fastcgi_params",
    "fastcgi.conf",
    "proxy_params",
    "scgi_params",
    "uwsgi_params",
    "koi-utf",
    "koi-win",
    "win-utf",
    "fastcgi-php.conf",
];
/// What the line before each file of `nginx -T` begins with; it ends with a colon.
const MARKER: &str = "# configuration file ";

/// Where files are found.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// On a host.
    Host(&'a View),
    /// In the output of `nginx -T`, together with the host that its paths are of.
    Dump(BTreeMap<PathBuf, String>, &'a View),
}

impl<'a> Source<'a> {
    /// Takes the output of `nginx -T` apart; the first file is the main one.
    pub(super) fn dump(text: &str, view: &'a View) -> (Option<PathBuf>, Self) {
        let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
        let mut first = None;
        let mut current: Option<PathBuf> = None;
        for line in text.split_inclusive('\n') {
            let bare = line.trim_end();
            if let Some(path) = bare.strip_prefix(MARKER).and_then(|rest| rest.strip_suffix(':')).filter(|path| path.starts_with('/')) {
                first = first.or_else(|| Some(PathBuf::from(path)));
                current = Some(PathBuf::from(path));
                files.entry(PathBuf::from(path)).or_default().clear();
            } else if let Some(text) = current.as_ref().and_then(|path| files.get_mut(path)) {
                text.push_str(line);
            }
        }
        (first, Self::Dump(files, view))
    }

    /// The host.
    pub(super) const fn view(&self) -> &'a View {
        match self {
            Self::Host(view) | Self::Dump(_, view) => view,
        }
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        match self {
            Self::Host(view) => glob::on_host(view, pattern),
            Self::Dump(files, _) => glob::among(files.keys(), pattern),
        }
    }
}

/// Puts includes in place.
pub(super) struct Expansion<'a> {
    source: &'a Source<'a>,
    prefix: PathBuf,
    findings: &'a mut HostFindings,
    open: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    parsed: usize,
    bytes: usize,
}

impl<'a> Expansion<'a> {
    /// For a configuration whose relative names are relative to `prefix`.
    pub(super) fn new(source: &'a Source<'a>, prefix: &Path, findings: &'a mut HostFindings) -> Self {
        let (open, seen) = (Vec::new(), BTreeSet::new());
        Self { source, prefix: prefix.to_path_buf(), findings, open, seen, parsed: 0, bytes: 0 }
    }

    /// The whole configuration from its main file on, and every file of it.
    pub(super) fn run(mut self, main: &Path) -> (Vec<Directive>, Vec<PathBuf>) {
        let list = self.file(main, &Location::file(main), 0);
        (list, self.seen.into_iter().collect())
    }

    fn file(&mut self, path: &Path, named: &Location, nest: usize) -> Vec<Directive> {
        let target = || Target::new("nginx", path.display().to_string());
        let text = match self.text(path) {
            Ok(text) => text,
            Err(error) => {
                unread::unreadable(self.findings, target(), Location::file(path), &error);
                return Vec::new();
            }
        };
        self.parsed += 1;
        self.bytes = self.bytes.saturating_add(text.len());
        if self.parsed > FILES || self.bytes > BYTES {
            unread::malformed(
                self.findings,
                target(),
                named.clone(),
                "fewer included files",
                "more than are looked at: the rest is left out",
            );
            return Vec::new();
        }
        self.seen.insert(path.to_path_buf());
        let (list, fault) = syntax::parse(&text, &Rc::from(path));
        if let Some(fault) = fault {
            unread::malformed(self.findings, target(), Location::line(path, fault.line), fault.expected, &fault.found);
        }
        self.open.push(path.to_path_buf());
        let list = self.expand(list, nest);
        self.open.pop();
        list
    }

    fn text(&self, path: &Path) -> Result<String, crate::io::look::LookError> {
        match self.source {
            Source::Host(view) => view.text(path),
            Source::Dump(files, _) => files.get(path).cloned().ok_or_else(|| crate::io::look::LookError::Absent(path.to_path_buf())),
        }
    }

    fn expand(&mut self, list: Vec<Directive>, nest: usize) -> Vec<Directive> {
        let mut out = Vec::with_capacity(list.len());
        for mut directive in list {
            if directive.name == "include" && directive.block.is_none() {
                out.extend(self.include(&directive, nest));
                continue;
            }
            if let Some(block) = directive.block.take() {
                directive.block = Some(self.expand(block, nest + 1));
            }
            out.push(directive);
        }
        out
    }

    fn include(&mut self, directive: &Directive, nest: usize) -> Vec<Directive> {
        let [name] = directive.args.as_slice() else {
            self.findings.add(
                at(&lints::VALUE_INVALID, directive).expected("include and one path").found(format!("{} arguments", directive.args.len())),
            );
            return Vec::new();
        };
        let path = self.prefix.join(name);
        let pattern = glob::is_pattern(name);
        let files = if pattern { self.source.glob(&path.display().to_string()) } else { vec![path] };
        let mut list = Vec::new();
        // What is not there stays in the tree: nobody can say what it would have set.
        let gone = |file: &PathBuf| matches!(self.source, Source::Host(view) if view.meta(file).is_err_and(|error| error.is_absent()));
        if !pattern && files.iter().any(gone) {
            list.push(directive.clone());
        }
        for file in files {
            if pattern {
                self.backup(&file, directive);
            }
            if self.may_enter(&file, directive, nest) {
                list.extend(self.file(&file, &directive.location(), nest + 1));
            }
        }
        list
    }

    fn may_enter(&mut self, file: &Path, directive: &Directive, nest: usize) -> bool {
        if self.open.iter().any(|open| open == file) || nest > DEPTH {
            let found = self.open.iter().map(|open| open.display().to_string()).collect::<Vec<_>>().join(" -> ");
            self.findings.add(at(&lints::INCLUDE_LOOP, directive).expected("no way back").found(format!("{found} -> {}", file.display())));
            return false;
        }
        let Source::Host(view) = self.source else { return matches!(self.source, Source::Dump(files, _) if files.contains_key(file)) };
        match view.meta(file) {
            Ok(meta) if meta.kind == Kind::Directory => {
                self.findings.add(at(&lints::INCLUDE_DIRECTORY, directive).expected("files").found(file.display().to_string()));
                false
            }
            Err(error) if error.is_absent() => {
                self.absent(view, file, directive);
                false
            }
            _ => true,
        }
    }

    fn absent(&mut self, view: &View, file: &Path, directive: &Directive) {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let draft =
            at(&lints::INCLUDE_ABSENT, directive).expected(file.display().to_string()).found("no such file").file(Location::file(file));
        let draft = if is_left_out(view, file) || (view.is_elsewhere() && STOCK.contains(&name)) {
            draft.severity(Severity::Medium).evidence("the copy that was looked at may have been made without it")
        } else {
            draft
        };
        self.findings.add(draft);
    }

    fn backup(&mut self, file: &Path, directive: &Directive) {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !is_backup(name) {
            return;
        }
        let target = Target::new("nginx", file.display().to_string());
        self.findings.add(
            NewFinding::at(&lints::BACKUP_INCLUDED, target, Location::file(file))
                .file(directive.location())
                .expected("no copies where an include pattern matches them")
                .found(format!("{name} is matched by include {}", directive.arg())),
        );
    }
}

/// A draft about a directive.
pub(super) fn at(lint: &'static crate::judge::lint::Lint, directive: &Directive) -> NewFinding {
    NewFinding::at(lint, Target::new("nginx", directive.name.clone()), directive.location())
}

/// Whether a copy of a host was made without the top directory that a file lies in, so that its absence says nothing.
pub(super) fn is_left_out(view: &View, file: &Path) -> bool {
    let top: PathBuf = file.components().take(2).collect();
    view.is_elsewhere() && !view.is_directory(&top)
}

/// Whether an editor, a package manager or a careful administrator names copies like this.
fn is_backup(name: &str) -> bool {
    const ENDS: &[&str] = &[
        "~",
        ".bak",
        ".old",
        ".orig",
        ".save",
        ".saved",
        ".backup",
        ".back",
        ".copy",
        ".dpkg-old",
        ".dpkg-dist",
        ".dpkg-new",
        ".dpkg-tmp",
        ".dpkg-bak",
        ".ucf-old",
        ".ucf-dist",
        ".ucf-new",
        ".rpmsave",
        ".rpmnew",
        ".rpmorig",
        ".swp",
        ".swo",
        ".tmp",
        ".disabled",
        ".off",
        "-old",
        "-bak",
        "-backup",
        "_old",
        "_bak",
        "_backup",
        ".conf.org",
        "#",
    ];
    let name = name.to_ascii_lowercase();
    let stem = name.strip_suffix(".conf").unwrap_or(&name);
    let dated = |name: &str| {
        let (_, end) = name.rsplit_once(['.', '-', '_']).unwrap_or_default();
        end.len() >= 6 && end.bytes().all(|byte| byte.is_ascii_digit())
    };
    let ends = |name: &str| ENDS.iter().any(|end| name.ends_with(end));
    ends(&name)
        || ends(stem)
        || name.contains(".bak.")
        || name.contains(".bak-")
        || name.contains(".bak_")
        || (dated(&name) && name.contains(".conf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_told_by_their_names() {
        for name in [
            "site.conf.bak",
            "site.conf~",
            "default.dpkg-old",
            "default.bak",
            "site-old.conf",
            "x.conf.20250101",
            "x.bak.conf",
            "a.ucf-dist",
            "a.bak.2",
        ] {
            assert!(is_backup(name), "{name}");
        }
        for name in ["site.conf", "default", "10-tls.conf", "example.org", "backup.example.conf", "bak.conf", "node-20250101", "threshold"]
        {
            assert!(!is_backup(name), "{name}");
        }
    }

    #[test]
    fn a_dump_is_taken_apart_at_its_markers() {
        let text = "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n# configuration file /etc/nginx/nginx.conf:\na;\nb;\n\n# configuration file /etc/nginx/conf.d/x.conf:\nc;\n";
        let view = View::host();
        let (first, Source::Dump(files, _)) = Source::dump(text, &view) else { panic!("a dump") };
        assert_eq!(first, Some(PathBuf::from("/etc/nginx/nginx.conf")));
        assert_eq!(files.get(Path::new("/etc/nginx/conf.d/x.conf")).unwrap(), "c;\n");
        assert_eq!(files.len(), 2);
    }
}
