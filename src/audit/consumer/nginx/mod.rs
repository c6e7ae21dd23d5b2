//! nginx configuration as nginx itself would apply it: includes, inheritance, addresses and what would keep it from starting.

mod check;
mod ciphers;
mod glob;
mod guard;
mod http;
mod known;
pub mod lints;
mod listen;
mod module;
mod must_have;
mod named;
mod passing;
pub mod program;
mod proxy;
mod reader;
mod root;
mod scope;
mod server;
mod shapes;
mod source;
mod syntax;
mod table;
mod upstream;
mod values;
mod variables;
mod versions;

use std::path::{Path, PathBuf};

use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::package;
use crate::audit::facts::service::{Operand, Service, Source as HostSource, TargetKind};
use crate::audit::facts::unread;
use crate::audit::facts::wiring::Wiring;
use crate::io::look::View;
use crate::model::audit::{Location, Target};
use module::Module;
use reader::NginxReader;
use source::{Expansion, Source};
use syntax::Directive;

/// What the audit knows of nginx.
pub static SERVICE: Service = Service {
    title: Some("nginx"),
    targets: &[
        TargetKind { prefix: "nginx", operand: Operand::Path, value: "FILE", note: "", read: read_from },
        TargetKind {
            prefix: "nginx-dump",
            operand: Operand::Path,
            value: "FILE",
            note: " (the output of `nginx -T`)",
            read: read_dump_file,
        },
    ],
    usual: mains,
    read: read_from,
    started_as: &["nginx"],
    unit_words: &["nginx"],
    programs: &[&program::NGINX],
    ..Service::named("nginx", lints::ALL)
};

/// The main file where packages put it.
const MAIN: &str = "/etc/nginx/nginx.conf";
/// Where it lies where nginx was built by hand, or for another system.
const OTHERS: &[&str] =
    &["/usr/local/nginx/conf/nginx.conf", "/usr/local/etc/nginx/nginx.conf", "/opt/nginx/conf/nginx.conf", "/opt/nginx/nginx.conf"];
/// Its name, wherever it lies.
const MAIN_NAME: &str = "nginx.conf";

/// The main files that are there at the usual places.
fn mains(view: &View) -> Vec<PathBuf> {
    std::iter::once(&MAIN).chain(OTHERS).map(PathBuf::from).filter(|path| view.is_file(path)).collect()
}

fn read_from(source: HostSource<'_>, start: &Path, findings: &mut HostFindings) -> Wiring {
    read(source.view, start, findings)
}

fn read_dump_file(source: HostSource<'_>, file: &Path, findings: &mut HostFindings) -> Wiring {
    match source.view.text(file) {
        Ok(text) => read_dump(&text, source.view, findings),
        Err(error) => {
            unread::unreadable(findings, Target::new("nginx", file.display().to_string()), Location::file(file), &error);
            Wiring::default()
        }
    }
}

/// Reads what nginx reads, from its main file on; a file that holds server blocks only is read as if `http` included it.
#[must_use]
pub fn read(view: &View, start: &Path, findings: &mut HostFindings) -> Wiring {
    let prefix = prefix(view, start);
    let source = Source::Host(view);
    whole(&source, start, &prefix, findings)
}

/// Reads the output of `nginx -T`; the files it names beside the configuration are those of the host that is looked at.
#[must_use]
pub fn read_dump(text: &str, view: &View, findings: &mut HostFindings) -> Wiring {
    let (main, source) = Source::dump(text, view);
    let Some(main) = main else {
        let expected = "lines \"# configuration file PATH:\"";
        unread::malformed(findings, Target::new("nginx", "nginx -T"), Location::file("nginx -T"), expected, "none of them");
        return Wiring::default();
    };
    let prefix = main.parent().unwrap_or(Path::new("/")).to_path_buf();
    whole(&source, &main, &prefix, findings)
}

/// Where relative names begin: beside the main file (`ngx_conf_full_name`), which may lie above a file that is only a part.
fn prefix(view: &View, start: &Path) -> PathBuf {
    let beside = start.parent().unwrap_or(Path::new("/"));
    if start.file_name().is_some_and(|name| name == MAIN_NAME) {
        return beside.to_path_buf();
    }
    let above = beside.ancestors().find(|directory| view.is_file(&directory.join(MAIN_NAME)));
    above.unwrap_or(beside).to_path_buf()
}

