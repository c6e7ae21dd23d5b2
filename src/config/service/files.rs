//! The files that drivers put into generations.

use std::path::Path;

use crate::model::layout;

/// The generation that files are rendered for.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// Where it is to lie in the run directory.
    pub directory: &'a Path,
    /// The pinned roots in PEM: what [`ANCHORS`] of the generation is to hold.
    pub anchors: &'a str,
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
