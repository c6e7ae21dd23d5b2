//! What publishing a generation needs to know beside the generation: from the settings, or, where those are broken, from its `meta.json`.

use std::path::Path;
use std::sync::Arc;

use super::generation::{Expected, Kept};
use super::trust::TrustFiles;
use crate::config::service::{Drivers, Rendered};
use crate::config::settings::{Certificate, Container, Install, InstallKind, Owner, Part, Settings};
use crate::io::account;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::layout;
use crate::model::meta::{Copies, Meta, NotedContainer};
use crate::model::name::{CertName, Generation};

/// How a generation reaches its consumers.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// Who may read the key.
    pub owner: Owner,
    /// The files that drivers put beside those of the certificate.
    pub rendered: Vec<Rendered>,
    /// The files that `install` asks for in a generation beside those that are always there.
    pub containers: Vec<Container>,
    /// The copies at consumers' own paths.
    pub copies: Vec<Install>,
    /// What a copy may ask for of the trust directory; without it, what lies there stays.
    pub trust: Option<Arc<TrustFiles>>,
}

impl Outlet {
    /// What the run tree should hold of a generation.
    #[must_use]
    pub fn expected(&self) -> Expected<'_> {
        Expected { owner: self.owner, rendered: &self.rendered, containers: &self.containers }
    }

    /// As the settings say.
    #[must_use]
    pub fn of_settings(settings: &Settings, certificate: &Certificate, generation: Generation, trust: Option<Arc<TrustFiles>>) -> Self {
        let copies = certificate.install.iter().filter(|install| install.kind == InstallKind::Copy).cloned().collect();
        let rendered = settings.rendered(certificate, generation);
        Self { owner: certificate.owner, rendered, containers: containers(certificate), copies, trust }
    }
}

/// Where a host's generations are published when the settings do not say it.
#[derive(Clone, Copy, Debug)]
pub struct Bare<'a> {
    /// The run directory.
    pub run: &'a Path,
    /// The kinds of service that there are.
    pub drivers: Drivers,
    /// What consumers are to trust, where it is known.
    pub trust: Option<&'a Arc<TrustFiles>>,
}

impl Bare<'_> {
    /// As it was when the generation was staged. Accounts are looked up anew: a number may have become somebody else's.
    pub fn outlet(&self, name: &CertName, kept: &Kept, warnings: &mut Vec<Warning>) -> Outlet {
        let old = || format!("{} was made by a version that did not note owner, group and copies", kept.generation);
        let meta = match kept.meta().and_then(|meta| meta.filter(|meta| meta.keep.is_some()).ok_or_else(old)) {
            Ok(meta) => meta,
            Err(why) => {
                warnings.push(Warning::new(Code::Settings, format!("{why}: its key is for root alone")));
                let rendered = self.always(name, kept);
                return Outlet {
                    owner: Owner::default(),
                    rendered,
                    containers: Vec::new(),
                    copies: Vec::new(),
                    trust: self.trust.cloned(),
                };
            }
        };
        let mut account = |found: Option<Result<u32, account::AccountError>>| match found? {
            Ok(id) => Some(id),
            Err(why) => {
                warnings.push(Warning::new(Code::Settings, format!("{why}: the key of {} is published without it", kept.generation)));
                None
            }
        };
        let uid = account(meta.owner.as_deref().map(account::user));
        let gid = account(meta.group.as_deref().map(account::group));
        let directory = |name: &str| self.run.join(name).join(kept.generation.to_string()).display().to_string();
        // What was staged under an earlier name tells services the paths of that one.
        let (before, now) = (directory(&meta.name), directory(name.as_str()));
        let rendered = meta.rendered.iter().map(|(name, text)| Rendered { name: name.clone(), bytes: text.replace(&before, &now).into() });
        let rendered = rendered.collect();
        Outlet {
            owner: Owner { uid, gid },
            rendered,
            containers: meta.containers.iter().filter_map(container).collect(),
            copies: copies(meta),
            trust: self.trust.filter(|trust| trust.pins(&meta.anchor_sha256)).cloned(),
        }
    }

    fn always(&self, name: &CertName, kept: &Kept) -> Vec<Rendered> {
        let directory = layout::run_generation(self.run, name, kept.generation);
        self.drivers.iter().filter_map(|kind| kind.always).flat_map(|render| render(&directory)).collect()
    }
}

/// The copies of a generation, as they were noted.
pub(super) fn copies(meta: &Meta) -> Vec<Install> {
    let files = |noted: &Copies| {
        let file = |part: Part| noted.files.get(part.as_str()).map(|file| (part, file.clone()));
        Part::ALL.into_iter().filter_map(file).collect()
    };
    let copy =
        |noted: &Copies| Install { dir: noted.dir.clone(), kind: InstallKind::Copy, files: files(noted), password: noted.password.clone() };
    meta.copies.iter().map(copy).collect()
}

/// What a certificate's links ask for beside what is always there, each once.
#[must_use]
pub fn containers(certificate: &Certificate) -> Vec<Container> {
    let links = certificate.install.iter().filter(|install| install.kind == InstallKind::Link);
    let mut all: Vec<Container> = links.flat_map(Install::containers).collect();
    all.sort_by_key(|container| container.part);
    all.dedup();
    all
}

/// The same as it was noted; what a newer version knows is passed over.
fn container(noted: &NotedContainer) -> Option<Container> {
    let part = Part::ALL.into_iter().find(|part| part.is_container() && part.as_str() == noted.part)?;
    Some(Container { part, password: noted.password.clone() })
}

/// What a generation notes of its containers for a time when the settings are broken.
#[must_use]
pub fn noted_containers(certificate: &Certificate) -> Vec<NotedContainer> {
    containers(certificate).into_iter().map(|one| NotedContainer { part: one.part.as_str().to_owned(), password: one.password }).collect()
}

/// What a generation notes of its outlet for a time when the settings are broken.
#[must_use]
pub fn noted(certificate: &Certificate) -> Vec<Copies> {
    let files = |install: &Install| install.files.iter().map(|(part, file)| (part.as_str().to_owned(), file.clone())).collect();
    let copies = certificate.install.iter().filter(|install| install.kind == InstallKind::Copy);
    copies.map(|install| Copies { dir: install.dir.clone(), files: files(install), password: install.password.clone() }).collect()
}
