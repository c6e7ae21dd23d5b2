//! The files that drivers put into generations.

use std::path::Path;

use crate::model::layout;

/// The generation that files are rendered for.
#[derive(Clone, Copy)]
pub struct Rendering<'a> {
    /// Where it is to lie in the run directory.
    pub directory: &'a Path,
    /// Writes the pinned roots in PEM: what [`ANCHORS`] of the generation is to hold. Few drivers ask for it.
    pub anchors: &'a dyn Fn() -> String,
}

impl std::fmt::Debug for Rendering<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendering").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The name of the file that holds the pinned roots in a generation, for a driver that wants one there.
pub const ANCHORS: &str = "anchors.pem";

/// A file that a driver puts into a generation: public, mode 0644. Beside `live` a constant link of the same name leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its name, which is no name of `model::layout`.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Rendered {
    /// What the constant link beside `live` holds.
    #[must_use]
    pub fn link(&self) -> String {
        format!("{}/{}", layout::LIVE, self.name)
    }
}
