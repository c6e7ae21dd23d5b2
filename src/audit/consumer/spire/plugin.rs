//! A plugin block with its data, and how findings name its keys.

use std::path::PathBuf;

use super::reader::{SpireReader, Spot};
use crate::audit::facts::findings::NewFinding;
use crate::audit::facts::hcl::Body;
use crate::audit::facts::plugged::{PairOptions, Plugged};
use crate::judge::lint::Lint;
use crate::model::audit::Location;

/// One block with its data, wherever that is.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) data: Body,
    /// The file and the line of its data.
    pub(super) file: PathBuf,
    pub(super) data_line: u32,
    /// Whether SPIRE can read the data anew while it runs.
    pub(super) from_file: bool,
    pub(super) target: String,
}

impl Plugin {
    /// A key of its data.
    pub(super) fn spot(&self, key: &str) -> Spot {
        self.at(self.data.get(key).map_or(self.data_line, |item| item.line))
    }

    pub(super) fn at(&self, line: u32) -> Spot {
        Spot { name: self.target.clone(), file: self.file.clone(), line }
    }

    /// A finding at a key of its data.
    pub(super) fn draft(&self, reader: &SpireReader<'_>, lint: &'static Lint, key: &str) -> NewFinding {
        reader.draft(lint, &self.spot(key), key)
    }

    /// An option's text, where it is set and not empty.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.data.text(key).map(|(text, _)| text).filter(|text| !text.trim().is_empty())
    }

    /// Notes that it reads a pair, by these options.
    pub(super) fn reads(&self, reader: &mut SpireReader<'_>, pair: usize, options: PairOptions) {
        let (kind, name, data) = (self.kind.clone(), self.name.clone(), self.data.clone());
        let block = Location::line(&reader.file, self.line);
        let plugged = Plugged { pair, kind, name, options, data, block, from_file: self.from_file, log: reader.log.clone() };
        reader.wiring.plugged.push(plugged);
    }

    /// Whether it is the Keylime attestor, whatever it is called here.
    pub(super) fn is_keylime(&self, command: &str) -> bool {
        self.kind == "NodeAttestor" && (self.name.contains("keylime") || command.contains("keylime"))
    }

    /// A finding at a key of the block itself.
    pub(super) fn block_draft(&self, reader: &SpireReader<'_>, lint: &'static Lint, line: u32, key: &str) -> NewFinding {
        let spot = Spot { name: self.target.clone(), file: reader.file.clone(), line };
        reader.draft(lint, &spot, key)
    }
}
