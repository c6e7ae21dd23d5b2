//! `omens` keeps the short-lived certificates of a Linux host alive.

pub mod model;
// Each room imports only rooms above it; tests/house.rs holds the table.
pub mod judge;
pub mod io;
pub mod config;
pub mod plan;
pub mod steps;
pub mod cli;
