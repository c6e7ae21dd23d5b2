//! Findings over files, endpoints and service configurations: what disagrees, by which evidence, and what mends it.
//!
//! It reads a host through [`crate::io::look::View`] and the network through the doors that only look. It starts no process and changes nothing.
//! [`facts`] is what is known of a host; each service of [`consumer`] has a descriptor, a reader that says what it is told, and checks of its
//! configuration; [`rules`] judge what belongs to no single service; [`report`] writes it down.
//!
#![doc = include_str!("keylime.md")]
//!
#![doc = include_str!("spire.md")]

pub mod adopt;
pub mod catalogue;
pub mod consumer;
pub mod examples;
pub mod facts;
pub mod probe;
pub mod report;
pub mod rules;
pub mod run;
pub mod sources;
pub mod target;
pub mod waivers;
