//! Links at consumers' own paths (`install` with `as = "link"`): where they should lead, and whether they do. Only reads.

use std::path::Path;

use crate::config::settings::{Certificate, Install, InstallKind, Part, Settings};
use crate::io::dir::{Dir, Kind};
use crate::model::layout;
use crate::model::name::CertName;

/// Where the link of a part leads, of the certificate whose directory in the run tree is `own`.
#[must_use]
pub fn target(own: &Path, part: Part) -> String {
    let target = match part.file() {
        Some(file) => own.join(layout::LIVE).join(file),
        None => own.with_file_name(layout::TRUST).join(part.trust_file().unwrap_or(layout::ANCHOR)),
    };
    target.display().to_string()
}

/// The first link of a certificate that is missing, replaced, or leads elsewhere, in words.
#[must_use]
pub fn missing(settings: &Settings, certificate: &Certificate) -> Option<String> {
    let links = certificate.install.iter().filter(|install| install.kind == InstallKind::Link);
    links.filter_map(|install| missing_of(settings, certificate.name(), install)).next()
}

/// What ends the text about a directory that nobody made: `install` makes links, and no directories of others.
const NO_DIRECTORY: &str = "does not exist";

/// What is said of a certificate that was published while a link is missing.
#[must_use]
pub fn not_installed(missing: &str) -> String {
    format!("{missing}: its services do not read these files yet and were not asked; {}", remedy(missing, "makes the links"))
}

/// A link that is missing, with what to do about it.
#[must_use]
pub fn with_remedy(missing: &str) -> String {
    format!("{missing}; {}", remedy(missing, "makes it"))
}

fn remedy(missing: &str, install: &str) -> String {
    if missing.ends_with(NO_DIRECTORY) {
        "make it with the owner and mode that its service wants, then `omens install` makes the links in it".to_owned()
    } else {
        format!("`omens install` {install}")
    }
}

fn missing_of(settings: &Settings, name: &CertName, install: &Install) -> Option<String> {
    let dir = match Dir::open(&install.dir) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Some(format!("the directory {} {NO_DIRECTORY}", install.dir.display())),
        Err(why) => return Some(why.to_string()),
    };
    install.files.iter().find_map(|(part, file)| {
        let path = dir.join(file);
        let (path, wanted) = (path.display(), target(&settings.paths.run.join(name.as_str()), *part));
        match dir.kind(file) {
            Ok(None) => Some(format!("the link {path} is missing")),
            Ok(Some(Kind::Link)) => match dir.link(file) {
                Ok(Some(found)) if found == wanted => None,
                Ok(found) => Some(format!("the link {path} leads to {}, expected {wanted}", found.unwrap_or_default())),
                Err(why) => Some(why.to_string()),
            },
            Ok(Some(kind)) => Some(format!("{path} is {}, expected a link to {wanted}", in_words(kind))),
            Err(why) => Some(why.to_string()),
        }
    })
}

const fn in_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Directory => "a directory",
        Kind::File => "a file",
        Kind::Link => "a link",
        Kind::Other => "a device, socket or pipe",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn install_is_said_to_make_what_it_makes() {
        assert_eq!(with_remedy("the link /etc/web/a is missing"), "the link /etc/web/a is missing; `omens install` makes it");
        let absent = with_remedy(&format!("the directory /etc/web {NO_DIRECTORY}"));
        assert!(absent.contains("does not exist; make it with the owner") && absent.ends_with("makes the links in it"), "{absent}");
    }
}
