//! Findings over files, endpoints and service configurations: what disagrees, by which evidence, and what mends it.
//!
//! It reads a host through [`crate::io::look::View`] and the network through the doors that only look. It starts no process and changes nothing.
//! Readers (`nginx`, `keylime`, `spire`, `openbao`, `systemd`, `scripts`) say what a service is told; [`material`] judges what they name;
//! [`wiring`] holds what both speak about.
//!
#![doc = include_str!("keylime.md")]
//!
#![doc = include_str!("spire.md")]

pub mod address;
pub mod catalogue;
pub mod drawn;
pub mod hcl;
pub mod input;
pub mod issued;
pub mod keylime;
pub mod material;
mod meant;
pub mod nginx;
pub mod openbao;
pub mod own;
pub mod probe;
pub mod report;
pub mod run;
pub mod scripts;
pub mod served;
pub mod sheet;
pub mod spire;
pub mod systemd;
pub mod target;
pub mod wiring;