fn whole(source: &Source<'_>, main: &Path, prefix: &Path, findings: &mut HostFindings) -> Wiring {
    let (list, files) = Expansion::new(source, prefix, findings).run(main);
    let has = |name: &str| list.iter().any(|line| line.name == name);
    let part = !has("http") && !has("stream") && !has("mail") && !has("events") && (has("server") || has("upstream"));
    let version = package::version(source.view(), &["nginx", "nginx-core", "nginx-light", "nginx-full", "nginx-extras", "nginx-common"]);
    // A file of another name may hold one block of the whole.
    let named = main.file_name().is_some_and(|name| name == MAIN_NAME) || matches!(source, Source::Dump(..));
    let seen_whole = named || has("events");
    let extended = part || list.iter().any(module::is_of_others) || hides_modules(source.view(), prefix) || !seen_whole;
    let build = check::Build { extended, version, shapes: shapes::Shapes::new() };
    let whole = has("http") || has("stream") || has("mail") || has("events");
    // Of some lines alone nobody knows where they are included.
    let context = match (part, whole) {
        (true, _) => "http",
        (false, true) => "main",
        (false, false) => "",
    };
    check::block(&list, shapes::Place::outermost(context), &build, findings);
    // What includes a part may load its module.
    if seen_whole {
        unloaded(source.view(), prefix, &list, findings);
    }
    if whole && named && !has("events") && !has("include") {
        let draft = NewFinding::at(&lints::BLOCK_ABSENT, Target::new("nginx", "events"), Location::file(main));
        findings.add(draft.expected("a block events").found("none"));
    }
    if !build.extended {
        list.iter().for_each(|block| variables::judge(block, &build.shapes, findings));
    }
    let mut reader = NginxReader::new(source.view(), prefix, version, findings);
    let mut roots = root::Roots::default();
    let worker = list.iter().find(|line| line.name == "user").map(Directive::arg);
    if part {
        http::read(&mut reader, &list, Module::Http);
        roots.collect(&list, prefix);
    }
    for block in &list {
        let Some(module) = Module::of(&block.name).filter(|module| !part || *module != Module::Http) else { continue };
        http::read(&mut reader, block.inside(), module);
        roots.collect(block.inside(), prefix);
    }
    root::judge(&mut reader, &roots, worker.unwrap_or("www-data"));
    reader.wiring.files = files;
    reader.wiring
}

/// Whether a link to what loads a module leads nowhere, as in a copy without /usr: nobody knows which directives it brings.
fn hides_modules(view: &View, prefix: &Path) -> bool {
    let directory = prefix.join("modules-enabled");
    let own = |name: &str| name.contains("mod-stream") || name.contains("mod-mail");
    view.list(&directory).unwrap_or_default().iter().any(|name| !own(name) && view.meta(&directory.join(name)).is_err())
}

/// Debian's nginx, and Ubuntu's, have neither `stream` nor `mail` in the program: a package brings each, with the line that loads it. Nobody
/// knows what an include that led nowhere would have loaded.
fn unloaded(view: &View, prefix: &Path, list: &[Directive], findings: &mut HostFindings) {
    if package::version(view, &["nginx-common"]).is_none_or(|version| version < [1, 10, 0])
        || list.iter().any(|line| line.name == "include")
    {
        return;
    }
    // The links there lead below /usr, which a copy is often made without.
    let linked = view.list(&prefix.join("modules-enabled")).unwrap_or_default();
    let is_linked = |block: &str| linked.iter().any(|name| name.contains(&format!("mod-{block}")));
    if let Some(block) = module::not_loaded(list).filter(|block| !is_linked(&block.name)) {
        let draft = source::at(&lints::DIRECTIVE_UNKNOWN, block).expected(format!("load_module modules/ngx_{}_module.so", block.name));
        let draft = draft.found(format!("{}, and no line that loads its module", block.name));
        findings.add(draft.remedy(format!(
            "apt install libnginx-mod-{}, and keep the line include /etc/nginx/modules-enabled/*.conf at the top of nginx.conf",
            block.name
        )));
    }
}

#[cfg(test)]
mod tests;
