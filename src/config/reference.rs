//! All tables of the settings with the way to each, for a reference that people read. It must never say what the parser does not know: it
//! has nothing but the descriptions that the parser reads by.

use super::keys::{Kind, Table};
use super::service::Drivers;
pub use super::tables::ROOT;
pub use super::tables::profile::PROFILE;

/// A table of the settings and the way to it.
#[derive(Clone, Debug)]
pub struct Section {
    /// The keys on the way from the top level, the outermost first; empty for the top level itself.
    pub way: Vec<Step>,
    /// What may stand there.
    pub table: &'static Table,
}

/// One key on the way to a table.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The key.
    pub key: &'static str,
    /// What it is set to.
    pub kind: Kind,
    /// The kind of entry, where it holds entries of several kinds.
    pub entry: Option<&'static str>,
}

impl Section {
    /// The way in dots, such as `certificate.verify.tls`; the top level has none.
    #[must_use]
    pub fn path(&self) -> String {
        let words: Vec<&str> = self.way.iter().flat_map(|step| std::iter::once(step.key).chain(step.entry)).collect();
        words.join(".")
    }
}

/// Every table below a root, that first and each before those within it; `drivers` are the kinds of `reload`.
#[must_use]
pub fn sections(root: &'static Table, drivers: Drivers) -> Vec<Section> {
    let mut sections = Vec::new();
    add(&mut sections, Vec::new(), root, drivers);
    sections
}

fn add(sections: &mut Vec<Section>, way: Vec<Step>, table: &'static Table, drivers: Drivers) {
    sections.push(Section { way: way.clone(), table });
    for key in table.keys {
        let mut within = |table, entry| {
            let step = Step { key: key.name, kind: key.kind, entry };
            let way = way.iter().copied().chain([step]).collect();
            add(sections, way, table, drivers);
        };
        match key.kind {
            Kind::Table(inner) | Kind::Tables(inner) => within(inner, None),
            Kind::Entries(tables) | Kind::One(tables) => tables.iter().for_each(|table| within(table, Some(table.word()))),
            Kind::Drivers => drivers.iter().for_each(|driver| within(driver.table, Some(driver.name))),
            Kind::Flag | Kind::Free(_) | Kind::Name | Kind::Numbers(_) | Kind::Span | Kind::Text(_) | Kind::Texts(_) | Kind::Word(_) => {}
        }
    }
}
