//! nginx configuration as nginx itself would apply it: includes, inheritance, addresses and what would keep it from starting. It must never
//! judge a certificate, start nginx or resolve a name.

mod check;
mod glob;
mod guard;
mod http;
mod known;
pub mod lints;
mod listen;
mod proxy;
mod reading;
mod root;
mod scope;
mod server;
mod source;
mod syntax;
mod upstream;

use std::path::{Path, PathBuf};

use super::input;
use super::sheet::Sheet;
use super::wiring::Wiring;
use crate::io::look::View;
use crate::model::audit::{Place, Target};
use proxy::Module;
use reading::Reading;
use source::{Expansion, Source};
use syntax::Directive;

/// The main file where packages put it.
pub const MAIN: &str = "/etc/nginx/nginx.conf";
/// Where it lies where nginx was built by hand, or for another system.
const OTHERS: &[&str] =
    &["/usr/local/nginx/conf/nginx.conf", "/usr/local/etc/nginx/nginx.conf", "/opt/nginx/conf/nginx.conf", "/opt/nginx/nginx.conf"];
/// Its name, wherever it lies.
const MAIN_NAME: &str = "nginx.conf";

/// The main files that are there at the usual places.
#[must_use]
pub fn mains(view: &View) -> Vec<PathBuf> {
    std::iter::once(&MAIN).chain(OTHERS).map(PathBuf::from).filter(|path| view.is_file(path)).collect()
}

/// Reads what nginx reads, from its main file on; a file that holds server blocks only is read as if `http` included it.
#[must_use]
pub fn read(view: &View, start: &Path, sheet: &mut Sheet) -> Wiring {
    let prefix = prefix(view, start);
    let source = Source::Host(view);
    whole(&source, start, &prefix, sheet)
}

/// Reads the output of `nginx -T`; the files it names beside the configuration are those of the host that is looked at.
#[must_use]
pub fn read_dump(text: &str, view: &View, sheet: &mut Sheet) -> Wiring {
    let (main, source) = Source::dump(text, view);
    let Some(main) = main else {
        let expected = "lines \"# configuration file PATH:\"";
        input::malformed(sheet, Target::new("nginx", "nginx -T"), Place::file("nginx -T"), expected, "none of them");
        return Wiring::default();
    };
    let prefix = main.parent().unwrap_or(Path::new("/")).to_path_buf();
    whole(&source, &main, &prefix, sheet)
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

fn whole(source: &Source<'_>, main: &Path, prefix: &Path, sheet: &mut Sheet) -> Wiring {
    let (list, files) = Expansion::new(source, prefix, sheet).run(main);
    let has = |name: &str| list.iter().any(|line| line.name == name);
    let part = !has("http") && !has("stream") && !has("mail") && !has("events") && (has("server") || has("upstream"));
    check::block(&list, if part { "http" } else { "main" }, "", sheet);
    let mut reading = Reading::new(source.view(), prefix, sheet);
    let mut roots = root::Roots::default();
    let worker = list.iter().find(|line| line.name == "user").map(Directive::arg);
    if part {
        http::read(&mut reading, &list, Module::Http);
        roots.collect(&list, prefix);
    }
    for block in &list {
        let module = match block.name.as_str() {
            "http" if !part => Module::Http,
            "stream" => Module::Stream,
            "mail" => Module::Mail,
            _ => continue,
        };
        http::read(&mut reading, block.inside(), module);
        roots.collect(block.inside(), prefix);
    }
    root::judge(&mut reading, &roots, worker.unwrap_or("www-data"));
    reading.wiring.files = files;
    reading.wiring
}

#[cfg(test)]
mod tests;
