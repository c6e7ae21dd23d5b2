//! Settings: file shapes → fragments → validated [`settings::Settings`], all errors at once with file, line and column.
//! It must never start a process or use the network.

pub mod settings;
